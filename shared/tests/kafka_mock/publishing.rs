//! The sink: what it refuses, and what becomes of what it took.

use std::time::{Duration, Instant};

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::kafka::embedded::{Api, EmbeddedKafka};
use dejaq_shared::broker::sink::{Completion, Completions as _, Destination, Fate, NewTopic, QueueLimits, Refusal, Sink as _};
use dejaq_shared::broker::{AnyTarget, endpoint::Endpoint};

use crate::common::{PATIENCE, Sending, connect_target, endpoint, plain, sink_options};

#[test]
fn an_unreachable_target_is_told_in_the_stated_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let endpoint = Endpoint::parse(&format!("kafka://{address}")).expect("a URL");
    let begun = Instant::now();
    let error = AnyTarget::connect(&endpoint, &sink_options(&[]), Duration::from_secs(1)).err().expect("nobody listens");
    assert!(matches!(error, BrokerError::Unreachable { .. }) && error.to_string().contains(&address), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn the_target_tells_its_topics_and_opening_an_unknown_one_fails() {
    let kafka = EmbeddedKafka::start(&[("t", 4)]).expect("embedded");
    let target = connect_target(&kafka, &[]);
    let topics = target.topics(&[Destination::named("t"), Destination::named("nowhere")], PATIENCE).expect("topics");
    assert_eq!(topics.iter().map(|t| t.partitions).collect::<Vec<_>>(), [Some(4), None]);
    let new = NewTopic { name: "new".to_owned(), partitions: 1, settings: Vec::new() };
    let error = target.create_topics(&[new], Duration::from_secs(1)).expect_err("the mock cannot");
    assert!(matches!(error, BrokerError::Request { .. }), "{error}");
    let error = target.open(&[Destination::named("nowhere")], PATIENCE).err().expect("not there");
    assert!(matches!(error, BrokerError::UnknownTopic { .. }), "{error}");
}

#[test]
fn what_can_never_be_sent_is_refused_at_once() {
    let kafka = EmbeddedKafka::start(&[("t", 2)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[("message.max.bytes", "2000")]);
    assert_eq!(sending.submit(&plain(0, 0, &[1; 3000], 0)), Err(Refusal::Final("too large")));
    assert_eq!(sending.submit(&plain(0, 2, b"v", 0)), Err(Refusal::Final("unknown partition")));
    assert_eq!(sending.submit(&plain(1, 0, b"v", 0)), Err(Refusal::Final("unknown topic")));
    assert_eq!(sending.sink.in_flight(), 0);
    sending.send(0, 1, ["fits"]);
    assert_eq!(sending.answers.len(), 1);
}

#[test]
fn a_missing_right_to_publish_idempotently_is_named() {
    const CLUSTER_AUTHORIZATION_FAILED: i32 = 31;
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    kafka.fail_requests(Api::InitProducerId, &[CLUSTER_AUTHORIZATION_FAILED]);
    let mut sending = Sending::open(&kafka, &["t"], &[]);
    let begun = Instant::now();
    let error = loop {
        if let Err(error) = sending.completions.poll(Duration::from_millis(50), &mut |_| ()) {
            break error.to_string();
        }
        assert!(begun.elapsed() < PATIENCE, "the client never gave up");
    };
    assert!(error.contains("may not IDEMPOTENT_WRITE the cluster") && error.contains("-X enable.idempotence=false"), "{error}");
}

#[test]
fn a_full_queue_refuses_and_takes_again_when_it_has_emptied() {
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    let mut options = sink_options(&[]);
    options.queue = QueueLimits { messages_max: 10, bytes_max: 1 << 20 };
    let target = AnyTarget::connect(&endpoint(&kafka), &options, PATIENCE).expect("a target");
    let (sink, completions) = target.open(&[Destination::named("t")], PATIENCE).expect("open");
    let mut sending = Sending { sink, completions, answers: Vec::new() };
    kafka.round_trip_ms(1, 500).expect("slow");
    let begun = Instant::now();
    let taken = (0..50).take_while(|tag| sending.submit(&plain(0, 0, b"v", *tag)) == Ok(())).count();
    assert!(begun.elapsed() < Duration::from_millis(400), "submitting never waits");
    assert_eq!((taken, sending.sink.in_flight()), (10, 10));
    assert_eq!(sending.submit(&plain(0, 0, b"v", 50)), Err(Refusal::QueueFull));
    kafka.round_trip_ms(1, 0).expect("fast");
    sending.drain();
    assert_eq!(sending.submit(&plain(0, 0, b"v", 51)), Ok(()));
    sending.drain();
    assert_eq!(sending.answers.len(), 11);
}

#[test]
fn while_it_is_full_the_queue_is_not_said_to_be_emptier() {
    const FULL: usize = 5_000;
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    // All in one batch, which is answered as one: with more than is handed over at a time.
    let mut options = sink_options(&[("linger.ms", "20000"), ("batch.num.messages", "5000")]);
    options.queue = QueueLimits { messages_max: FULL, bytes_max: 8 << 20 };
    let target = AnyTarget::connect(&endpoint(&kafka), &options, PATIENCE).expect("a target");
    let (mut sink, mut completions) = target.open(&[Destination::named("t")], PATIENCE).expect("open");
    for tag in 0..FULL {
        assert_eq!(sink.submit(&plain(0, 0, b"v", tag)), Ok(()));
    }
    let (mut answered, mut parts) = (0, 0);
    while answered < FULL {
        let handler = &mut |batch: &[Completion]| {
            (answered, parts) = (answered + batch.len(), parts + 1);
            assert_eq!(sink.submit(&plain(0, 0, b"v", FULL)), Err(Refusal::QueueFull));
            assert_eq!(sink.in_flight(), FULL, "the client holds them until all are handed over");
        };
        completions.poll(PATIENCE, handler).expect("a live client");
    }
    assert_eq!((answered, parts, sink.in_flight()), (FULL, 2, 0));
}

#[test]
fn a_refusal_by_the_broker_is_a_failure_with_its_reason() {
    for (code, reason) in [(10, "too large"), (32, "invalid time stamp"), (29, "not authorized")] {
        let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
        let mut sending = Sending::open(&kafka, &["t"], &[("enable.idempotence", "false")]);
        kafka.fail_requests(Api::Produce, &[code]);
        sending.send(0, 0, ["v"]);
        assert_eq!(sending.answers[0].fate, Fate::Failed(reason));
    }
}

#[test]
fn a_broker_that_is_down_fails_what_was_never_sent_and_doubts_what_was() {
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[("message.timeout.ms", "1500"), ("enable.idempotence", "false")]);
    sending.send(0, 0, ["warm"]);
    assert_eq!(sending.answers.pop().map(|a| a.fate), Some(Fate::Acked));
    // Sent, and no answer in time.
    kafka.round_trip_ms(1, 10_000).expect("slow");
    sending.send(0, 0, ["in flight"]);
    assert_eq!(sending.answers.pop().map(|a| a.fate), Some(Fate::Unknown("timed out")));
    kafka.broker_down(1).expect("down");
    sending.send(0, 0, ["never sent"]);
    let fate = sending.answers.pop().map(|a| a.fate);
    assert_eq!(fate, Some(Fate::Failed("timed out")));
}

#[test]
fn giving_up_answers_everything_at_once_and_closing_does_not_hang() {
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[]);
    kafka.broker_down(1).expect("down");
    for tag in 0..100 {
        sending.submit(&plain(0, 0, b"v", tag)).expect("taken");
    }
    let begun = Instant::now();
    sending.sink.flush(Duration::from_millis(200));
    assert!(begun.elapsed() < Duration::from_secs(1), "flush took {:?}", begun.elapsed());
    sending.sink.give_up();
    sending.drain();
    assert_eq!(sending.answers.len(), 100);
    assert!(sending.answers.iter().all(|a| matches!(a.fate, Fate::Failed(_) | Fate::Unknown(_))), "{:?}", sending.answers[0]);
    drop(sending);
    assert!(begun.elapsed() < Duration::from_secs(5), "closing took {:?}", begun.elapsed());
}

