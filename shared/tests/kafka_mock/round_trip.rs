//! What goes in comes out: bytes, nulls, headers, time stamps, order.

use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use dejaq_shared::broker::mark::Mark;
use dejaq_shared::broker::sink::{Fate, Outgoing, Refusal};
use dejaq_shared::record::{BrokerTime, Headers, HeadersBuf, MARK_HEADER};
use proptest::prelude::*;

use crate::common::{Reading, Sending, plain};

type Header = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Clone)]
struct Message {
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
    timestamp_ms: Option<i64>,
}

/// Sends all, reads all, and gives what was read in the order of sending within each partition.
fn there_and_back(messages: &[Message]) -> Vec<Vec<crate::common::Owned>> {
    let kafka = EmbeddedKafka::start(&[("t", 3)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[]);
    let mut headers = HeadersBuf::default();
    for (tag, m) in messages.iter().enumerate() {
        headers.clear();
        m.headers.iter().for_each(|(name, value)| headers.push(name, value.as_deref()));
        let out = Outgoing {
            target: 0,
            partition: m.partition,
            key: m.key.as_deref(),
            value: m.value.as_deref(),
            headers: headers.as_headers(),
            timestamp_ms: m.timestamp_ms,
            tag,
            ..Outgoing::EMPTY
        };
        sending.submit(&out).expect("taken");
    }
    sending.drain();
    let mut tags: Vec<usize> = sending.answers.iter().map(|a| a.tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..messages.len()).collect::<Vec<_>>(), "every tag comes back once");
    assert!(sending.answers.iter().all(|a| a.fate == Fate::Acked));
    let mut reading = Reading::connect(&kafka);
    for partition in 0..3i32 {
        reading.start(partition.cast_unsigned(), "t", partition, 0);
    }
    reading.until("all records", |seen| seen.records.len() >= messages.len());
    (0..3).map(|p| reading.seen.records.iter().filter(|r| r.stream == p).cloned().collect()).collect()
}

fn assert_equal(messages: &[Message]) {
    for (partition, read) in there_and_back(messages).iter().enumerate() {
        let sent: Vec<_> = messages.iter().filter(|m| usize::try_from(m.partition) == Ok(partition)).collect();
        assert_eq!(read.len(), sent.len());
        for (position, (got, sent)) in read.iter().zip(sent).enumerate() {
            assert_eq!(usize::try_from(got.position), Ok(position), "offsets follow the order of sending");
            assert_eq!((&got.key, &got.value, &got.headers), (&sent.key, &sent.value, &sent.headers));
            assert_eq!(got.arrival_ns, 42);
            match (got.broker_time, sent.timestamp_ms) {
                // The client reads back -1 as "none".
                (BrokerTime::None, Some(-1)) => {}
                (BrokerTime::Create(raw), Some(sent)) => assert_eq!(raw, sent),
                (BrokerTime::Create(raw), None) => assert!(raw > 1_700_000_000_000, "now, not {raw}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn null_and_empty_stay_what_they_are() {
    let kinds = [None, Some(Vec::new()), Some(b"bytes".to_vec())];
    let mut messages = Vec::new();
    for key in &kinds {
        for value in &kinds {
            for header in &kinds {
                let headers = vec![(b"h".to_vec(), header.clone()), (Vec::new(), header.clone())];
                for headers in [Vec::new(), headers] {
                    messages.push(Message {
                        partition: 1,
                        key: key.clone(),
                        value: value.clone(),
                        headers,
                        timestamp_ms: Some(1_700_000_000_000),
                    });
                }
            }
        }
    }
    assert_equal(&messages);
}

#[test]
fn header_names_are_bytes_and_may_repeat() {
    let headers = vec![
        (b"\xff\xfe".to_vec(), Some(b"not UTF-8".to_vec())),
        (b"same".to_vec(), Some(b"1".to_vec())),
        (b"same".to_vec(), None),
        (b"same".to_vec(), Some(b"1".to_vec())),
        (b"".to_vec(), Some(b"\x00\xff".to_vec())),
    ];
    assert_equal(&[Message { partition: 0, key: None, value: Some(b"v".to_vec()), headers, timestamp_ms: Some(-5) }]);
}

#[test]
fn a_nul_in_a_header_name_is_kept_but_where_the_value_is_null() {
    let named = |name: &[u8], value: Option<&[u8]>| (name.to_vec(), value.map(<[u8]>::to_vec));
    let headers = vec![named(b"a\0b", Some(b"v")), named(b"\0", Some(b"")), named(b"a\0\0", Some(b"\0")), named(b"a\0b", None)];
    let message = Message { partition: 0, key: None, value: None, headers: headers.clone(), timestamp_ms: None };
    // The C API tells nothing of the length of the last one's name.
    let expected = [&headers[..3], &[named(b"a", None)]].concat();
    assert_eq!(there_and_back(&[message])[0][0].headers, expected);
}

#[test]
fn the_mark_is_the_last_header_and_is_seen() {
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[]);
    let mark = Mark { run: "r1".to_owned(), clusters: vec!["prod".to_owned()] };
    let encoded = mark.encode();
    let mut headers = HeadersBuf::default();
    headers.push(b"own", None);
    let marked = Outgoing { headers: headers.as_headers(), mark: Some(&encoded), ..plain(0, 0, b"v", 0) };
    sending.submit(&marked).expect("taken");
    sending.submit(&plain(0, 0, b"v", 1)).expect("taken");
    sending.drain();
    let mut reading = Reading::connect(&kafka);
    reading.start(0, "t", 0, 0);
    reading.until("both", |seen| seen.records.len() == 2);
    let first = &reading.seen.records[0];
    assert_eq!(first.headers[0], (b"own".to_vec(), None));
    assert_eq!(first.headers[1].0, MARK_HEADER);
    assert_eq!(first.headers[1].1.as_deref().and_then(Mark::decode), Some(mark));
    assert!(first.replayed && !reading.seen.records[1].replayed);
}

#[test]
fn a_time_stamp_that_the_client_would_change_is_refused() {
    let kafka = EmbeddedKafka::start(&[("t", 1)]).expect("embedded");
    let mut sending = Sending::open(&kafka, &["t"], &[]);
    let zero = Outgoing { timestamp_ms: Some(0), headers: Headers::EMPTY, ..plain(0, 0, b"v", 0) };
    assert_eq!(sending.submit(&zero), Err(Refusal::Final("time stamp 0")));
}

fn bytes(max: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..max))
}

/// A header whose name can be read back: without a NUL where the value is null.
fn header() -> impl Strategy<Value = Header> {
    (prop::collection::vec(prop_oneof![1 => Just(0u8), 9 => any::<u8>()], 0..12), bytes(20)).prop_map(|(mut name, value)| {
        name.retain(|byte| *byte != 0 || value.is_some());
        (name, value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn any_messages_come_back_in_order(messages in prop::collection::vec(
        (0..3i32, bytes(40), bytes(300), prop::collection::vec(header(), 0..6),
         prop::option::of(prop_oneof![1..4_102_444_800_000i64, -1_000_000..-1i64])), 1..80)
    ) {
        let messages: Vec<_> = messages.into_iter()
            .map(|(partition, key, value, headers, timestamp_ms)| Message { partition, key, value, headers, timestamp_ms }).collect();
        assert_equal(&messages);
    }
}
