//! The source: where it begins, what it tells, and how it fails.

use std::time::{Duration, Instant};

use dejaq_shared::broker::endpoint::Endpoint;
use dejaq_shared::broker::kafka::embedded::{Api, EmbeddedKafka};
use dejaq_shared::broker::source::SourceOptions;
use dejaq_shared::broker::source::{Notice, ReadFrom, Source as _, StartAt, TopicSelection};
use dejaq_shared::broker::{AnySource, BrokerError};
use dejaq_shared::record::Lane;

use crate::common::{PATIENCE, Reading, Sending};

fn selection(list: &[&str]) -> TopicSelection {
    TopicSelection::parse(list.iter().copied()).expect("a selection")
}

fn numbered(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|i| format!("v{i}"))
}

/// An address where nobody listens: one that was free a moment ago.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn an_unreachable_broker_is_told_in_the_stated_time() {
    let address = nobody();
    let endpoint = Endpoint::parse(&format!("kafka://{address}")).expect("a URL");
    let begun = Instant::now();
    let result = AnySource::connect(&endpoint, &TopicSelection::exactly("t"), &SourceOptions::default(), Duration::from_secs(2));
    let took = begun.elapsed();
    let error = result.err().expect("nobody listens");
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
    assert!(error.is_retryable() && error.to_string().contains(&address), "{error}");
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn tls_to_a_plain_listener_is_an_error_that_names_the_address() {
    let kafka = EmbeddedKafka::start(&[]).expect("embedded");
    let endpoint = Endpoint::parse(&format!("kafkas://{}", kafka.bootstrap())).expect("a URL");
    let error = AnySource::connect(&endpoint, &TopicSelection::exactly("t"), &SourceOptions::default(), Duration::from_secs(5))
        .err()
        .expect("no TLS there");
    assert!(error.to_string().contains(&kafka.bootstrap()), "{error}");
}

#[test]
fn topics_are_found_by_name_and_by_pattern_and_internal_ones_only_by_name() {
    let kafka = EmbeddedKafka::start(&[("orders", 3), ("order-log", 1), ("other", 1), ("__internal", 1)]).expect("embedded");
    let mut reading = Reading::connect(&kafka);
    let mut names = |list: &[&str]| {
        let topics = reading.source.topics(&selection(list), PATIENCE).expect("topics");
        topics.into_iter().map(|t| (t.name, t.lanes.iter().map(Lane::partition).collect())).collect::<Vec<(String, Vec<i32>)>>()
    };
    assert_eq!(names(&["^order"]), [("order-log".to_owned(), vec![0]), ("orders".to_owned(), vec![0, 1, 2])]);
    assert_eq!(names(&["__internal", "orders"]), [("__internal".to_owned(), vec![0]), ("orders".to_owned(), vec![0, 1, 2])]);
    assert_eq!(names(&["^.*"]).len(), 3);
    for wanted in [&["nowhere"][..], &["^order", "nowhere"]] {
        let error = reading.source.topics(&selection(wanted), PATIENCE).expect_err("not there");
        assert!(matches!(&error, BrokerError::UnknownTopic { topic, .. } if topic == "nowhere"), "{error}");
    }
    assert!(
        reading.source.topics(&selection(&["^.*"]), PATIENCE).expect("topics").iter().all(|t| t.name != "nowhere"),
        "asking made a topic"
    );
    assert_eq!(reading.source.topic_settings(&["orders".to_owned()], PATIENCE).expect("the mock has none").len(), 0);
}

#[test]
fn two_clusters_have_two_identities() {
    let (a, b) = (EmbeddedKafka::start(&[]).expect("embedded"), EmbeddedKafka::start(&[]).expect("embedded"));
    let cluster = |kafka| Reading::connect(kafka).source.cluster().to_owned();
    assert_ne!(cluster(&a), cluster(&b));
    assert_eq!(cluster(&a), cluster(&a));
    assert_eq!(crate::common::connect_target(&a, &[]).cluster(), cluster(&a));
}

