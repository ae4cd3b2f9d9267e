//! The pacer: sends each ready record when it is due, and says truthfully when it could not.
//!
//! It waits for nothing but the clock, the ceilings, a full client queue and a broker that asks to hold, never for an answer. Records that are due are sent
//! one after the other until none is; a record held back keeps its intended time. It allocates nothing per message,
//! takes no lock and writes no file: what it counts goes out once a second through a [`PaceLog`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dejaq_shared::broker::sink::{Outgoing, Refusal, Sink, TargetKind};

use crate::batch::{Batch, Filtered, Item, LeftOut};
use crate::hands::Hands;
use crate::holds::HoldCause;
use crate::inflight::{Sent, Slots};
use crate::ledger::Ledger;
use crate::measure::counts::{PaceLog, Tally};
use crate::ring::{Batches, Next};

mod books;
mod options;

pub use books::{Live, PacerBooks};
pub use options::PacerOptions;

/// A message sent within this of its intended time counts as delivered; one that is due when the run's time is over may
/// still be sent within it.
pub const DELIVERED_WITHIN_NS: u64 = 1_000_000_000;
/// How late the generator must be by itself for a skipped message, or an empty ring, to count against it.
const LATE_NS: u64 = 1_000_000;
/// The longest sleep without a look at the stop flag.
const NAP_NS: u64 = 50_000_000;
/// A sleep in a hold may end so much late, as timers do, and it is the hold's: none of that is made good where there is no burst.
const TIMER_NS: u64 = 1_000_000;
/// The longest wait for room in the client's queue, or for the broker, without another try.
const ROOM_NAP_NS: u64 = 1_000_000;

/// Whether to go on.
#[derive(Debug, PartialEq, Eq)]
enum Flow {
    On,
    /// Nothing later is part of the run.
    Over,
}

/// What became of one try.
enum Tried {
    /// When it was sent.
    Taken(u64),
    Skipped(&'static str),
}

/// See the module's words.
pub struct Pacer<'a, S, H, L> {
    options: PacerOptions,
    sink: &'a mut S,
    hands: H,
    log: L,
    slots: &'a Slots,
    stop: &'a AtomicBool,
    live: Arc<Live>,
    books: PacerBooks,
    tally: Tally,
    newest: Vec<(u32, i64)>,
    /// Items of the batch at hand that were not sent.
    unsent: Vec<u32>,
    /// Items of it that were dealt with.
    dealt_with: u32,
    stopped_ns: Option<u64>,
    dry_since: Option<u64>,
    /// Lateness that an empty ring has caused since the pacer was last on time.
    dry_debt_ns: u64,
    /// The newest time that a ceiling gave to a message that it held back.
    allowed_ns: u64,
}

impl<'a, S: Sink, H: Hands, L: PaceLog> Pacer<'a, S, H, L> {
    /// A pacer that sends into `sink`; `stop` ends the run early.
    pub fn new(options: PacerOptions, sink: &'a mut S, hands: H, log: L, slots: &'a Slots, stop: &'a AtomicBool, live: Arc<Live>) -> Self {
        let streams = options.streams;
        let shape = options.scheduled.then(Box::default);
        let books = PacerBooks { ledger: Ledger::new(streams), shape, ..PacerBooks::default() };
        let newest = vec![(u32::MAX, i64::MIN); streams];
        let tally = Tally::new(options.scheduled);
        Self {
            options,
            sink,
            hands,
            log,
            slots,
            stop,
            live,
            books,
            tally,
            newest,
            unsent: Vec::new(),
            dealt_with: 0,
            stopped_ns: None,
            dry_since: None,
            dry_debt_ns: 0,
            allowed_ns: 0,
        }
    }

