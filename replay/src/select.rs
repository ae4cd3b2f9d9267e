//! Which streams are replayed: globs over a stream's name (`topic/partition`). A glob that has no `/` is held against the
//! topic as well, so that `orders` and `metrics.*` mean all their partitions.

use dejaq_shared::record::Stream;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

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
        let set = compile(glob)?;
        let mut any = false;
        for (stream, selected) in streams.iter().zip(&mut selected) {
            let hit = set.is_match(stream.name()) || (!glob.contains('/') && set.is_match(stream.topic()));
            *selected |= hit;
            any |= hit;
        }
        if !any {
            return Err(SelectError::NoMatch { glob: glob.clone(), known: some_names(streams) });
        }
    }
    Ok(selected)
}

fn compile(glob: &str) -> Result<GlobSet, SelectError> {
    let refuse = |reason: globset::Error| SelectError::Glob { glob: glob.to_owned(), reason: reason.kind().to_string() };
    let one = GlobBuilder::new(glob).literal_separator(false).build().map_err(refuse)?;
    GlobSetBuilder::new().add(one).build().map_err(refuse)
}

fn some_names(streams: &[Stream]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = streams.iter().take(SHOWN).map(Stream::name).collect();
    if streams.len() > SHOWN {
        names.push(format!("… ({} streams)", streams.len()));
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
