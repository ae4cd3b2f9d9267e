//! Expansion: what a rule costs, by format, on one core; and what it costs a whole replay.
//!
//! Each format's payload is a fixed one of a realistic size. *Ours* is the whole transform of a replay: parse, choose a value,
//! write. Beside it stands the same payload only parsed, so that the difference is what the rule and the writing take. The
//! replay sends DogStatsD messages of 200 bytes with `--max`, with and without a rule that makes ten times as many hosts.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use dejaq_replay::transform::expansion::{Expansion, Horizon};
use dejaq_replay::transform::formats::{FormatKind, Parsed, Wanted, open};
use dejaq_replay::transform::rules::Rules;
use dejaq_replay::transform::{Occasion, Transform};
use dejaq_shared::record::{Lane, Record, Stream};

use crate::segments::in_turn;
use crate::table::{Row, Target};

/// Bytes of payloads in one measurement.
const MEASURED_BYTES: usize = 32 << 20;
/// Different values that the rule shows.
const DISTINCT: u64 = 10_000;
/// Hosts in the messages of the replay.
const HOSTS: u32 = 100;

/// Measures every format.
///
/// # Errors
/// A defect: a payload that its format refuses.
pub(crate) fn measure(rounds: usize, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    for (kind, payload) in payloads() {
        let what = format!("expand {}: {} bytes", kind.name(), payload.len());
        let mut row = Row::new(what, "the same, only parsed", "records/s, one core", Target::None);
        let count = (MEASURED_BYTES / payload.len()).max(1);
        for round in 0..=rounds {
            let (mut ours, mut theirs) = (0.0, 0.0);
            for ours_now in in_turn(round) {
                if ours_now {
                    ours = rewritten(kind, &payload, count)?;
                } else {
                    theirs = parsed(kind, &payload, count)?;
                }
            }
            if round > 0 {
                row.pairs.push((ours, theirs));
            }
        }
        rows.push(row);
    }
    Ok(())
}

