//! The RabbitMQ rows: `dejaq replay` and `dejaq capture` against RabbitMQ's own PerfTest, whole processes, real nodes.
//!
//! - Publishing: both send the same number of messages of the same mean size, transient, with confirms and at most
//!   [`CONFIRM_WINDOW`] unconfirmed on a connection, through one direct exchange into one queue that nobody consumes from and that
//!   is emptied between. PerfTest's rate is its own average; ours is from the first send to the last answer.
//! - Consuming: one flood fills the queue that PerfTest then consumes and the mirror of a capture that is stopped meanwhile
//!   (SIGSTOP), so that both drain a full queue. PerfTest throws the messages away and acknowledges every [`ACK_EVERY`]; ours
//!   counts from its first message to the end of the sealed, synced recording.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dejaq_shared::segment::recording::Recording;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::kafka::first_arrival_to_sealed;
use crate::payloads::Payloads;
use crate::process::{children_cpu_s, run};
use crate::segments::in_turn;
use crate::table::{Row, Target};

const PERF_TEST: &str = "com.rabbitmq.perf.PerfTest";
/// Messages without an answer that a connection has at most, on both sides: what `replay --max` keeps to.
const CONFIRM_WINDOW: &str = "1000";
const ACK_EVERY: &str = "1000";
/// What a capture asks for ahead.
const PREFETCH: &str = "20000";
const KEY: &str = "bench";
/// Longer than any sound measurement: a program that hangs ends the bench.
const LIMIT: Duration = Duration::from_secs(300);

/// Programs, nodes and sizes.
#[derive(clap::Args)]
pub(crate) struct Setup {
    /// The `dejaq` to measure
    #[arg(long, value_name = "PROGRAM")]
    dejaq: PathBuf,
    /// PerfTest's jars
    #[arg(long, value_name = "CLASSPATH")]
    perf_test: String,
    /// The node that is captured from, and its rabbitmqctl
    #[arg(long, value_name = "URL")]
    prod: String,
    #[arg(long, value_name = "PROGRAM")]
    prod_ctl: PathBuf,
    /// The node that is replayed into, and its rabbitmqctl
    #[arg(long, value_name = "URL")]
    staging: String,
    #[arg(long, value_name = "PROGRAM")]
    staging_ctl: PathBuf,
    /// What capture needs to find its node (-X): management=URL, prometheus=URL
    #[arg(long, value_name = "KEY=VALUE")]
    prod_setting: Vec<String>,
    /// The same for replay
    #[arg(long, value_name = "KEY=VALUE")]
    staging_setting: Vec<String>,
    /// Messages of each round
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    messages: u64,
    /// Where recordings are written
    #[arg(long, value_name = "DIR")]
    scratch: PathBuf,
}

/// One measurement of a side.
struct Measured {
    per_s: f64,
    cpu_per_million: f64,
}

/// Measures replay on one and two connections, and capture.
///
/// # Errors
/// When a node, a program or a recording fails.
pub(crate) fn measure(setup: &Setup, payloads: &Payloads, rounds: usize, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let name = format!("bench-{}", std::process::id());
    let bytes = payloads.mean_bytes();
    let recording = setup.scratch.join("to-publish");
    import(setup, payloads, &recording)?;
    // PerfTest declares exchange, queue and binding, which both sides then use.
    for (url, ctl) in [(&setup.staging, &setup.staging_ctl), (&setup.prod, &setup.prod_ctl)] {
        flood(setup, url, &name, bytes, 1)?;
        purge(ctl, &name)?;
    }
    for (connections, wanted) in [(1, 1.0), (2, 1.15)] {
        let what = format!("RabbitMQ replay, {connections} connection(s): {}", payloads.name);
        let mut pairs = Pairs::new(&what, "PerfTest, same window", wanted);
        for round in 0..=rounds {
            pairs.measure(round, |ours| {
                let measured =
                    if ours { replay(setup, &name, &recording, connections)? } else { publish(setup, &name, bytes, connections)? };
                purge(&setup.staging_ctl, &name)?;
                Ok(measured)
            })?;
        }
        rows.extend(pairs.rows);
    }
    std::fs::remove_dir_all(&recording).with_context(|| format!("removing {}", recording.display()))?;
    let what = format!("RabbitMQ capture, acknowledged after sync, zstd 3: {}", payloads.name);
    let mut pairs = Pairs::new(&what, "PerfTest, consuming only", 1.0);
    for round in 0..=rounds {
        let mut capture = Stopped::start(setup, &name)?;
        flood(setup, &setup.prod, &name, bytes, setup.messages)?;
        pairs.measure(round, |ours| if ours { capture.drain(setup) } else { consume(setup, &name) })?;
    }
    rows.extend(pairs.rows);
    Ok(())
}

