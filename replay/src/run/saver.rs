//! The saving thread: adds up closed intervals and writes them while the run goes on, so that no answer waits for a disk.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, never, select};
use hdrhistogram::serialization::V2DeflateSerializer;

use super::dir::{COUNTS_CSV, INTERVALS_CSV, LATENCY_HLOG, RunDir, RunDirError, STREAMS_CSV};
use super::report::RunReport;
use super::rolled::Rolled;
use crate::ledger::{Counts, Ledger};
use crate::lock::lock;
use crate::measure::collector::Totals;
use crate::measure::counts::{BUCKET_NS, BucketRow, Series};
use crate::measure::hlog::{Hlog, HlogError};
use crate::measure::latency::LatencySummary;
use crate::measure::recent::Recent;
use crate::measure::recorder::{Closed, ClosedSecond};
use crate::observers::Seen;

/// How often an unfinished `run.json` is written.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// What the saving thread is given.
#[derive(Debug)]
pub enum ToSave {
    /// A closed interval.
    Closed(Closed),
    /// A closed bucket.
    Bucket(BucketRow),
}

/// Where rows come from: the completing thread, and the pacer. They do not share room, since what the pacer sends when a backlog goes
/// at once would leave none for closed intervals.
#[derive(Debug)]
pub struct Incoming {
    /// `None`: it has ended.
    completing: Option<Receiver<ToSave>>,
    pacing: Option<Receiver<BucketRow>>,
}

impl Incoming {
    /// From both.
    #[must_use]
    pub fn new(completing: Receiver<ToSave>, pacing: Receiver<BucketRow>) -> Self {
        Self { completing: Some(completing), pacing: Some(pacing) }
    }

    /// The next row of either, if one comes before it is time to save; disconnected when both have ended.
    fn next(&mut self) -> Result<ToSave, RecvTimeoutError> {
        while self.completing.is_some() || self.pacing.is_some() {
            select! {
                recv(self.completing.as_ref().unwrap_or(&never())) -> row => match row {
                    Ok(row) => return Ok(row),
                    Err(_) => self.completing = None,
                },
                recv(self.pacing.as_ref().unwrap_or(&never())) -> row => match row {
                    Ok(row) => return Ok(ToSave::Bucket(row)),
                    Err(_) => self.pacing = None,
                },
                default(SAVE_EVERY) => return Err(RecvTimeoutError::Timeout),
            }
        }
        Err(RecvTimeoutError::Disconnected)
    }
}

