//! How many messages our queue threw away because it was full, and when they were published. Pure.
//!
//! When: the canaries tell (`canary`). How many: the broker's counter of messages that a bound threw away
//! (`rabbitmq_global_messages_dead_lettered_maxlen_total`), less the canaries among them. It does not lag, but it counts for the
//! whole node: a count is exact where our queue is the only one there that it can count, else none is given.
//!
//! Guarantees: what is told adds up to the counter, less the canaries that did not come; a span of time in which something was
//! thrown away is told as open as soon as it is known, and told with its end and count once the queue is caught up with.
//! Limits: where others are counted too, less than 100 ms of drops, between two canaries, are noticed only when the queue was seen
//! nearly full.

use super::canary::Missing;
use crate::broker::mirror::Loss;
use crate::record::GapReason;

/// What the broker's counter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Messages that bounds threw away, since the node started.
    pub(super) thrown_away: u64,
    /// Whether no other queue can have a part in it.
    pub(super) ours_alone: bool,
}

/// The state of our queue at the time of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// The time, nanoseconds since 1970.
    pub(super) now_ns: i64,
    /// `None`: the counter cannot be read.
    pub(super) reading: Option<Reading>,
    /// Whether all canaries came but the very last ones: what was thrown away has shown.
    pub(super) caught_up: bool,
    /// Whether the queue is nearly full.
    pub(super) nearly_full: bool,
    /// Whether no canary was sent for a while since the last look that was caught up: what was thrown away then shows in no number.
    pub(super) blind: bool,
}

/// A span in which something was thrown away.
#[derive(Debug, Clone, Copy)]
struct Span {
    from_ns: Option<i64>,
    to_ns: i64,
}

/// What is known of one queue's drops.
#[derive(Debug)]
pub(super) struct Drops {
    vhost: String,
    span: Option<Span>,
    /// The counter where counting began; `None`: the next reading is.
    base: Option<u64>,
    /// Whether it counted ours alone since then.
    ours_alone: bool,
    /// Canaries that did not come, since then.
    canaries: u64,
    last: Option<u64>,
    /// Up to when all is told.
    told_ns: Option<i64>,
    was_nearly_full: bool,
    /// Whether the counter rose since all was told: what a canary on its way will show is not forgotten until it came.
    rose: bool,
    /// Whether deliveries were taken back since all was told: what is on disk already can have been thrown away then, and counted.
    taken_back: bool,
}

impl Drops {
    pub(super) fn new(vhost: &str) -> Self {
        Self {
            vhost: vhost.to_owned(),
            span: None,
            base: None,
            ours_alone: true,
            canaries: 0,
            last: None,
            told_ns: None,
            was_nearly_full: false,
            rose: false,
            taken_back: false,
        }
    }

    /// Canaries did not come. Told at once, as open, unless that is told already.
    pub(super) fn missing(&mut self, missing: Missing) -> Option<Loss> {
        self.canaries += missing.count;
        match &mut self.span {
            Some(span) => {
                span.to_ns = span.to_ns.max(missing.to_ns);
                None
            }
            None => {
                self.span = Some(Span { from_ns: missing.from_ns, to_ns: missing.to_ns });
                Some(Loss { to_time_ns: None, ..self.loss(missing.from_ns, None, None, false) })
            }
        }
    }

    /// A connection ended: what it had delivered and was not acknowledged went back to the head of the queue.
    pub(super) fn taken_back(&mut self) {
        self.taken_back = true;
    }

    /// Whether a span is open, so that a look is worth while.
    pub(super) fn is_open(&self) -> bool {
        self.span.is_some()
    }

    /// Looks at the counter, and tells what is over.
    pub(super) fn look(&mut self, look: Look) -> Option<Loss> {
        let nearly_full = self.was_nearly_full || look.nearly_full;
        self.was_nearly_full = if look.caught_up { look.nearly_full } else { nearly_full };
        let count = self.count(look.reading);
        self.rose |= self.last.zip(look.reading).is_some_and(|(last, reading)| reading.thrown_away > last);
        self.last = look.reading.map(|reading| reading.thrown_away).or(self.last);
        // Without a canary among them.
        let unseen = count.map_or(self.rose && (nearly_full || look.blind), |count| count > 0 && look.caught_up);
        if unseen && self.span.is_none() {
            self.span = Some(Span { from_ns: self.told_ns, to_ns: look.now_ns });
        }
        if !look.caught_up {
            return None;
        }
        // All is told up to here.
        self.told_ns = Some(look.now_ns);
        self.rose = false;
        let exact = count.is_some() && !std::mem::take(&mut self.taken_back);
        if let Some(reading) = look.reading {
            (self.base, self.ours_alone, self.canaries) = (Some(reading.thrown_away), true, 0);
        }
        let span = self.span.take()?;
        Some(self.loss(span.from_ns, Some(span.to_ns), count, exact))
    }

    /// Messages that were thrown away and not told yet; `None`: not known.
    fn count(&mut self, reading: Option<Reading>) -> Option<u64> {
        let reading = reading?;
        let base = *self.base.get_or_insert(reading.thrown_away);
        // A counter that went back is that of a node that was started anew.
        self.ours_alone &= reading.ours_alone && reading.thrown_away >= base;
        self.ours_alone.then(|| reading.thrown_away.saturating_sub(base).saturating_sub(self.canaries))
    }

