//! The tests' independent RabbitMQ client: pika behind `DEJAQ_PIKA` (see its `--help`), and the two nodes. What a test puts into
//! a node and what it reads back goes through it, never through the code under test.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::peer::unique;

/// The longest that a run of the peer may take. Only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(180);

/// What `scripts/test` exports.
///
/// # Panics
/// When it has not, saying what to run.
pub(super) fn required(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "{name} is not set: run scripts/test, or `scripts/brokers up rabbitmq`, `eval \"$(scripts/brokers env rabbitmq)\"` and \
             `export DEJAQ_PIKA=$(tests/pika/build)`"
        ),
    }
}

/// One of the two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// The source.
    Prod,
    /// The target.
    Staging,
}

impl Node {
    fn variable(self, prefix: &str, suffix: &str) -> String {
        let name = if self == Self::Prod { "PROD" } else { "STAGING" };
        required(&format!("{prefix}_{name}{suffix}"))
    }

    /// Its URL for a virtual host, with user and password.
    pub(super) fn url(self, vhost: &str) -> String {
        with_vhost(&self.variable("DEJAQ_AMQP", ""), vhost)
    }

    /// The same by TLS.
    pub(super) fn tls_url(self, vhost: &str) -> String {
        with_vhost(&self.variable("DEJAQ_AMQP", "_TLS"), vhost)
    }

    /// The same for another user.
    pub(super) fn url_as(self, user: &str, password: &str, vhost: &str) -> String {
        let url = self.url(vhost);
        let (_, rest) = url.split_once('@').expect("user and password");
        format!("amqp://{user}:{password}@{rest}")
    }

    pub(super) fn management(self) -> String {
        self.variable("DEJAQ_AMQP", "_MANAGEMENT")
    }

    /// Where dejaq finds the node's HTTP ports: the URLs hold no credentials.
    pub(super) fn http(self) -> [String; 2] {
        let management = self.management();
        let (_, address) = management.split_once('@').expect("user and password");
        [format!("management=http://{address}"), format!("prometheus={}", self.variable("DEJAQ_AMQP", "_PROMETHEUS"))]
    }

    /// Asks the management API.
    pub(super) fn api(self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string);
        let management = self.management();
        let mut args = vec!["api", "--management", &management, method, path];
        args.extend(body.as_deref());
        Pika::run(&args)
    }

    /// Runs `rabbitmqctl` on it.
    pub(super) fn ctl(self, args: &[&str]) {
        assert!(self.try_ctl(args), "rabbitmqctl {args:?} failed (it said why above)");
    }

    /// The same; returns whether it succeeded.
    pub(super) fn try_ctl(self, args: &[&str]) -> bool {
        let mut command = Command::new(self.variable("DEJAQ_RABBITMQCTL", ""));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

fn with_vhost(url: &str, vhost: &str) -> String {
    let (address, _) = url.rsplit_once('/').expect("a virtual host");
    format!("{address}/{}", if vhost == "/" { "%2f" } else { vhost })
}

/// What a run of the peer printed.
#[derive(Debug)]
pub(super) struct Said {
    /// The messages.
    pub(super) lines: Vec<Value>,
    /// The last line.
    pub(super) summary: Value,
}

/// One run of the peer.
pub(super) struct Pika;

impl Pika {
    /// Runs a command to its end and returns its summary.
    ///
    /// # Panics
    /// When it failed, with what it said.
    pub(super) fn run(args: &[&str]) -> Value {
        Self::start(args).wait().summary
    }

    /// Publishes messages (`publish --show`) and returns what was sent.
    pub(super) fn publish(url: &str, routes: &Value, more: &[&str]) -> Said {
        Self::publishing(url, routes, more).wait()
    }

    /// The messages that [`Pika::publish`] with these arguments would send.
    pub(super) fn made(routes: &Value, more: &[&str]) -> Vec<Value> {
        let routes = routes.to_string();
        Self::start(&[&["make", "--routes", &routes], more].concat()).wait().lines
    }

    /// [`Pika::publish`] beside the test.
    pub(super) fn publishing(url: &str, routes: &Value, more: &[&str]) -> PikaRunning {
        let routes = routes.to_string();
        Self::start(&[&["publish", "--url", url, "--routes", &routes, "--show"], more].concat())
    }

    /// Consumes queues beside the test, from before this returns.
    pub(super) fn consuming(url: &str, queues: &[&str], more: &[&str]) -> PikaRunning {
        let queues: Vec<&str> = queues.iter().flat_map(|&queue| ["--queue", queue]).collect();
        Self::ready(&[&["consume", "--url", url], &queues[..], more].concat())
    }

    /// A system under test beside the test, from before this returns: consumes `queue`, and publishes outputs to `exchange`.
    pub(super) fn serving(url: &str, queue: &str, exchange: &str, more: &[&str]) -> PikaRunning {
        Self::ready(&[&["serve", "--url", url, "--queue", queue, "--exchange", exchange], more].concat())
    }

    fn ready(args: &[&str]) -> PikaRunning {
        let running = Self::start(args);
        let first = running.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("never ready: {args:?}"));
        assert_eq!(first, json!({"ready": true}));
        running
    }

    /// Consumes so many messages of a queue.
    pub(super) fn consume(url: &str, queue: &str, count: usize) -> Vec<Value> {
        Self::consuming(url, &[queue], &["--count", &count.to_string()]).wait().lines
    }

    /// How many messages are ready in a queue, and how many consumers it has.
    pub(super) fn depth(url: &str, queue: &str) -> (u64, u64) {
        let found = Self::run(&["depth", "--url", url, "--queue", queue]);
        (found["ready"].as_u64().expect("a number"), found["consumers"].as_u64().expect("a number"))
    }

    pub(super) fn start(args: &[&str]) -> PikaRunning {
        let mut child = Self::command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("DEJAQ_PIKA starts");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (to, lines) = channel();
        // Read as they come: a full pipe would stop the consumer.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in {line}"));
                if to.send(value).is_err() {
                    break;
                }
            }
        });
        let stderr = std::thread::spawn(move || all_of(stderr));
        PikaRunning { args: args.iter().map(|&a| a.to_owned()).collect(), child, lines, stderr: Some(stderr) }
    }

    fn command(args: &[&str]) -> Command {
        let mut command = Command::new(required("DEJAQ_PIKA"));
        command.args(args).stdin(Stdio::null());
        command
    }
}

