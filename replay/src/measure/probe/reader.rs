//! The thread that reads a system's output. It obeys [`Table`] and [`Freshness`], which decide.
//!
//! What it knows lies in [`ProbeState`], which others read whenever they like: nobody waits for this thread.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dejaq_shared::broker::tap::{Output, Tap};
use dejaq_shared::clock::wall_now_ns;

use super::expecting::is_sampled;
use super::field::{FieldReader, Parts};
use super::freshness::{EventTimes, Freshness};
use super::spec::{Matching, ProbeKind, ProbeSpec};
use super::table::{Seen, Table, TableCounts};
use crate::lock::lock;
use crate::measure::end_to_end::EndToEnd;
use crate::measure::latency::{Latency, LatencySummary};
use crate::observers::RunView;
use crate::run::dir::{FRESHNESS_CSV, PROBE_CSV, RunDirError};
use crate::run::rolled::Rolled;
use crate::run::saver::csv_cell;

/// The longest wait for outputs: so often the table is looked at.
const POLL: Duration = Duration::from_millis(50);
/// The longest wait for an answer whether all could be read.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// The most outputs taken at once.
const OUTPUTS_MAX: usize = 4_096;
const SECOND_NS: u64 = 1_000_000_000;

/// What a probe knows.
#[derive(Debug, Default)]
pub struct ProbeState {
    /// Outputs read.
    pub outputs: u64,
    /// Outputs without the field that they are matched by.
    pub without_value: u64,
    /// Observed − intended.
    pub latency: Latency<u64>,
    /// The same of the last whole second.
    pub last_second: LatencySummary,
    /// The same by the second of the intended time.
    pub by_second: EndToEnd,
    /// What is known of freshness.
    pub freshness: Freshness,
    /// Why it does not read any more.
    pub failed: Option<String>,
}

/// A probe's reader.
#[derive(Debug)]
pub struct ProbeReader<T> {
    tap: T,
    looking: Looking,
    table: Option<Arc<Mutex<Table>>>,
    state: Arc<Mutex<ProbeState>>,
}

/// What an output is looked at for.
#[derive(Debug)]
enum Looking {
    Value(FieldReader, u64),
    EventTimes(EventTimes),
}

impl<T: Tap> ProbeReader<T> {
    /// Reads from `tap`, which has begun. `table` is that of an end-to-end probe.
    ///
    /// # Errors
    /// When what is looked for makes no sense, in words.
    pub fn new(tap: T, spec: &ProbeSpec, table: Option<Arc<Mutex<Table>>>, state: Arc<Mutex<ProbeState>>) -> Result<Self, String> {
        let looking = match &spec.kind {
            ProbeKind::EndToEnd(Matching { matched, sample, .. }) => Looking::Value(matched.reader()?, *sample),
            ProbeKind::Freshness(field) => Looking::EventTimes(EventTimes::new(field).map_err(|e| e.to_string())?),
        };
        Ok(Self { tap, looking, table, state })
    }

    /// Reads until the run is over.
    pub fn run(mut self, view: &RunView) {
        let state = Arc::clone(&self.state);
        if let Err(why) = self.read(view) {
            lock(&state).failed = Some(why);
        }
    }

    fn read(&mut self, view: &RunView) -> Result<(), String> {
        let disk = |error: RunDirError| error.to_string();
        let rows = Rolled::open(&view.dir, self.file()).map_err(disk)?;
        let written = |error: std::io::Error| format!("cannot write to the run directory: {error}");
        writeln!(&rows, "{}", self.head()).map_err(written)?;
        let mut second = Second::default();
        let mut outputs = Outputs::default();
        loop {
            let over = view.is_over();
            outputs.clear();
            let Self { tap, looking, .. } = self;
            let taken = tap.poll(OUTPUTS_MAX, POLL, &mut || view.run_ns().cast_signed(), &mut |output| outputs.take(output, looking));
            taken.map_err(|error| error.to_string())?;
            let now_ns = view.run_ns();
            if now_ns == 0 && !over {
                // What came out before the run is of no message of it.
                continue;
            }
            self.enter(&outputs, &mut second, view, now_ns);
            if now_ns / SECOND_NS > second.number || over {
                rows.reach(second.number).map_err(disk)?;
                self.row(&mut second).map_or(Ok(()), |row| writeln!(&rows, "{row}")).map_err(written)?;
                second = Second { number: now_ns / SECOND_NS, before: second.before, ..Second::default() };
            }
            if over {
                rows.complete().map_err(disk)?;
                return self.tap.end(END_TIMEOUT).map_err(|error| error.to_string());
            }
        }
    }

