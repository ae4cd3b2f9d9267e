//! The thread that reads a system's output. It obeys [`Table`] and [`Freshness`], which decide.
//!
//! What it knows lies in [`ProbeState`], which others read whenever they like: nobody waits for this thread. Topics are read
//! with the partitions that they have at the start.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::source::{Notice, ReadFrom, Source, SourceHandler, StartAt, TopicSelection};
use dejaq_shared::clock::wall_now_ns;
use dejaq_shared::record::{Record, StreamIx};

use super::expecting::is_sampled;
use super::field::{FieldReader, Parts};
use super::freshness::{EventTimes, Freshness};
use super::spec::{Matching, ProbeKind, ProbeSpec};
use super::table::{Seen, Table, TableCounts};
use crate::lock::lock;
use crate::measure::latency::{Latency, LatencySummary};
use crate::observers::RunView;
use crate::run::dir::{FRESHNESS_CSV, PROBE_CSV, RunDirError};
use crate::run::rolled::Rolled;
use crate::run::saver::csv_cell;

/// The longest wait for outputs: so often the table is looked at.
const POLL: Duration = Duration::from_millis(50);
/// The most outputs taken at once.
const OUTPUTS_MAX: usize = 4_096;
const SECOND_NS: u64 = 1_000_000_000;

/// Why a probe cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// What is looked for.
    #[error("{0}")]
    Field(String),
}

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
    /// What is known of freshness.
    pub freshness: Freshness,
    /// Why it does not read any more.
    pub failed: Option<String>,
}

/// A probe that is ready to begin: its topic's end is known.
#[derive(Debug)]
pub struct ProbeReader<S> {
    source: S,
    lanes: Vec<ReadFrom>,
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

impl<S: Source> ProbeReader<S> {
    /// Finds the topic's partitions and their ends, and begins to read there. `table` is that of an end-to-end probe.
    ///
    /// # Errors
    /// [`ProbeError`] when the topic is not there or must not be read, or nobody answered in `timeout`.
    pub fn begin(
        mut source: S,
        spec: &ProbeSpec,
        table: Option<Arc<Mutex<Table>>>,
        state: Arc<Mutex<ProbeState>>,
        timeout: Duration,
    ) -> Result<Self, ProbeError> {
        let looking = match &spec.kind {
            ProbeKind::EndToEnd(Matching { matched, sample, .. }) => Looking::Value(matched.reader().map_err(ProbeError::Field)?, *sample),
            ProbeKind::Freshness(field) => Looking::EventTimes(EventTimes::new(field).map_err(|e| ProbeError::Field(e.to_string()))?),
        };
        let selection = TopicSelection::parse([spec.topic.as_str()]).map_err(|e| ProbeError::Field(e.to_string()))?;
        let partitions: Vec<(String, i32)> = source
            .topics(&selection, timeout)?
            .into_iter()
            .flat_map(|topic| topic.partitions.into_iter().map(move |partition| (topic.name.clone(), partition)))
            .collect();
        source.check_rights(std::slice::from_ref(&spec.topic), timeout)?;
        let ends = source.positions(&partitions, StartAt::End, timeout)?;
        let lanes: Vec<ReadFrom> = partitions
            .into_iter()
            .zip(ends)
            .zip(0..)
            .map(|(((topic, partition), position), stream)| ReadFrom { stream, topic, partition, position, leader_epoch: -1 })
            .collect();
        source.start(&lanes)?;
        Ok(Self { source, lanes, looking, table, state })
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
            let Self { source, looking, .. } = self;
            let taken = source.poll(OUTPUTS_MAX, POLL, &mut || view.run_ns().cast_signed(), &mut outputs.looking(looking));
            taken.map_err(|error| error.to_string())?;
            self.restart(&mut outputs)?;
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
                return rows.complete().map_err(disk);
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

    /// Goes on where the log begins, if it was cut off under the reader.
    fn restart(&mut self, outputs: &mut Outputs) -> Result<(), String> {
        if let Some(why) = outputs.failed.take() {
            return Err(why);
        }
        for (stream, high) in outputs.out_of_range.drain(..) {
            if let Some(lane) = self.lanes.get(stream as usize) {
                self.source.start(&[ReadFrom { position: high, ..lane.clone() }]).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
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
                second.latency.record(took_ns);
            }
        }
        table.handed_over(view.dealt_with(), now_ns);
        table.expire(now_ns);
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
    out_of_range: Vec<(StreamIx, i64)>,
    failed: Option<String>,
}

impl Outputs {
    fn clear(&mut self) {
        (self.count, self.without_value) = (0, 0);
        self.values.clear();
        self.event_times.clear();
    }

    fn looking<'a>(&'a mut self, looking: &'a mut Looking) -> OutputTaker<'a> {
        OutputTaker { outputs: self, looking }
    }
}

struct OutputTaker<'a> {
    outputs: &'a mut Outputs,
    looking: &'a mut Looking,
}

impl SourceHandler for OutputTaker<'_> {
    fn record(&mut self, record: &Record<'_>) {
        let Self { outputs, looking } = self;
        outputs.count += 1;
        match looking {
            Looking::Value(reader, sample) => {
                let parts = Parts { key: record.key, value: record.value, headers: record.headers };
                match reader.read(&parts) {
                    Some(value) if is_sampled(value, *sample) => outputs.values.push((value, record.arrival_ns.unsigned_abs())),
                    Some(_) => {}
                    None => outputs.without_value += 1,
                }
            }
            Looking::EventTimes(times) => outputs.event_times.push(times.newest(record.value)),
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::OutOfRange { stream, high, .. } => self.outputs.out_of_range.push((stream, high)),
            Notice::Gone { detail, .. } | Notice::Truncated { detail, .. } => self.outputs.failed = Some(detail),
            Notice::Unparseable { .. } => self.outputs.without_value += 1,
            Notice::End { .. } | Notice::Warning(_) => {}
        }
    }
}
