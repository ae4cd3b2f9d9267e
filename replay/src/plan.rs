//! What a replay would do, without doing it: one pass through the planner, counted. Nothing is sent, no clock is read.
//!
//! A run of several passes (`--loop`) is described from its first one: at recorded pace each is like it, so that the messages of whole
//! passes are exact but for thinned copies, and those of a part of one are as the curve has them (512 bins); at a rate or a profile the
//! number of messages is exact, and bytes and topics have the shares of the first pass.

use std::collections::BTreeMap;

use dejaq_shared::segment::ordered::SortCost;
use dejaq_shared::units::{duration_ns, format_bytes, format_count, format_duration_ns, format_percent, format_rate};
use serde::Serialize;

use crate::batch::Item;
use crate::engine::RunSetup;
use crate::expanding::RuleReach;
use crate::feed::{FeedError, RecordFeed};
use crate::fit::{FitCounts, FitReport};
use crate::partitioner::TopicPartitioner;
use crate::planner::{Planner, PlannerOptions};
use crate::schedule::Pace;

mod curve;
mod reach;

pub use curve::CurvePoint;
use curve::{Counts, chart, curve};
pub use reach::Unreachable;

/// What one pass over the recording comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Messages that would be sent in a pass.
    pub scheduled: u64,
    /// Records left out by a rule: `--streams`, `--dead-lettered`, a fraction of `--copies`.
    pub filtered: u64,
    /// Their key, value and header bytes.
    pub bytes: u64,
    /// From the start to the last intended time of a pass, in nanoseconds; `None` with `--max`.
    pub span_ns: Option<u64>,
    /// The mean rate of a pass; `None` with `--max`.
    pub mean_per_s: Option<f64>,
    /// The most messages intended in one second; `None` with `--max`.
    pub peak_per_s: Option<u64>,
    /// The most messages intended in 100 ms, as a rate; `None` with `--max`.
    pub peak_100ms_per_s: Option<u64>,
    /// The whole run.
    pub run: RunTotals,
    /// Its rate curve; empty with `--max`, and where the run has no end that is of one pass.
    pub curve: Vec<CurvePoint>,
    /// What each topic gets of the run, the largest first.
    pub topics: Vec<TopicShare>,
    /// What each expansion will reach.
    pub expansions: Vec<RuleReach>,
    /// What was asked for and cannot be reached.
    pub unreachable: Vec<Unreachable>,
    /// Messages that would carry the mark.
    pub marked: u64,
    /// What messages of a pass would lose on their way to the target: `stripped`, `not_carried`.
    #[serde(flatten)]
    pub fit: FitReport,
    /// Whether it begins again at the end.
    pub repeat: bool,
    /// What the client's queue holds at the peak rate, in seconds: below 2 a target that pushes back makes the run
    /// INVALID. `None` with `--max`.
    pub queue_s: Option<f64>,
    /// Memory for latency histograms, and for the messages that a probe waits for, in bytes.
    pub measure_bytes: u64,
    /// The topics that have a latency of their own.
    pub classes: Vec<String>,
    /// What sorting took, here and now: a replay will need as much and wait as long before the first message. `None` when
    /// the recording is near enough to time order.
    pub sort: Option<SortReport>,
    /// What the source's producers chose partitions by, as far as a sample tells.
    pub partitioners: Vec<TopicPartitioner>,
    /// What holds of the client's properties; secrets are `***`.
    pub client: BTreeMap<String, String>,
    /// The clock's choice, warnings.
    pub notes: Vec<String>,
}

/// What a whole run comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RunTotals {
    /// Messages; `None`: until it is stopped.
    pub messages: Option<u64>,
    /// Their key, value and header bytes.
    pub bytes: Option<u64>,
    /// How long it takes, in nanoseconds; `None` with `--max` and without an end.
    pub span_ns: Option<u64>,
    /// How many times the recording is gone through.
    pub passes: Option<f64>,
    #[serde(skip)]
    cut: bool,
}

/// What a topic gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicShare {
    /// Its name at the target.
    pub name: String,
    /// Messages; of a pass where the run has no end.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its share of all messages.
    pub share: f64,
}

