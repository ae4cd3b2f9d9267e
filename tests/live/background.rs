//! The command beside a test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dejaq::{Ended, command, dejaq, inspect};

/// The longest that anything may take before a test gives up. Only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(180);

/// A run that goes on beside the test.
pub(crate) struct Background {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Background {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(command(args))
    }

    /// The same with what a test has set, as in its environment.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let (to, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        Self { child, lines, said: Vec::new() }
    }

    /// Starts a capture and waits until it reads.
    pub(crate) fn capture(args: &[&str]) -> Self {
        let mut running = Self::start(&[&["capture"], args].concat());
        running.wait_for("capturing");
        running
    }

    /// Waits until it says something that holds `text` (or "going on" where that means the same of a resumed capture).
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Progress is said all the time: the whole wait has an end, not that for each line.
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("it never said {text:?} but: {:#?}", self.said));
            let found = line.contains(text) || (text == "capturing" && line.contains("going on with"));
            self.said.push(line);
            if found {
                return;
            }
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end and waits.
    pub(crate) fn interrupt(self) -> Ended {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        let status = self.child.wait().expect("it ends");
        Ended { code: status.code(), stdout: String::new(), stderr: self.said.join("\n") }
    }
}

impl Drop for Background {
    #[expect(clippy::print_stderr, reason = "the harness shows it with the failed test")]
    fn drop(&mut self) {
        // Ended already, unless a test failed: then nothing of it must go on beside the others, and what it said may tell why.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.said.extend(self.lines.iter());
            let last = self.said.len().saturating_sub(50);
            eprintln!("the command beside it said last: {:#?}", &self.said[last..]);
        }
    }
}

/// Where a recording stands, polled until `done`: a live recording can be read.
pub(crate) fn wait_until(dir: &Path, what: &str, done: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let seen = inspect(dir);
        if done(&seen) {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "never {what}: {seen:#}");
        std::thread::yield_now();
    }
}

/// A recording's `(stream name, position)` pairs, in order, by export.
pub(crate) fn positions(dir: &Path) -> Vec<(String, i64)> {
    let exported = dejaq(&["export", dir.to_str().expect("UTF-8")]).expect(0);
    let of = |line: &str| -> (String, i64) {
        let record: Value = serde_json::from_str(line).expect("a line of JSON");
        (record["stream"].as_str().expect("a name").to_owned(), record["position"].as_i64().expect("a position"))
    };
    exported.stdout.lines().map(of).collect()
}