    fn loss(&self, from_ns: Option<i64>, to_ns: Option<i64>, count: Option<u64>, exact: bool) -> Loss {
        Loss {
            lane: None,
            scope: format!("virtual host {}", self.vhost),
            from_time_ns: from_ns,
            to_time_ns: to_ns,
            count,
            exact,
            reason: GapReason::Drop,
            detail: "our queue was full and threw away its oldest messages".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now_ns: i64, thrown_away: u64) -> Look {
        let reading = Some(Reading { thrown_away, ours_alone: true });
        Look { now_ns, reading, caught_up: true, nearly_full: false, blind: false }
    }

    /// From, to, how many, and whether that is exact.
    type Shown = (Option<i64>, Option<i64>, Option<u64>, bool);

    fn shown(loss: Option<Loss>) -> Option<Shown> {
        loss.map(|loss| (loss.from_time_ns, loss.to_time_ns, loss.count, loss.exact))
    }

    fn missing(from: i64, to: i64, count: u64) -> Missing {
        Missing { from_ns: Some(from), to_ns: to, count }
    }

    #[test]
    fn a_span_is_told_as_open_and_then_with_its_end_and_count() {
        let mut drops = Drops::new("/");
        assert_eq!(drops.look(at(0, 500)), None, "what others threw away before is not ours");
        assert_eq!(shown(drops.missing(missing(10, 20, 2))), Some((Some(10), None, None, false)));
        assert_eq!(shown(drops.look(Look { caught_up: false, ..at(25, 530) })), None);
        assert_eq!(shown(drops.missing(missing(20, 40, 3))), None, "it is open already");
        assert!(drops.is_open());
        assert_eq!(shown(drops.look(at(50, 605))), Some((Some(10), Some(40), Some(100), true)), "105, five canaries among them");
        assert_eq!((shown(drops.look(at(60, 605))), drops.is_open()), (None, false));
    }

    #[test]
    fn what_is_told_adds_up_when_a_canary_is_counted_before_it_is_missed() {
        let mut drops = Drops::new("/");
        assert_eq!(drops.look(at(0, 0)), None);
        assert_eq!(shown(drops.look(Look { caught_up: false, ..at(3, 9) })), None, "a canary may still show it");
        assert_eq!(shown(drops.look(at(5, 11))), Some((Some(0), Some(5), Some(11), true)), "no canary was missed");
        let _ = drops.missing(missing(4, 6, 1));
        assert_eq!(shown(drops.look(at(7, 21))), Some((Some(4), Some(6), Some(9), true)), "20 in all");
    }

    #[test]
    fn where_others_are_counted_too_there_is_no_count() {
        let mut drops = Drops::new("/");
        let others = |look: Look| Look { reading: look.reading.map(|r| Reading { ours_alone: false, ..r }), ..look };
        assert_eq!(drops.look(others(at(0, 0))), None);
        assert_eq!(drops.look(others(at(5, 9))), None, "it may be theirs");
        let _ = drops.missing(missing(6, 8, 1));
        assert_eq!(shown(drops.look(others(at(9, 19)))), Some((Some(6), Some(8), None, false)));
        let full = |look: Look| Look { nearly_full: true, ..others(look) };
        assert_eq!(shown(drops.look(full(at(10, 19)))), None);
        assert_eq!(
            shown(drops.look(others(at(12, 20)))),
            Some((Some(10), Some(12), None, false)),
            "it was full when something was thrown away"
        );
        assert_eq!(drops.look(others(at(14, 30))), None);
    }

    #[test]
    fn what_was_thrown_away_while_no_canary_was_sent_is_told_when_the_next_one_came() {
        let mut drops = Drops::new("/");
        let others = |look: Look| Look { reading: look.reading.map(|r| Reading { ours_alone: false, ..r }), ..look };
        assert_eq!(drops.look(others(at(0, 0))), None);
        assert_eq!(shown(drops.look(Look { caught_up: false, ..others(at(9, 40)) })), None, "a canary may still show it");
        assert_eq!(shown(drops.look(Look { blind: true, ..others(at(10, 40)) })), Some((Some(0), Some(10), None, false)));
        assert_eq!(drops.look(Look { blind: true, ..others(at(20, 40)) }), None, "nothing was thrown away since");
    }

    #[test]
    fn a_count_is_not_exact_where_deliveries_were_taken_back() {
        let mut drops = Drops::new("/");
        assert_eq!(drops.look(at(0, 0)), None);
        drops.taken_back();
        assert_eq!(shown(drops.look(at(5, 11))), Some((Some(0), Some(5), Some(11), false)));
        assert_eq!(shown(drops.look(at(9, 12))), Some((Some(5), Some(9), Some(1), true)));
    }

    #[test]
    fn without_the_counter_the_canaries_alone_tell() {
        let mut drops = Drops::new("/");
        let blind = |now_ns| Look { now_ns, reading: None, caught_up: true, nearly_full: false, blind: false };
        assert_eq!(drops.look(blind(0)), None);
        let _ = drops.missing(missing(1, 2, 1));
        assert_eq!(shown(drops.look(blind(3))), Some((Some(1), Some(2), None, false)));
    }

    #[test]
    fn a_node_that_started_anew_counts_from_there_and_says_that_it_does_not_know() {
        let mut drops = Drops::new("/");
        assert_eq!(drops.look(at(0, 50)), None);
        let _ = drops.missing(missing(1, 2, 1));
        assert_eq!(shown(drops.look(at(3, 4))), Some((Some(1), Some(2), None, false)));
        assert_eq!(shown(drops.look(at(5, 9))), Some((Some(3), Some(5), Some(5), true)));
    }
}