/// What it took to put a recording into time order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SortReport {
    /// Memory of the blocks that would have had to be open at once, in bytes.
    pub open_bytes: u64,
    /// Scratch on the disk, in bytes.
    pub scratch_bytes: u64,
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
}

impl From<SortCost> for SortReport {
    fn from(cost: SortCost) -> Self {
        Self { open_bytes: cost.open_bytes, scratch_bytes: cost.scratch_bytes, took_ns: duration_ns(cost.took) }
    }
}
/// The properties that a person is shown; JSON has all.
const SHOWN: [&str; 6] = ["linger.ms", "batch.size", "batch.num.messages", "compression.type", "acks", "enable.idempotence"];

/// Bytes of a topic's histograms: whole run and two open intervals, two measures each.
const TOPIC_BYTES: u64 = 2 * 270_336 + 4 * 135_168;
/// Bytes of the histograms of the run, and of the seconds that are open in a good run.
const RUN_BYTES: u64 = 4 * 270_336 + 4 * 4 * 135_168;

/// Goes through one pass of the recording.
///
/// # Errors
/// [`FeedError`] when the recording cannot be read.
pub fn plan<F: RecordFeed + ?Sized>(setup: &RunSetup, feed: &mut F) -> Result<PlanReport, FeedError> {
    let mut planner = Planner::new(PlannerOptions { repeat: false, ..setup.planner.clone() });
    let mut totals = Totals { topics: vec![(0, 0); setup.target_names.len()], ..Totals::default() };
    loop {
        let more = planner.advance(feed)?;
        while let Some(mut batch) = planner.pop() {
            totals.filtered += batch.filtered.iter().map(|f| f.count).sum::<u64>();
            for item in &batch.items {
                totals.add(item);
            }
            batch.clear();
            planner.reuse(batch);
        }
        if !more {
            break;
        }
    }
    totals.cut = planner.is_over();
    totals.pass_ns = planner.pass_ns();
    let books = planner.into_books();
    (totals.fitted, totals.address_notes) = (books.fitted, books.address_notes);
    Ok(totals.report(setup, feed.damages()))
}

#[derive(Debug, Default)]
struct Totals {
    scheduled: u64,
    filtered: u64,
    bytes: u64,
    marked: u64,
    first_ns: Option<u64>,
    last_ns: u64,
    second: Peak,
    tenth: Peak,
    counts: Counts,
    topics: Vec<(u64, u64)>,
    /// Whether the run ended before the pass did.
    cut: bool,
    /// From the start of the pass to that of the next one.
    pass_ns: u64,
    fitted: FitCounts,
    address_notes: Vec<String>,
}

/// The most messages and bytes in a part of the run.
#[derive(Debug, Default)]
struct Peak {
    at: u64,
    now: (u64, u64),
    most: (u64, u64),
}

impl Peak {
    fn add(&mut self, at: u64, bytes: u64) {
        if at != self.at {
            (self.at, self.now) = (at, (0, 0));
        }
        self.now = (self.now.0 + 1, self.now.1 + bytes);
        self.most = (self.most.0.max(self.now.0), self.most.1.max(self.now.1));
    }
}

impl Totals {
    fn add(&mut self, item: &Item) {
        let (due_ns, bytes) = (item.due_ns, item.bytes());
        self.scheduled += 1;
        self.bytes += bytes;
        self.marked += u64::from(item.mark);
        self.first_ns.get_or_insert(due_ns);
        self.last_ns = due_ns;
        self.second.add(due_ns / 1_000_000_000, bytes);
        self.tenth.add(due_ns / 100_000_000, bytes);
        self.counts.add(due_ns);
        if let Some(topic) = self.topics.get_mut(item.target as usize) {
            *topic = (topic.0 + 1, topic.1 + bytes);
        }
    }

