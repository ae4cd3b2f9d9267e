//! What of a message it is known by: its key, a header, a property, a field of a JSON document, or what a regular expression finds.
//!
//! Reading gives a hash of the bytes: of a JSON string what it stands for, of a number its text. A message that has no such
//! field, or more than one, has no value: it cannot be matched. Of RabbitMQ the key is the routing key, and a header's number
//! or flag is its text, whatever AMQP's type.

use regex::bytes::Regex;

use crate::fit::{Carried, carried};
use crate::hash;
use crate::transform::formats::{Format, FormatKind, Parsed, Wanted, open};
use dejaq_shared::amqp::{Basic, Properties, Table};
use dejaq_shared::record::Headers;

/// The most bytes that a regular expression may take once compiled.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// What a message is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `key`: the whole key; RabbitMQ: the routing key.
    Key,
    /// `header:NAME`: the value of the header of that name.
    Header(String),
    /// `property:NAME`: a property of RabbitMQ's.
    Property(Property),
    /// `json:PATH`: a scalar of the value, which is a JSON document.
    Json(String),
    /// `regex:PATTERN`: what the first group of the pattern finds in the value, or the whole of it when it has no group.
    Regex(String),
}

/// The properties that systems tell messages apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// `message_id`.
    MessageId,
    /// `correlation_id`.
    CorrelationId,
    /// `type`.
    Type,
    /// `app_id`.
    AppId,
}

const PROPERTIES: [(&str, Property); 4] = [
    ("message_id", Property::MessageId),
    ("correlation_id", Property::CorrelationId),
    ("type", Property::Type),
    ("app_id", Property::AppId),
];

impl Property {
    fn of<'a>(self, basic: &Basic<'a>) -> Option<&'a [u8]> {
        match self {
            Self::MessageId => basic.message_id,
            Self::CorrelationId => basic.correlation_id,
            Self::Type => basic.kind,
            Self::AppId => basic.app_id,
        }
    }

    fn name(self) -> &'static str {
        PROPERTIES.iter().find(|(_, property)| *property == self).map_or("", |(name, _)| name)
    }
}

/// The parts of a message that a field may be in.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Its key; RabbitMQ: its routing key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, of Kafka.
    pub headers: Headers<'a>,
    /// Its properties, of RabbitMQ.
    pub properties: Properties<'a>,
}

/// Reads a field from one message after another.
#[derive(Debug)]
pub struct FieldReader(Reader);

#[derive(Debug)]
enum Reader {
    Key,
    /// With memory that is used again.
    Header(Vec<u8>, Vec<u8>),
    Property(Property),
    Json(Box<dyn Format>, Parsed),
    Regex(Regex),
}

impl Field {
    /// Reads `key`, `header:NAME`, `property:NAME`, `json:PATH` or `regex:PATTERN`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let field = match text.split_once(':') {
            None if text == "key" => Self::Key,
            Some(("header", name)) if !name.is_empty() => Self::Header(name.to_owned()),
            Some(("property", name)) => {
                let known = PROPERTIES.iter().find(|(known, _)| *known == name);
                let (_, property) = known.ok_or_else(|| format!("{name:?} is none of message_id, correlation_id, type, app_id"))?;
                Self::Property(*property)
            }
            Some(("json", path)) => Self::Json(path.to_owned()),
            Some(("regex", pattern)) if !pattern.is_empty() => Self::Regex(pattern.to_owned()),
            _ => return Err(format!("{text:?} is none of key, header:NAME, property:NAME, json:$.PATH, regex:PATTERN")),
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
            Self::Header(name) => Reader::Header(name.clone().into_bytes(), Vec::new()),
            Self::Property(property) => Reader::Property(*property),
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
            Self::Property(property) => write!(f, "property:{}", property.name()),
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
            Reader::Header(name, text) => match parts.properties.basic().headers {
                Some(table) => table_header(table, name, text),
                None => {
                    let mut found = parts.headers.iter().filter(|(n, _)| *n == name.as_slice());
                    let (_, value) = found.next()?;
                    value.filter(|_| found.next().is_none()).map(hashed)
                }
            },
            Reader::Property(property) => property.of(&parts.properties.basic()).map(hashed),
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

/// The value of a header of RabbitMQ.
fn table_header(table: Table<'_>, name: &[u8], text: &mut Vec<u8>) -> Option<u64> {
    let mut found = table.iter().filter(|(n, _)| *n == name);
    let (_, value) = found.next()?;
    match carried(value, text) {
        _ if found.next().is_some() => None,
        Carried::Bytes(bytes) => Some(hashed(bytes)),
        Carried::Text => Some(hashed(text)),
        Carried::Null | Carried::Not => None,
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
    use dejaq_shared::amqp::{TableBuf, Value};
    use dejaq_shared::record::HeadersBuf;

    fn read(field: &str, key: Option<&[u8]>, value: &[u8], headers: &[(&[u8], Option<&[u8]>)]) -> Option<u64> {
        let mut buf = HeadersBuf::default();
        for (name, value) in headers {
            buf.push(name, *value);
        }
        let parts = Parts { key, value: Some(value), headers: buf.as_headers(), properties: Properties::EMPTY };
        Field::parse(field).expect(field).reader().expect(field).read(&parts)
    }

    fn read_amqp(field: &str, basic: &Basic<'_>) -> Option<u64> {
        let mut bytes = Vec::new();
        basic.write(&mut bytes).expect("short");
        let parts = Parts { key: Some(b"a.b"), value: None, headers: Headers::EMPTY, properties: Properties::from_checked(&bytes) };
        Field::parse(field).expect(field).reader().expect(field).read(&parts)
    }

    #[test]
    fn a_message_of_rabbitmq_is_known_by_its_routing_key_a_property_or_a_header() {
        let mut table = TableBuf::default();
        table.name(b"id").value(Value::String(b"a-1")).name(b"n").value(Value::I64(-12)).name(b"list").begin_array().end();
        table.name(b"twice").value(Value::U8(1)).name(b"twice").value(Value::U8(1)).name(b"none").value(Value::Void);
        let headers = Some(table.as_table().expect("well-formed"));
        let basic = Basic { headers, message_id: Some(b"m"), correlation_id: Some(b"a-1"), app_id: Some(b""), ..Basic::default() };
        let found = |field: &str| read_amqp(field, &basic);
        assert_eq!(found("key"), Some(hashed(b"a.b")));
        assert_eq!((found("property:message_id"), found("property:correlation_id")), (Some(hashed(b"m")), Some(hashed(b"a-1"))));
        assert_eq!(found("property:correlation_id"), found("header:id"), "the same value is the same wherever it stands");
        assert_eq!((found("property:type"), found("property:app_id")), (None, Some(hashed(b""))), "absent is not empty");
        assert_eq!(found("header:n"), Some(hashed(b"-12")), "whatever the width of a number");
        for field in ["header:twice", "header:none", "header:list", "header:message_id"] {
            assert_eq!(found(field), None, "{field}");
        }
        assert_eq!(read_amqp("header:id", &Basic { message_id: Some(b"m"), ..Basic::default() }), None, "no table");
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
            ("property:headers", "is none of message_id, correlation_id"),
            ("json:id", "is no path"),
            ("regex:(", "is no regular expression"),
            ("regex:(a{1000}){1000}", "is no regular expression"),
        ] {
            let error = Field::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
