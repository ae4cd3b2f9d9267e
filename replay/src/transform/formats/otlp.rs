//! What OTLP's two encodings have in common: which attribute values are tags, and how they read as text.
//!
//! A tag's value is text. An attribute that is a string is its text; an integer is its decimal digits; a truth value is
//! `true` or `false`; a floating-point number is the shortest decimal number that reads back as the same one (`0.5`, `1`,
//! `1e16`, `NaN`, `Infinity`, `-Infinity`). Arrays, maps and bytes are no tags and are left alone. A new value keeps the kind of
//! the old one if it is the text of such a value, exactly; else the attribute becomes a string.

use std::io::Write as _;

/// A kind of attribute value that is a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Double,
    Bool,
}

/// The value to write in the place of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NewValue {
    Text,
    Int(i64),
    Double(f64),
    Bool(bool),
}

/// What becomes of an attribute of this kind whose new text is `text`.
pub(super) fn new_value(kind: Kind, text: &str, scratch: &mut Vec<u8>) -> NewValue {
    let value = match kind {
        Kind::Text => None,
        Kind::Int => text.parse().ok().map(NewValue::Int),
        Kind::Bool => text.parse().ok().map(NewValue::Bool),
        Kind::Double => read_double(text).map(NewValue::Double),
    };
    let Some(value) = value else { return NewValue::Text };
    scratch.clear();
    match value {
        NewValue::Text => {}
        NewValue::Int(value) => write_int(scratch, value),
        NewValue::Double(value) => write_double(scratch, value),
        NewValue::Bool(value) => write_bool(scratch, value),
    }
    // "007" or "1.50" would read back as other text than was asked for.
    if scratch == text.as_bytes() { value } else { NewValue::Text }
}

/// Appends an integer as text.
pub(super) fn write_int(out: &mut Vec<u8>, value: i64) {
    // A Vec takes everything.
    let _ = write!(out, "{value}");
}

/// Appends a truth value as text.
pub(super) fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a floating-point number as text.
pub(super) fn write_double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        // With an exponent where it is large: without it a hostile payload would be forty times as long in text.
        let _ = write!(out, "{value:?}");
        if out.ends_with(b".0") {
            out.truncate(out.len() - 2);
        }
        return;
    }
    let word = match (value.is_nan(), value.is_sign_positive()) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    };
    out.extend_from_slice(word.as_bytes());
}

/// The inverse of [`write_double`], and more.
pub(super) fn read_double(text: &str) -> Option<f64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_kept_only_by_the_text_that_reads_back() {
        let mut scratch = Vec::new();
        let mut becomes = |kind, text| new_value(kind, text, &mut scratch);
        assert_eq!(becomes(Kind::Text, "1"), NewValue::Text);
        assert_eq!(becomes(Kind::Int, "-9223372036854775808"), NewValue::Int(i64::MIN));
        for text in ["007", "+1", "-0", "1.0", "9223372036854775808", "", "host-1"] {
            assert_eq!(becomes(Kind::Int, text), NewValue::Text, "{text}");
        }
        assert_eq!(becomes(Kind::Double, "0.5"), NewValue::Double(0.5));
        assert_eq!(becomes(Kind::Double, "1"), NewValue::Double(1.0));
        assert_eq!(becomes(Kind::Double, "-Infinity"), NewValue::Double(f64::NEG_INFINITY));
        assert!(matches!(becomes(Kind::Double, "NaN"), NewValue::Double(value) if value.is_nan()));
        for text in ["1.0", "1e3", "inf", "1e400", "nan", ".5", "1.50"] {
            assert_eq!(becomes(Kind::Double, text), NewValue::Text, "{text}");
        }
        assert_eq!(becomes(Kind::Bool, "false"), NewValue::Bool(false));
        assert_eq!(becomes(Kind::Bool, "False"), NewValue::Text);
    }
}
