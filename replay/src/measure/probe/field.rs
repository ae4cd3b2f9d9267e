//! What of a message it is known by: its key, a header, a field of a JSON document, or what a regular expression finds.
//!
//! Reading gives a hash of the bytes: of a JSON string what it stands for, of a number its text. A message that has no such
//! field, or more than one, has no value: it cannot be matched.

use regex::bytes::Regex;

use crate::hash;
use crate::transform::formats::{Format, FormatKind, Parsed, Wanted, open};
use dejaq_shared::record::Headers;

/// The most bytes that a regular expression may take once compiled.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// What a message is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `key`: the whole key.
    Key,
    /// `header:NAME`: the value of the header of that name.
    Header(String),
    /// `json:PATH`: a scalar of the value, which is a JSON document.
    Json(String),
    /// `regex:PATTERN`: what the first group of the pattern finds in the value, or the whole of it when it has no group.
    Regex(String),
}

/// The parts of a message that a field may be in.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// Reads a field from one message after another.
#[derive(Debug)]
pub struct FieldReader(Reader);

#[derive(Debug)]
enum Reader {
    Key,
    Header(Vec<u8>),
    Json(Box<dyn Format>, Parsed),
    Regex(Regex),
}

impl Field {
    /// Reads `key`, `header:NAME`, `json:PATH` or `regex:PATTERN`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let field = match text.split_once(':') {
            None if text == "key" => Self::Key,
            Some(("header", name)) if !name.is_empty() => Self::Header(name.to_owned()),
            Some(("json", path)) => Self::Json(path.to_owned()),
            Some(("regex", pattern)) if !pattern.is_empty() => Self::Regex(pattern.to_owned()),
            _ => return Err(format!("{text:?} is none of key, header:NAME, json:$.PATH, regex:PATTERN")),
        };
        field.reader().map(|_| field)
    }

    /// What reads it.
    ///
    /// # Errors
    /// A path or a pattern that makes no sense, in words.
    pub fn reader(&self) -> Result<FieldReader, String> {
        Ok(FieldReader(match self {
            Self::Key => Reader::Key,
            Self::Header(name) => Reader::Header(name.clone().into_bytes()),
            Self::Json(path) => {
                let wanted = Wanted { tags: Some(vec![path.clone()]), stamps: Vec::new() };
                Reader::Json(open(FormatKind::Json, &wanted).map_err(|e| e.to_string())?, Parsed::default())
            }
            Self::Regex(pattern) => {
                let regex = regex::bytes::RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build();
                Reader::Regex(regex.map_err(|e| format!("{pattern:?} is no regular expression: {}", one_line(&e)))?)
            }
        }))
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key => write!(f, "key"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Json(path) => write!(f, "json:{path}"),
            Self::Regex(pattern) => write!(f, "regex:{pattern}"),
        }
    }
}

impl FieldReader {
    /// The hash of the field's value; `None` where the message has none.
    pub fn read(&mut self, parts: &Parts<'_>) -> Option<u64> {
        match &mut self.0 {
            Reader::Key => parts.key.map(hashed),
            Reader::Header(name) => {
                let mut found = parts.headers.iter().filter(|(n, _)| *n == name.as_slice());
                let (_, value) = found.next()?;
                value.filter(|_| found.next().is_none()).map(hashed)
            }
            Reader::Json(format, parsed) => {
                format.parse(parts.value?, parsed).ok()?;
                match parsed.tags.as_slice() {
                    [tag] => Some(hashed(parsed.get(tag.value))),
                    _ => None,
                }
            }
            Reader::Regex(regex) => {
                let value = parts.value?;
                if regex.captures_len() == 1 {
                    return regex.find(value).map(|m| hashed(m.as_bytes()));
                }
                regex.captures(value)?.get(1).map(|m| hashed(m.as_bytes()))
            }
        }
    }
}

/// The library draws its errors over several lines; the last one says it.
fn one_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim().to_owned()
}

fn hashed(value: &[u8]) -> u64 {
    hash::bytes(0, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dejaq_shared::record::HeadersBuf;

    fn read(field: &str, key: Option<&[u8]>, value: &[u8], headers: &[(&[u8], Option<&[u8]>)]) -> Option<u64> {
        let mut buf = HeadersBuf::default();
        for (name, value) in headers {
            buf.push(name, *value);
        }
        let parts = Parts { key, value: Some(value), headers: buf.as_headers() };
        Field::parse(field).expect(field).reader().expect(field).read(&parts)
    }

    #[test]
    fn the_same_value_is_the_same_wherever_it_stands() {
        let id = Some(hashed(b"a-1"));
        assert_eq!(read("key", Some(b"a-1"), b"", &[]), id);
        assert_eq!(read("header:id", None, b"", &[(b"x", None), (b"id", Some(b"a-1"))]), id);
        assert_eq!(read("json:$.order.id", None, br#"{"order": {"id": "a\u002d1"}}"#, &[]), id);
        assert_eq!(read("regex:id=([^ ]+)", None, b"x id=a-1 y", &[]), id);
        assert_eq!(read("regex:a-[0-9]", None, b"x id=a-1 y", &[]), id);
        assert_eq!(read("json:$.n", None, br#"{"n": 12}"#, &[]), Some(hashed(b"12")));
    }

    #[test]
    fn what_has_no_value_or_two_has_none() {
        assert_eq!(read("key", None, b"", &[]), None);
        assert_eq!(read("header:id", None, b"", &[(b"id", None)]), None);
        assert_eq!(read("header:id", None, b"", &[(b"id", Some(b"1")), (b"id", Some(b"1"))]), None);
        assert_eq!(read("json:$.id", None, br#"{"id": null}"#, &[]), None);
        assert_eq!(read("json:$.id[*]", None, br#"{"id": [1, 2]}"#, &[]), None);
        assert_eq!(read("json:$.id", None, b"no json", &[]), None);
        assert_eq!(read("regex:(z)?x", None, b"x", &[]), None, "the group took no part");
    }

    #[test]
    fn what_is_no_field_says_why() {
        for (text, why) in [
            ("value", "is none of key, header:NAME"),
            ("header:", "is none of key, header:NAME"),
            ("json:id", "is no path"),
            ("regex:(", "is no regular expression"),
            ("regex:(a{1000}){1000}", "is no regular expression"),
        ] {
            let error = Field::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
