//! Where a log ended when: remembered in flat memory, finely for the last minutes and more coarsely before.

use std::collections::VecDeque;

use super::{ENDS_MAX, Lag};

/// A place where the log was seen to end.
#[derive(Debug, Clone, Copy)]
struct End {
    position: i64,
    /// At first.
    from_ns: u64,
    /// At last.
    until_ns: u64,
}

/// The ends of one partition's log, ascending.
#[derive(Debug, Default)]
pub(super) struct Ends(VecDeque<End>);

impl Ends {
    /// Remembers where the log ends now, and tells how far behind the group is.
    pub(super) fn look(&mut self, committed: i64, log_end: i64, now_ns: u64) -> Lag {
        // A log that is shorter than before is another one.
        if self.0.back().is_some_and(|end| log_end < end.position) {
            self.0.clear();
        }
        match self.0.back_mut() {
            Some(end) if end.position == log_end => end.until_ns = now_ns,
            _ => self.0.push_back(End { position: log_end, from_ns: now_ns, until_ns: now_ns }),
        }
        let lag = self.lag(committed, messages(committed, log_end), now_ns);
        if self.0.len() > ENDS_MAX {
            self.thin();
        }
        lag
    }

    /// How far behind the group is at least, when nobody tells where the log ends now; `None`: nobody ever did.
    pub(super) fn at_least(&self, committed: i64, now_ns: u64) -> Option<Lag> {
        let last = self.0.back()?;
        Some(Lag { at_least: true, ..self.lag(committed, messages(committed, last.position), now_ns) })
    }

    fn lag(&self, committed: i64, messages: u64, now_ns: u64) -> Lag {
        if messages == 0 {
            return known(0, 0);
        }
        let after = self.0.partition_point(|end| end.position <= committed);
        let Some(before) = after.checked_sub(1).and_then(|ix| self.0.get(ix)).copied() else {
            let first_ns = self.0.front().map_or(now_ns, |end| end.from_ns);
            return Lag { at_least: true, ..known(messages, now_ns.saturating_sub(first_ns)) };
        };
        let Some(after) = self.0.get(after).copied() else { return known(messages, 0) };
        // In 128 bits: positions and times of any size.
        let time_ns = i128::from(after.from_ns.saturating_sub(before.until_ns));
        let share = i128::from(committed - before.position) * time_ns / i128::from(after.position - before.position);
        let reached_ns = before.until_ns + u64::try_from(share).unwrap_or(0);
        known(messages, now_ns.saturating_sub(reached_ns))
    }

    /// Forgets every second one of the older half, and keeps the very first.
    fn thin(&mut self) {
        let half = self.0.len() / 2;
        let mut ix = 0;
        self.0.retain(|_| {
            ix += 1;
            ix > half || ix % 2 == 1
        });
    }
}

/// Between where the group stands and where the log ends.
pub(super) fn messages(committed: i64, log_end: i64) -> u64 {
    u64::try_from(log_end.saturating_sub(committed)).unwrap_or(0)
}

fn known(messages: u64, time_ns: u64) -> Lag {
    Lag { messages, time_ns: Some(time_ns), at_least: false }
}
