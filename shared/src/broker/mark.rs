//! The mark: a header that says "this was replayed", by whom, and from where.
//!
//! Its value is `1;RUN;CLUSTER[,ANCESTOR]…`: the version of this form, the run's id, the cluster that the recording came
//! from, and the clusters that *its* records were replayed from. A capture uses it to keep replayed traffic out, or to
//! remember where it came from; a replay refuses to write into any of these clusters. Cluster names are written with
//! `%`, `,` and `;` escaped as `%XX`.

use crate::amqp::{Properties, Table, Value};
use crate::record::{Headers, MARK_HEADER};

/// The values of the marks that a message carries, among Kafka's headers or in RabbitMQ's header table: text where they are of
/// a type that can be a mark, else `None` (the record counts as marked all the same).
pub fn marks<'a>(headers: Headers<'a>, properties: Properties<'a>) -> impl Iterator<Item = Option<&'a [u8]>> {
    let table = if properties.is_empty() { None } else { properties.basic().headers };
    let typed = table.unwrap_or(Table::EMPTY).iter().map(|(name, value)| match value {
        Value::String(bytes) | Value::Bytes(bytes) => (name, Some(bytes)),
        _ => (name, None),
    });
    headers.iter().chain(typed).filter(|(name, _)| *name == MARK_HEADER).map(|(_, value)| value)
}

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The run that sent the record.
    pub run: String,
    /// The source cluster of the recording, then its ancestors. May be empty (unknown source).
    pub clusters: Vec<String>,
}

impl Mark {
    /// The header's value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let clusters: Vec<String> = self.clusters.iter().map(|c| escape(c)).collect();
        format!("1;{};{}", escape(&self.run), clusters.join(",")).into_bytes()
    }

    /// Reads a header's value; `None` when it is not of this form (the record counts as marked all the same).
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut parts = text.splitn(3, ';');
        if parts.next()? != "1" {
            return None;
        }
        let run = unescape(parts.next()?)?;
        let clusters = parts.next()?.split(',').filter(|c| !c.is_empty()).map(unescape).collect::<Option<_>>()?;
        Some(Self { run, clusters })
    }
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace(',', "%2C").replace(';', "%3B")
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        out.push(match rest.get(at..at + 3)? {
            "%25" => '%',
            "%2C" => ',',
            "%3B" => ';',
            _ => return None,
        });
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::{Basic, TableBuf};
    use crate::record::HeadersBuf;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mark_comes_back(run in "[a-z0-9;,%-]{1,40}", clusters in prop::collection::vec("[A-Za-z0-9;,%_-]{1,24}", 0..5)) {
            let mark = Mark { run, clusters };
            prop_assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Mark::decode(&bytes);
        }
    }

    #[test]
    fn a_mark_is_found_among_the_headers_of_either_broker() {
        let mut headers = HeadersBuf::default();
        headers.push(b"other", Some(b"x"));
        headers.push(MARK_HEADER, Some(b"1;k;"));
        headers.push(MARK_HEADER, None);
        assert_eq!(marks(headers.as_headers(), Properties::EMPTY).collect::<Vec<_>>(), [Some(b"1;k;".as_slice()), None]);

        let mut table = TableBuf::default();
        table.name(b"other").value(Value::String(b"x"));
        table.name(MARK_HEADER).value(Value::String(b"1;r;"));
        table.name(MARK_HEADER).value(Value::Bool(true));
        let mut bytes = Vec::new();
        Basic { headers: Some(table.as_table().expect("whole")), ..Basic::default() }.write(&mut bytes).expect("fits");
        let properties = Properties::from_checked(&bytes);
        assert_eq!(marks(Headers::EMPTY, properties).collect::<Vec<_>>(), [Some(b"1;r;".as_slice()), None]);
    }

    #[test]
    fn another_version_is_not_read() {
        assert_eq!(Mark::decode(b"2;run;c"), None);
        assert_eq!(Mark::decode(b"1;run;bad%zz"), None);
    }
}