    /// Sends until the batches end, the run's time is over, or it is stopped.
    pub fn run<B: Batches>(mut self, batches: &mut B) -> PacerBooks {
        loop {
            match batches.next() {
                Next::Batch(mut batch) => {
                    self.refilled(&batch);
                    let flow = self.send_batch(&batch);
                    batch.done(self.dealt_with, &mut self.unsent);
                    batches.recycle(batch);
                    if flow == Flow::Over {
                        break;
                    }
                }
                Next::Empty => {
                    // Whatever would still come is not waited for: its reading may be stuck.
                    if self.stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let now = self.hands.now_ns();
                    self.dry_since.get_or_insert(now);
                    batches.wait(Duration::from_nanos(NAP_NS));
                }
                Next::End => break,
            }
        }
        self.books.stopped = self.stop.load(Ordering::Relaxed);
        self.tally.end(&mut self.log);
        self.books.peak_per_s = self.tally.peak_per_s();
        self.books
    }

    /// The ring has records again: was the first of them late for lack of it?
    fn refilled(&mut self, batch: &Batch) {
        let Some(since) = self.dry_since.take() else { return };
        let now = self.hands.now_ns();
        let Some(first) = batch.items.first() else { return };
        let due = self.options.t0_ns.saturating_add(first.due_ns);
        let late = now.saturating_sub(due.max(since));
        if self.options.scheduled && late > LATE_NS {
            self.books.dry_count += 1;
            self.dry_debt_ns += late;
            self.books.dry_late_max_ns = self.books.dry_late_max_ns.max(self.dry_debt_ns);
        }
    }

    fn send_batch(&mut self, batch: &Batch) -> Flow {
        self.dealt_with = 0;
        let mut filtered = batch.filtered.iter().peekable();
        for (item, ix) in batch.items.iter().zip(0u32..) {
            while let Some(left_out) = filtered.next_if(|f| f.before <= ix) {
                self.left_out(left_out);
            }
            if self.send_item(batch, item, ix) == Flow::Over {
                return Flow::Over;
            }
            self.dealt_with = ix + 1;
        }
        for left_out in filtered {
            self.left_out(left_out);
        }
        Flow::On
    }

    fn left_out(&mut self, left_out: &Filtered) {
        let Filtered { stream, count, .. } = *left_out;
        match left_out.why {
            LeftOut::DeadLettered => self.books.ledger.filtered(stream, count, "dead-lettered at the source"),
            LeftOut::Stream => self.books.ledger.filtered(stream, count, "stream not selected"),
            LeftOut::Thinned => self.books.ledger.filtered(stream, count, "thinned by --copies"),
            LeftOut::ThinnedCopy => self.books.ledger.filtered_copy(stream, count, "thinned by --copies"),
        }
    }

    fn send_item(&mut self, batch: &Batch, item: &Item, ix: u32) -> Flow {
        let Some(now) = self.await_due(item) else { return Flow::Over };
        let intended = if self.options.scheduled { self.options.t0_ns + item.due_ns } else { now };
        let run_ns = intended.saturating_sub(self.options.t0_ns);
        match item.copy {
            0 => self.books.ledger.scheduled(item.stream),
            _ => self.books.ledger.scheduled_copy(item.stream),
        }
        self.tally.planned(run_ns, &mut self.log);
        let first = self.books.due_span_ns.map_or(run_ns, |(first, _)| first);
        self.books.due_span_ns = Some((first, run_ns));
        let tried = self.submit(batch, item, intended, now);
        if let Tried::Skipped(reason) = tried {
            self.books.ledger.skipped(item.stream, reason);
            self.tally.skipped();
            self.unsent.push(ix);
        }
        self.note_shape(batch, item, intended, &tried);
        let total = self.books.ledger.total();
        self.live.scheduled.store(total.scheduled, Ordering::Relaxed);
        self.live.sent.store(total.sent, Ordering::Relaxed);
        self.live.due_ns.store(run_ns, Ordering::Relaxed);
        Flow::On
    }

