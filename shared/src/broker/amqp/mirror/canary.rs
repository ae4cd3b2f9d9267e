//! The canary: numbered messages of our own, straight into our queue through the default exchange. Pure.
//!
//! The queue throws away its oldest messages when it is full, so a number that does not come says that something was thrown
//! away, and the ones before and after it say when that was published. A canary carries its number and its time of sending
//! itself: nothing is remembered but the last one that came.
//!
//! Limits: what was thrown away between two canaries (100 ms) without one of them is seen by the counters only (`drops`).

/// The type that a canary's properties name.
pub(super) const KIND: &str = "dejaq.canary";

/// A canary, as its message id says it: `NONCE:NUMBER:NANOSECONDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'a> {
    nonce: &'a str,
    number: u64,
    sent_ns: i64,
}

impl<'a> Token<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        Some(Self { nonce: parts.next()?, number: parts.next()?.parse().ok()?, sent_ns: parts.next()?.parse().ok()? })
    }
}

/// Canaries that were thrown away, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missing {
    /// When the last one before them was sent, nanoseconds since 1970; `None`: they are the first.
    pub(super) from_ns: Option<i64>,
    /// When the next one after them was sent.
    pub(super) to_ns: i64,
    /// How many.
    pub(super) count: u64,
}

/// What is known of the canaries of one queue.
#[derive(Debug)]
pub(super) struct Canaries {
    /// Tells this capture's from those of an earlier one, which may still be in the queue.
    nonce: String,
    /// The number that the next one to come has.
    expected: u64,
    last_ns: Option<i64>,
}

impl Canaries {
    pub(super) fn new(nonce: String) -> Self {
        Self { nonce, expected: 0, last_ns: None }
    }

    /// The message id of a canary.
    pub(super) fn token(nonce: &str, number: u64, sent_ns: i64) -> String {
        format!("{nonce}:{number}:{sent_ns}")
    }

    /// One came. Those of earlier captures, and those that come again, say nothing.
    pub(super) fn seen(&mut self, message_id: &str) -> Option<Missing> {
        let token = Token::parse(message_id).filter(|token| token.nonce == self.nonce && token.number >= self.expected)?;
        let count = token.number - self.expected;
        let missing = Missing { from_ns: self.last_ns, to_ns: token.sent_ns, count };
        self.expected = token.number + 1;
        self.last_ns = Some(token.sent_ns);
        (count > 0).then_some(missing)
    }

    /// The queue is another one: what was sent to the earlier one, up to this number, does not come.
    pub(super) fn start_anew(&mut self, next: u64) {
        self.expected = self.expected.max(next);
    }

    /// When the newest one that came was sent: all that was published before it has come.
    pub(super) fn last_ns(&self) -> Option<i64> {
        self.last_ns
    }

    /// How many have not come, of those up to the number that is sent next.
    pub(super) fn outstanding(&self, next: u64) -> u64 {
        next.saturating_sub(self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(canaries: &mut Canaries, number: u64) -> Option<Missing> {
        canaries.seen(&Canaries::token("n", number, i64::try_from(number).expect("small") * 100))
    }

    #[test]
    fn a_number_that_does_not_come_says_what_time_was_lost() {
        let mut canaries = Canaries::new("n".to_owned());
        assert_eq!((see(&mut canaries, 0), see(&mut canaries, 1)), (None, None));
        assert_eq!(see(&mut canaries, 5), Some(Missing { from_ns: Some(100), to_ns: 500, count: 3 }));
        assert_eq!(see(&mut canaries, 6), None);
        assert_eq!((canaries.last_ns(), canaries.outstanding(9)), (Some(600), 2));
    }

    #[test]
    fn the_first_one_that_comes_may_not_be_the_first_one_sent() {
        let mut canaries = Canaries::new("n".to_owned());
        assert_eq!(see(&mut canaries, 2), Some(Missing { from_ns: None, to_ns: 200, count: 2 }));
    }

    #[test]
    fn those_that_come_again_and_those_of_others_say_nothing() {
        let mut canaries = Canaries::new("n".to_owned());
        assert_eq!((see(&mut canaries, 0), see(&mut canaries, 1), see(&mut canaries, 0), see(&mut canaries, 2)), (None, None, None, None));
        for id in ["m:9:900", "n:x:1", "n:9", "", "n:99999999999999999999:1"] {
            assert_eq!(canaries.seen(id), None, "{id}");
        }
        assert_eq!(see(&mut canaries, 3), None, "nothing was taken for a canary");
    }

    #[test]
    fn those_of_a_queue_that_is_gone_are_not_missed() {
        let mut canaries = Canaries::new("n".to_owned());
        assert_eq!(see(&mut canaries, 0), None);
        canaries.start_anew(7);
        assert_eq!(see(&mut canaries, 7), None);
        canaries.start_anew(3);
        assert_eq!(see(&mut canaries, 9), Some(Missing { from_ns: Some(700), to_ns: 900, count: 1 }));
    }
}
