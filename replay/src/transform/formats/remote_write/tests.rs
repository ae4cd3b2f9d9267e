use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::transform::formats::rewrite::testing::{edited, said, withstands};

// The other end: Prometheus' messages, by the library that everyone uses. `later` stands for fields of a time to come.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Metadata>,
    #[prost(string, tag = "77")]
    later: String,
}
#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    family: String,
}
#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Value>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
    #[prost(sint64, repeated, tag = "2000")]
    later: Vec<i64>,
}
#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(fixed32, tag = "9")]
    later: u32,
}
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}
#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Pair>,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint64, repeated, tag = "9")]
    deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    timestamp: i64,
}

fn pair(name: &str, value: &str) -> Pair {
    Pair { name: name.into(), value: value.into(), later: 0 }
}

fn series(labels: &[(&str, &str)], timestamp: i64) -> Series {
    let labels = labels.iter().map(|(name, value)| pair(name, value)).collect();
    Series { labels, samples: vec![Value { value: 1.5, timestamp }], ..Series::default() }
}

fn request() -> Request {
    let up = series(&[("__name__", "up"), ("host", "web-1"), ("job", "node")], 1_700_000_000_123);
    let load = series(&[("__name__", "load"), ("empty", ""), ("host", "web-2")], 1_700_000_000_456);
    let metadata = vec![Metadata { kind: 2, family: "up".into() }];
    Request { series: vec![up, load], metadata, later: "x".into() }
}

fn pack(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).expect("small")
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(packed).expect("snappy")
}

fn decode(packed: bool, payload: &[u8]) -> Request {
    if packed { Request::decode(&*unpack(payload)) } else { Request::decode(payload) }.expect("a request")
}

#[test]
fn series_are_samples_and_the_name_is_no_tag() {
    let plain = request().encode_to_vec();
    for payload in [plain.clone(), pack(&plain)] {
        let found = said(&mut RemoteWrite::default(), &payload).expect("a request");
        assert_eq!(found, ["up host=web-1 job=node", "load empty= host=web-2"]);
    }
}

#[test]
fn an_empty_label_that_is_not_even_written_takes_a_value() {
    let new = edited(&mut RemoteWrite::default(), &request().encode_to_vec(), |parsed, edits| {
        let (empty, _) = parsed.find(&parsed.samples[1], b"empty").expect("it is there");
        edits.replace(empty, b"no longer");
        // It goes to the very place where the value ends that was put in.
        edits.add(1, b"f", b"behind");
    });
    let mut expected = request();
    expected.series[1].labels[1].value = "no longer".into();
    expected.series[1].labels.insert(2, pair("f", "behind"));
    assert_eq!(decode(false, &new.expect("written")), expected);
}

#[test]
fn what_a_label_cannot_say_is_refused() {
    let plain = request().encode_to_vec();
    let refused = |choose: fn(&mut Edits)| edited(&mut RemoteWrite::default(), &plain, |_, edits| choose(edits)).expect_err("refused").what;
    assert_eq!(refused(|e| e.replace(0, b"")), "a label cannot have an empty name or value");
    assert_eq!(refused(|e| e.replace(0, b"\xff")), "a new name or value is not UTF-8");
    assert_eq!(refused(|e| e.add(0, b"host", b"x")), "a new label has the name of one that is there");
    assert_eq!(refused(|e| e.add(0, b"__name__", b"x")), "a new label has the name of the metric's label");
    let twice: fn(&mut Edits) = |e| {
        e.add(0, b"b", b"1");
        e.add(0, b"b", b"2");
    };
    assert_eq!(refused(twice), "two new labels have one name");
    assert_eq!(refused(|e| e.shift(-1_800_000_000_000_000_000)), "a time stamp would move beyond 1970 or 2262");
    assert_eq!(refused(|e| e.shift(i64::MAX)), "a time stamp would move beyond 1970 or 2262");
}

#[test]
fn lengths_written_longer_than_needed_stay_where_they_need_not_change() {
    // A series of one label a=b; all lengths take two bytes.
    let plain = [0x0a, 0x8a, 0x00, 0x0a, 0x87, 0x00, 0x0a, 0x01, b'a', 0x12, 0x81, 0x00, b'b'];
    let new = |value: &[u8]| edited(&mut RemoteWrite::default(), &plain, |_, edits| edits.replace(0, value)).expect("written");
    assert_eq!(new(b"c"), [0x0a, 0x8a, 0x00, 0x0a, 0x87, 0x00, 0x0a, 0x01, b'a', 0x12, 0x81, 0x00, b'c']);
    let longer = [0x0a, 0x0c, 0x0a, 0x0a, 0x0a, 0x01, b'a', 0x12, 0x05, b'c', b'd', b'e', b'f', b'g'];
    assert_eq!(new(b"cdefg"), longer, "set right, in the shortest way");
}