    /// What fidelity is to know of a message: its planned time is what ceilings made of the intended one.
    fn note_shape(&mut self, batch: &Batch, item: &Item, intended: u64, tried: &Tried) {
        let Some(shape) = &mut self.books.shape else { return };
        let since_start = |ns: u64| ns.saturating_sub(self.options.t0_ns);
        let planned_ns = since_start(intended.max(self.allowed_ns));
        let sent_ns = match tried {
            Tried::Taken(sent) => Some(since_start(*sent)),
            Tried::Skipped(_) => None,
        };
        shape.push(planned_ns, sent_ns, item.bytes(), batch.key(item));
        if !self.options.ceilings.is_unbounded() {
            self.tally.allowed(planned_ns, &mut self.log);
        }
    }

    /// Waits until the item is due and returns that instant; `None` when it is not part of the run any more.
    fn await_due(&mut self, item: &Item) -> Option<u64> {
        let mut now = self.hands.now_ns();
        if self.stopped_ns.is_none() && self.stop.load(Ordering::Relaxed) {
            self.stopped_ns = Some(now);
        }
        if !self.options.scheduled {
            // Without a schedule everything is due at the start.
            while now < self.options.t0_ns && self.stopped_ns.is_none() {
                self.hands.wait_until(self.options.t0_ns.min(now + NAP_NS));
                now = self.hands.now_ns();
                self.stopped_ns = self.stop.load(Ordering::Relaxed).then_some(now);
            }
            let over = self.options.run_ns.is_some_and(|run| now >= self.options.t0_ns.saturating_add(run));
            return (!over && self.stopped_ns.is_none()).then_some(now);
        }
        let due = self.options.t0_ns.saturating_add(item.due_ns);
        if self.stopped_ns.is_some_and(|stopped| due > stopped) {
            return None;
        }
        if now < due {
            self.dry_debt_ns = 0;
        }
        while now < due {
            self.hands.wait_until(due.min(now + NAP_NS));
            now = self.hands.now_ns();
            if now < due && self.stop.load(Ordering::Relaxed) {
                return None;
            }
        }
        Some(now)
    }

    /// Hands one message to the client as soon as ceilings and queue let it.
    fn submit(&mut self, batch: &Batch, item: &Item, intended: u64, now: u64) -> Tried {
        let mut now = now;
        let bytes = item.bytes() + if item.mark { self.options.mark_bytes } else { 0 };
        // Leave is kept while the target pushes back: asked for at each try, its holds would be booked to the ceiling.
        let mut has_leave = false;
        loop {
            if let Some(reason) = self.too_late(intended, now) {
                return Tried::Skipped(reason);
            }
            if !has_leave && let Some(later) = self.hold_for_ceilings(bytes, now) {
                now = later;
                continue;
            }
            has_leave = true;
            let Some(tag) = self.slots.acquire() else {
                now = self.hold_for_target(HoldCause::FullQueue, now);
                continue;
            };
            let error_ns = now - intended.min(now);
            let late_ns = if self.options.scheduled { error_ns.saturating_sub(self.books.holds.since(intended)) } else { 0 };
            let class = self.options.classes.get(item.target as usize).copied().unwrap_or(0);
            self.slots.fill(tag, &Sent { stream: item.stream, class, intended_ns: intended, sent_ns: now, late_ns });
            match self.sink.submit(&outgoing(batch, item, &self.options, tag)) {
                Ok(()) => {
                    self.taken(batch.pass, item, now, error_ns, late_ns);
                    return Tried::Taken(now);
                }
                Err(Refusal::QueueFull) => {
                    let _ = self.slots.take(tag);
                    now = self.hold_for_target(HoldCause::FullQueue, now);
                }
                Err(Refusal::Blocked) => {
                    let _ = self.slots.take(tag);
                    now = self.hold_for_target(HoldCause::Blocked, now);
                }
                Err(Refusal::Final(reason)) => {
                    let _ = self.slots.take(tag);
                    return Tried::Skipped(reason);
                }
            }
        }
    }

