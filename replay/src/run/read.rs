//! Reads the growing files of a run directory back: rows per second, counts per 100 ms, histograms per interval, tables of what
//! was observed.
//!
//! All hours of a run come one after the other, complete or growing (`lines` says what is read of those); memory is that of one line. Nothing is
//! trusted: a line, a histogram and its bounds have limits, and an error names file and line.

use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogHistogram, IntervalLogIterator, LogEntry};

use super::dir::{COUNTS_CSV, INTERVALS_CSV, LATENCY_HLOG, RunDirError, STREAMS_CSV};
use super::lines::{lines, missing, rows};
use crate::measure::latency::LATENCY_NS_MAX;

/// The longest histogram, unpacked: dejaq's have 0.3 MB at most.
const HISTOGRAM_BYTES_MAX: u64 = 4 << 20;
/// The head of a histogram: cookie, length, offset, digits, bounds, ratio.
const HEAD_BYTES: usize = 40;

/// The counts of one second of intended time (with `--max`: of sending).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecondCounts {
    /// Which one, from 0 at the start.
    pub second: u64,
    /// Whether all in it were accounted for when it was written.
    pub complete: bool,
    /// Records due in it.
    pub scheduled: u64,
    /// Those of them that the client never took.
    pub skipped: u64,
    /// Confirmations.
    pub acked: u64,
    /// Failures.
    pub failed: u64,
    /// Without an answer.
    pub unknown: u64,
    /// The longest that an answered message of it was held back, in nanoseconds.
    pub held_max_ns: u64,
}

impl SecondCounts {
    /// Messages of which nothing was known yet when it was written.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.scheduled.saturating_sub(self.skipped + self.acked + self.failed + self.unknown)
    }
}

/// Reads the counts of all seconds, in order.
///
/// # Errors
/// [`RunDirError`].
pub fn seconds(run: &Path, take: &mut dyn FnMut(SecondCounts)) -> Result<(), RunDirError> {
    let names = ["second", "complete", "scheduled", "skipped", "acked", "failed", "unknown", "held_max_ns"];
    every_run_has(run, INTERVALS_CSV, &names, &mut |cells| {
        let number = |at: usize| cells[at].parse().map_err(|_| format!("{} is not a number", names[at]));
        take(SecondCounts {
            second: number(0)?,
            complete: cells[1] == "true",
            scheduled: number(2)?,
            skipped: number(3)?,
            acked: number(4)?,
            failed: number(5)?,
            unknown: number(6)?,
            held_max_ns: number(7)?,
        });
        Ok(())
    })
}

/// Reads the counts per 100 ms: series, start in milliseconds, count. Each series is in order.
///
/// # Errors
/// [`RunDirError`].
pub fn counts(run: &Path, take: &mut dyn FnMut(&str, u64, u64)) -> Result<(), RunDirError> {
    every_run_has(run, COUNTS_CSV, &["series", "start_ms", "count"], &mut |cells| {
        take(cells[0], number(cells[1])?, number(cells[2])?);
        Ok(())
    })
}

/// Reads how many messages of each stream were scheduled and sent.
///
/// # Errors
/// [`RunDirError`].
pub fn streams(run: &Path, take: &mut dyn FnMut(u64, u64)) -> Result<(), RunDirError> {
    every_run_has(run, STREAMS_CSV, &["scheduled", "sent"], &mut |cells| {
        take(number(cells[0])?, number(cells[1])?);
        Ok(())
    })
}

