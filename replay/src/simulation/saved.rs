//! What compare and fidelity make of run directories whose truth is known.

use std::path::{Path, PathBuf};

use dejaq_shared::outcome::Outcome as Ended;

use super::soak::saved;
use super::*;
use crate::compare::load::load;
use crate::compare::verdict::Verdict;
use crate::compare::{Options, compare};
use crate::fidelity::of_run::{OfRunError, of_run};
use crate::fidelity::{Fidelity, Part};
use crate::report::Report;
use crate::run::dir::INTERVALS_CSV;
use crate::trust::{LimitedBy, Verdict as Trusted};

/// 40 s of 500 messages a second into a target that takes `slower` times 2 ms, some messages longer.
fn run(slower: u64) -> Simulation {
    let mut simulation = Simulation::of(MemoryFeed::steady(20_000, 2_000_000, 1), 1);
    simulation.script =
        Box::new(move |sent, number| Some((sent + slower * (2 * MS / 100 + (number as u64 % 97) * MS / 2_000), Fate::Acked)));
    simulation
}

fn directory(simulation: Simulation) -> (tempfile::TempDir, RunReport) {
    let mut outcome = simulation.run();
    (saved(&mut outcome), outcome.report)
}

fn paths(runs: &[&tempfile::TempDir]) -> Vec<PathBuf> {
    runs.iter().map(|run| run.path().to_owned()).collect()
}

#[test]
fn a_run_is_read_back_as_it_was_reported() {
    let ((a, report), (b, _)) = (directory(run(100)), directory(run(110)));
    let loaded = load(&paths(&[&a]), &paths(&[&b])).expect("readable");
    assert_eq!((loaded.invalid.as_slice(), loaded.other_plan.as_slice()), (&[][..], &[][..]));
    let found = compare(&loaded.base, &loaded.new, loaded.axis, &Options { replicates: 200, ..Options::default() });
    let of = |title: &str| found.measures.iter().find(|m| m.title() == title).expect("known").clone();
    let response = report.latency.response.expect("scheduled");
    for (title, ns) in [("p50(response)", response.p50_ns), ("p99(response)", response.p99_ns), ("max(response)", response.max_ns)] {
        assert_eq!(of(title).base, ns.map(|ns| ns as f64), "{title}");
    }
    let rate = report.rate.achieved_per_s.expect("known");
    assert!((of("achieved_rate").base.expect("known") / rate - 1.0).abs() < 1e-9, "{rate}");
    assert_eq!(of("unanswered_share").verdict, Verdict::Same);
    // Each latency is a tenth longer, but for the steps of the histogram.
    let ratio = of("p99(response)").ratio.expect("known");
    assert!((ratio - 1.1).abs() < 0.002 && of("p99(response)").verdict == Verdict::Worse, "{ratio}");
    assert_eq!((found.verdict, of("achieved_rate").verdict), (Verdict::Worse, Verdict::Same));
}

#[test]
fn a_target_that_blocks_again_and_again_is_a_result_and_a_regression() {
    let mut blocks = run(100);
    // Two seconds of messages have room; in the last four of every ten seconds it answers nothing.
    blocks.capacity = 1_000;
    blocks.script = Box::new(|sent, _| {
        let at = sent + 2 * MS;
        let since = (at - T0) % (10 * S);
        Some((if since < 6 * S { at } else { at + 10 * S - since }, Fate::Acked))
    });
    let ((base, _), (blocked, report)) = (directory(run(100)), directory(blocks));
    assert_eq!((report.verdict, report.limited_by), (Trusted::Valid, Some(LimitedBy::Target)), "{:?}", report.trust);
    // Of the two seconds that found no room, the first came more than a second late: one second in ten.
    assert!((report.delivered.expect("scheduled") - 0.9).abs() < 0.003, "{:?}", report.delivered);
    assert_eq!(report.outcome(), Ended::Doubtful, "load was not delivered");
    let loaded = load(&paths(&[&base]), &paths(&[&blocked])).expect("readable");
    assert_eq!((loaded.invalid.as_slice(), loaded.other_plan.as_slice()), (&[][..], &[][..]), "nothing speaks against comparing them");
    let found = compare(&loaded.base, &loaded.new, loaded.axis, &Options::default());
    let p99 = found.measures.iter().find(|m| m.title() == "p99(response)").expect("known");
    assert_eq!((found.verdict, p99.verdict), (Verdict::Worse, Verdict::Worse), "{:?}", found.measures);
    assert!(p99.interval().is_some_and(|(low, _)| low > 100.0), "seconds against milliseconds: {p99:?}");
}

