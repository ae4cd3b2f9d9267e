use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::chart::{Chart, Unit};
use super::*;
use crate::measure::counts::{BUCKET_NS, BucketRow, SecondRow, Series};
use crate::measure::latency::Latency;
use crate::measure::recorder::{Closed, ClosedSecond};
use crate::run::report::RunReport;
use crate::run::saver::{INTERVALS_HEAD, Incoming, SaverOptions, ToSave, save};

const MS: u64 = 1_000_000;
const DAY_S: u64 = 86_400;

/// A `run.json` of a run with so many messages.
fn run_json(scheduled: u64, unanswered: u64) -> Value {
    let latency = json!({"count": scheduled - unanswered, "unanswered": unanswered, "p50_ns": MS, "p90_ns": MS, "p99_ns": MS,
        "p999_ns": null, "max_ns": null, "overflow": 0});
    let acked = scheduled - unanswered;
    json!({
        "schema_version": 1, "finished": true, "verdict": "VALID", "trust": [], "limited_by": null, "delivered": 1.0,
        "ledger": {"read": scheduled, "cloned": 0, "filtered": 0, "scheduled": scheduled, "skipped": 0, "sent": scheduled,
            "acked": acked, "failed": 0, "unknown": unanswered, "reasons": {}},
        "latency": {"schedule_error": latency, "service": latency, "response": latency, "response_without_lateness": latency},
        "rate": {"intended_per_s": 10.0, "achieved_per_s": 10.0}, "config": {"speed": "1"}, "command": ["dejaq", "replay"], "seed": 1,
        "shard": null, "t0_unix_ns": 1_700_000_000_000_000_000_i64, "recording": {"id": "r", "source_cluster": "c"},
        "target_cluster": "t", "run_id": "1-2", "duration_ns": 1_000_000_000, "closed_loop": false,
        "holds": {"ceiling_ns": 0, "full_queue_ns": 0, "lateness_max_ns": 0}, "order_violations": 0, "topics": [], "notes": []
    })
}

/// A second in which messages took these times, in milliseconds; the last ones have no answer.
fn second(second: u64, took_ms: &[u64], unanswered: u64) -> Closed {
    let acked = took_ms.len() as u64;
    let mut closed = ClosedSecond {
        row: SecondRow { second, scheduled: acked + unanswered, skipped: 0 },
        acked,
        unknown: unanswered,
        complete: true,
        ..ClosedSecond::default()
    };
    let mut response = Latency::<u32>::default();
    took_ms.iter().for_each(|ms| response.record(ms * MS));
    closed.latencies.response = response;
    Closed::Second(Box::new(closed))
}

/// Saves seconds as a run does.
fn saved(dir: &Path, seconds: impl Iterator<Item = Closed>, run: &Value) {
    let report: RunReport = serde_json::from_value(run.clone()).expect("a report");
    let (to, incoming) = crossbeam_channel::bounded(16);
    let options = SaverOptions {
        dir: RunDir::create(dir).expect("empty"),
        t0_unix_ns: 0,
        classes: Vec::new(),
        recent: Arc::default(),
        seen: Arc::default(),
    };
    std::thread::scope(|scope| {
        // All rows come one way here.
        let (_, pacing) = crossbeam_channel::bounded(0);
        let saving = scope.spawn(|| save(&options, Incoming::new(incoming, pacing), &|_| report.clone()).expect("saved"));
        for closed in seconds {
            if let Closed::Second(second) = &closed {
                let (scheduled, acked) = (second.row.scheduled, second.acked);
                for (series, count) in
                    [(Series::Planned, scheduled), (Series::Allowed, scheduled), (Series::Sent, scheduled), (Series::Acked, acked)]
                {
                    let bucket = second.row.second * 1_000_000_000 / BUCKET_NS;
                    to.send(ToSave::Bucket(BucketRow { series, bucket, count })).expect("open");
                }
            }
            to.send(ToSave::Closed(closed)).expect("open");
        }
        drop(to);
        saving.join().expect("no panic");
    });
    options.dir.write_report(&report).expect("written");
}

