//! What a replay would do, without doing it: one pass through the planner, counted. Nothing is sent, no clock is read.

use std::collections::BTreeMap;

use dejaq_shared::segment::ordered::SortCost;
use dejaq_shared::units::{duration_ns, format_bytes, format_count, format_duration_ns, format_rate};
use serde::Serialize;

use crate::engine::RunSetup;
use crate::feed::{FeedError, RecordFeed};
use crate::partitioner::TopicPartitioner;
use crate::planner::{Planner, PlannerOptions};

/// What one pass over the recording comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Messages that would be sent in a pass.
    pub scheduled: u64,
    /// Records left out by `--streams`.
    pub filtered: u64,
    /// Their key, value and header bytes.
    pub bytes: u64,
    /// From the start to the last intended time of a pass, in nanoseconds; `None` with `--max`.
    pub span_ns: Option<u64>,
    /// The mean rate of a pass; `None` with `--max`.
    pub mean_per_s: Option<f64>,
    /// The most messages intended in one second; `None` with `--max`.
    pub peak_per_s: Option<u64>,
    /// Messages that would carry the mark.
    pub marked: u64,
    /// Whether it begins again at the end.
    pub repeat: bool,
    /// What the client's queue holds at the peak rate, in seconds: below 2 a target that pushes back makes the run
    /// INVALID. `None` with `--max`.
    pub queue_s: Option<f64>,
    /// Memory for latency histograms, in bytes.
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
    let mut totals = Totals::default();
    loop {
        let more = planner.advance(feed)?;
        while let Some(mut batch) = planner.pop() {
            totals.filtered += batch.filtered.iter().map(|f| f.count).sum::<u64>();
            for item in &batch.items {
                totals.add(item.due_ns, item.bytes(), item.mark);
            }
            batch.clear();
            planner.reuse(batch);
        }
        if !more {
            break;
        }
    }
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
    second: (u64, u64),
    peak: u64,
}

impl Totals {
    fn add(&mut self, due_ns: u64, bytes: u64, mark: bool) {
        self.scheduled += 1;
        self.bytes += bytes;
        self.marked += u64::from(mark);
        self.first_ns.get_or_insert(due_ns);
        self.last_ns = due_ns;
        let second = due_ns / 1_000_000_000;
        self.second = if second == self.second.0 { (second, self.second.1 + 1) } else { (second, 1) };
        self.peak = self.peak.max(self.second.1);
    }

    fn report(&self, setup: &RunSetup, damages: Vec<String>) -> PlanReport {
        let timed = setup.planner.pace.is_scheduled();
        let mut notes = setup.identity.notes.clone();
        notes.extend(damages.into_iter().map(|d| format!("the recording is not whole: {d}")));
        let between_ns = self.last_ns - self.first_ns.unwrap_or(0);
        let mean = (between_ns > 0).then(|| self.scheduled.saturating_sub(1) as f64 * 1e9 / between_ns as f64);
        PlanReport {
            scheduled: self.scheduled,
            filtered: self.filtered,
            bytes: self.bytes,
            span_ns: timed.then_some(self.last_ns),
            mean_per_s: mean.filter(|_| timed),
            peak_per_s: timed.then_some(self.peak),
            marked: self.marked,
            repeat: setup.planner.repeat,
            queue_s: (timed && self.peak > 0).then(|| setup.queue.messages_max as f64 / self.peak as f64),
            measure_bytes: RUN_BYTES + setup.classes.len() as u64 * TOPIC_BYTES,
            classes: setup.classes.clone(),
            sort: None,
            partitioners: Vec::new(),
            client: BTreeMap::new(),
            notes,
        }
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
            writeln!(f, "left out   {} records by --streams", format_count(self.filtered))?;
        }
        match (self.span_ns, self.peak_per_s) {
            (Some(span), Some(peak)) => {
                writeln!(f, "takes      {}{pass}", format_duration_ns(span))?;
                let mean = self.mean_per_s.map_or("-".to_owned(), format_rate);
                writeln!(f, "rate       {mean} mean, {} messages in the fullest second", format_count(peak))?;
            }
            _ => writeln!(f, "takes      as long as the target does (--max)")?,
        }
        if let Some(queue) = self.queue_s.filter(|s| *s < 2.0) {
            writeln!(
                f,
                "note: the client's queue holds {queue:.1} s of the peak rate; if the target pushes back longer, the run is INVALID (it needs 2 s)"
            )?;
        }
        writeln!(f, "latency    {} for histograms; topics of their own: {}", format_bytes(self.measure_bytes), self.classes.join(", "))?;
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
mod tests {
    use super::*;
    use crate::assemble::RunIdentity;
    use crate::ceiling::Ceilings;
    use crate::schedule::Pace;
    use crate::testing::MemoryFeed;
    use dejaq_shared::broker::sink::QueueLimits;

    fn setup(planner: PlannerOptions) -> RunSetup {
        RunSetup {
            identity: RunIdentity::default(),
            planner,
            ceilings: Ceilings::default(),
            late_skip_ns: None,
            drain_ns: 0,
            start_at_ns: None,
            origin_ns: None,
            streams: vec!["t/0".into(), "t/1".into()],
            classes: vec!["t".into()],
            class_of_target: vec![0],
            queue: QueueLimits { messages_max: 150, bytes_max: 1 << 20 },
        }
    }

    #[test]
    fn a_pass_is_counted_without_sending() {
        let mut some = PlannerOptions::of_streams(2);
        some.routes[1] = None;
        some.repeat = true;
        let found = plan(&setup(some), &mut MemoryFeed::steady(4_000, 1_000_000, 2)).expect("memory");
        assert_eq!((found.scheduled, found.filtered, found.peak_per_s), (2_000, 2_000, Some(500)));
        assert_eq!(found.span_ns, Some(3_998_000_000));
        assert_eq!(found.mean_per_s.map(f64::round), Some(500.0));
        let text = found.to_string();
        assert!(text.contains("2,000 a pass") && text.contains("0.3 s of the peak rate"), "{text}");
    }

    #[test]
    fn a_flood_has_no_length() {
        let flood = PlannerOptions { pace: Pace::Max, ..PlannerOptions::of_streams(2) };
        let found = plan(&setup(flood), &mut MemoryFeed::steady(10, 1, 2)).expect("memory");
        assert_eq!((found.scheduled, found.span_ns, found.peak_per_s, found.queue_s), (10, None, None, None));
    }
}