#[test]
fn what_was_due_after_the_last_sending_and_skipped_counts() {
    let ((a, _), (b, _)) = (directory(run(100)), directory(run(100)));
    for dir in [&a, &b] {
        let file = dir.path().join(INTERVALS_CSV);
        let mut rows = std::fs::read_to_string(&file).expect("there");
        let columns = rows.lines().next().expect("a header").split(',');
        // A minute after the end as much was due as was due in all, and nothing of it was sent.
        let row: Vec<&str> = columns
            .map(|name| match name {
                "second" => "100",
                "scheduled" => "20000",
                "complete" => "true",
                _ => "0",
            })
            .collect();
        rows.push_str(&row.join(","));
        rows.push('\n');
        std::fs::write(&file, rows).expect("writable");
    }
    let loaded = load(&paths(&[&a]), &paths(&[&b])).expect("readable");
    let found = compare(&loaded.base, &loaded.new, loaded.axis, &Options { replicates: 200, ..Options::default() });
    let unanswered = found.measures.iter().find(|m| m.name == "unanswered_share").expect("known");
    assert_eq!((unanswered.base, unanswered.new), (Some(0.5), Some(0.5)));
    let p99 = found.measures.iter().find(|m| m.title() == "p99(response)").expect("known");
    assert_eq!(p99.base, None, "infinite");
}

#[test]
fn a_run_is_at_work_until_its_last_confirmation_whatever_is_sent_and_unanswered_after_it() {
    let mut failing = run(100);
    failing.script = Box::new(|sent, _| (sent < T0 + 20 * S).then_some((sent + 2 * MS, Fate::Acked)));
    let (failing, report) = directory(failing);
    assert_eq!((report.ledger.counts.acked, report.duration_ns > 39 * S), (10_000, true), "{report:?}");
    let loaded = load(&paths(&[&failing]), &paths(&[&failing])).expect("readable");
    let at_work: Vec<bool> = loaded.base[0].units.iter().map(|unit| unit.active_s > 0.5).collect();
    assert_eq!(at_work, [[true; 20], [false; 20]].concat());
}

#[test]
fn answers_that_came_after_their_second_was_closed_are_long_and_not_missing() {
    let mut stuck = run(100);
    // The first second is answered after 60 seconds, when it is long closed.
    stuck.script = Box::new(|sent, _| Some((if sent < T0 + S { sent + 60 * S } else { sent + 2 * MS }, Fate::Acked)));
    stuck.feed = MemoryFeed::steady(45_000, 2_000_000, 1);
    let (stuck, report) = directory(stuck);
    assert_eq!(
        (report.ledger.counts.acked, report.latency.response.expect("scheduled").p99_ns.expect("answered") > 59 * S),
        (45_000, true)
    );
    let loaded = load(&paths(&[&stuck]), &paths(&[&stuck])).expect("readable");
    let late: u64 = loaded.base[0].units.iter().map(|unit| unit.answered).sum();
    assert_eq!(late, 45_000);
    let found = compare(&loaded.base, &loaded.new, loaded.axis, &Options { replicates: 50, ..Options::default() });
    let p99 = found.measures.iter().find(|m| m.title() == "p99(response)").expect("known");
    assert_eq!(p99.base.map(|ns| ns > 47.9e9), Some(true), "{p99:?}");
}

