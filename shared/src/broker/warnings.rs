//! What is worth telling people, at most once a second of a kind. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(1);

/// Lets one text of a kind through a second, and counts the others.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    kinds: HashMap<String, (Instant, u64)>,
}

impl Limiter {
    /// The text to tell now, if it is time for one of this kind. Kinds are few: facilities and codes of the client.
    pub(super) fn pass(&mut self, kind: &str, text: String, now: Instant) -> Option<String> {
        match self.kinds.get_mut(kind) {
            None => {
                self.kinds.insert(kind.to_owned(), (now, 0));
                Some(text)
            }
            Some((last, held)) if now.saturating_duration_since(*last) >= INTERVAL => {
                let before = std::mem::take(held);
                *last = now;
                Some(if before == 0 { text } else { format!("{text} (and {before} more of the kind)") })
            }
            Some((_, held)) => {
                *held += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_of_a_kind() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let mut pass = |kind: &str, ms| limiter.pass(kind, "text".to_owned(), start + Duration::from_millis(ms));
        assert_eq!(pass("a", 0).as_deref(), Some("text"));
        assert_eq!(pass("b", 1).as_deref(), Some("text"));
        assert_eq!(pass("a", 999), None);
        assert_eq!(pass("a", 1_000).as_deref(), Some("text (and 1 more of the kind)"));
        assert_eq!(pass("a", 2_500).as_deref(), Some("text"));
    }
}
