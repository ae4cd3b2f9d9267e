//! Configuration files: TOML into a struct, with errors that may be shown.
//!
//! The parser's own error text quotes the line it stumbles over, and a password may stand in that line. Here an error is
//! its place and its reason.

use serde::de::DeserializeOwned;

/// Reads a configuration.
///
/// # Errors
/// `line L, column C: REASON`, without a word of the file's values but those that the reason itself names (unknown keys).
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let reason = error.message().replace('\n', ", ");
        let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return reason };
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("line {line}, column {column}: {reason}")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    #[test]
    fn an_error_tells_the_place_and_not_the_line() {
        let error = super::parse::<BTreeMap<String, String>>("a = \"b\"\nü = \"hunter2\" oops\n").expect_err("not TOML");
        assert!(error.starts_with("line 2, column ") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_value_of_another_kind_is_placed() {
        let error = super::parse::<BTreeMap<String, String>>("a = \"b\"\nsecond = 2\n").expect_err("a number");
        assert!(error.starts_with("line 2, column 10: ") && error.contains("expected a string"), "{error}");
    }
}