#[test]
fn of_a_field_that_stands_twice_the_last_counts() {
    let plain = [0x0a, 11, 0x0a, 9, 0x0a, 1, b'a', 0x12, 1, b'b', 0x12, 1, b'c'];
    assert_eq!(said(&mut RemoteWrite::default(), &plain).expect("a request"), [" a=c"]);
    let new = edited(&mut RemoteWrite::default(), &plain, |_, edits| edits.replace(0, b"new")).expect("written");
    assert_eq!(decode(false, &new).series[0].labels, [pair("a", "new")]);
}

#[test]
fn bombs_and_what_is_no_snappy_are_refused_before_there_is_memory_for_them() {
    let refused = |payload: &[u8]| said(&mut RemoteWrite::default(), payload).expect_err("refused").what;
    assert_eq!(refused(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]), "it claims to unpack to more than 32 MiB");
    assert_eq!(refused(&[0x80, 0x80, 0x80, 0x08, 0x00]), "it claims to unpack to more than its bytes can hold");
    assert_eq!(refused(b"\xff\x06\x00\x00sNaPpYxxxx"), "snappy's framing format; remote write has its block format");
    // A real bomb: 40 MiB of zeros in 2 MiB.
    let bomb = pack(&vec![0; 40 << 20]);
    assert_eq!(refused(&bomb), "it claims to unpack to more than 32 MiB");
    let mut behind = pack(&request().encode_to_vec());
    behind.extend_from_slice(b"\x00x");
    assert_eq!(refused(&behind), "snappy data that is damaged, cut off, or has more behind it");
    assert_eq!(refused(&pack(&[0x22, 1, b'a', 0x2a, 0])), "remote write 2.0 it seems; only 1.0 is understood");
    refused(b"{\"a\": 1}");
    refused(b"host:1|c|#a:b");
}

#[test]
fn the_densest_that_snappy_can_be_is_within_its_bound() {
    let request = Request { later: "x".repeat(1 << 20), ..request() };
    let packed = pack(&request.encode_to_vec());
    assert!(packed.len() < (1 << 20) / 20, "{}", packed.len());
    assert_eq!(said(&mut RemoteWrite::default(), &packed).expect("a request").len(), 2);
}

#[test]
fn a_cut_payload_is_malformed_unless_it_is_cut_between_fields() {
    let plain = request().encode_to_vec();
    let mut boundaries = vec![0];
    let mut fields = Fields::new(&plain, 0..plain.len());
    while let Some(field) = fields.next().expect("fields") {
        boundaries.push(field.end);
    }
    let packed = pack(&plain);
    for cut in 0..plain.len() {
        assert_eq!(said(&mut RemoteWrite::default(), &plain[..cut]).is_ok(), boundaries.contains(&cut), "cut at {cut}");
    }
    for cut in 1..packed.len() {
        said(&mut RemoteWrite::default(), &packed[..cut]).expect_err("cut");
    }
}

fn stamp_ms() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1_000_000_000_000..2_000_000_000_000i64, Just(i64::MAX), 100_000_000..200_000_000i64]
}