/// The rows of two sides that take turns.
struct Pairs {
    rows: [Row; 2],
}

impl Pairs {
    fn new(what: &str, against: &str, wanted: f64) -> Self {
        let row = |unit, target| Row::new(what, against, unit, target);
        Self { rows: [row("msg/s", Target::AtLeast(wanted)), row("CPU s/M msg", Target::AtMost(0.5))] }
    }

    /// Both sides once; the first round is not counted.
    fn measure(&mut self, round: usize, mut side: impl FnMut(bool) -> anyhow::Result<Measured>) -> anyhow::Result<()> {
        let (mut ours, mut theirs) = (None, None);
        for ours_now in in_turn(round) {
            *(if ours_now { &mut ours } else { &mut theirs }) = Some(side(ours_now)?);
        }
        if let (Some(ours), Some(theirs), true) = (ours, theirs, round > 0) {
            self.rows[0].pairs.push((ours.per_s, theirs.per_s));
            self.rows[1].pairs.push((ours.cpu_per_million, theirs.cpu_per_million));
        }
        Ok(())
    }
}

/// A recording of two exchanges, so that two connections have something to share.
fn import(setup: &Setup, payloads: &Payloads, out: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    let path = setup.scratch.join("to-publish.ndjson");
    let mut lines = std::io::BufWriter::new(std::fs::File::create(&path)?);
    for (n, (_, value)) in (0..setup.messages).zip(payloads.messages.iter().cycle()) {
        let line = json!({
            "broker": "rabbitmq", "vhost": "/", "exchange": if n % 2 == 0 { "a" } else { "b" }, "routing_key": KEY,
            "properties": {"delivery_mode": 1}, "value": String::from_utf8_lossy(value), "arrival_ns": n,
        });
        writeln!(lines, "{line}")?;
    }
    lines.into_inner()?;
    run(Command::new(&setup.dejaq).arg("import").arg(&path).args(["--source-cluster", "bench", "--out"]).arg(out), &[0], LIMIT)?;
    std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))
}