fn parsed(kind: FormatKind, payload: &[u8], count: usize) -> anyhow::Result<f64> {
    let mut format = open(kind, &wanted(kind))?;
    let mut parsed = Parsed::default();
    let began = Instant::now();
    for _ in 0..count {
        format.parse(std::hint::black_box(payload), &mut parsed)?;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

fn rewritten(kind: FormatKind, payload: &[u8], count: usize) -> anyhow::Result<f64> {
    let text = format!("[[expand]]\nstreams = \"*\"\nformat = \"{}\"\ntag = \"{}\"\ndistinct = {DISTINCT}\n", kind.name(), tag(kind));
    let stream = Stream { cluster: "bench".into(), lane: Lane::Kafka { topic: "bench".into(), topic_id: None, partition: 0 } };
    let bound = Arc::new(Rules::from_toml(&text)?.bind(&[stream], &[None])?);
    let record = Record { value: Some(payload), ..Record::EMPTY };
    let mut counting = Transform::counting(Arc::clone(&bound));
    for _ in 0..count {
        counting.apply(&record, Occasion::default());
    }
    let horizon = Horizon { ns: 1, repeats: false };
    let expansion = Arc::new(Expansion::new(bound, &counting.counted(), horizon, 1)?);
    ensure!(expansion.reach().iter().all(|r| r.occurrences > 0), "{}: the rule finds nothing", kind.name());
    let mut rewriting = Transform::rewriting(expansion, None);
    let began = Instant::now();
    for _ in 0..count {
        std::hint::black_box(rewriting.apply(std::hint::black_box(&record), Occasion::default()));
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

fn tag(kind: FormatKind) -> &'static str {
    if kind == FormatKind::Json { "$.host" } else { "host" }
}

fn wanted(kind: FormatKind) -> Wanted {
    Wanted { tags: Some(vec![tag(kind).to_owned()]), ..Wanted::default() }
}

/// A payload of each format that is about the value.
fn payloads() -> Vec<(FormatKind, Vec<u8>)> {
    let text = |kind, text: String| (kind, text.into_bytes());
    let lines = |line: &dyn Fn(usize) -> String| (0..10).map(line).collect::<Vec<_>>().join("\n");
    vec![
        text(
            FormatKind::Json,
            r#"{"ts":1700000000.123,"level":"info","host":"web-001","msg":"request served","path":"/cart/items","status":200,"ms":12.5,"user":{"id":4711,"plan":"free"}}"#.into(),
        ),
        text(FormatKind::DogStatsd, "http.requests:1|c|#host:web-001,endpoint:/cart,status:200,env:prod,region:eu-west-1".into()),
        text(
            FormatKind::Influx,
            "cpu,host=web-001,region=eu-west,cpu=cpu0 usage_user=12.5,usage_system=3i,state=\"up\" 1700000000000000000".into(),
        ),
        text(FormatKind::Graphite, "cpu.load;host=web-001;region=eu-west 12.5 1700000000".into()),
        text(FormatKind::PrometheusText, lines(&|n| format!("http_requests_total{{host=\"web-001\",code=\"{n}00\",method=\"get\"}} {n}")) + "\n"),
        (FormatKind::PrometheusRemoteWrite, remote_write()),
        (FormatKind::OtlpProtobuf, otlp()),
        text(FormatKind::OtlpJson, otlp_json()),
    ]
}

/// A field of bytes in protobuf; all lengths here are below 2¹⁴.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let [low, high] = [bytes.len() & 127, bytes.len() >> 7].map(|half| u8::try_from(half).unwrap_or(u8::MAX));
    out.extend(if high > 0 { vec![low | 128, high] } else { vec![low] });
    out.extend_from_slice(bytes);
    out
}

/// A hundred series with a value each, not compressed.
fn remote_write() -> Vec<u8> {
    let label = |name: &str, value: &str| field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let series = |n: u32| {
        let labels =
            [label("__name__", "http_requests_total"), label("code", &n.to_string()), label("host", "web-001"), label("job", "api")];
        // A value of 1.0 at a time in milliseconds.
        let sample = [&[9][..], &1.0f64.to_le_bytes(), &[16, 128, 208, 149, 255, 188, 49]].concat();
        field(1, &[labels.concat(), field(2, &sample)].concat())
    };
    (0..100).flat_map(series).collect()
}

/// Ten data points with attributes of their own, of one host.
fn otlp() -> Vec<u8> {
    let attribute =
        |number, name: &str, value: &str| field(number, &[field(1, name.as_bytes()), field(2, &field(1, value.as_bytes()))].concat());
    let point = |n: u32| {
        let time = [&[25][..], &1_700_000_000_000_000_000u64.to_le_bytes()].concat();
        field(1, &[attribute(7, "core", &n.to_string()), attribute(7, "host", "web-001"), time].concat())
    };
    let points: Vec<u8> = (0..10).flat_map(point).collect();
    let metric = [field(1, b"cpu.load"), field(5, &points)].concat();
    field(1, &[field(1, &attribute(1, "service", "api")), field(2, &field(2, &metric))].concat())
}

fn otlp_json() -> String {
    let attribute = |name: &str, value: &str| format!("{{\"key\":\"{name}\",\"value\":{{\"stringValue\":\"{value}\"}}}}");
    let point = |n: u32| {
        let (core, host) = (attribute("core", &n.to_string()), attribute("host", "web-001"));
        format!("{{\"timeUnixNano\":\"1700000000000000000\",\"asDouble\":1,\"attributes\":[{core},{host}]}}")
    };
    let points: Vec<String> = (0..10).map(point).collect();
    format!(
        "{{\"resourceMetrics\":[{{\"resource\":{{\"attributes\":[{}]}},\"scopeMetrics\":[{{\"metrics\":[{{\"name\":\"cpu.load\",\"gauge\":{{\"dataPoints\":[{}]}}}}]}}]}}]}}",
        attribute("service", "api"),
        points.join(",")
    )
}

/// Writes what the replay is of (NDJSON for `dejaq import`) and the rule.
///
/// # Errors
/// I/O.
pub(crate) fn write_replayed(lines: &Path, rule: &Path, topic: &str, partitions: u32, messages: u64) -> anyhow::Result<()> {
    let mut text = String::new();
    for n in 0..messages {
        let host = n * 2_654_435_761 % u64::from(HOSTS);
        let mut value = format!("http.requests:{}|c|#host:web-{host:03},endpoint:/cart,status:200,env:prod", n % 1_000);
        while value.len() < 200 {
            let _ = write!(value, ",t{}:v{}", value.len(), n % 7);
        }
        let (partition, position, ms) = (n % u64::from(partitions), n / u64::from(partitions), 1_700_000_000_000 + n / 100);
        let _ = writeln!(
            text,
            r#"{{"broker":"kafka","cluster":"bench","topic":"{topic}","partition":{partition},"position":{position},"broker_ts":{ms},"broker_ts_kind":"create","arrival_ns":{ms}000000,"value":{{"utf8":"{value}"}}}}"#
        );
    }
    std::fs::write(lines, text).with_context(|| format!("writing {}", lines.display()))?;
    let rules = format!("[[expand]]\nstreams = \"*\"\nformat = \"dogstatsd\"\ntag = \"host\"\ndistinct = {}\n", HOSTS * 10);
    std::fs::write(rule, rules).with_context(|| format!("writing {}", rule.display()))
}