    fn taken(&mut self, pass: u32, item: &Item, now: u64, error_ns: u64, late_ns: u64) {
        self.books.holds.let_through();
        self.books.ledger.sent(item.stream);
        self.tally.sent(now.saturating_sub(self.options.t0_ns), &mut self.log);
        self.books.on_time += u64::from(error_ns <= DELIVERED_WITHIN_NS);
        self.books.late_max_ns = self.books.late_max_ns.max(late_ns);
        let first = self.books.sent_span_ns.map_or(now, |(first, _)| first);
        self.books.sent_span_ns = Some((first, now));
        let newest = self.newest.get_mut(item.stream as usize).filter(|_| item.copy == 0);
        if let Some(newest) = newest {
            self.books.order_violations += u64::from(newest.0 == pass && item.position <= newest.1);
            *newest = (pass, item.position);
        }
    }

    /// Whether a record must be left out for its lateness, or because the run is over.
    fn too_late(&mut self, intended: u64, now: u64) -> Option<&'static str> {
        if self.stopped_ns.is_none() && self.stop.load(Ordering::Relaxed) {
            self.stopped_ns = Some(now);
        }
        let error_ns = now.saturating_sub(intended);
        let late = self.options.late_skip_ns.is_some_and(|skip| self.options.scheduled && error_ns > skip);
        let end = self.options.run_ns.map_or(u64::MAX, |run| self.options.t0_ns.saturating_add(run));
        // What was due when the run ended is still sent; a backlog is not.
        let over = (self.stopped_ns.is_some() || now >= end) && error_ns > DELIVERED_WITHIN_NS;
        if !late && !over {
            return None;
        }
        let own = error_ns.saturating_sub(self.books.holds.since(intended));
        self.books.skipped_by_generator += u64::from(self.options.scheduled && own > LATE_NS && own >= error_ns / 2);
        Some(if over { "not sent when the run ended" } else { "later than --late skip" })
    }

    /// Takes leave from the ceilings, or waits for it and returns the time at which to ask again.
    fn hold_for_ceilings(&mut self, bytes: u64, now: u64) -> Option<u64> {
        if self.options.ceilings.is_unbounded() {
            return None;
        }
        let until = self.options.ceilings.take(bytes, now).err()?;
        self.allowed_ns = until;
        self.hands.wait_until(until.min(now + NAP_NS));
        let later = self.hands.now_ns();
        self.books.holds.slept(HoldCause::Ceiling, now..later, until, self.options.ceilings.slack_ns().max(TIMER_NS));
        Some(later)
    }

    /// Waits for room in the client, or for a broker that asked to hold, and returns the time.
    fn hold_for_target(&mut self, cause: HoldCause, now: u64) -> u64 {
        let held = self.sink.in_flight();
        let is_full = cause == HoldCause::FullQueue;
        if is_full {
            self.books.queue_full_at = Some(self.books.queue_full_at.map_or(held, |least| least.min(held)));
        }
        let nap_end = now + ROOM_NAP_NS;
        self.hands.wait_room(nap_end);
        let later = self.hands.now_ns();
        // As long as the client has plenty to send, the target is what it waits for, however long the pacer sleeps.
        let cost_nothing = later <= nap_end + TIMER_NS || (is_full && self.sink.in_flight() >= held / 2);
        let holds = &mut self.books.holds;
        holds.slept(cause, now..later, if cost_nothing { later } else { nap_end }, u64::MAX);
        self.live.pushed_back_ns.store(holds.full_queue_ns() + holds.blocked_ns(), Ordering::Relaxed);
        later
    }
}

fn outgoing<'a>(batch: &'a Batch, item: &Item, options: &'a PacerOptions, tag: usize) -> Outgoing<'a> {
    let message = Outgoing {
        target: item.target,
        value: batch.value(item),
        mark: item.mark.then_some(options.mark.as_slice()),
        timestamp_ms: options.stamping.timestamp_ms(item.stamp),
        tag,
        ..Outgoing::EMPTY
    };
    match options.kind {
        TargetKind::Kafka => Outgoing { partition: item.partition, key: batch.key(item), headers: batch.headers(item), ..message },
        TargetKind::RabbitMq => Outgoing {
            connection: u32::try_from(item.partition).unwrap_or(0),
            routing_key: batch.key(item),
            properties: batch.properties(item),
            ..message
        },
    }
}