    /// How many messages of the whole run are due before a time.
    fn until(&self, setup: &RunSetup, at_ns: u64) -> u64 {
        if self.cut || !setup.planner.repeat || self.scheduled == 0 {
            return self.counts.until(at_ns);
        }
        match &setup.planner.pace {
            Pace::Recorded { .. } => {
                let pass_ns = self.pass_ns.max(1);
                (at_ns / pass_ns).saturating_mul(self.scheduled).saturating_add(self.counts.until(at_ns % pass_ns))
            }
            Pace::Rate(rate) => {
                let messages = (u128::from(at_ns) * u128::from(rate.num())).div_ceil(u128::from(rate.den()) * 1_000_000_000);
                u64::try_from(messages).unwrap_or(u64::MAX)
            }
            Pace::Profile(profile) => profile.count_until(at_ns),
            Pace::Max => 0,
        }
    }

    fn run(&self, setup: &RunSetup) -> RunTotals {
        let timed = setup.planner.pace.is_scheduled();
        let once = self.cut || !setup.planner.repeat || self.scheduled == 0;
        if once {
            let span_ns = timed.then_some(self.last_ns);
            return RunTotals { messages: Some(self.scheduled), bytes: Some(self.bytes), span_ns, passes: Some(1.0), cut: self.cut };
        }
        let Some(run_ns) = setup.planner.run_ns.filter(|_| timed) else { return RunTotals::default() };
        let messages = self.until(setup, run_ns);
        let passes = messages as f64 / self.scheduled as f64;
        let bytes = u128::from(self.bytes) * u128::from(messages) / u128::from(self.scheduled);
        RunTotals { messages: Some(messages), bytes: u64::try_from(bytes).ok(), span_ns: Some(run_ns), passes: Some(passes), cut: true }
    }

    fn topics(&self, setup: &RunSetup, run: &RunTotals) -> Vec<TopicShare> {
        let times = run.passes.unwrap_or(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, not negative, and saturating")]
        let scaled = |n: u64| if times > 1.0 { (n as f64 * times).round() as u64 } else { n };
        let sent = setup.target_names.iter().zip(&self.topics).filter(|(_, (messages, _))| *messages > 0);
        let mut topics: Vec<TopicShare> = sent
            .map(|(name, (messages, bytes))| TopicShare {
                name: name.clone(),
                messages: scaled(*messages),
                bytes: scaled(*bytes),
                share: *messages as f64 / self.scheduled.max(1) as f64,
            })
            .collect();
        topics.sort_by(|a, b| b.messages.cmp(&a.messages).then_with(|| a.name.cmp(&b.name)));
        topics
    }

    /// The most messages in a second and in 100 ms. A later pass of a profile may have more than the first.
    fn peaks(&self, setup: &RunSetup, run: &RunTotals) -> (u64, u64) {
        let found = (self.second.most.0, self.tenth.most.0 * 10);
        match &setup.planner.pace {
            Pace::Profile(profile) if setup.planner.repeat && !self.cut && run.messages.is_some() => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a billion")]
                let peak = profile.peak_per_s().ceil() as u64;
                (found.0.max(peak), found.1.max(peak))
            }
            _ => found,
        }
    }

    fn report(&self, setup: &RunSetup, damages: Vec<String>) -> PlanReport {
        let timed = setup.planner.pace.is_scheduled();
        let mut notes = setup.identity.notes.clone();
        notes.extend(self.fitted.notes());
        notes.extend(self.address_notes.iter().cloned());
        notes.extend(damages.into_iter().map(|d| format!("the recording is not whole: {d}")));
        let between_ns = self.last_ns - self.first_ns.unwrap_or(0);
        let mean = (between_ns > 0).then(|| self.scheduled.saturating_sub(1) as f64 * 1e9 / between_ns as f64);
        let run = self.run(setup);
        let (peak, tenth) = self.peaks(setup, &run);
        let shown_ns = run.span_ns.unwrap_or(self.last_ns).saturating_add(u64::from(run.span_ns.is_none_or(|s| s == self.last_ns)));
        PlanReport {
            peak_100ms_per_s: timed.then_some(tenth),
            curve: if timed { curve(shown_ns, &|at| self.until(setup, at)) } else { Vec::new() },
            topics: self.topics(setup, &run),
            expansions: setup.expanded.reached.clone(),
            unreachable: reach::unreachable(setup, &run, peak, self.second.most.1)
                .into_iter()
                .chain(setup.expanded.unreachable.clone())
                .collect(),
            run,
            scheduled: self.scheduled,
            filtered: self.filtered,
            bytes: self.bytes,
            span_ns: timed.then_some(self.last_ns),
            mean_per_s: mean.filter(|_| timed),
            peak_per_s: timed.then_some(peak),
            marked: self.marked,
            fit: self.fitted.report(),
            repeat: setup.planner.repeat,
            queue_s: (timed && peak > 0).then(|| setup.queue.messages_max as f64 / peak as f64),
            measure_bytes: RUN_BYTES + setup.classes.len() as u64 * TOPIC_BYTES + setup.observers.bytes_max(),
            classes: setup.classes.clone(),
            sort: None,
            partitioners: Vec::new(),
            client: BTreeMap::new(),
            notes,
        }
    }
}