fn all_of(mut stderr: ChildStderr) -> String {
    let mut text = String::new();
    // What cannot be read any more says nothing.
    let _ = stderr.read_to_string(&mut text);
    text
}

/// A run of the peer that goes on beside the test. Dropped, it is killed.
pub(super) struct PikaRunning {
    args: Vec<String>,
    child: Child,
    lines: Receiver<Value>,
    /// Taken by [`PikaRunning::wait`].
    stderr: Option<JoinHandle<String>>,
}

impl PikaRunning {
    /// Waits for the next `count` messages.
    pub(super) fn next(&self, count: usize) -> Vec<Value> {
        let one = |n| self.lines.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{e}: only {n} of {count} messages by {:?}", self.args));
        (0..count).map(one).collect()
    }

    /// Asks it to end, and waits.
    pub(super) fn interrupt(self) -> Said {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it failed, with what it said.
    pub(super) fn wait(mut self) -> Said {
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            lines.push(line);
        }
        let status = self.child.wait().expect("it ends");
        let stderr = self.stderr.take().expect("once").join().expect("a reader");
        assert!(status.success(), "peer {:?}: {status}\n{stderr}", self.args);
        let mut last = lines.pop().unwrap_or_else(|| panic!("peer {:?} said nothing", self.args));
        lines.retain(|line| line.get("ready").is_none());
        Said { lines, summary: last["summary"].take() }
    }
}

impl Drop for PikaRunning {
    fn drop(&mut self) {
        // Already ended is fine: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A virtual host of a test's own; dropped, it is removed with all that is in it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) node: Node,
    pub(super) vhost: String,
    pub(super) url: String,
}

impl World {
    /// Makes it, with these exchanges, queues, bindings, users and policies (see `tests/pika/world.py`). In users and policies
    /// `VHOST` stands for its name.
    pub(super) fn new(node: Node, what: &str, parts: &Value) -> Self {
        let vhost = unique(what);
        let made = Self { node, url: node.url(&vhost), vhost };
        made.declare(&with(parts, "vhosts", json!([made.vhost])));
        made
    }

    /// Adds to it.
    pub(super) fn declare(&self, parts: &Value) {
        let parts = parts.to_string().replace("VHOST", &self.vhost);
        Pika::run(&["topology", "--url", &self.url, "--management", &self.node.management(), &parts]);
    }

    /// What the management API says under `/api/KIND/VHOST`.
    pub(super) fn api(&self, method: &str, kind: &str, rest: &str, body: Option<&Value>) -> Value {
        self.node.api(method, &format!("/api/{kind}/{}{rest}", self.vhost), body)
    }

    /// The names of the queues that are ours.
    pub(super) fn own_queues(&self) -> Vec<String> {
        let queues = self.api("GET", "queues", "?columns=name", None);
        let names = queues.as_array().expect("queues").iter().map(|queue| queue["name"].as_str().expect("a name").to_owned());
        names.filter(|name| name.starts_with("dejaq.")).collect()
    }
}

/// An object with one more entry.
fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[name] = value;
    object
}

impl Drop for World {
    fn drop(&mut self) {
        // A node that a failed test left stopped does not answer: what the test said matters more.
        let management = self.node.management();
        let path = format!("/api/vhosts/{}", self.vhost);
        let _ = Pika::command(&["api", "--management", &management, "DELETE", &path]).output();
    }
}
