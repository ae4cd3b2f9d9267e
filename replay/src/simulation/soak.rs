//! Days of a run in a moment: the time line stays exact, and the files of each hour are whole.

use std::path::Path;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::*;
use crate::fidelity::shape::SHAPE_JSON;
use crate::run::dir::{COUNTS_CSV, INTERVALS_CSV, LATENCY_HLOG, RunDir};
use crate::run::rolled::files;
use crate::run::saver::{Incoming, SaverOptions, ToSave, save, save_streams};

const HOUR: u64 = 3_600 * S;
/// Two records, this far apart, for ever: a pass is seven minutes, so that its seam meets the hours anywhere.
const GAP: u64 = 210 * S;

fn soak(hours: u64) -> Simulation {
    let gap = i64::try_from(GAP).expect("small");
    let mut simulation = Simulation::of(MemoryFeed::of_times(&[0, gap]), 1);
    (simulation.repeat, simulation.run_ns) = (true, Some(hours * HOUR));
    simulation
}

/// Saves what a run measured, as the saving thread and the engine do.
pub(super) fn saved(outcome: &mut Outcome) -> tempfile::TempDir {
    let tmp = tempfile::tempdir().expect("tmp");
    let (to, completing) = crossbeam_channel::unbounded();
    let (counted, pacing) = crossbeam_channel::unbounded();
    for closed in outcome.closed.drain(..) {
        to.send(ToSave::Closed(closed)).expect("open");
    }
    for row in &outcome.confirmed {
        to.send(ToSave::Bucket(*row)).expect("open");
    }
    for row in &outcome.buckets {
        counted.send(*row).expect("open");
    }
    drop((to, counted));
    let dir = RunDir::create(tmp.path()).expect("empty");
    let options = SaverOptions { dir: dir.clone(), t0_unix_ns: 0, classes: vec!["t".into()], recent: Arc::default(), seen: Arc::default() };
    let totals = save(&options, Incoming::new(completing, pacing), &|_| outcome.report.clone()).expect("saved");
    assert_eq!(totals.acked, outcome.report.ledger.counts.acked);
    save_streams(&dir, &["t/0".to_owned()], &outcome.ledger).expect("saved");
    if let Some(shape) = &outcome.shape {
        dir.write_json(SHAPE_JSON, shape).expect("saved");
    }
    dir.write_report(&outcome.report).expect("saved");
    tmp
}

/// The rows of each hour's file, without the head, as numbers of one column.
fn column(run: &Path, name: &str, wanted: &str, head: &str, column: usize) -> Vec<Vec<u64>> {
    let of_file = |path| {
        let text = std::fs::read_to_string(path).expect("a file");
        assert!(text.starts_with(head), "each file has its head: {text:.40}");
        let rows = text.lines().skip(1).filter(|row| row.starts_with(wanted));
        rows.map(|row| row.split(',').nth(column).and_then(|cell| cell.parse().ok()).expect("a number")).collect()
    };
    files(run, name).expect("there").iter().map(of_file).collect()
}

fn hlog_seconds(run: &Path, tag: &str) -> Vec<Vec<u64>> {
    let of_file = |path| {
        let bytes = std::fs::read(path).expect("a file");
        assert!(bytes.starts_with(b"#[Logged with dejaq") && bytes.windows(9).any(|w| w == b"[BaseTime"), "a log of its own");
        let mut seconds = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            let LogEntry::Interval(interval) = entry.expect("well-formed") else { continue };
            if interval.tag().is_some_and(|t| t.as_str() == tag) {
                seconds.push(interval.start_timestamp().as_secs());
            }
        }
        seconds
    };
    files(run, LATENCY_HLOG).expect("there").iter().map(of_file).collect()
}

#[test]
fn twenty_six_hours_of_a_loop_are_exact_and_each_hour_has_its_files() {
    let mut outcome = soak(26).run();
    let expected: Vec<u64> = (0..26 * HOUR / GAP + 1).map(|n| n * GAP).take_while(|at| *at < 26 * HOUR).collect();
    assert!(outcome.sent_at.iter().map(|at| at - T0).eq(expected.iter().copied()), "no drift, over {} seams", expected.len() / 2);
    assert_eq!(outcome.report.ledger.counts.acked, expected.len() as u64);
    let run = saved(&mut outcome);
    let by_hour = |unit: u64| -> Vec<Vec<u64>> {
        (0..26).map(|h| expected.iter().filter(|at| *at / HOUR == h).map(|at| at / unit).collect()).collect()
    };
    assert_eq!(column(run.path(), INTERVALS_CSV, "", "second,", 0), by_hour(S));
    assert_eq!(column(run.path(), COUNTS_CSV, "planned", "series,", 1), by_hour(MS));
    assert_eq!(column(run.path(), COUNTS_CSV, "sent", "series,", 1), by_hour(MS), "on time, each hour's sendings are with it");
    assert_eq!(hlog_seconds(run.path(), "response"), by_hour(S));
    let tens: Vec<Vec<u64>> = by_hour(S).iter().map(|hour| hour.iter().map(|second| second - second % 10).collect()).collect();
    assert_eq!(hlog_seconds(run.path(), "topic:t:response"), tens);
    assert_eq!(
        std::fs::read_dir(run.path()).expect("there").count(),
        3 * 26 + 3,
        "and run.json, shape.json, streams.csv, and nothing unfinished"
    );
}

#[test]
fn in_a_backlog_sendings_stay_with_the_hour_that_they_are_about() {
    let mut simulation = soak(6);
    // The first sleep ends three hours late, and what is late then takes half a minute a message: the backlog lasts.
    (simulation.oversleep, simulation.tick_ns) = (|at| if at < T0 + 2 * GAP { 3 * HOUR } else { 0 }, 30 * S);
    let mut outcome = simulation.run();
    let run = saved(&mut outcome);
    let planned = column(run.path(), COUNTS_CSV, "planned", "series,", 1);
    assert_eq!(planned.len(), 6);
    for (hour, rows) in (0..).zip(&planned) {
        assert!(rows.iter().all(|ms| ms * MS / HOUR == hour), "hour {hour}: {rows:?}");
    }
    let sent = column(run.path(), COUNTS_CSV, "sent", "series,", 1).concat();
    assert!(sent.is_sorted() && sent[1] * MS >= 3 * HOUR, "{sent:?}");
    assert_eq!(column(run.path(), COUNTS_CSV, "sent", "series,", 2).concat().iter().sum::<u64>(), outcome.report.ledger.counts.sent);
}

#[test]
fn a_flood_of_hours_is_filed_by_the_time_of_sending() {
    let mut simulation = soak(3);
    (simulation.pace, simulation.tick_ns) = (Pace::Max, 60 * S);
    let mut outcome = simulation.run();
    let run = saved(&mut outcome);
    let sent = column(run.path(), COUNTS_CSV, "sent", "series,", 1);
    assert_eq!(sent.len(), 3);
    for (hour, rows) in (0..).zip(&sent) {
        assert!(!rows.is_empty() && rows.iter().all(|ms| ms * MS / HOUR == hour), "hour {hour}: {rows:?}");
    }
}