#[test]
fn properties_that_contradict_each_other_are_told() {
    let kafka = EmbeddedKafka::start(&[]).expect("embedded");
    for user in [&[("acks", "1"), ("enable.idempotence", "true")][..], &[("no.such.property", "1")], &[("linger.ms", "soon")]] {
        let error = AnyTarget::connect(&endpoint(&kafka), &sink_options(user), PATIENCE).err().expect("refused").to_string();
        let name = user[0].0;
        assert!(error.contains(name) || error.contains("queue.buffering.max.ms"), "{error}");
    }
}

#[test]
fn an_idempotent_client_that_cannot_go_on_says_why() {
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[]);
    // Out of order sequence number, at the first batch: the client cannot know any more what was written.
    kafka.fail_requests(Api::Produce, &[45]);
    sending.submit(&plain(0, 0, b"v", 0)).expect("taken");
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < deadline, "it never said that it is broken");
        if let Err(error) = sending.completions.poll(Duration::from_millis(50), &mut |batch| sending.answers.extend_from_slice(batch)) {
            break error;
        }
    };
    assert!(matches!(&error, BrokerError::Fatal(why) if why.contains("sequence")), "{error}");
    assert_eq!(sending.submit(&plain(0, 0, b"v", 1)), Err(Refusal::Final("client broken")));
}
