//! The tests' independent client: Apache Kafka's Java client behind `tests/peer/peer` (see `--help` there). What a test
//! puts into a cluster and what it reads back goes through it, never through the code under test.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// The addresses (`host:port`) of the two clusters.
#[derive(Debug, Clone)]
pub(crate) struct Clusters {
    /// The source.
    pub(crate) prod: String,
    /// The target.
    pub(crate) staging: String,
}

/// Where the clusters are.
///
/// # Panics
/// When `DEJAQ_KAFKA_PROD` or `DEJAQ_KAFKA_STAGING` is not set, saying what to run.
pub(crate) fn clusters() -> Clusters {
    Clusters { prod: required("DEJAQ_KAFKA_PROD"), staging: required("DEJAQ_KAFKA_STAGING") }
}

fn required(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{name} is not set: run scripts/test, or `scripts/brokers up kafka` and then `eval \"$(scripts/brokers env kafka)\"`"),
    }
}

/// A name that no other test and no earlier run has, for a topic or a directory.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis();
    format!("{what}-{now:x}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One run of the peer.
#[derive(Debug)]
pub(crate) struct Peer;

impl Peer {
    /// Runs a command and returns the JSON object that it printed.
    ///
    /// # Panics
    /// When it failed, with what it said.
    pub(crate) fn run(args: &[&str]) -> Value {
        let output = Self::output(args);
        assert!(output.status.success(), "{}", report(args, &output));
        parse(args, &output)
    }

    /// Runs a command that prints one JSON object a line (`dump`).
    ///
    /// # Panics
    /// As [`Peer::run`].
    pub(crate) fn lines(args: &[&str]) -> Vec<Value> {
        let output = Self::output(args);
        assert!(output.status.success(), "{}", report(args, &output));
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"))).collect()
    }

    /// Runs a command that is expected to end with exit code 1 and a JSON object (`compare`, when things differ).
    ///
    /// # Panics
    /// When it ended otherwise.
    pub(crate) fn run_expecting_failure(args: &[&str]) -> Value {
        let output = Self::output(args);
        assert_eq!(output.status.code(), Some(1), "{}", report(args, &output));
        parse(args, &output)
    }

    /// Starts a command that runs beside the test (`feed`, while a capture is on); end it with [`Running::wait`].
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start(args: &[&str]) -> Running {
        let child = Self::command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tests/peer/peer starts");
        Running { args: args.iter().map(|&a| a.to_owned()).collect(), child: Some(child) }
    }

    /// Makes a topic with a unique name that begins with `what`, and returns the name. `configs` is
    /// `name=value,...`, or empty.
    ///
    /// # Panics
    /// When the cluster refuses.
    pub(crate) fn create_topic(bootstrap: &str, what: &str, partitions: u32, configs: &str) -> String {
        let name = unique(what);
        let spec = if configs.is_empty() { format!("{name}:{partitions}") } else { format!("{name}:{partitions}:{configs}") };
        Self::run(&["create-topics", "--bootstrap", bootstrap, "--topic", &spec]);
        name
    }

    fn command(args: &[&str]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer/peer"));
        command.args(args).stdin(Stdio::null());
        command
    }

    fn output(args: &[&str]) -> Output {
        Self::command(args).output().expect("tests/peer/peer starts")
    }
}

/// A run of the peer that goes on beside the test. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    args: Vec<String>,
    /// Taken by [`Running::wait`].
    child: Option<std::process::Child>,
}

impl Running {
    /// Waits for its end and returns the JSON object that it printed.
    ///
    /// # Panics
    /// When it failed, with what it said.
    pub(crate) fn wait(mut self) -> Value {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let child = self.child.take().expect("only this takes it");
        let output = child.wait_with_output().expect("its output");
        assert!(output.status.success(), "{}", report(&args, &output));
        parse(&args, &output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already ended is fine: then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn parse(args: &[&str], output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("no JSON object ({e}) from {}", report(args, output)))
}

fn report(args: &[&str], output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("peer {}: {}\n{out}{err}", args.join(" "), output.status)
}
