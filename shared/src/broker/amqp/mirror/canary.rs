//! The canary: numbered messages of our own, straight into our queue through the default exchange. Pure.
//!
//! The queue throws away its oldest messages when it is full, so a number that does not come says that something was thrown
//! away, and the ones before and after it say when that was published. A canary carries its number and its time of sending
//! itself: nothing is remembered but the last one that came.
//!
//! Canaries are transient, and the newest one that came is not acknowledged until the next one has. So one stands in the queue at
//! any time, and an interruption after which it comes again was none that took transient messages: the node was not started anew.
//!
//! Limits: what was thrown away between two canaries (100 ms) without one of them is seen by the counters only (`drops`).

/// The type that a canary's properties name.
pub(super) const KIND: &str = "dejaq.canary";

/// So long between two canaries that three were not sent.
const BLIND_NS: i64 = 300_000_000;
/// So long without a canary that what stands in the queue is not known.
const STALE_NS: i64 = 1_000_000_000;

/// A canary, as its message id says it: `NONCE:SERIES:NUMBER:NANOSECONDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Tells a capture's canaries from those of an earlier one, which may still be in the queue.
    pub(super) nonce: &'a str,
    /// Canaries of one connection are one series: what a connection took with it when it ended is not missed.
    pub(super) series: u64,
    pub(super) number: u64,
    /// When it was sent, nanoseconds since 1970.
    pub(super) sent_ns: i64,
}

impl<'a> Token<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(':');
        let nonce = parts.next()?;
        let token =
            Self { nonce, series: parts.next()?.parse().ok()?, number: parts.next()?.parse().ok()?, sent_ns: parts.next()?.parse().ok()? };
        parts.next().is_none().then_some(token)
    }

    pub(super) fn message_id(self) -> String {
        let Self { nonce, series, number, sent_ns } = self;
        format!("{nonce}:{series}:{number}:{sent_ns}")
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

/// What a canary says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is the next one.
    Next,
    /// Some before it did not come.
    After(Missing),
    /// It is one from before: of an earlier series, an earlier capture, or it came already. The queue kept it.
    Kept,
    /// It is none.
    Nothing,
}

/// What is known of the canaries of one queue.
#[derive(Debug)]
pub(super) struct Canaries {
    nonce: String,
    series: u64,
    /// The number that the next one to come has.
    expected: u64,
    last_ns: Option<i64>,
    /// Whether one came that was sent long after the one before it.
    blind: bool,
}

impl Canaries {
    pub(super) fn new(nonce: String) -> Self {
        Self { nonce, series: 0, expected: 0, last_ns: None, blind: false }
    }

    /// One came; its message id.
    pub(super) fn seen(&mut self, message_id: &str) -> Seen {
        let Some(token) = Token::parse(message_id) else { return Seen::Nothing };
        let before = token.series < self.series || (token.series == self.series && token.number < self.expected);
        if token.nonce != self.nonce || before {
            return Seen::Kept;
        }
        if token.series > self.series {
            (self.series, self.expected) = (token.series, 0);
        }
        let count = token.number - self.expected;
        let missing = Missing { from_ns: self.last_ns, to_ns: token.sent_ns, count };
        self.blind |= self.last_ns.is_some_and(|last| token.sent_ns.saturating_sub(last) > BLIND_NS);
        self.expected = token.number + 1;
        self.last_ns = Some(token.sent_ns);
        if count > 0 { Seen::After(missing) } else { Seen::Next }
    }

    /// When the newest one that came was sent: all that was published before it has come.
    pub(super) fn last_ns(&self) -> Option<i64> {
        self.last_ns
    }

    /// Whether no canary was sent for a while: this process stood still, or the broker held it up. Asked once.
    pub(super) fn take_blind(&mut self, now_ns: i64) -> bool {
        std::mem::take(&mut self.blind) || self.is_stale(now_ns)
    }

    /// Whether the newest one that came was sent long ago.
    pub(super) fn is_stale(&self, now_ns: i64) -> bool {
        self.last_ns.is_some_and(|last| now_ns.saturating_sub(last) > STALE_NS)
    }

    /// How many have not come of a series of which so many are sent.
    pub(super) fn outstanding(&self, series: u64, sent: u64) -> u64 {
        if series == self.series { sent.saturating_sub(self.expected) } else { sent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(canaries: &mut Canaries, series: u64, number: u64) -> Seen {
        let sent_ns = i64::try_from(series * 1_000 + number).expect("small");
        canaries.seen(&Token { nonce: "n", series, number, sent_ns }.message_id())
    }

    #[test]
    fn a_number_that_does_not_come_says_what_time_was_lost() {
        let mut canaries = Canaries::new("n".to_owned());
        assert_eq!((see(&mut canaries, 1, 0), see(&mut canaries, 1, 1)), (Seen::Next, Seen::Next));
        assert_eq!(see(&mut canaries, 1, 5), Seen::After(Missing { from_ns: Some(1_001), to_ns: 1_005, count: 3 }));
        assert_eq!(see(&mut canaries, 1, 6), Seen::Next);
        assert_eq!((canaries.last_ns(), canaries.outstanding(1, 9), canaries.outstanding(2, 4)), (Some(1_006), 2, 4));
    }

    #[test]
    fn the_first_one_that_comes_may_not_be_the_first_one_sent() {
        let mut canaries = Canaries::new("n".to_owned());
        assert_eq!(see(&mut canaries, 1, 2), Seen::After(Missing { from_ns: None, to_ns: 1_002, count: 2 }));
    }

    #[test]
    fn what_a_connection_took_with_it_is_not_missed_and_what_the_next_one_lost_is() {
        let mut canaries = Canaries::new("n".to_owned());
        assert_eq!(see(&mut canaries, 1, 0), Seen::Next);
        assert_eq!(see(&mut canaries, 2, 0), Seen::Next);
        assert_eq!(see(&mut canaries, 3, 1), Seen::After(Missing { from_ns: Some(2_000), to_ns: 3_001, count: 1 }));
    }

    #[test]
    fn those_that_come_again_and_those_of_earlier_captures_show_that_the_queue_kept_them() {
        let mut canaries = Canaries::new("n".to_owned());
        assert_eq!((see(&mut canaries, 1, 0), see(&mut canaries, 1, 1)), (Seen::Next, Seen::Next));
        assert_eq!(see(&mut canaries, 1, 0), Seen::Kept);
        assert_eq!(canaries.seen("m:1:9:900"), Seen::Kept);
        assert_eq!(see(&mut canaries, 2, 0), Seen::Next);
        assert_eq!(see(&mut canaries, 1, 2), Seen::Kept);
        for id in ["n:1:x:1", "n:9", "", "n:1:99999999999999999999:1", "n:1:1:1:1"] {
            assert_eq!(canaries.seen(id), Seen::Nothing, "{id}");
        }
        assert_eq!(see(&mut canaries, 2, 1), Seen::Next, "nothing was taken for a canary");
    }
}
