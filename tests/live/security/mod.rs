//! Permissions, TLS, SASL and secrets, on real brokers with ACLs in force.
//!
//! The clusters need the listeners of `scripts/brokers` beside the plain one (see its `--help`).

mod certificates;
mod rights;
mod secrets;
mod sign_in;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::dejaq::{Ended, command, dejaq, ended};
use crate::peer::{Peer, clusters, unique};

/// How many records the seed topic has.
const SEED_RECORDS: u64 = 100;

/// A listener of one of the clusters: `listener("PROD", "SASL")`.
fn listener(cluster: &str, name: &str) -> String {
    secured(&format!("DEJAQ_KAFKA_{cluster}_{name}"))
}

fn secured(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "{variable} is not set: these tests need brokers with TLS, SASL and ACLs (`scripts/brokers --help` says which). \
             `scripts/brokers down kafka && scripts/brokers up kafka` gives them to clusters that an older version started; a cluster \
             of your own needs such listeners, and the variables that name them"
        ),
    }
}

fn certificate(name: &str) -> String {
    format!("{}/{name}.pem", secured("DEJAQ_KAFKA_CERTIFICATES"))
}

/// `-X ssl.ca.location=…` of the authority that signed the brokers' certificates.
fn trusted() -> String {
    format!("ssl.ca.location={}", certificate("ca"))
}

/// A topic of the same name at both clusters; at prod it holds [`SEED_RECORDS`] records.
fn seed() -> &'static str {
    static SEED: OnceLock<String> = OnceLock::new();
    SEED.get_or_init(|| {
        let at = clusters();
        let topic = Peer::create_topic(&at.prod, "secured", 2, "retention.ms=86400000");
        Peer::run(&["create-topics", "--bootstrap", &at.staging, "--topic", &format!("{topic}:2")]);
        let count = SEED_RECORDS.to_string();
        Peer::run(&["feed-synthetic", "--bootstrap", &at.prod, "--topic", &topic, "--count", &count, "--bytes", "50"]);
        topic
    })
}

/// What is in the seed topic, as a recording.
fn seed_recording(scratch: &Path) -> PathBuf {
    let dir = scratch.join("seed");
    let url = format!("kafka://{}", clusters().prod);
    dejaq(&["capture", "--from", &url, "--topics", seed(), "--out", text(&dir), "--start", "beginning", "--until", "end"]).expect(0);
    dir
}

/// A user of its own for each test.
struct User {
    name: String,
    password: String,
}

impl User {
    fn named(what: &str) -> Self {
        Self { name: unique(what), password: unique("correct-horse") }
    }

    /// `kafkas://user@…`: the password is in the environment.
    fn url(&self, address: &str) -> String {
        format!("kafkas://{}@{address}", self.name)
    }

    /// Runs dejaq with this user's password in the environment, and with the right authority.
    fn run(&self, args: &[&str]) -> Ended {
        let trusted = trusted();
        ended(&self.command(&[args, &["-X", &trusted]].concat()).output().expect("the command starts"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.env("DEJAQ_KAFKA_PASSWORD", &self.password);
        command
    }

    /// Captures all of a topic.
    fn capture(&self, topics: &str, out: &Path) -> Ended {
        let url = self.url(&listener("PROD", "SASL"));
        self.run(&["capture", "--from", &url, "--topics", topics, "--out", text(out), "--start", "beginning", "--until", "end"])
    }
}

/// Makes users at a cluster and gives them rights, each `(user, "Operation:topic:name")`.
fn admit(bootstrap: &str, users: &[&User], rights: &[(&User, &str)]) {
    let users: Vec<String> = users.iter().map(|user| format!("{}:{}", user.name, user.password)).collect();
    let rights: Vec<String> = rights.iter().map(|(user, right)| format!("{}:{right}", user.name)).collect();
    let mut args = vec!["access", "--bootstrap", bootstrap];
    args.extend(users.iter().flat_map(|user| ["--user", user]));
    args.extend(rights.iter().flat_map(|right| ["--grant", right]));
    Peer::run(&args);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Asserts that a text holds all of these.
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

/// The run's report.
fn report(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(run.join("run.json")).expect("run.json")).expect("JSON")
}
