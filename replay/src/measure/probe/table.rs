//! Which messages are waited for at the system's output, and how long each took. Pure: time is given.
//!
//! A message is known by the hash of its value (64 bits: among half a million waited for, a wrong match is a matter of one
//! in a hundred million). It is *expected* when it is planned, so before it can be sent. An output answers the oldest
//! unanswered message of its value whose intended time has come; if all of them are answered it is a *duplicate*, and if
//! there is none it is *unmatched*. A message without an output is *lost* once it was handed over a deadline ago. What was
//! answered is remembered that long too; a duplicate that comes later is unmatched.
//!
//! Memory is flat: [`EXPECTED_MAX`] messages. When there are more the oldest one is given up as *crowded out*: nobody knows
//! whether it came, so the run is not to be trusted.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

/// The most messages waited for at a time.
pub const EXPECTED_MAX: usize = 1 << 19;
/// What they take at most, in bytes: 40 each in order, and the index, which doubles as it grows.
pub const EXPECTED_BYTES_MAX: u64 = 40 * (1 << 19) + 33 * (1 << 20);
/// How finely the time of handing over is known: marks are this far apart at least.
const MARK_NS: u64 = 100_000_000;
/// The most marks: with more they are farther apart.
const MARKS_MAX: usize = 4_096;
const NONE: u64 = u64::MAX;

/// One message that is waited for.
#[derive(Debug, Clone, Copy)]
struct Expected {
    value: u64,
    due_ns: u64,
    /// Its number among all that are planned.
    item: u64,
    /// The next one of the same value, by its number in the table; [`NONE`].
    next: u64,
    answered: bool,
}

/// The messages of one value: the one that the next output answers (or the newest, when all are answered), and the newest.
#[derive(Debug, Clone, Copy)]
struct Chain {
    head: u64,
    tail: u64,
    /// How many of them are answered.
    answered: u32,
}

/// What an output was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The first of a message: so long after its intended time, in nanoseconds.
    Answer(u64),
    /// Another one of a message that was answered.
    Duplicate,
    /// Of no message that is waited for.
    Unmatched,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Messages that were waited for.
    pub expected: u64,
    /// Those of them whose output came.
    pub answered: u64,
    /// Those whose output did not come by the deadline.
    pub lost: u64,
    /// Those that were given up for lack of room.
    pub crowded_out: u64,
    /// Messages that are planned and have no value to be known by, those that were read ahead and never sent among them.
    pub without_value: u64,
    /// Further outputs of a message.
    pub duplicates: u64,
    /// Outputs of no message.
    pub unmatched: u64,
}

/// See the module's words.
#[derive(Debug)]
pub struct Table {
    deadline_ns: u64,
    room: usize,
    /// In the order of planning: `entries[i]` has number `first + i`.
    entries: VecDeque<Expected>,
    first: u64,
    /// All before this number are answered or forgotten.
    settled: u64,
    /// The latest intended time that is planned. Messages are planned in its order.
    planned_ns: u64,
    by_value: FxHashMap<u64, Chain>,
    /// `(items handed over, when)`, ascending.
    marks: VecDeque<(u64, u64)>,
    mark_gap_ns: u64,
    counts: TableCounts,
}

impl Table {
    /// A table that waits this long for each message.
    #[must_use]
    pub fn new(deadline_ns: u64) -> Self {
        Self::with_room(deadline_ns, EXPECTED_MAX)
    }

    fn with_room(deadline_ns: u64, room: usize) -> Self {
        Self {
            deadline_ns,
            room,
            entries: VecDeque::new(),
            first: 0,
            settled: 0,
            planned_ns: 0,
            by_value: FxHashMap::default(),
            marks: VecDeque::new(),
            mark_gap_ns: MARK_NS.max(deadline_ns / MARKS_MAX as u64),
            counts: TableCounts::default(),
        }
    }

    /// A message with this value is planned for `due_ns` after the start; `item` is its number among all that are planned.
    pub fn expect(&mut self, value: u64, due_ns: u64, item: u64) {
        if self.entries.len() >= self.room {
            self.counts.crowded_out += u64::from(self.drop_first());
        }
        self.entries.push_back(Expected { value, due_ns, item, next: NONE, answered: false });
        self.counts.expected += 1;
        self.planned_ns = self.planned_ns.max(due_ns);
        self.link(self.entries.len() - 1);
    }

    /// So many more messages are planned that have no value.
    pub fn pass_by(&mut self, messages: u64) {
        self.counts.without_value += messages;
    }

    /// An output with this value was seen at `at_ns` after the start.
    pub fn seen(&mut self, value: u64, at_ns: u64) -> Seen {
        let seen = self.answer(value, at_ns);
        match seen {
            Seen::Answer(_) => self.counts.answered += 1,
            Seen::Duplicate => self.counts.duplicates += 1,
            Seen::Unmatched => self.counts.unmatched += 1,
        }
        seen
    }

