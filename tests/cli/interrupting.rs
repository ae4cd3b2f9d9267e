//! A replay that is asked to end, at any moment: it ends with a full result, and only the second time without.

use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use serde_json::{Value, json};

use crate::dejaq::command;
use crate::kit::*;

/// A replay beside the test.
pub(crate) struct Running {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    said: String,
    run: String,
}

impl Running {
    pub(crate) fn start(scratch: &Scratch, to: &EmbeddedKafka, more: &[&str]) -> Self {
        let recording = scratch.recording("rec", &records(400, 1), Some("elsewhere"));
        Self::of(&recording, scratch.arg("run"), to, more)
    }

    /// Replays a recording of one's own.
    pub(crate) fn of(recording: &str, run: String, to: &EmbeddedKafka, more: &[&str]) -> Self {
        let url = to.url();
        let args = [&["replay", recording, "--to", &url, "--run", &run, "--mark", "off"], more].concat();
        let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self { child, stderr, said: String::new(), run }
    }

    /// Waits for a line that holds this.
    pub(crate) fn says(&mut self, text: &str) -> &mut Self {
        for line in self.stderr.by_ref().map_while(Result::ok) {
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(text) {
                return self;
            }
        }
        panic!("it never said {text:?}: {}", self.said)
    }

    pub(crate) fn signal(&mut self, signal: &str) -> &mut Self {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
        self
    }

    /// Whether it has not ended yet.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Its exit code, its report, and the names in its run directory that say that something is unfinished.
    pub(crate) fn ends(mut self) -> (Option<i32>, Value, Vec<String>) {
        self.said.extend(self.stderr.by_ref().map_while(Result::ok));
        let mut stdout = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut stdout).expect("text");
        let code = self.child.wait().expect("it ends").code();
        let files = std::fs::read_dir(&self.run).expect("there").map(|e| e.expect("entry").file_name().to_string_lossy().into_owned());
        let report = run_json(&self.run);
        assert_eq!(stdout.contains("messages"), report["finished"] == json!(true), "a result is shown, or none: {stdout}");
        (code, report, files.filter(|name| name.ends_with(".part")).collect())
    }
}

/// A result that is whole, whatever it says.
fn assert_whole((code, report, parts): &(Option<i32>, Value, Vec<String>)) {
    assert_eq!((&report["finished"], &parts[..]), (&json!(true), &[][..]), "{report:#}");
    assert_balanced(report);
    let doubtful = report["verdict"] != "VALID" || report["delivered"].as_f64().is_some_and(|d| d < 0.99);
    let ledger = &report["ledger"];
    let lost = ledger["scheduled"] != ledger["acked"];
    assert_eq!(*code, Some(if doubtful || lost { 3 } else { 0 }), "{report:#}");
}

fn was_stopped(report: &Value) -> bool {
    report["notes"].as_array().is_some_and(|notes| notes.iter().any(|n| n.as_str().is_some_and(|n| n.contains("stopped before its end"))))
}

#[test]
fn while_the_start_is_waited_for() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut running = Running::start(&scratch, &target, &["--start-at", "2099-01-01T00:00:00Z"]);
    running.says("ready: the first message").signal("-INT").says("stopping:");
    let ended = running.ends();
    assert_whole(&ended);
    let (code, report, _) = &ended;
    assert_eq!((*code, &report["ledger"]["read"], was_stopped(report)), (Some(3), &json!(0), true), "too short: {report:#}");
}

#[test]
fn in_the_middle_of_a_pass() {
    for (pace, signal) in [(&["--loop"][..], "-INT"), (&["--loop", "--max"], "-TERM")] {
        let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
        let mut running = Running::start(&scratch, &target, pace);
        running.says(" in flight ").signal(signal).says("stopping:");
        let ended = running.ends();
        assert_whole(&ended);
        let (_, report, _) = &ended;
        let ledger = &report["ledger"];
        assert!(was_stopped(report) && ledger["acked"].as_u64().is_some_and(|n| n >= 100), "{report:#}");
        assert_eq!((&ledger["scheduled"], &ledger["failed"]), (&ledger["acked"], &json!(0)), "what was sent was waited for: {report:#}");
    }
}

#[test]
fn while_the_last_answers_are_waited_for() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut running = Running::start(&scratch, &target, &[]);
    running.says("replaying into cluster");
    target.round_trip_ms(1, 2_000).expect("a broker");
    running.says("400 scheduled").signal("-INT").says("stopping:");
    let ended = running.ends();
    assert_whole(&ended);
    let (_, report, _) = &ended;
    assert_eq!(report["ledger"]["acked"], 400, "the answers came and count: {report:#}");
    assert!(!was_stopped(report), "all had been sent by then: {report:#}");
}

#[test]
fn with_a_target_that_is_gone_the_drain_has_its_end() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut running = Running::start(&scratch, &target, &["--loop", "--drain", "1s"]);
    running.says(" in flight ");
    target.broker_down(1).expect("a broker");
    running.says("warning:").signal("-INT").says("stopping:");
    let ended = running.ends();
    assert_whole(&ended);
    let (code, report, _) = &ended;
    let unknown = &report["ledger"]["reasons"]["unknown"]["no answer by the drain deadline"];
    assert!(*code == Some(3) && unknown.as_u64().is_some_and(|n| n > 0), "{report:#}");
}

#[test]
fn asked_twice_it_ends_at_once_and_what_it_leaves_does_not_look_whole() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut running = Running::start(&scratch, &target, &["--loop", "--drain", "1h"]);
    running.says(" in flight ");
    target.broker_down(1).expect("a broker");
    running.says("warning:").signal("-INT").says("stopping:").signal("-INT").says("stopped at once");
    let (code, report, parts) = running.ends();
    assert_eq!((code, &report["finished"], &report["verdict"]), (Some(1), &json!(false), &json!("INVALID")));
    assert_eq!(report["trust"][0]["reason"], "unfinished");
    assert_eq!(parts.len(), 3, "{parts:?}");
}
