//! The Kafka rows: `dejaq capture` and `dejaq replay` against `rdkafka_performance`, whole processes, real brokers.
//!
//! - Both read one topic that was filled once, and both publish into new topics of the same cluster.
//! - Consuming: the peer counts from its first message to its last, and throws them away. Ours counts from its first
//!   message to the end of the sealed, synced recording. The peer keeps its own good settings (`queued.min.messages` of a
//!   million, no CRC check); ours are the capture's defaults (bounded memory, CRC check).
//! - Publishing: the same properties on both sides ([`SHARED_PROPERTIES`]). The peer sends one constant payload of the same
//!   mean size from one place in memory, without copying it; nothing is compressed, so that this changes nothing for the
//!   broker. Its rate is from the first send to the last answer, as ours is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use dejaq_shared::segment::block_read::{Block, Wanted};
use dejaq_shared::segment::reader::BlockReader;
use dejaq_shared::segment::recording::Recording;

use crate::expansion::write_replayed;
use crate::payloads::Payloads;
use crate::process::{Used, run};
use crate::segments::in_turn;
use crate::table::{Row, Target};
use crate::topics::Cluster;

/// What both publishers are told.
const SHARED_PROPERTIES: &[&str] = &[
    "linger.ms=50",
    "acks=all",
    "enable.idempotence=true",
    "compression.codec=none",
    "batch.num.messages=10000",
    "batch.size=1000000",
    "queue.buffering.max.messages=400000",
    "queue.buffering.max.kbytes=98304",
];
const PARTITIONS: i32 = 4;
/// Longer than any sound measurement: a program that hangs ends the bench.
const LIMIT: Duration = Duration::from_secs(300);

/// Programs, clusters and sizes.
#[derive(clap::Args)]
pub(crate) struct Setup {
    /// The `dejaq` to measure
    #[arg(long, value_name = "PROGRAM")]
    dejaq: PathBuf,
    /// `rdkafka_performance`
    #[arg(long, value_name = "PROGRAM")]
    peer: PathBuf,
    /// The cluster that is read
    #[arg(long, value_name = "HOST:PORT")]
    prod: String,
    /// The cluster that is written to
    #[arg(long, value_name = "HOST:PORT")]
    staging: String,
    /// Messages in the topic that both read
    #[arg(long, value_name = "N", default_value_t = 3_000_000)]
    messages: u64,
    /// Messages that both publish in each round
    #[arg(long, value_name = "N", default_value_t = 1_500_000)]
    replayed: u64,
    /// Where recordings are written
    #[arg(long, value_name = "DIR")]
    scratch: PathBuf,
}

/// One measurement of a side.
struct Measured {
    per_s: f64,
    cpu_per_million: f64,
    memory_max: u64,
    bytes_stored: u64,
}

/// Measures capture at three compressions, and replay.
///
/// # Errors
/// When a cluster, a program or a recording fails.
pub(crate) fn measure(setup: &Setup, payloads: &Payloads, rounds: usize, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let topic = format!("bench-{}", std::process::id());
    let prod = Cluster::at(&setup.prod)?;
    prod.create(&topic, PARTITIONS)?;
    prod.fill(&topic, PARTITIONS, payloads, setup.messages)?;
    let done = captures(setup, &topic, payloads, rounds, rows)
        .and_then(|()| replays(setup, &topic, payloads, rounds, rows))
        .and_then(|()| expanded(setup, &topic, rounds, rows));
    done.and(prod.delete(&topic))
}

fn captures(setup: &Setup, topic: &str, payloads: &Payloads, rounds: usize, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let levels = [("3", "zstd 3", 0.7), ("1", "zstd 1", 0.85), ("none", "uncompressed", 0.9)];
    let peer = "rdkafka_performance -C";
    let mut rates: Vec<Row> = Vec::new();
    let mut cpu: Vec<Row> = Vec::new();
    let mut stored: Vec<Row> = Vec::new();
    for (_, words, target) in levels {
        let what = format!("Kafka capture, {words}: {}", payloads.name);
        rates.push(Row::new(&what, peer, "msg/s", Target::AtLeast(target)));
        cpu.push(Row::new(&what, peer, "CPU s/M msg", Target::None));
        stored.push(Row::new(&what, "bytes of the values", "bytes stored", Target::None));
    }
    let mut memory = Row::new("Kafka capture, peak memory", "192 MiB", "bytes", Target::AtMost(1.0));
    for round in 0..=rounds {
        for (level, (compress, _, _)) in levels.iter().enumerate() {
            let (mut ours, mut theirs) = (None, None);
            for ours_now in in_turn(round) {
                if ours_now {
                    ours = Some(capture(setup, topic, compress, &setup.scratch.join("capture"))?);
                } else {
                    theirs = Some(consume(setup, topic)?);
                }
            }
            let (Some(ours), Some(theirs), true) = (ours, theirs, round > 0) else { continue };
            rates[level].pairs.push((ours.per_s, theirs.per_s));
            cpu[level].pairs.push((ours.cpu_per_million, theirs.cpu_per_million));
            let raw = payloads.bytes() as f64 / payloads.messages.len() as f64 * setup.messages as f64;
            stored[level].pairs.push((ours.bytes_stored as f64, raw));
            memory.pairs.push((ours.memory_max as f64, f64::from(192 << 20)));
        }
    }
    rows.extend(rates.into_iter().chain(cpu).chain(stored));
    rows.push(memory);
    Ok(())
}