    /// So many of the planned messages were dealt with by `at_ns`: the wait for each begins when it was handed over.
    pub fn handed_over(&mut self, items: u64, at_ns: u64) {
        let newer = self.marks.back().is_none_or(|(known, at)| items > *known && at_ns >= at.saturating_add(self.mark_gap_ns));
        if items > 0 && newer {
            self.marks.push_back((items, at_ns));
        }
    }

    /// Gives up on what was handed over a deadline before `at_ns`.
    pub fn expire(&mut self, at_ns: u64) {
        while let Some((items, _)) = self.marks.front().copied().filter(|(_, at)| at.saturating_add(self.deadline_ns) <= at_ns) {
            self.marks.pop_front();
            while self.entries.front().is_some_and(|entry| entry.item < items) {
                self.counts.lost += u64::from(self.drop_first());
            }
        }
    }

    /// Nothing more is handed over: what was planned beyond `items` is not waited for. An output that seemed to answer it was another
    /// one of a message of that value, or of none.
    pub fn end(&mut self, items: u64, at_ns: u64) {
        // Whatever the distance of marks: the last message has a deadline too.
        self.marks.push_back((items, at_ns));
        let kept = self.entries.partition_point(|entry| entry.item < items);
        let never_sent = self.entries.split_off(kept);
        self.counts.expected -= never_sent.len() as u64;
        self.by_value.clear();
        for place in 0..kept {
            self.entries[place].next = NONE;
            self.link(place);
        }
        for Expected { value, .. } in never_sent.iter().filter(|entry| entry.answered) {
            self.counts.answered -= 1;
            let known = self.by_value.get(value).is_some_and(|chain| chain.answered > 0);
            *(if known { &mut self.counts.duplicates } else { &mut self.counts.unmatched }) += 1;
        }
    }

    /// No answer comes any more to what was intended before this, in nanoseconds after the start.
    pub fn settled_ns(&mut self) -> u64 {
        self.settled = self.settled.max(self.first);
        loop {
            match self.entry(self.settled) {
                Some(Expected { answered: true, .. }) => self.settled += 1,
                Some(Expected { due_ns, .. }) => return *due_ns,
                None => return self.planned_ns,
            }
        }
    }

    /// How many are waited for and may still come.
    #[must_use]
    pub fn open(&self) -> u64 {
        let TableCounts { expected, answered, lost, crowded_out, .. } = self.counts;
        expected.saturating_sub(answered + lost + crowded_out)
    }

    /// What was counted so far. Expected ones that are neither answered nor lost nor crowded out are still open.
    #[must_use]
    pub fn counts(&self) -> TableCounts {
        self.counts
    }

    /// Puts an entry at the end of its value's chain.
    fn link(&mut self, place: usize) {
        let (number, Expected { value, answered, .. }) = (self.first + place as u64, self.entries[place]);
        let Some(mut chain) = self.by_value.get(&value).copied() else {
            self.by_value.insert(value, Chain { head: number, tail: number, answered: u32::from(answered) });
            return;
        };
        if let Some(tail) = self.entry(chain.tail) {
            tail.next = number;
        }
        if self.entry(chain.head).is_none_or(|head| head.answered) {
            chain.head = number;
        }
        chain.tail = number;
        chain.answered += u32::from(answered);
        self.by_value.insert(value, chain);
    }

    fn answer(&mut self, value: u64, at_ns: u64) -> Seen {
        let Some(mut chain) = self.by_value.get(&value).copied() else { return Seen::Unmatched };
        let Some(head) = self.entry(chain.head) else { return Seen::Unmatched };
        // An output cannot be of a message whose time has not come.
        let due = at_ns.checked_sub(head.due_ns).filter(|_| !head.answered);
        let Some(took_ns) = due else {
            return if chain.answered > 0 { Seen::Duplicate } else { Seen::Unmatched };
        };
        head.answered = true;
        if head.next != NONE {
            chain.head = head.next;
        }
        chain.answered += 1;
        self.by_value.insert(value, chain);
        Seen::Answer(took_ns)
    }

    fn entry(&mut self, number: u64) -> Option<&mut Expected> {
        self.entries.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Forgets the oldest; whether it was unanswered.
    fn drop_first(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        let number = self.first;
        self.first += 1;
        if let Some(mut chain) = self.by_value.get(&entry.value).copied() {
            if chain.tail == number {
                self.by_value.remove(&entry.value);
            } else {
                chain.answered -= u32::from(entry.answered);
                chain.head = if chain.head == number { entry.next } else { chain.head };
                self.by_value.insert(entry.value, chain);
            }
        }
        !entry.answered
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