impl PlanReport {
    /// The run as a whole, its curve, its topics, and what cannot be reached.
    fn show_run(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.repeat {
            match (self.run.messages, self.run.span_ns) {
                (Some(messages), Some(span)) => writeln!(
                    f,
                    "run        {} messages in {}, {:.1} passes",
                    format_count(messages),
                    format_duration_ns(span),
                    self.run.passes.unwrap_or(1.0)
                )?,
                _ => writeln!(f, "run        passes without an end, until it is stopped (--for ends it)")?,
            }
        }
        f.write_str(&chart(&self.curve))?;
        const TOPICS: usize = 8;
        for topic in self.topics.iter().take(TOPICS) {
            let (messages, bytes) = (format_count(topic.messages), format_bytes(topic.bytes));
            writeln!(f, "share      {:>6} {messages:>14} {bytes:>11}  {}", format_percent(topic.share), topic.name)?;
        }
        if self.topics.len() > TOPICS {
            writeln!(f, "share      … and {} more topics (--json has them all)", self.topics.len() - TOPICS)?;
        }
        for Unreachable { what, why, remedy } in &self.unreachable {
            writeln!(f, "cannot be reached: {what}: {why}. What would do: {remedy}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for PlanReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pass = if self.repeat { " a pass" } else { "" };
        writeln!(
            f,
            "messages   {}{pass}, {}; {} carry the mark",
            format_count(self.scheduled),
            format_bytes(self.bytes),
            format_count(self.marked)
        )?;
        if self.filtered > 0 {
            writeln!(f, "left out   {} records by --streams, --dead-lettered, or a fraction of --copies", format_count(self.filtered))?;
        }
        match (self.span_ns, self.peak_per_s) {
            (Some(span), Some(peak)) => {
                writeln!(f, "takes      {}{pass}", format_duration_ns(span))?;
                let mean = self.mean_per_s.map_or("-".to_owned(), format_rate);
                writeln!(
                    f,
                    "rate       {mean} mean, {} messages in the fullest second, {} in the fullest 100 ms",
                    format_count(peak),
                    format_rate(self.peak_100ms_per_s.unwrap_or(0) as f64)
                )?;
            }
            _ => writeln!(f, "takes      as long as the target does (--max)")?,
        }
        self.show_run(f)?;
        for expansion in &self.expansions {
            writeln!(f, "expands    {expansion}")?;
        }
        if let Some(queue) = self.queue_s.filter(|s| *s < 2.0) {
            writeln!(
                f,
                "note: the client's queue holds {queue:.1} s of the peak rate; if the target pushes back longer, the run is INVALID (it needs 2 s)"
            )?;
        }
        writeln!(f, "latency    {} to measure it; topics of their own: {}", format_bytes(self.measure_bytes), self.classes.join(", "))?;
        let shown: Vec<String> = SHOWN.iter().filter_map(|name| Some(format!("{name}={}", self.client.get(*name)?))).collect();
        if !shown.is_empty() {
            writeln!(f, "client     {}", shown.join(" "))?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
