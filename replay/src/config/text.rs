//! TOML values that people write as text or as a number, read as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// A TOML value that may be written as text or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Written(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Written(text) => text,
            Text::Integer(n) => n.to_string(),
            Text::Float(x) => x.to_string(),
            Text::Boolean(b) => b.to_string(),
        }
    }
}

pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Text>::deserialize(from)?.map(Into::into))
}

pub(super) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(BTreeMap::<String, Text>::deserialize(from)?.into_iter().map(|(k, v)| (k, v.into())).collect())
}
