//! Tests against two real RabbitMQ nodes, "prod" and "staging", with pika as the independent client at either end.
//!
//! Each test works in virtual hosts of its own. Some stop a node or raise its alarms: these have the nodes for themselves
//! ([`alone`]), all others run beside one another ([`beside`]).

mod across;
mod bad;
mod capture;
mod crash;
mod held;
mod observing;
mod peer;
mod replay;
mod stream;
mod trouble;

use std::path::Path;
use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::background::Background;
use crate::dejaq::{Ended, dejaq};
use crate::held::text;
use peer::{Node, World};

static NODES: RwLock<()> = RwLock::new(());

/// For a test that leaves the nodes as they are. To be taken once, first.
fn beside() -> RwLockReadGuard<'static, ()> {
    NODES.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that stops a node, or raises an alarm.
fn alone() -> RwLockWriteGuard<'static, ()> {
    NODES.write().unwrap_or_else(PoisonError::into_inner)
}

/// Polls until something holds; the limit is for failures only.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < deadline, "never {what}");
        std::thread::yield_now();
    }
}

/// The exchanges of a small shop: one of each kind, and the queues of the services that consume from them.
fn shop() -> Value {
    json!({
        "exchanges": [
            {"name": "orders", "type": "topic"}, {"name": "jobs", "type": "direct"}, {"name": "news", "type": "fanout"},
            {"name": "files", "type": "headers"}, {"name": "archive", "type": "fanout", "internal": true},
        ],
        "queues": [{"name": "billing"}, {"name": "stock"}, {"name": "mail"}, {"name": "feed"}, {"name": "images"}, {"name": "vault"}],
        "bindings": [
            {"source": "orders", "destination": "billing", "routing_key": "order.#"},
            {"source": "orders", "destination": "stock", "routing_key": "*.new.*"},
            {"source": "jobs", "destination": "mail", "routing_key": "mail"},
            {"source": "jobs", "destination": "stock", "routing_key": "count"},
            {"source": "news", "destination": "feed"},
            {"source": "files", "destination": "images", "arguments": {"x-match": "all", "kind": "image"}},
            {"source": "orders", "destination": "archive", "destination_type": "exchange", "routing_key": "order.paid.*"},
            {"source": "archive", "destination": "vault"},
        ],
    })
}

/// Where the shop's publishers send: everything reaches a queue.
fn shop_routes() -> Value {
    json!([
        {"exchange": "orders", "keys": ["order.new.eu", "order.paid.eu", "order.paid.us", "return.new.eu"]},
        {"exchange": "jobs", "keys": ["mail", "count"]},
        {"exchange": "news", "keys": ["", "sport"]},
        {"exchange": "files", "keys": [""], "headers": [[{"utf8": "kind"}, {"utf8": "image"}]]},
    ])
}

const SHOP: &str = "orders,jobs,news,files";

/// Which of the shop's queues a message reaches.
fn shop_queues(line: &Value) -> Vec<&'static str> {
    let key = line["routing_key"]["utf8"].as_str().expect("a key");
    match (line["exchange"].as_str().expect("an exchange"), key) {
        ("orders", "order.new.eu") => vec!["billing", "stock"],
        ("orders", "order.paid.eu" | "order.paid.us") => vec!["billing", "vault"],
        ("orders", "return.new.eu") | ("jobs", "count") => vec!["stock"],
        ("jobs", "mail") => vec!["mail"],
        ("news", _) => vec!["feed"],
        ("files", _) => vec!["images"],
        other => panic!("the shop does not have {other:?}"),
    }
}

const SHOP_QUEUES: [&str; 6] = ["billing", "stock", "mail", "feed", "images", "vault"];

/// The arguments of a capture of a world into `dir`.
fn capture_args(world: &World, dir: &Path, more: &[&str]) -> Vec<String> {
    at(world.node, &world.url, dir, more)
}

/// The arguments of a capture from a URL of a node.
fn at(node: Node, url: &str, dir: &Path, more: &[&str]) -> Vec<String> {
    let http = node.http();
    let args = ["--from", url, "--out", text(dir), "-X", &http[0], "-X", &http[1]];
    args.iter().chain(more).map(|&arg| arg.to_owned()).collect()
}

/// Starts a capture and waits until it consumes.
fn capturing(world: &World, dir: &Path, more: &[&str]) -> Background {
    Background::capture(&strs(&capture_args(world, dir, more)))
}

/// Runs a capture to its end.
fn capture(world: &World, dir: &Path, more: &[&str]) -> Ended {
    dejaq(&[&["capture"], &strs(&capture_args(world, dir, more))[..]].concat())
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Asserts that a text holds all of these.
fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

/// Sends a signal.
fn signal(running: &Background, name: &str) {
    let pid = running.pid().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
}

/// A memory alarm at a node, as long as it lives.
struct Alarm(Node);

impl Alarm {
    fn raise(node: Node) -> Self {
        let alarm = Self(node);
        node.ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
        alarm
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let ended = self.0.try_ctl(&["set_vm_memory_high_watermark", "0.4"]);
        // In a test that has failed already, what failed first is what matters.
        assert!(ended || std::thread::panicking(), "the alarm at {:?} stays", self.0);
    }
}

/// A node that is stopped, until this is dropped.
struct Stopped(Node);

impl Stopped {
    fn stop(node: Node) -> Self {
        let stopped = Self(node);
        node.ctl(&["stop_app"]);
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let ended = self.0.try_ctl(&["start_app"]);
        assert!(ended || std::thread::panicking(), "{:?} does not start again", self.0);
    }
}
