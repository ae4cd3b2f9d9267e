//! Which streams are replayed: globs over a stream's name (`topic/partition`). A glob that has no `/` is held against the
//! topic as well, so that `orders` and `metrics.*` mean all their partitions.

use dejaq_shared::record::Stream;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A glob over the names of streams.
#[derive(Debug)]
pub(crate) struct StreamGlob {
    set: GlobSet,
    topics: bool,
}

impl StreamGlob {
    /// Compiles a glob; the error is the reason.
    pub(crate) fn new(glob: &str) -> Result<Self, String> {
        let refuse = |reason: globset::Error| reason.kind().to_string();
        let one = GlobBuilder::new(glob).literal_separator(false).build().map_err(refuse)?;
        let set = GlobSetBuilder::new().add(one).build().map_err(refuse)?;
        Ok(Self { set, topics: !glob.contains('/') })
    }

    /// Whether the name of a stream matches, or its topic where the glob has no `/`.
    pub(crate) fn matches(&self, stream: &Stream) -> bool {
        self.set.is_match(stream.name()) || (self.topics && self.set.is_match(stream.topic()))
    }
}

/// A selection that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Not a glob.
    #[error("--streams {glob:?} is not a glob: {reason}; write names such as orders/0, orders or metrics.*")]
    Glob {
        /// As typed.
        glob: String,
        /// What is wrong.
        reason: String,
    },
    /// It selects nothing.
    #[error("--streams {glob:?} matches no stream of the recording; it has {known}")]
    NoMatch {
        /// As typed.
        glob: String,
        /// Some of the streams there are.
        known: String,
    },
}

/// For each stream whether it is selected; all are when there is no glob. Every glob must match something.
///
/// # Errors
/// [`SelectError`].
pub fn select(globs: &[String], streams: &[Stream]) -> Result<Vec<bool>, SelectError> {
    if globs.is_empty() {
        return Ok(vec![true; streams.len()]);
    }
    let mut selected = vec![false; streams.len()];
    for glob in globs {
        let compiled = StreamGlob::new(glob).map_err(|reason| SelectError::Glob { glob: glob.clone(), reason })?;
        let mut any = false;
        for (stream, selected) in streams.iter().zip(&mut selected) {
            let hit = compiled.matches(stream);
            *selected |= hit;
            any |= hit;
        }
        if !any {
            return Err(SelectError::NoMatch { glob: glob.clone(), known: some_names(streams.iter()) });
        }
    }
    Ok(selected)
}

/// The first few of some streams, for a message.
pub(crate) fn some_names<'s>(streams: impl ExactSizeIterator<Item = &'s Stream>) -> String {
    const SHOWN: usize = 5;
    let all = streams.len();
    let mut names: Vec<String> = streams.take(SHOWN).map(Stream::name).collect();
    if all > SHOWN {
        names.push(format!("… ({all} streams)"));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::stream;

    #[test]
    fn globs_select_by_stream_and_by_topic() {
        let streams = [stream("orders", 0), stream("orders", 1), stream("metrics.cpu", 0)];
        let chosen = |globs: &[&str]| select(&globs.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>(), &streams);
        assert_eq!(chosen(&[]), Ok(vec![true; 3]));
        assert_eq!(chosen(&["orders"]), Ok(vec![true, true, false]));
        assert_eq!(chosen(&["orders/1", "metrics.*"]), Ok(vec![false, true, true]));
        assert!(matches!(chosen(&["order"]), Err(SelectError::NoMatch { .. })));
        assert!(matches!(chosen(&["a[b"]), Err(SelectError::Glob { .. })));
    }
}