    fn file(&self) -> &'static str {
        if self.table.is_some() { PROBE_CSV } else { FRESHNESS_CSV }
    }

    fn head(&self) -> &'static str {
        if self.table.is_some() {
            "second,answered,duplicates,unmatched,lost,open,p50_ns,p99_ns,max_ns"
        } else {
            "second,newest_event_unix_ns,age_ns"
        }
    }

    fn enter(&self, outputs: &Outputs, second: &mut Second, view: &RunView, now_ns: u64) {
        let mut state = lock(&self.state);
        state.outputs += outputs.count;
        state.without_value += outputs.without_value;
        for event_ns in &outputs.event_times {
            state.freshness.seen(*event_ns);
        }
        let Some(table) = &self.table else { return };
        let mut table = lock(table);
        for (value, at_ns) in &outputs.values {
            if let Seen::Answer(took_ns) = table.seen(*value, *at_ns) {
                state.latency.record(took_ns);
                state.by_second.answered(at_ns - took_ns, took_ns);
                second.latency.record(took_ns);
            }
        }
        table.handed_over(view.dealt_with(), now_ns);
        table.expire(now_ns);
        state.by_second.settled(table.settled_ns());
        (second.now, second.open) = (table.counts(), table.open());
    }

    /// What the second that is over came to.
    fn row(&self, second: &mut Second) -> Option<String> {
        let mut state = lock(&self.state);
        if self.table.is_none() {
            return state.freshness.second(wall_now_ns()).map(|(newest, age)| format!("{},{newest},{age}", second.number));
        }
        let summary = second.latency.summary(0);
        state.last_second = summary;
        let (now, before) = (second.now, std::mem::replace(&mut second.before, second.now));
        let percentiles = [summary.p50_ns, summary.p99_ns, summary.max_ns].map(csv_cell).join(",");
        let answered = now.answered.saturating_sub(before.answered);
        let (duplicates, unmatched, lost) = (now.duplicates - before.duplicates, now.unmatched - before.unmatched, now.lost - before.lost);
        Some(format!("{},{answered},{duplicates},{unmatched},{lost},{},{percentiles}", second.number, second.open))
    }
}

/// The open second.
#[derive(Debug, Default)]
struct Second {
    number: u64,
    latency: Latency<u32>,
    before: TableCounts,
    now: TableCounts,
    open: u64,
}

/// What one poll brought.
#[derive(Debug, Default)]
struct Outputs {
    count: u64,
    without_value: u64,
    /// Hashes with the time of observation.
    values: Vec<(u64, u64)>,
    event_times: Vec<Option<i64>>,
}

impl Outputs {
    fn clear(&mut self) {
        (self.count, self.without_value) = (0, 0);
        self.values.clear();
        self.event_times.clear();
    }

    fn take(&mut self, output: Output<'_>, looking: &mut Looking) {
        let Output::Message(record) = output else {
            self.without_value += 1;
            return;
        };
        self.count += 1;
        match looking {
            Looking::Value(reader, sample) => {
                let key = record.key.or(record.routing_key);
                let parts = Parts { key, value: record.value, headers: record.headers, properties: record.properties };
                match reader.read(&parts) {
                    Some(value) if is_sampled(value, *sample) => self.values.push((value, record.arrival_ns.unsigned_abs())),
                    Some(_) => {}
                    None => self.without_value += 1,
                }
            }
            Looking::EventTimes(times) => self.event_times.push(times.newest(record.value)),
        }
    }
}