#[test]
fn what_is_not_comparable_is_said() {
    let ((a, _), (b, _)) = (directory(run(100)), directory(run(100)));
    let objections = |change: &dyn Fn(&mut RunReport)| {
        let mut report = crate::run::dir::read_report(b.path()).expect("there");
        change(&mut report);
        let other = tempfile::tempdir().expect("tmp");
        copy(b.path(), other.path());
        std::fs::write(other.path().join("run.json"), serde_json::to_vec(&report).expect("JSON")).expect("written");
        let loaded = load(&paths(&[&a]), &paths(&[&other])).expect("readable");
        (loaded.invalid, loaded.other_plan)
    };
    assert_eq!(objections(&|_| ()), (vec![], vec![]));
    let (invalid, _) = objections(&|r| r.verdict = Trusted::Invalid);
    assert!(invalid.len() == 1 && invalid[0].contains("is INVALID"), "{invalid:?}");
    let (_, other) = objections(&|r| r.recording.id = "another".to_owned());
    assert!(other.len() == 1 && other[0].contains("different recordings"), "{other:?}");
    let (_, other) = objections(&|r| drop(r.config.insert("speed".to_owned(), "4".into())));
    assert!(other.len() == 1 && other[0].contains("speed is null and \"4\""), "{other:?}");
    for option in ["timestamps", "key", "routing-key", "map-key", "expiration", "dead-lettered", "strip-reply-to", "mark", "partitions"] {
        let (_, other) = objections(&|r| drop(r.config.insert(option.to_owned(), "x".into())));
        assert!(
            other.len() == 1 && other[0].contains(&format!("{option} is null and \"x\"")),
            "what is in messages is of the plan: {other:?}"
        );
    }
    // The options are the same, but one ended early.
    let mut short = run(100);
    short.feed = MemoryFeed::steady(15_000, 2_000_000, 1);
    let (short, _) = directory(short);
    let other = load(&paths(&[&a]), &paths(&[&short])).expect("readable").other_plan;
    assert!(other.len() == 1 && other[0].contains("from second 30 on, 500 and 0 messages were due"), "{other:?}");
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("there") {
        let path = entry.expect("entry").path();
        std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

fn fidelity(simulation: Simulation) -> Fidelity {
    let (dir, report) = directory(simulation);
    of_run(dir.path(), &report.recording.id).expect("a run with a schedule")
}

fn score(fidelity: &Fidelity, name: &str) -> f64 {
    fidelity.parts.iter().find(|p: &&Part| p.name == name).and_then(|p| p.score).expect("judged")
}

#[test]
fn a_run_on_time_is_like_its_plan_at_any_speed() {
    for speed in [1, 4] {
        let mut simulation = run(100);
        simulation.pace = Pace::Recorded { speed: Ratio::new(speed, 1).expect("a ratio") };
        let found = fidelity(simulation);
        assert!(found.score > 0.999 && found.parts.len() == 7, "{found:#?}");
    }
}

#[test]
fn a_ceiling_is_part_of_the_plan_and_a_stall_is_not() {
    let mut held = run(100);
    held.ceilings = Ceilings::new(Ratio::new(400, 1), None, 8).expect("possible");
    let found = fidelity(held);
    assert!(found.score > 0.99, "{found:#?}");
    // For two seconds the target takes nothing; then all that had waited goes at once.
    let mut stalled = run(100);
    stalled.capacity = 100;
    stalled.script = Box::new(|sent, _| {
        let at = sent + 2 * MS;
        Some((if (T0 + 10 * S..T0 + 12 * S).contains(&at) { T0 + 12 * S } else { at }, Fate::Acked))
    });
    let found = fidelity(stalled);
    assert!(score(&found, "rate") < 0.97 && score(&found, "burstiness") < 0.5, "{found:#?}");
    assert!(score(&found, "sizes") > 0.999 && score(&found, "order") > 0.999, "{found:#?}");
}

#[test]
fn a_report_shows_the_fidelity_that_is_asked_for_and_none_of_a_run_that_was_killed() {
    let (dir, mut report) = directory(run(100).refuse_tenths());
    let shown = Report::read(dir.path()).expect("a report").fidelity.expect("judged");
    assert_eq!(shown.fidelity, of_run(dir.path(), &report.recording.id).expect("judged"));
    let charts: Vec<&str> = shown.charts.iter().map(|chart| chart.id.as_str()).collect();
    assert_eq!((&charts[..], shown.dispersion.len()), (&["fidelity-gaps", "fidelity-sizes", "fidelity-ranks"][..], 3));
    report.finished = false;
    std::fs::write(dir.path().join("run.json"), serde_json::to_vec(&report).expect("JSON")).expect("written");
    assert_eq!(Report::read(dir.path()).expect("a report").fidelity, None);
}

#[test]
fn what_was_skipped_is_missing_in_the_mix() {
    let found = fidelity(run(100).refuse_tenths());
    assert!((score(&found, "rate") - (1.0 - 1.0 / 19.0)).abs() < 0.001, "{found:#?}");
}

#[test]
fn a_run_without_a_schedule_or_of_another_recording_has_no_fidelity() {
    let mut flood = run(100);
    flood.pace = Pace::Max;
    flood.capacity = 100;
    let (dir, report) = directory(flood);
    assert_eq!(Report::read(dir.path()).expect("a report").fidelity, None);
    assert!(matches!(of_run(dir.path(), &report.recording.id), Err(OfRunError::NoSchedule)));
    assert!(matches!(of_run(dir.path(), "another"), Err(OfRunError::OtherRecording { .. })));
}
