//! Recordings whose flaw is known: the part that it is about drops, and no other is blamed.

use std::path::{Path, PathBuf};

use super::of_recordings::of_recordings;
use super::*;
use crate::compare::blocks::Draws;
use crate::testing::{record, stream};
use dejaq_shared::record::{BrokerTime, Headers, Record};
use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::meta::{FiltersV1, SourceV1};
use dejaq_shared::segment::recording_writer::{NewRecording, RecordingWriter, RollPolicy};

const STREAMS: usize = 4;
const FIRST_MS: i64 = 1_700_000_000_000;

/// A record: when, in milliseconds after the first; in which stream; its key and value.
#[derive(Clone)]
struct Message {
    ms: i64,
    stream: usize,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Thirty seconds: each 100 ms a burst of 36 in its first 20 ms, then 4; skewed keys, streams and sizes.
fn bursty() -> Vec<Message> {
    let mut draws = Draws::new(1);
    let slots = (0..300i64).flat_map(|slot| (0..40i64).map(move |n| slot * 100 + if n < 36 { n / 2 } else { 20 + (n - 36) * 20 }));
    let mut message = |ms| {
        let rank = draws.below(1 + draws.clone().below(200));
        Message {
            ms,
            stream: (rank % 7).min(STREAMS - 1),
            key: format!("key-{rank}").into_bytes(),
            value: format!("{ms}-{}", "x".repeat(draws.below(1 + rank))).into_bytes(),
        }
    };
    slots.map(&mut message).collect()
}

/// The same messages, two in each millisecond.
fn even() -> Vec<Message> {
    bursty().into_iter().zip(0..).map(|(message, ix)| Message { ms: ix / 2, ..message }).collect()
}

fn write(dir: &Path, messages: &[Message]) -> PathBuf {
    let source = SourceV1 { broker: "kafka".into(), cluster: "prod".into(), ancestors: Vec::new() };
    let filters = FiltersV1 { topics: vec!["t".into()], replayed: "stop".into(), sampled_one_in: 1 };
    let new = NewRecording { source, filters, isolation: None, roll: RollPolicy::default() };
    let mut writer = RecordingWriter::create(dir, new).expect("new");
    let streams: Vec<_> = (0..4).map(|partition| (stream("t", partition), 0)).collect();
    writer.add_streams(&streams).expect("streams");
    let mut builder = BlockBuilder::new();
    let mut positions = [0; STREAMS];
    for message in messages {
        let ms = FIRST_MS + message.ms;
        builder.push(&Record {
            stream: u32::try_from(message.stream).expect("small"),
            position: positions[message.stream],
            arrival_ns: ms * 1_000_000,
            broker_time: BrokerTime::Create(ms),
            ..record(Some(&message.key), Some(&message.value), Headers::EMPTY)
        });
        positions[message.stream] += 1;
    }
    let mut block = EncodedBlock::default();
    BlockEncoder::new().expect("zstd").encode(&builder, Compression::Zstd(1), &mut block).expect("encoded");
    writer.block(&block).expect("block");
    writer.seal().expect("sealed");
    dir.to_owned()
}

/// How like `base` the messages of `new` are.
fn fidelity(new: &[Message], base: &[Message]) -> Fidelity {
    let tmp = tempfile::tempdir().expect("tmp");
    let [new, base] = [("new", new), ("base", base)].map(|(name, messages)| write(&tmp.path().join(name), messages));
    of_recordings(&new, &base, tmp.path()).expect("readable")
}

/// The parts below 0.97.
fn flawed(fidelity: &Fidelity) -> Vec<&str> {
    fidelity.parts.iter().filter(|p| p.score.is_some_and(|score| score < 0.97)).map(|p| p.name.as_str()).collect()
}

#[test]
fn a_recording_is_like_itself() {
    let found = fidelity(&bursty(), &bursty());
    assert_eq!((found.score, flawed(&found)), (1.0, vec![]), "{found:#?}");
    assert!(found.parts.iter().all(|p| p.score == Some(1.0)), "{found:#?}");
}

#[test]
fn a_few_milliseconds_of_jitter_hardly_matter() {
    let mut draws = Draws::new(5);
    let late: Vec<Message> = even().into_iter().map(|m| Message { ms: m.ms + i64::from(draws.below(4) == 0), ..m }).collect();
    let found = fidelity(&late, &even());
    assert!(found.score > 0.9, "{found:#?}");
}

#[test]
fn shuffled_messages_are_out_of_order_and_nothing_else() {
    let mut shuffled = bursty();
    let mut draws = Draws::new(2);
    for stream in 0..STREAMS {
        let places: Vec<usize> = (0..shuffled.len()).filter(|ix| shuffled[*ix].stream == stream).collect();
        for at in (1..places.len()).rev() {
            let (a, b) = (places[at], places[draws.below(at + 1)]);
            let (key, value) = (shuffled[a].key.clone(), shuffled[a].value.clone());
            (shuffled[a].key, shuffled[a].value) = (shuffled[b].key.clone(), shuffled[b].value.clone());
            (shuffled[b].key, shuffled[b].value) = (key, value);
        }
    }
    let found = fidelity(&shuffled, &bursty());
    assert_eq!((found.lowest.as_str(), flawed(&found)), ("order", vec!["order"]), "{found:#?}");
    assert!((0.4..0.6).contains(&found.score), "half of them follow one that came later: {found:#?}");
}

#[test]
fn a_thinned_recording_lacks_rate() {
    let thinned: Vec<Message> = even().into_iter().step_by(2).collect();
    let found = fidelity(&thinned, &even());
    assert_eq!(found.lowest, "rate", "{found:#?}");
    // |a − b| / (a + b) of 100 and 50 is a third.
    assert!((found.score - 2.0 / 3.0).abs() < 0.01, "{found:#?}");
    assert!(!flawed(&found).contains(&"order") && !flawed(&found).contains(&"stream shares"), "{found:#?}");
}

#[test]
fn a_recording_without_its_bursts_lacks_burstiness() {
    let mut smooth = bursty();
    for (message, ix) in smooth.iter_mut().zip(0..) {
        message.ms = ix * 5 / 2;
    }
    let found = fidelity(&smooth, &bursty());
    assert_eq!(found.lowest, "burstiness", "{found:#?}");
    assert!(found.score < 0.3 && flawed(&found) == ["inter-arrival", "burstiness"], "{found:#?}");
}

#[test]
fn other_sizes_keys_and_streams_are_each_named() {
    let with = |change: fn(usize, &mut Message)| {
        let mut changed = even();
        changed.iter_mut().enumerate().for_each(|(ix, message)| change(ix, message));
        let found = fidelity(&changed, &even());
        let names: Vec<String> = flawed(&found).into_iter().map(str::to_owned).collect();
        (names, found)
    };
    let (names, found) = with(|_, message| message.value.truncate(5));
    assert!(found.lowest == "sizes" && names == ["sizes"], "{found:#?}");
    let (_, found) = with(|ix, message| message.key = format!("key-{}", ix % 90).into_bytes());
    assert_eq!(found.lowest, "key ranks", "{found:#?}");
    assert!(found.parts.iter().any(|p| p.name == "order" && p.score.is_none()) || found.score < 0.97, "{found:#?}");
    let (_, found) = with(|_, message| message.stream = (message.stream + 1) % STREAMS);
    assert_eq!(found.lowest, "stream shares", "{found:#?}");
}

#[test]
fn gaps_that_the_clock_cannot_tell_apart_are_the_same() {
    let gaps = |jitter_ns: u64| {
        let mut timing = timing::Timing::default();
        let mut draws = Draws::new(9);
        (0..2_000u64).for_each(|n| timing.push(n * 20_000_000 + draws.below(usize::try_from(jitter_ns).expect("small") + 1) as u64));
        Shape { timing: timing.summary(), ..Shape::default() }
    };
    let of = |tolerance_ns| {
        let (planned, sent) = (gaps(0), gaps(400_000));
        let sides = Sides {
            names: ["planned", "sent"],
            planned: &planned,
            sent: &sent,
            gap_tolerance_ns: tolerance_ns,
            rate: Apart::default(),
            streams: &[],
            order: OrderKept::default(),
        };
        gaps_score(&judge(&sides))
    };
    assert!(of(1_000_000) > 0.999, "within a millisecond");
    assert!(of(100_000) < 0.8, "but not within a tenth of one");
}

fn gaps_score(fidelity: &Fidelity) -> f64 {
    fidelity.parts.iter().find(|p| p.name == "inter-arrival").and_then(|p| p.score).expect("judged")
}
