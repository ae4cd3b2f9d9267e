//! The mark: a header that says "this was replayed", by whom, and from where.
//!
//! Its value is `1;RUN;CLUSTER[,ANCESTOR]…`: the version of this form, the run's id, the cluster that the recording came
//! from, and the clusters that *its* records were replayed from. A capture uses it to keep replayed traffic out, or to
//! remember where it came from; a replay refuses to write into any of these clusters. Cluster names are written with
//! `%`, `,` and `;` escaped as `%XX`.

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
    fn another_version_is_not_read() {
        assert_eq!(Mark::decode(b"2;run;c"), None);
        assert_eq!(Mark::decode(b"1;run;bad%zz"), None);
    }
}