fn replays(setup: &Setup, topic: &str, payloads: &Payloads, rounds: usize, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let (what, peer) = (format!("Kafka replay --max: {}", payloads.name), "rdkafka_performance -P, same properties");
    let mut rates = Row::new(&what, peer, "msg/s", Target::AtLeast(0.95));
    let mut cpu = Row::new(&what, peer, "CPU s/M msg", Target::None);
    let mut memory = Row::new("Kafka replay, peak memory", "256 MiB", "bytes", Target::AtMost(1.0));
    let recording = setup.scratch.join("to-replay");
    let records = setup.replayed.to_string();
    let mut command = capture_command(setup, topic, "3", &recording);
    run(command.args(["--records", &records]), &[0], LIMIT)?;
    let staging = Cluster::at(&setup.staging)?;
    for round in 0..=rounds {
        let (mut ours, mut theirs) = (None, None);
        for ours_now in in_turn(round) {
            let target = format!("{topic}-{round}-{}", if ours_now { "ours" } else { "theirs" });
            staging.create(&target, PARTITIONS)?;
            if ours_now {
                ours = Some(replay(setup, topic, &target, &recording, None)?);
            } else {
                theirs = Some(publish(setup, &target, payloads.mean_bytes())?);
            }
            staging.delete(&target)?;
        }
        let (Some(ours), Some(theirs), true) = (ours, theirs, round > 0) else { continue };
        rates.pairs.push((ours.per_s, theirs.per_s));
        cpu.pairs.push((ours.cpu_per_million, theirs.cpu_per_million));
        memory.pairs.push((ours.memory_max as f64, f64::from(256 << 20)));
    }
    std::fs::remove_dir_all(&recording).with_context(|| format!("removing {}", recording.display()))?;
    rows.extend([rates, cpu, memory]);
    Ok(())
}

/// The same recording of DogStatsD with and without a rule.
fn expanded(setup: &Setup, topic: &str, rounds: usize, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let what = "Kafka replay --max, ten times the hosts: DogStatsD, 200 bytes";
    let mut rates = Row::new(what, "the same without the rule", "msg/s", Target::AtLeast(0.8));
    let mut cpu = Row::new(what, "the same without the rule", "CPU s/M msg", Target::None);
    let [lines, rule, recording] = ["expanded.ndjson", "expanded.toml", "to-expand"].map(|name| setup.scratch.join(name));
    write_replayed(&lines, &rule, topic, PARTITIONS.unsigned_abs(), setup.replayed)?;
    run(Command::new(&setup.dejaq).arg("import").arg(&lines).arg("--out").arg(&recording), &[0], LIMIT)?;
    std::fs::remove_file(&lines).with_context(|| format!("removing {}", lines.display()))?;
    let staging = Cluster::at(&setup.staging)?;
    for round in 0..=rounds {
        let (mut ours, mut theirs) = (None, None);
        for ours_now in in_turn(round) {
            let target = format!("{topic}-expanded-{round}-{ours_now}");
            staging.create(&target, PARTITIONS)?;
            let measured = replay(setup, topic, &target, &recording, ours_now.then_some(rule.as_path()))?;
            *(if ours_now { &mut ours } else { &mut theirs }) = Some(measured);
            staging.delete(&target)?;
        }
        let (Some(ours), Some(theirs), true) = (ours, theirs, round > 0) else { continue };
        rates.pairs.push((ours.per_s, theirs.per_s));
        cpu.pairs.push((ours.cpu_per_million, theirs.cpu_per_million));
    }
    std::fs::remove_dir_all(&recording).with_context(|| format!("removing {}", recording.display()))?;
    rows.extend([rates, cpu]);
    Ok(())
}

fn capture_command(setup: &Setup, topic: &str, compress: &str, out: &Path) -> Command {
    let mut command = Command::new(&setup.dejaq);
    command.args(["capture", "--from", &format!("kafka://{}", setup.prod), "--topics", topic, "--start", "beginning"]);
    command.args(["--until", "end", "--compress", compress, "--out"]).arg(out);
    command
}

fn capture(setup: &Setup, topic: &str, compress: &str, out: &Path) -> anyhow::Result<Measured> {
    let used = run(&mut capture_command(setup, topic, compress, out), &[0], LIMIT)?;
    let recording = Recording::open(out)?;
    ensure!(recording.records() == setup.messages, "captured {} of {} messages", recording.records(), setup.messages);
    let seconds = first_arrival_to_sealed(&recording)?;
    let measured = Measured::of(&used, setup.messages, setup.messages as f64 / seconds, recording.bytes_stored());
    std::fs::remove_dir_all(out).with_context(|| format!("removing {}", out.display()))?;
    Ok(measured)
}