fn chart<'a>(report: &'a Report, id: &str) -> &'a Chart {
    report.charts.iter().find(|c| c.id == id).unwrap_or_else(|| panic!("no {id}"))
}

fn line<'a>(report: &'a Report, id: &str, name: &str) -> &'a [Option<f64>] {
    &chart(report, id).lines.iter().find(|line| line.name == name).unwrap_or_else(|| panic!("no {name}")).values
}

#[test]
fn the_rate_has_each_message_once_in_each_of_its_lines() {
    let tmp = tempfile::tempdir().expect("tmp");
    saved(tmp.path(), [second(0, &[1, 2], 2), second(1, &[1; 5], 0)].into_iter(), &run_json(9, 2));
    let report = write(tmp.path()).expect("a report");
    let per_second = |name: &str| line(&report, "rate", name).iter().flatten().map(|rate| rate / 10.0).collect::<Vec<_>>();
    // The last value is there twice: it is drawn up to the end of its bin.
    let rates = |first: f64, last: f64| [&[first][..], &[0.0; 9], &[last; 2]].concat();
    assert_eq!(per_second("intended"), rates(4.0, 5.0));
    assert_eq!(per_second("sent"), rates(4.0, 5.0));
    assert_eq!(per_second("acked"), rates(2.0, 5.0));
}

fn near(found: Option<f64>, expected_ms: u64) {
    let (found, expected) = (found.expect("a value"), (expected_ms * MS) as f64);
    assert!((found - expected).abs() <= expected / 500.0, "{found} is not {expected}");
}

#[test]
fn a_day_has_a_report_of_bounded_size_in_which_a_second_s_stall_shows() {
    let tmp = tempfile::tempdir().expect("tmp");
    let (step, stall) = (50, 40_000);
    let seconds = (0..DAY_S / step).map(|n| second(n * step, if n * step == stall { &[2_000] } else { &[1, 2, 3] }, 0));
    saved(tmp.path(), seconds, &run_json(3 * DAY_S / step - 2, 0));
    let report = write(tmp.path()).expect("a report");
    for chart in &report.charts {
        assert!(chart.x.len() <= 601 && chart.lines.iter().all(|line| line.values.len() == chart.x.len()), "{}", chart.id);
    }
    let bin = usize::try_from(stall / 300).expect("small");
    near(line(&report, "latency", "max")[bin], 2_000);
    near(line(&report, "latency", "max")[bin + 1], 3);
    near(line(&report, "latency", "p50")[bin], 2);
    // Six seconds of the three hundred have three messages each.
    assert_eq!(["intended", "sent"].map(|name| line(&report, "rate", name)[3]), [Some(0.06); 2], "and confirmations are no sending");
    let page = std::fs::read_to_string(tmp.path().join(REPORT_HTML)).expect("written");
    assert!(page.len() < 400_000, "{}", page.len());
}

#[test]
fn percentiles_of_a_bin_have_every_message_that_was_due_in_it() {
    let tmp = tempfile::tempdir().expect("tmp");
    // In the second second half of all messages have no answer.
    let seconds = [second(0, &[10, 20], 0), second(1, &[10, 20], 2), second(2, &[30, 30], 0)];
    saved(tmp.path(), seconds.into_iter(), &run_json(8, 2));
    let report = Report::read(tmp.path()).expect("a report");
    near(line(&report, "latency", "p50")[1], 20);
    assert_eq!(line(&report, "latency", "p99")[..4].iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true]);
    assert_eq!(line(&report, "unanswered", "unanswered")[..3], [Some(0.0), Some(2.0), Some(0.0)]);
    // Six of eight are known: the curve ends at p75.
    let told = line(&report, "percentiles", "response").iter().zip(&chart(&report, "percentiles").x).filter(|(value, _)| value.is_some());
    let last = told.map(|(_, nines)| *nines).fold(0.0, f64::max);
    assert!(last > 0.5 && last <= -libm::log10(0.25) + 1e-9, "{last}");
    let marked: Vec<_> = report.events.iter().map(|e| (e.from_s, e.to_s, e.label.as_str())).collect();
    assert_eq!(marked, [(1.0, 2.0, "2 without an answer")]);
    assert!(html(&report).contains("25 %"), "the share of the unanswered");
}

