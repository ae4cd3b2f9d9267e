//! The command under test, as its user runs it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// How a run of the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Stdout as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// Itself, if it ended with this code.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// The command, not yet started.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dejaq"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn dejaq(args: &[&str]) -> Ended {
    ended(&command(args).output().expect("the command starts"))
}

/// What it said and how it ended: whatever it was given, not by a panic.
pub(crate) fn ended(output: &std::process::Output) -> Ended {
    let ended = Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into(),
        stderr: String::from_utf8_lossy(&output.stderr).into(),
    };
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

/// `dejaq inspect --json`.
pub(crate) fn inspect(dir: &Path) -> Value {
    dejaq(&["inspect", dir.to_str().expect("UTF-8"), "--json"]).expect(0).json()
}

/// `dejaq verify --json`, expected clean.
pub(crate) fn verify_clean(dir: &Path) -> Value {
    dejaq(&["verify", dir.to_str().expect("UTF-8"), "--json"]).expect(0).json()
}