/// Reads a table of what was observed, such as `lag.csv`: the second, and the cells of the named columns. A run may have none.
///
/// # Errors
/// [`RunDirError`].
pub fn observed(run: &Path, name: &str, columns: &[&str], take: &mut dyn FnMut(u64, &[&str])) -> Result<(), RunDirError> {
    let columns = [&["second"], columns].concat();
    let read = rows(run, name, &columns, &mut |cells| {
        take(number(cells[0])?, &cells[1..]);
        Ok(())
    });
    read.map(drop)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

fn every_run_has(run: &Path, name: &str, columns: &[&str], take: &mut dyn FnMut(&[&str]) -> Result<(), String>) -> Result<(), RunDirError> {
    if rows(run, name, columns, take)? { Ok(()) } else { Err(missing(run, name)) }
}

/// Reads the histograms of the tags in `tags`, in the order of the log: which tag, the interval's first second, the values.
///
/// # Errors
/// [`RunDirError`].
pub fn histograms(run: &Path, tags: &[&str], take: &mut dyn FnMut(usize, u64, &Histogram<u64>)) -> Result<(), RunDirError> {
    let mut deserializer = Deserializer::new();
    let found = lines(run, LATENCY_HLOG, &mut |line| {
        for entry in IntervalLogIterator::new(line) {
            let LogEntry::Interval(interval) = entry.map_err(|_| "not a line of an interval log".to_owned())? else { continue };
            let tag = interval.tag().and_then(|tag| tags.iter().position(|t| *t == tag.as_str()));
            if let Some(tag) = tag {
                take(tag, interval.start_timestamp().as_secs(), &histogram(&interval, &mut deserializer)?);
            }
        }
        Ok(())
    })?;
    if found { Ok(()) } else { Err(missing(run, LATENCY_HLOG)) }
}

fn histogram(interval: &IntervalLogHistogram<'_>, deserializer: &mut Deserializer) -> Result<Histogram<u64>, String> {
    let packed = STANDARD.decode(interval.encoded_histogram()).map_err(|e| format!("a histogram: {e}"))?;
    // Behind a cookie and a length.
    let packed = packed.get(8..).ok_or("a histogram is cut off")?;
    let mut bytes = Vec::new();
    ZlibDecoder::new(packed).take(HISTOGRAM_BYTES_MAX).read_to_end(&mut bytes).map_err(|e| format!("a histogram: {e}"))?;
    let word = |at: usize| bytes.get(at..at + 8).and_then(|b| b.first_chunk()).map(|b| u64::from_be_bytes(*b));
    let head = word(0).zip(word(8)).zip(word(24)).filter(|_| bytes.len() >= HEAD_BYTES);
    let Some(((cookie_and_length, offset_and_digits), highest)) = head else { return Err("a histogram is cut off".to_owned()) };
    let (length, digits) = (cookie_and_length & 0xFFFF_FFFF, offset_and_digits & 0xFFFF_FFFF);
    if length > (bytes.len() - HEAD_BYTES) as u64 || highest > LATENCY_NS_MAX || digits > 3 {
        return Err("not a histogram of nanoseconds up to an hour with three digits".to_owned());
    }
    deserializer.deserialize(&mut bytes.as_slice()).map_err(|e| format!("a histogram: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::counts::SecondRow;
    use crate::measure::hlog::Hlog;
    use crate::measure::recorder::{Closed, ClosedSecond, Latencies};
    use hdrhistogram::serialization::V2DeflateSerializer;

    fn second(second: u64, values: &[u64]) -> Closed {
        let mut latencies = Latencies::default();
        values.iter().for_each(|v| latencies.response.record(*v));
        Closed::Second(Box::new(ClosedSecond { row: SecondRow { second, ..SecondRow::default() }, latencies, ..ClosedSecond::default() }))
    }

    #[test]
    fn histograms_come_back_as_they_were_written() {
        let tmp = tempfile::tempdir().expect("tmp");
        let (mut out, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
        let mut hlog = Hlog::begin(&mut out, &mut serializer, 1_700_000_000_000_000_000, Vec::new()).expect("begun");
        hlog.write(&second(3, &[1_000, 2_000, 2_000])).expect("written");
        hlog.write(&second(7, &[3_600_000_000_000])).expect("written");
        drop(hlog);
        std::fs::write(tmp.path().join(LATENCY_HLOG), &out).expect("written");
        let mut found = Vec::new();
        histograms(tmp.path(), &["service", "response"], &mut |tag, at, h| found.push((tag, at, h.len(), h.max()))).expect("read");
        assert_eq!(found.iter().map(|f| (f.0, f.1, f.2)).collect::<Vec<_>>(), [(1, 3, 3), (1, 7, 1)]);
        assert!(found[0].3.abs_diff(2_000) <= 2 && found[1].3 >= 3_600_000_000_000, "{found:?}");
        // Cut anywhere it is an error or whole lines, never a panic.
        for end in 0..out.len() {
            std::fs::write(tmp.path().join(LATENCY_HLOG), &out[..end]).expect("written");
            let read = histograms(tmp.path(), &["response"], &mut |_, _, _| ());
            assert_eq!(read.is_ok(), end == 0 || out[end - 1] == b'\n', "{end}");
        }
    }

    #[test]
    fn columns_are_found_by_name_and_a_bad_cell_by_its_line() {
        let tmp = tempfile::tempdir().expect("tmp");
        let write = |text: &str| std::fs::write(tmp.path().join(INTERVALS_CSV), text).expect("written");
        let read = || {
            let mut found = Vec::new();
            seconds(tmp.path(), &mut |row| found.push(row)).map(|()| found).map_err(|e| e.to_string())
        };
        write("second,new,complete,scheduled,skipped,acked,failed,unknown,held_max_ns\n4,9,false,10,1,5,1,0,7\n");
        let expected =
            SecondCounts { second: 4, complete: false, scheduled: 10, skipped: 1, acked: 5, failed: 1, unknown: 0, held_max_ns: 7 };
        assert_eq!(read(), Ok(vec![expected]));
        assert_eq!(expected.open(), 3);
        write("second,complete,scheduled,skipped,acked,failed,unknown,held_max_ns\n4,true,x,1,5,1,0,7\n");
        let error = read().expect_err("no number");
        assert!(error.contains("intervals.csv") && error.contains("line 2: scheduled is not a number"), "{error}");
        write("second,complete\n");
        assert!(read().expect_err("no column").contains("no column scheduled"));
    }
}