#[test]
fn a_curve_ends_where_messages_do_and_reaches_five_nines_with_a_hundred_thousand() {
    for (messages, nines) in [(1_000u64, 3.0), (100_000, 5.0)] {
        let tmp = tempfile::tempdir().expect("tmp");
        let took: Vec<u64> = (1..=messages / 10).collect();
        saved(tmp.path(), (0..10).map(|at| second(at, &took, 0)), &run_json(messages, 0));
        let report = Report::read(tmp.path()).expect("a report");
        let mut curve = line(&report, "percentiles", "response").iter().zip(&chart(&report, "percentiles").x);
        let (value, last) = curve.rfind(|(value, _)| value.is_some()).expect("values");
        assert!((last - nines).abs() < 1e-9, "{messages}: {last}");
        near(*value, messages / 10);
    }
}

#[test]
fn the_warm_up_is_drawn_and_not_in_the_curve() {
    let tmp = tempfile::tempdir().expect("tmp");
    let mut run = run_json(40, 0);
    let latency = run["latency"]["service"].clone();
    run["warm_up"] = json!({"until_s": 2, "scheduled": 20, "service": latency, "response": latency});
    saved(tmp.path(), (0..4).map(|at| second(at, &[if at < 2 { 500 } else { 5 }; 10], 0)), &run);
    let report = Report::read(tmp.path()).expect("a report");
    near(line(&report, "latency", "max")[0], 500);
    let curve = line(&report, "percentiles", "response");
    assert!(curve.iter().flatten().all(|ns| *ns < 6.0 * MS as f64), "{curve:?}");
    assert_eq!((report.events[0].from_s, report.events[0].to_s), (0.0, 2.0));
    assert!(html(&report).contains("The first 2 s were warm-up"));
}

#[test]
fn a_run_whose_broker_asked_to_hold_was_held_by_its_target() {
    let tmp = tempfile::tempdir().expect("tmp");
    let mut run = run_json(8, 0);
    (run["limited_by"], run["holds"]["blocked_ns"], run["holds"]["full_queue_ns"]) =
        (json!("target"), json!(3_000 * MS), json!(2_000 * MS));
    saved(tmp.path(), (0..4).map(|at| second(at, &[1, 2], 0)), &run);
    let page = html(&Report::read(tmp.path()).expect("a report"));
    assert!(page.contains("limited by the target: held for 5 s"), "a full queue and the broker's wish together");
}

#[test]
fn a_file_that_was_growing_is_read_up_to_its_last_whole_line() {
    let tmp = tempfile::tempdir().expect("tmp");
    let mut run = run_json(8, 0);
    (run["finished"], run["verdict"]) = (json!(false), json!("INVALID"));
    saved(tmp.path(), (0..4).map(|at| second(at, &[1, 2], 0)), &run);
    for name in ["latency.hlog", "intervals.csv", "counts.csv"] {
        let whole = std::fs::read(tmp.path().join(name)).expect("saved");
        std::fs::write(tmp.path().join(format!("{name}.part")), &whole[..whole.len() - 5]).expect("torn");
        std::fs::remove_file(tmp.path().join(name)).expect("there");
    }
    let report = Report::read(tmp.path()).expect("a report");
    assert_eq!(chart(&report, "latency").x.len(), 3 + 1, "three seconds are whole");
    assert!(html(&report).contains("<h1>UNFINISHED</h1>"));
    // What is torn elsewhere is no run of ours.
    let bad = format!("{INTERVALS_HEAD}\n0,true,x{}\n", ",0".repeat(17));
    std::fs::write(tmp.path().join("intervals.csv"), bad).expect("written");
    let error = Report::read(tmp.path()).expect_err("a letter is no number").to_string();
    assert!(error.contains("intervals.csv: line 2: scheduled is not a number"), "{error}");
}

