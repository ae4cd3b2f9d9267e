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
        // `-X=KEY=VALUE` means the same as `-XKEY=VALUE`.
        let attached = word.strip_prefix("-X").filter(|rest| !rest.is_empty()).map(|rest| rest.strip_prefix('=').unwrap_or(rest));
        let attached = attached.or_else(|| word.strip_prefix("--property="));
        shown.push(match attached {
            Some(pair) if !is_property => format!("{}{}", &word[..word.len() - pair.len()], property(pair)),
            _ if is_property => property(&word),
            _ if word.contains("http://") || word.contains("https://") => page(&word),
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

/// The address of a page: tokens stand in its query, and as its user.
fn page(word: &str) -> String {
    let (scheme, rest) = word.split_once("://").unwrap_or(("", word));
    let (rest, metrics) = rest.split_once('#').map_or((rest, None), |(rest, metrics)| (rest, Some(metrics)));
    let (rest, query) = rest.split_once('?').map_or((rest, String::new()), |(rest, _)| (rest, format!("?{HIDDEN}")));
    let (user, rest) = rest.rsplit_once('@').map_or((String::new(), rest), |(_, rest)| (format!("{HIDDEN}@"), rest));
    let metrics = metrics.map_or_else(String::new, |metrics| format!("#{metrics}"));
    format!("{scheme}://{user}{rest}{query}{metrics}")
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
            "-X=sasl.password=pw",
            "--watch",
            "http://token@h:1/metrics?token=pw#a,b",
            "--watch=https://u:pw@h/metrics",
            "--watch",
            "http://h/metrics#rss",
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
            "-X=sasl.password=***",
            "--watch",
            "http://***@h:1/metrics?***#a,b",
            "--watch=https://***@h/metrics",
            "--watch",
            "http://h/metrics#rss",
            "--speed",
            "4",
        ];
        assert_eq!(shown, expected);
    }
}