fn any_series() -> impl Strategy<Value = Series> {
    let labels = prop::collection::btree_map("[a-zA-Z_]{1,6}", (".{0,9}|.{100,140}", 0..2u32), 0..6);
    let samples = prop::collection::vec((any::<u32>(), stamp_ms()), 0..3);
    let exemplars = prop::collection::vec(("[a-z]{1,4}", stamp_ms()), 0..2);
    let histograms = prop::collection::vec((prop::collection::vec(any::<i64>(), 0..4), stamp_ms()), 0..2);
    let later = prop::collection::vec(any::<i64>(), 0..3);
    (labels, samples, exemplars, histograms, later).prop_map(|(labels, samples, exemplars, histograms, later)| Series {
        labels: labels.into_iter().map(|(name, (value, later))| Pair { name, value, later }).collect(),
        samples: samples.into_iter().map(|(value, timestamp)| Value { value: f64::from(value), timestamp }).collect(),
        exemplars: exemplars.into_iter().map(|(l, timestamp)| Exemplar { labels: vec![pair(&l, "v")], timestamp }).collect(),
        histograms: histograms.into_iter().map(|(deltas, timestamp)| Histogram { sum: 0.5, deltas, timestamp }).collect(),
        later,
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    (prop::collection::vec(any_series(), 1..5), "[a-z]{0,5}").prop_map(|(series, later)| {
        let metadata = vec![Metadata { kind: 1, family: later.clone() }];
        Request { series, metadata, later }
    })
}

/// Moves a stamp as the format promises to.
fn move_stamp(timestamp: &mut i64, shift_ms: i64) {
    if *timestamp != 0 && *timestamp != i64::MAX {
        *timestamp += shift_ms;
    }
}

proptest! {
    #[test]
    fn only_what_is_meant_changes(
        request in any_request(),
        packed: bool,
        chosen in prop::collection::vec(prop::option::of("[ -~]{1,20}|.{100,200}"), 32),
        adds in prop::collection::btree_map("[a-zA-Z_.]{7,9}", "[a-z]{1,5}", 0..4),
        shift_ms in -90_000_000..90_000_000i64,
    ) {
        let mut format = RemoteWrite::default();
        let plain = request.encode_to_vec();
        let payload = if packed { pack(&plain) } else { plain };
        prop_assert_eq!(edited(&mut format, &payload, |_, _| {}).expect("no edit"), payload.clone());
        let last = request.series.len() - 1;
        let new = edited(&mut format, &payload, |parsed, edits| {
            for (tag, value) in (0..).zip(&chosen).take(parsed.tags.len()) {
                if let Some(value) = value { edits.replace(tag, value.as_bytes()); }
            }
            // The greatest first: whoever writes them has to sort.
            for (name, value) in adds.iter().rev() { edits.add(u32::try_from(last).expect("few"), name.as_bytes(), value.as_bytes()); }
            edits.shift(shift_ms * NS_PER_MS + 999_999);
        }).expect("written");
        let had_empty = request.series.iter().flat_map(|s| &s.labels).any(|l| l.value.is_empty());
        let mut expected = request;
        let tags = expected.series.iter_mut().flat_map(|s| &mut s.labels).filter(|l| l.name != "__name__");
        for (label, value) in tags.zip(&chosen) {
            if let Some(value) = value { label.value.clone_from(value); }
        }
        let labels = &mut expected.series[last].labels;
        labels.extend(adds.iter().map(|(name, value)| pair(name, value)));
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        for series in &mut expected.series {
            series.samples.iter_mut().for_each(|s| move_stamp(&mut s.timestamp, shift_ms));
            series.exemplars.iter_mut().for_each(|e| move_stamp(&mut e.timestamp, shift_ms));
            series.histograms.iter_mut().for_each(|h| move_stamp(&mut h.timestamp, shift_ms));
        }
        let found = decode(packed, &new);
        prop_assert_eq!(&found, &expected);
        // Nothing but the fields that changed was written in another way, since prost would write it so as well; but for a
        // value that was not written at all, which goes to the end of its label.
        if !packed && !had_empty { prop_assert_eq!(new, expected.encode_to_vec()); }
        for series in &found.series {
            let unique: BTreeMap<_, _> = series.labels.iter().map(|l| (&l.name, ())).collect();
            prop_assert!(unique.len() == series.labels.len() && series.labels.is_sorted_by_key(|l| &l.name));
        }
    }

    #[test]
    fn damage_does_no_harm(request in any_request(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut plain = request.encode_to_vec();
        let at = at.index(plain.len());
        plain[at] = byte;
        withstands(&mut RemoteWrite::default(), &plain);
        let mut packed = pack(&plain);
        withstands(&mut RemoteWrite::default(), &packed);
        let at = cut.index(packed.len());
        packed[at] = byte;
        withstands(&mut RemoteWrite::default(), &packed);
        withstands(&mut RemoteWrite::default(), &packed[..at]);
    }
}

#[test]
fn a_label_without_a_value_keeps_it_when_nothing_changes() {
    // A label "a" that has no value field; found by fuzzing.
    let payload = b"\x0a\x05\x0a\x03\x0a\x01a";
    let (mut format, mut parsed, mut edits, mut out) = (RemoteWrite::default(), Parsed::default(), Edits::default(), Vec::new());
    format.parse(payload, &mut parsed).expect("a request");
    edits.replace(0, b"");
    format.write(payload, &parsed, &edits, &mut out).expect("nothing changes");
    assert_eq!(out, payload);
}