#[test]
fn no_text_of_a_run_is_more_than_text() {
    let hostile = "</script><script>alert(1)</script><!--";
    let tmp = tempfile::tempdir().expect("tmp");
    let mut run = run_json(4, 0);
    let latency = run["latency"]["service"].clone();
    run["topics"] = json!([{"name": hostile, "scheduled": 4, "service": latency, "response": latency}]);
    for field in ["notes", "command"] {
        run[field] = json!([hostile]);
    }
    (run["config"], run["run_id"], run["target_cluster"]) = (json!({hostile: hostile}), json!(hostile), json!(hostile));
    run["trust"] = json!([{"reason": hostile, "cause": "run", "detail": hostile}]);
    saved(tmp.path(), (0..2).map(|at| second(at, &[1, 2], 0)), &run);
    let watch = format!("second,source,metric,value\n0,{hostile},{hostile},1\n");
    std::fs::write(tmp.path().join("watch.csv"), watch).expect("written");
    let page = html(&Report::read(tmp.path()).expect("a report"));
    assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("\\u003cscript>alert(1)"), "it is shown");
    assert_eq!((page.matches("<script").count(), page.matches("</script>").count()), (3, 3), "data, library, script");
    assert!(!page.contains("<script>alert") && !page.contains("<!--"));
    // The only addresses are the library's own remarks: nothing is asked for.
    assert!(!page.contains("src=") && !page.contains("href=") && page.contains("default-src 'none'"));
}

#[test]
fn what_was_sampled_is_drawn_and_what_was_not_is_left_out() {
    let tmp = tempfile::tempdir().expect("tmp");
    saved(tmp.path(), (0..10).map(|at| second(at, &[1], 0)), &run_json(10, 0));
    let write = |name: &str, text: &str| std::fs::write(tmp.path().join(name), text).expect("written");
    write(
        "lag.csv",
        "second,group,topic,partition,committed,end,lag_messages,lag_ns,at_least\n0,g,t,0,1,9,8,5,false\n0,g,,,,,80,50,false\n2,g,,,,,90,60,false\n9,g,,,,,7,6,false\n",
    );
    write(
        "watch.csv",
        "second,source,metric,value\n0,pid:1,threads,4\n0,pid:1,rss_bytes,1000\n1,pid:1,rss_bytes,3000\n0,pid:1,\"m{a=\"\"b\"\"}\",1.5\n",
    );
    let report = Report::read(tmp.path()).expect("a report");
    let ids: Vec<&str> = report.charts.iter().map(|c| c.id.as_str()).skip(4 - 2).collect();
    assert_eq!(ids, ["percentiles", "lag-lag-messages-", "lag-lag-ns-", "watch-value-rss-bytes", "watch-value-m", "watch-value-threads"]);
    let lag = line(&report, "lag-lag-messages-", "g");
    // A value holds for three seconds; then the source was silent.
    assert_eq!(lag[..6], [Some(80.0), Some(80.0), Some(90.0), Some(90.0), Some(90.0), None]);
    assert_eq!((chart(&report, "watch-value-rss-bytes").unit, chart(&report, "lag-lag-ns-").unit), (Unit::Bytes, Unit::Ns));
    assert_eq!(chart(&report, "watch-value-m").lines[0].name, "pid:1 {a=\"b\"}");
    assert_eq!(line(&report, "watch-value-threads", "pid:1")[0], Some(4.0));
}