fn replay(setup: &Setup, name: &str, recording: &Path, connections: u32) -> anyhow::Result<Measured> {
    let dir = setup.scratch.join("run");
    let mut command = Command::new(&setup.dejaq);
    command.arg("replay").arg(recording).args(["--to", &setup.staging, "--max", "--mark", "off", "--run"]).arg(&dir);
    command.args(["--map", &format!("a={name}"), "--map", &format!("b={name}"), "--connections", &connections.to_string()]);
    command.args(setup.staging_setting.iter().flat_map(|s| ["-X", s]));
    let used = run(&mut command, &[0], LIMIT)?;
    let path = dir.join("run.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let report: serde_json::Value = serde_json::from_str(&text)?;
    let acked = report["ledger"]["acked"].as_u64().context("run.json has no ledger.acked")?;
    ensure!(acked == setup.messages, "{acked} of {} messages were confirmed", setup.messages);
    let per_s = report["rate"]["achieved_per_s"].as_f64().context("run.json has no rate.achieved_per_s")?;
    std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    Ok(Measured::of(per_s, used.cpu_s, acked))
}

fn perf_test(setup: &Setup, url: &str, name: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-cp", &setup.perf_test, PERF_TEST, "--uri", url, "-u", name, "-e", name, "-t", "direct", "-k", KEY]);
    command.args(["-ad", "false", "-id", name]);
    command
}

fn publisher(setup: &Setup, url: &str, name: &str, bytes: u64, connections: u32, messages: u64) -> Command {
    let each = (messages / u64::from(connections)).to_string();
    let mut command = perf_test(setup, url, name);
    command.args(["-x", &connections.to_string(), "-y", "0", "-s", &bytes.to_string(), "-c", CONFIRM_WINDOW, "-C", &each]);
    command
}

fn publish(setup: &Setup, name: &str, bytes: u64, connections: u32) -> anyhow::Result<Measured> {
    let used = run(&mut publisher(setup, &setup.staging, name, bytes, connections, setup.messages), &[0], LIMIT)?;
    let per_s = peer_says(&used.stdout, "sending").context("PerfTest did not say how fast it sent")?;
    Ok(Measured::of(per_s, used.cpu_s, setup.messages))
}

fn flood(setup: &Setup, url: &str, name: &str, bytes: u64, messages: u64) -> anyhow::Result<()> {
    run(&mut publisher(setup, url, name, bytes, 1, messages), &[0], LIMIT).map(drop)
}

fn consume(setup: &Setup, name: &str) -> anyhow::Result<Measured> {
    let mut command = perf_test(setup, &setup.prod, name);
    command.args(["-x", "0", "-y", "1", "-q", PREFETCH, "-A", ACK_EVERY, "-D", &setup.messages.to_string()]);
    let used = run(&mut command, &[0], LIMIT)?;
    let per_s = peer_says(&used.stdout, "receiving").context("PerfTest did not say how fast it received")?;
    Ok(Measured::of(per_s, used.cpu_s, setup.messages))
}

fn purge(ctl: &Path, queue: &str) -> anyhow::Result<()> {
    run(Command::new(ctl).args(["-q", "purge_queue", queue]), &[0], LIMIT).map(drop)
}

/// A capture that consumes already and is stopped.
struct Stopped {
    child: Child,
    out: PathBuf,
}

impl Stopped {
    fn start(setup: &Setup, name: &str) -> anyhow::Result<Self> {
        let out = setup.scratch.join("capture");
        let mut command = Command::new(&setup.dejaq);
        command.args(["capture", "--from", &setup.prod, "--exchanges", name, "--records", &setup.messages.to_string(), "--out"]).arg(&out);
        command.args(setup.prod_setting.iter().flat_map(|s| ["-X", s]));
        let room = [format!("queue.messages={}", 2 * setup.messages), "queue.bytes=4GiB".to_owned(), "heartbeat=300s".to_owned()];
        command.args(room.iter().flat_map(|s| ["-X", s]));
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().with_context(|| format!("starting {command:?}"))?;
        let mut stopped = Self { child, out };
        let talk = stopped.child.stderr.take().context("the capture has no stderr")?;
        let mut lines = BufReader::new(talk).lines();
        let begun = lines.by_ref().find(|line| line.as_ref().is_ok_and(|line| line.starts_with("capturing")));
        ensure!(begun.is_some(), "the capture ended before it began");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        stopped.signal(Signal::SIGSTOP)?;
        Ok(stopped)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Lets it go on until it has all messages. Its CPU time is that of its start and of this.
    fn drain(&mut self, setup: &Setup) -> anyhow::Result<Measured> {
        let before = children_cpu_s()?;
        self.signal(Signal::SIGCONT)?;
        let status = self.child.wait()?;
        let cpu_s = children_cpu_s()? - before;
        if !status.success() {
            bail!("the capture ended with {status}");
        }
        let recording = Recording::open(&self.out)?;
        ensure!(recording.records() == setup.messages, "captured {} of {} messages", recording.records(), setup.messages);
        let seconds = first_arrival_to_sealed(&recording)?;
        std::fs::remove_dir_all(&self.out).with_context(|| format!("removing {}", self.out.display()))?;
        Ok(Measured::of(setup.messages as f64 / seconds, cpu_s, setup.messages))
    }
}

impl Drop for Stopped {
    /// Nothing is left behind when the bench ends with an error.
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

impl Measured {
    fn of(per_s: f64, cpu_s: f64, messages: u64) -> Self {
        Self { per_s, cpu_per_million: cpu_s * 1e6 / messages as f64 }
    }
}

/// Messages per second from PerfTest's closing line: `id: x, sending rate avg: 28920 msg/s`.
fn peer_says(stdout: &str, doing: &str) -> Option<f64> {
    let words = format!("{doing} rate avg: ");
    stdout.lines().rev().find_map(|line| line.split_once(&words)?.1.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::peer_says;

    #[test]
    fn the_peers_average_counts() {
        let said = "id: b, time: 1.000s, sent: 28920 msg/s\nid: b, sending rate avg: 28920 msg/s\nid: b, receiving rate avg: 0 msg/s\n";
        assert_eq!((peer_says(said, "sending"), peer_says(said, "receiving")), (Some(28_920.0), Some(0.0)));
        assert_eq!(peer_says("id: b, time: 1.000s\n", "sending"), None);
    }
}
