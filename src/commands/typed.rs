//! The command as it was typed, for the run's own record: to be run again, and without secrets.

use std::ffi::OsString;

use dejaq_shared::broker::endpoint::redact;
use dejaq_shared::broker::secret::{HIDDEN, is_secret};

/// The words of a command line without passwords in URLs and values of secret properties (`-X`).
pub(crate) fn without_secrets(words: &[OsString]) -> Vec<String> {
    let mut shown = Vec::with_capacity(words.len());
    let mut is_property = false;
    for word in words {
        let word = word.to_string_lossy();
        let attached = word.strip_prefix("-X").filter(|rest| !rest.is_empty()).or_else(|| word.strip_prefix("--property="));
        shown.push(match attached {
            Some(pair) if !is_property => format!("{}{}", &word[..word.len() - pair.len()], property(pair)),
            _ if is_property => property(&word),
            _ if word.contains("://") => redact(&word),
            _ => word.clone().into_owned(),
        });
        is_property = !is_property && matches!(word.as_ref(), "-X" | "--property");
    }
    shown
}

/// `key=value`, the value hidden when the key is that of a secret; all of it when it is none of both.
fn property(pair: &str) -> String {
    match pair.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}={HIDDEN}"),
        Some((key, value)) => format!("{key}={}", redact(value)),
        None => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let typed = [
            "dejaq",
            "replay",
            "rec",
            "--to",
            "kafkas://u:pw@h:1",
            "--to=kafka://u:pw@h",
            "-X",
            "sasl.password=pw",
            "-Xssl.key.pem=pw",
            "-X",
            "linger.ms=5",
            "-Xpw",
            "--speed",
            "4",
        ];
        let shown = without_secrets(&typed.map(OsString::from));
        let expected = [
            "dejaq",
            "replay",
            "rec",
            "--to",
            "kafkas://u:***@h:1",
            "--to=kafka://u:***@h",
            "-X",
            "sasl.password=***",
            "-Xssl.key.pem=***",
            "-X",
            "linger.ms=5",
            "-X***",
            "--speed",
            "4",
        ];
        assert_eq!(shown, expected);
    }
}