/// From the arrival of the first record to the last write to a segment (its footer), in seconds.
pub(crate) fn first_arrival_to_sealed(recording: &Recording) -> anyhow::Result<f64> {
    let first = recording.blocks.first().context("the recording has no block")?;
    let segment = &recording.segments[first.segment as usize];
    let (file, mut block) = (std::fs::File::open(&segment.path)?, Block::default());
    BlockReader::new()?.read(&file, &segment.path, &segment.header.segment.sync, first.offset, Wanted::TIMES, &mut block)?;
    let mut sealed = SystemTime::UNIX_EPOCH;
    for segment in &recording.segments {
        sealed = sealed.max(std::fs::metadata(&segment.path)?.modified()?);
    }
    let sealed_s = sealed.duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
    Ok(sealed_s - block.arrival_ns(0) as f64 / 1e9)
}

fn consume(setup: &Setup, topic: &str) -> anyhow::Result<Measured> {
    let mut command = Command::new(&setup.peer);
    command.args(["-C", "-t", topic, "-b", &setup.prod, "-o", "beginning", "-c", &setup.messages.to_string()]);
    for partition in 0..PARTITIONS {
        command.args(["-p", &partition.to_string()]);
    }
    let used = run(&mut command, &[0], LIMIT)?;
    let (messages, ms) = peer_says(&used.stdout, " consumed in ").context("rdkafka_performance did not say what it consumed")?;
    ensure!(messages == setup.messages, "rdkafka_performance consumed {messages} of {} messages", setup.messages);
    Ok(Measured::of(&used, messages, messages as f64 * 1e3 / ms, 0))
}

fn replay(setup: &Setup, topic: &str, target: &str, recording: &Path, rule: Option<&Path>) -> anyhow::Result<Measured> {
    let dir = setup.scratch.join("run");
    let mut command = Command::new(&setup.dejaq);
    command.arg("replay").arg(recording).args(["--to", &format!("kafka://{}", setup.staging), "--max", "--mark", "off"]);
    command.args(["--map", &format!("{topic}={target}")]).arg("--run").arg(&dir);
    command.args(SHARED_PROPERTIES.iter().flat_map(|p| ["-X", p]));
    command.args(rule.iter().flat_map(|rule| [Path::new("--expand"), rule]));
    let used = run(&mut command, &[0], LIMIT)?;
    let path = dir.join("run.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let report: serde_json::Value = serde_json::from_str(&text)?;
    let acked = report["ledger"]["acked"].as_u64().context("run.json has no ledger.acked")?;
    ensure!(acked >= setup.replayed, "{acked} of {} messages were confirmed", setup.replayed);
    let per_s = report["rate"]["achieved_per_s"].as_f64().context("run.json has no rate.achieved_per_s")?;
    std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    Ok(Measured::of(&used, acked, per_s, 0))
}

fn publish(setup: &Setup, target: &str, bytes: u64) -> anyhow::Result<Measured> {
    let mut command = Command::new(&setup.peer);
    command.args(["-P", "-t", target, "-b", &setup.staging, "-s", &bytes.to_string(), "-c", &setup.replayed.to_string()]);
    command.args(SHARED_PROPERTIES.iter().flat_map(|p| ["-X", p]));
    let used = run(&mut command, &[0], LIMIT)?;
    let (messages, ms) = peer_says(&used.stdout, " failed) in ").context("rdkafka_performance did not say what it produced")?;
    Ok(Measured::of(&used, messages, messages as f64 * 1e3 / ms, 0))
}

impl Measured {
    fn of(used: &Used, messages: u64, per_s: f64, bytes_stored: u64) -> Self {
        Self { per_s, cpu_per_million: used.cpu_s * 1e6 / messages as f64, memory_max: used.memory_max, bytes_stored }
    }
}

/// Messages and milliseconds from the last line of `rdkafka_performance` that holds `words` before its time.
fn peer_says(stdout: &str, words: &str) -> Option<(u64, f64)> {
    stdout.lines().rev().find_map(|line| {
        let messages = line.strip_prefix("% ")?.split(' ').next()?.parse().ok()?;
        let ms = line.split_once(words)?.1.split_once("ms")?.0.parse().ok()?;
        Some((messages, ms))
    })
}

#[cfg(test)]
mod tests {
    use super::peer_says;

    #[test]
    fn the_peers_last_line_counts() {
        let said = "% 10 messages (200 bytes) consumed in 1ms: 3 msgs/s\n% 4000000 messages (792000000 bytes) consumed in 2100ms: 1904761 msgs/s (377.14 MB/s)\n";
        assert_eq!(peer_says(said, " consumed in "), Some((4_000_000, 2100.0)));
        assert_eq!(peer_says("% Sending 5 messages of size 200 bytes\n", " consumed in "), None);
    }
}