/// Why a run could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A file.
    #[error(transparent)]
    Dir(#[from] RunDirError),
    /// A row.
    #[error("cannot write to the run directory: {0}")]
    Io(#[from] std::io::Error),
    /// The interval log.
    #[error(transparent)]
    Hlog(#[from] HlogError),
}

/// What the saving thread needs to know.
pub(crate) struct SaverOptions {
    /// Where.
    pub dir: RunDir,
    /// The start of the run, nanoseconds since 1970.
    pub t0_unix_ns: i64,
    /// The names of the classes of topics.
    pub classes: Vec<String>,
    /// The last seconds, for those who watch.
    pub recent: Arc<Mutex<Recent>>,
    /// What is seen of the system under test.
    pub seen: Arc<Seen>,
}

/// Writes until nobody sends any more, and returns the totals. `unfinished` makes a report of the totals so far. Seconds of end to
/// end are taken as they are closed; the last ones must be closed before the last sender goes.
///
/// # Errors
/// [`SaveError`]: the run should end, since what it measures cannot be kept.
pub(crate) fn save(options: &SaverOptions, mut incoming: Incoming, unfinished: &dyn Fn(&Totals) -> RunReport) -> Result<Totals, SaveError> {
    let open = |name| Rolled::open(&options.dir, name);
    let (latencies, counts, seconds) = (open(LATENCY_HLOG)?, open(COUNTS_CSV)?, open(INTERVALS_CSV)?);
    let mut serializer = V2DeflateSerializer::new();
    let mut latencies_out = &latencies;
    let mut hlog = Hlog::begin(&mut latencies_out, &mut serializer, options.t0_unix_ns, options.classes.clone())?;
    writeln!(&counts, "series,start_ms,count")?;
    writeln!(&seconds, "{INTERVALS_HEAD}")?;
    let mut totals = Totals::new(options.classes.len());
    let mut planned = false;
    let mut saved: Option<Instant> = None;
    loop {
        match incoming.next() {
            Ok(ToSave::Closed(closed)) => {
                totals.add(&closed);
                lock(&options.recent).add(&closed);
                if let Some(second) = closed.second() {
                    latencies.reach(second)?;
                }
                hlog.write(&closed)?;
                if let Closed::Second(second) = &closed {
                    seconds.reach(second.row.second)?;
                    write_second(&mut &seconds, second)?;
                }
            }
            Ok(ToSave::Bucket(row)) => {
                // In a backlog `sent` runs hours ahead of `planned`: it stays with the hour whose messages it is about.
                planned |= row.series == Series::Planned;
                if row.series == Series::Planned || !planned {
                    counts.reach(row.bucket * BUCKET_NS / 1_000_000_000)?;
                }
                writeln!(&counts, "{},{},{}", row.series.name(), row.bucket * (BUCKET_NS / 1_000_000), row.count)?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        write_end_to_end(&mut hlog, &latencies, options)?;
        if saved.is_none_or(|at| at.elapsed() >= SAVE_EVERY) {
            for mut out in [&latencies, &counts, &seconds] {
                out.flush()?;
            }
            options.dir.write_report(&unfinished(&totals))?;
            saved = Some(Instant::now());
        }
    }
    write_end_to_end(&mut hlog, &latencies, options)?;
    drop(hlog);
    for rolled in [latencies, counts, seconds] {
        rolled.complete()?;
    }
    Ok(totals)
}

/// Writes the seconds of end to end that were closed since.
fn write_end_to_end<W: Write>(hlog: &mut Hlog<'_, W>, file: &Rolled<'_>, options: &SaverOptions) -> Result<(), SaveError> {
    for (second, latency) in options.seen.take_end_to_end() {
        file.reach(second)?;
        hlog.write_end_to_end(second, &latency)?;
    }
    Ok(())
}

/// The columns of `intervals.csv`. Percentiles are of answered messages, in nanoseconds; empty where there is none.
pub const INTERVALS_HEAD: &str = "second,complete,scheduled,skipped,acked,failed,unknown,held_max_ns,schedule_error_p50_ns,schedule_error_p99_ns,schedule_error_p999_ns,schedule_error_max_ns,service_p50_ns,service_p99_ns,service_p999_ns,service_max_ns,response_p50_ns,response_p99_ns,response_p999_ns,response_max_ns";

fn write_second(out: &mut impl Write, second: &ClosedSecond) -> std::io::Result<()> {
    let ClosedSecond { row, acked, failed, unknown, complete, held_max_ns, latencies } = second;
    write!(out, "{},{complete},{},{},{acked},{failed},{unknown},{held_max_ns}", row.second, row.scheduled, row.skipped)?;
    for latency in [&latencies.schedule_error, &latencies.service, &latencies.response] {
        let LatencySummary { p50_ns, p99_ns, p999_ns, max_ns, .. } = latency.summary(0);
        for value in [p50_ns, p99_ns, p999_ns, max_ns] {
            write!(out, ",{}", csv_cell(value))?;
        }
    }
    writeln!(out)
}

/// A number as a CSV cell; empty where there is none.
pub(crate) fn csv_cell(value: Option<u64>) -> String {
    value.map_or(String::new(), |v| v.to_string())
}

/// Writes `streams.csv`: the books of each stream, by name.
///
/// # Errors
/// [`RunDirError`].
pub fn save_streams(dir: &RunDir, names: &[String], ledger: &Ledger) -> Result<(), RunDirError> {
    let mut csv = String::from("stream,read,cloned,filtered,scheduled,skipped,sent,acked,failed,unknown\n");
    for (name, counts) in names.iter().zip(ledger.streams()) {
        let Counts { read, cloned, filtered, scheduled, skipped, sent, acked, failed, unknown } = counts;
        csv.push_str(&format!("{},{read},{cloned},{filtered},{scheduled},{skipped},{sent},{acked},{failed},{unknown}\n", csv_text(name)));
    }
    dir.replace(STREAMS_CSV, csv.as_bytes())
}

/// A name as a CSV cell: quoted where it must be.
pub(crate) fn csv_text(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