#[test]
fn beginning_end_and_time_are_absolute_positions() {
    let kafka = EmbeddedKafka::start(&[("t", 2)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[]);
    sending.send(0, 0, numbered(0..7));
    let mut reading = Reading::connect(&kafka);
    assert_eq!(reading.position("t", 0, StartAt::Beginning), 0);
    assert_eq!(reading.position("t", 0, StartAt::End), 7);
    // The mock knows no times, and says so as a real broker does of a time after the last record: the end.
    assert_eq!(reading.position("t", 0, StartAt::Time(1)), 7);
    let both = [("t".to_owned(), 1), ("t".to_owned(), 0)];
    assert_eq!(reading.source.positions(&both, StartAt::End, PATIENCE).expect("both"), [0, 7]);
    let error = reading.source.positions(&[("t".to_owned(), 9)], StartAt::End, Duration::from_secs(3)).expect_err("no such partition");
    assert!(matches!(error, BrokerError::Request { .. }), "{error}");

    // From the end on: only what comes later, and the end is told when it is reached.
    reading.start(5, "t", 0, 7);
    reading.until("the end", |seen| seen.ended(5) == Some(7));
    sending.send(0, 0, numbered(7..9));
    reading.until("the new ones", |seen| seen.ended(5) == Some(9));
    assert_eq!(reading.seen.positions(5), [7, 8]);
    assert_eq!(reading.source.lag(), Some(0));
}

#[test]
fn streams_start_and_stop_one_by_one() {
    let kafka = EmbeddedKafka::start(&[("a", 2), ("b", 1)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["a", "b"], &[]);
    for (target, partition) in [(0, 0), (0, 1), (1, 0)] {
        sending.send(target, partition, numbered(0..5));
    }
    let mut reading = Reading::connect(&kafka);
    reading.start(10, "a", 0, 0);
    reading.until("a/0", |seen| seen.ended(10) == Some(5));
    assert_eq!(reading.seen.records.len(), 5);
    reading.start(11, "a", 1, 2);
    reading.start(12, "b", 0, 4);
    reading.until("the others", |seen| seen.ended(11).is_some() && seen.ended(12).is_some());
    assert_eq!((reading.seen.positions(11), reading.seen.positions(12)), (vec![2, 3, 4], vec![4]));
    reading.source.stop(&[10, 12]).expect("stopped");
    for (target, partition) in [(0, 0), (0, 1), (1, 0)] {
        sending.send(target, partition, numbered(5..8));
    }
    reading.until("a/1", |seen| seen.ended(11) == Some(8));
    assert_eq!(reading.seen.positions(10).len(), 5, "a stopped stream is silent");
    assert_eq!(reading.seen.positions(12).len(), 1);
    // Under a new number, from an absolute position.
    reading.start(20, "a", 0, 6);
    reading.until("a/0 again", |seen| seen.ended(20) == Some(8));
    assert_eq!(reading.seen.positions(20), [6, 7]);
}

#[test]
fn a_position_that_is_not_in_the_log_is_told_with_the_bounds() {
    let kafka = EmbeddedKafka::start(&[("t", 2)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[("batch.num.messages", "100")]);
    // The mock keeps 5 MiB a partition: more than that moves its beginning.
    let value = vec![7u8; 10_000];
    sending.send(0, 0, (0..800).map(|_| &value));
    sending.send(0, 1, numbered(0..3));
    let mut reading = Reading::connect(&kafka);
    let low = reading.position("t", 0, StartAt::Beginning);
    assert!(low > 0, "nothing was trimmed");
    reading.start(1, "t", 0, 0);
    reading.start(2, "t", 1, 99);
    let out = |seen: &crate::common::Seen, s: u32| {
        seen.notices.iter().find_map(|n| match n {
            Notice::OutOfRange { stream, low, high } if *stream == s => Some((*low, *high)),
            _ => None,
        })
    };
    reading.until("both out of range", |seen| out(seen, 1).is_some() && out(seen, 2).is_some());
    assert_eq!((out(&reading.seen, 1), out(&reading.seen, 2)), (Some((low, 800)), Some((0, 3))));
    assert!(reading.seen.records.is_empty());
    // Reading has stopped, and can begin again.
    reading.start(1, "t", 0, low);
    reading.until("the rest", |seen| seen.ended(1) == Some(800));
    assert_eq!(reading.seen.positions(1), (low..800).collect::<Vec<_>>());
}

#[test]
fn a_damaged_message_is_tried_again_then_stepped_over() {
    const CORRUPT_MESSAGE: i32 = 2;
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    Sending::open(&kafka, &["t"], &[]).send(0, 0, numbered(0..4));
    let mut reading = Reading::connect(&kafka);
    kafka.fail_requests(Api::Fetch, &[CORRUPT_MESSAGE]);
    reading.start(0, "t", 0, 0);
    reading.until("the end", |seen| seen.ended(0) == Some(4));
    assert_eq!(reading.seen.positions(0), [0, 1, 2, 3], "the second try worked: nothing is lost");
    reading.source.stop(&[0]).expect("stopped");

    kafka.fail_requests(Api::Fetch, &[CORRUPT_MESSAGE, CORRUPT_MESSAGE]);
    reading.start(1, "t", 0, 1);
    reading.until("the end again", |seen| seen.ended(1) == Some(4));
    assert_eq!(reading.seen.positions(1), [2, 3]);
    let unreadable: Vec<_> = reading.seen.notices.iter().filter(|n| matches!(n, Notice::Unparseable { .. })).collect();
    assert!(matches!(unreadable[..], [Notice::Unparseable { stream: 1, position: 1, .. }]), "{unreadable:?}");
}

#[test]
fn a_topic_that_may_not_be_read_is_gone() {
    const TOPIC_AUTHORIZATION_FAILED: i32 = 29;
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    Sending::open(&kafka, &["t"], &[]).send(0, 0, numbered(0..1));
    let mut reading = Reading::connect(&kafka);
    kafka.fail_requests(Api::Fetch, &[TOPIC_AUTHORIZATION_FAILED; 3]);
    reading.start(3, "t", 0, 0);
    reading.until("the refusal", |seen| {
        seen.notices.iter().any(|n| matches!(n, Notice::Gone { stream: 3, detail } if detail.contains("READ")))
    });
    assert!(reading.seen.records.is_empty());
}

#[test]
fn a_broker_that_goes_and_comes_back_costs_no_record() {
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    Sending::open(&kafka, &["t"], &[]).send(0, 0, numbered(0..3));
    let mut reading = Reading::connect(&kafka);
    reading.start(0, "t", 0, 0);
    reading.until("the first", |seen| seen.ended(0) == Some(3));
    kafka.broker_down(1).expect("down");
    reading.until("a warning", |seen| seen.notices.iter().any(|n| matches!(n, Notice::Warning(_))));
    kafka.broker_up(1).expect("up");
    Sending::open(&kafka, &["t"], &[]).send(0, 0, numbered(3..6));
    reading.until("the rest", |seen| seen.positions(0).len() >= 6);
    assert_eq!(reading.seen.positions(0), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_topic_that_is_deleted_under_the_source_is_gone() {
    const UNKNOWN_TOPIC_OR_PARTITION: i32 = 3;
    let kafka = EmbeddedKafka::start(&[("t", 1), ("other", 1)]).expect("embedded");
    let user = [("topic.metadata.refresh.interval.ms", "100"), ("topic.metadata.propagation.max.ms", "200")];
    let mut reading = Reading::connect_with(&kafka, &user);
    reading.start(0, "t", 0, 0);
    reading.start(1, "other", 0, 0);
    reading.until("both ends", |seen| seen.ended(0).is_some() && seen.ended(1).is_some());
    kafka.fail_topic("t", UNKNOWN_TOPIC_OR_PARTITION).expect("a topic");
    reading.until("the notice", |seen| seen.notices.iter().any(|n| matches!(n, Notice::Gone { stream: 0, .. })));
    assert!(!reading.seen.notices.iter().any(|n| matches!(n, Notice::Gone { stream: 1, .. })));
}

#[test]
fn a_log_that_was_cut_back_is_told_by_its_epoch() {
    let kafka = EmbeddedKafka::start_brokers(2, &[("t", 1)]).expect("embedded");
    kafka.set_leader("t", 0, 1).expect("a leader");
    let mut sending = Sending::open(&kafka, &["t"], &[]);
    sending.send(0, 0, numbered(0..5));
    let mut reading = Reading::connect(&kafka);
    reading.start(0, "t", 0, 0);
    reading.until("the first epoch", |seen| seen.ended(0) == Some(5));
    let epoch = reading.seen.records[0].leader_epoch;
    // A new leader, and a log that grew again past where we claim to have been in the old epoch.
    kafka.set_leader("t", 0, 2).expect("a leader");
    sending.send(0, 0, numbered(5..15));
    reading.source.stop(&[0]).expect("stopped");
    let claim = ReadFrom { stream: 1, topic: "t".to_owned(), partition: 0, position: 10, leader_epoch: epoch };
    reading.source.start(&[claim]).expect("started");
    reading.until("the notice", |seen| seen.notices.iter().any(|n| matches!(n, Notice::Truncated { stream: 1, .. })));
    let position = reading.seen.notices.iter().find_map(|n| match n {
        Notice::Truncated { position, .. } => Some(*position),
        _ => None,
    });
    assert_eq!(position, Some(Some(5)));
    assert!(reading.seen.positions(1).is_empty());
}
