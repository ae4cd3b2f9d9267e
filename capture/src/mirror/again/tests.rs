use dejaq_shared::amqp::{Basic, Properties};

use super::*;

fn properties(id: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Basic { message_id: id, ..Basic::default() }.write(&mut bytes).expect("short");
    bytes
}

fn record<'a>(properties: &'a [u8], body: &'a [u8], flags: RecordFlags) -> Record<'a> {
    Record { value: Some(body), routing_key: Some(b"k"), properties: Properties::from_checked(properties), flags, ..Record::EMPTY }
}

fn receipt(link: u32, generation: u32, tag: u64) -> Receipt {
    Receipt { link, generation, tag }
}

const AGAIN: RecordFlags = RecordFlags::REDELIVERED;

#[test]
fn each_expected_message_is_good_for_one() {
    let (named, nameless) = (properties(Some(b"1")), properties(None));
    let mut again = Again::default();
    let (a, b) = (record(&named, b"x", AGAIN), record(&nameless, b"x", AGAIN));
    let (ha, hb) = (again.hash(0, &a), again.hash(0, &b));
    again.expect(ha);
    again.expect(hb);
    again.expect(hb);
    let at = receipt(0, 0, 1);
    assert_eq!(again.judge(at, &a, ha), Known::Proven);
    assert_eq!(again.judge(at, &a, ha), Known::New);
    assert_eq!([again.judge(at, &b, hb), again.judge(at, &b, hb), again.judge(at, &b, hb)], [Known::Perhaps, Known::Perhaps, Known::New]);
}

#[test]
fn what_the_broker_does_not_call_redelivered_is_new_and_takes_nothing_away() {
    let named = properties(Some(b"1"));
    let mut again = Again::default();
    let (first, second) = (record(&named, b"x", RecordFlags::default()), record(&named, b"x", AGAIN));
    let hash = again.hash(0, &first);
    again.expect(hash);
    assert_eq!(again.judge(receipt(0, 0, 1), &first, hash), Known::New);
    assert_eq!(again.judge(receipt(0, 0, 2), &second, hash), Known::Proven);
}

#[test]
fn every_part_of_a_message_counts() {
    let (one, two, empty) = (properties(Some(b"1")), properties(Some(b"2")), properties(Some(b"")));
    let again = Again::default();
    let hash = |stream, record: &Record<'_>| again.hash(stream, record);
    let base = record(&one, b"x", AGAIN);
    let others = [
        hash(1, &base),
        hash(0, &record(&two, b"x", AGAIN)),
        hash(0, &record(&one, b"y", AGAIN)),
        hash(0, &Record { routing_key: Some(b"l"), ..base }),
        hash(0, &Record { routing_key: Some(b"kx"), value: Some(b""), ..base }),
    ];
    assert!(others.iter().all(|other| *other != hash(0, &base)));
    assert_eq!(hash(0, &Record { arrival_ns: 9, position: 9, flags: RecordFlags::default(), ..base }), hash(0, &base));
    let mut again = Again::default();
    let nobody = record(&empty, b"x", AGAIN);
    let hash = again.hash(0, &nobody);
    again.expect(hash);
    assert_eq!(again.judge(receipt(0, 0, 1), &nobody, hash), Known::Perhaps, "an empty id names nothing");
}

#[test]
fn only_what_was_not_acknowledged_on_a_link_is_expected_on_its_next_connection() {
    let named = properties(Some(b"1"));
    let mut again = Again::default();
    let bodies: [&[u8]; 3] = [b"acknowledged", b"not", b"on another link"];
    let records = bodies.map(|body| record(&named, body, AGAIN));
    let hashes = [again.hash(0, &records[0]), again.hash(0, &records[1]), again.hash(0, &records[2])];
    for (record, hash, at) in [(&records[0], hashes[0], receipt(0, 1, 1)), (&records[1], hashes[1], receipt(0, 1, 2))] {
        assert_eq!(again.judge(at, record, hash), Known::New);
        again.note(at, hash);
    }
    assert_eq!(again.judge(receipt(5, 1, 1), &records[2], hashes[2]), Known::New);
    again.note(receipt(5, 1, 1), hashes[2]);
    again.acknowledged(receipt(0, 1, 1));
    again.acknowledged(receipt(0, 0, 9));
    let at = receipt(0, 2, 1);
    assert_eq!([0, 1, 2].map(|n| again.judge(at, &records[n], hashes[n])), [Known::New, Known::Proven, Known::New]);
}

#[test]
fn memory_is_bounded_and_the_newest_are_kept() {
    let mut again = Again::default();
    let many = EXPECTED_MAX as u64 * 3;
    for hash in 0..many {
        again.expect(hash);
        assert!(again.expected.len() <= EXPECTED_MAX);
    }
    assert!((many - WINDOW..many).all(|hash| again.expected.contains_key(&hash)));
}
