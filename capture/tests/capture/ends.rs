//! When a capture ends by itself, and when it cannot begin.

use dejaq_capture::CaptureError;

use super::{Bench, values};

#[test]
fn until_end_takes_what_was_there_at_the_start_and_nothing_more() {
    let mut bench = Bench::new(&["a"]);
    bench.config.until = Some("end".into());
    bench.world().topic("a", 1, 3);
    bench.world().log("a", 0).push_all(0..4);
    // Partition 1 is empty, and 2 ends with a transaction marker.
    bench.world().log("a", 2).push_all(4..6);
    bench.world().log("a", 2).skip(1);
    let summary = bench.run().expect("it ends");
    assert_eq!(summary.stopped, "every stream has reached its end");
    assert_eq!((summary.records, summary.holes), (6, 1));
    assert_eq!(bench.values(), values(0..6));

    // Once more: it is there already, so it ends at once.
    bench.world().log("a", 0).push_all(6..8);
    let summary = bench.run().expect("it ends");
    assert_eq!((summary.records, summary.records_total), (2, 8));
}

#[test]
fn records_beyond_the_number_asked_for_are_left_to_the_next_capture() {
    let mut bench = Bench::new(&["a"]);
    bench.config.records = Some(7);
    bench.world().topic("a", 1, 2);
    bench.world().log("a", 0).push_all(0..5);
    bench.world().log("a", 1).push_all(5..10);
    let summary = bench.run().expect("it ends");
    assert_eq!(summary.stopped, "the number of records is reached");
    assert_eq!((summary.records, summary.books_balance), (7, true));
    assert_eq!(bench.values(), values(0..7));

    assert_eq!(bench.run().expect("it holds as many already").records, 0);
    bench.config.records = None;
    assert_eq!(bench.run().expect("a capture").records, 3);
    assert_eq!(bench.values(), values(0..10));
}

#[test]
fn a_time_that_is_over_ends_it() {
    let mut bench = Bench::new(&["a"]);
    bench.config.run_for = Some("50ms".into());
    bench.world().topic("a", 1, 1);
    bench.world().until(|_| false);
    let summary = bench.run().expect("it ends");
    assert_eq!(summary.stopped, "the time is over");
    assert!(summary.duration >= std::time::Duration::from_millis(50));
}

#[test]
fn a_topic_that_is_not_there_is_named_and_leaves_nothing_behind() {
    let bench = Bench::new(&["a", "missing"]);
    bench.world().topic("a", 1, 1);
    let error = bench.run().expect_err("no such topic").to_string();
    assert!(error.contains("\"missing\"") && error.contains("fake-cluster"), "{error}");
    assert!(!bench.out().exists());

    let bench = Bench::new(&["^nothing"]);
    let error = bench.run().expect_err("no topic").to_string();
    assert!(error.contains("^nothing"), "{error}");
    assert!(!bench.out().exists());
}

#[test]
fn a_directory_that_is_something_else_is_not_touched() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    std::fs::create_dir(bench.out()).expect("a directory");
    std::fs::write(bench.out().join("thesis.txt"), "precious").expect("a file");
    let error = bench.run().expect_err("not empty");
    assert!(matches!(&error, CaptureError::Recording(_)) && error.to_string().contains("thesis.txt"), "{error}");
}

#[test]
fn a_source_that_breaks_leaves_a_sealed_recording() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..4);
    bench.world().broken_after = Some(4);
    let error = bench.run().expect_err("broken").to_string();
    assert!(error.contains("the fake broke") && error.contains("run the same command again"), "{error}");
    assert_eq!(bench.values(), values(0..4));
}

#[test]
fn a_recording_has_the_size_that_it_may_have() {
    let mut bench = Bench::new(&["a"]);
    bench.config.disk_max = Some(dejaq_capture::config::Scalar::Text("10kB".into()));
    bench.config.compress = Some(dejaq_capture::config::Scalar::Text("none".into()));
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push(&"x".repeat(5 << 20));
    bench.world().until(|_| false);
    let summary = bench.run().expect("it ends");
    assert_eq!(summary.stopped, "the disk space that it may use is used");
    assert_eq!(bench.records().len(), 1);
}
