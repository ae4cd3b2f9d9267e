//! What stands at a RabbitMQ broker: exchanges, queues, bindings and policies of virtual hosts, as a file that travels in the
//! recording ([`Topology::NAME`]). Capture writes it, `replay --create-topology` reads it.
//!
//! Guarantees: no users, no passwords, no permissions, nothing of dejaq's own queues. Everything is sorted, so that two looks at
//! the same broker give the same bytes. A file is bounded in size, and refused with words.
//!
//! Limits: the fields have the names of RabbitMQ's management API, and arguments come as it shows them, in JSON: which of AMQP's
//! integer types one had, or whether a text was bytes, is not told.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What begins the names of dejaq's own queues.
pub const OWN_PREFIX: &str = "dejaq.";

/// What stands at a broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The version of this layout: [`Topology::VERSION`].
    pub version: u32,
    /// The virtual hosts that are recorded, by name.
    pub vhosts: Vec<VirtualHost>,
}

/// A virtual host and what is in it. Each list is in order, so that equal ones look equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualHost {
    /// Its name.
    pub name: String,
    /// Its exchanges, those that RabbitMQ makes itself among them ([`Exchange::is_predeclared`]).
    pub exchanges: Vec<Exchange>,
    /// Its queues.
    pub queues: Vec<Queue>,
    /// Its bindings, without those that every queue has with the default exchange.
    pub bindings: Vec<Binding>,
    /// Its policies.
    pub policies: Vec<Policy>,
}

/// An exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Its name; empty is the default exchange.
    pub name: String,
    /// `direct`, `topic`, `fanout`, `headers`, or that of a plugin.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it survives a restart.
    #[serde(default)]
    pub durable: bool,
    /// Whether it goes with its last binding.
    #[serde(default)]
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    #[serde(default)]
    pub internal: bool,
    /// Its arguments.
    #[serde(default, deserialize_with = "arguments")]
    pub arguments: Map<String, Value>,
}

impl Exchange {
    /// Whether RabbitMQ makes it itself: nobody may declare such a name.
    #[must_use]
    pub fn is_predeclared(&self) -> bool {
        self.name.is_empty() || self.name.starts_with("amq.")
    }
}

/// A queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Whether it survives a restart.
    #[serde(default)]
    pub durable: bool,
    /// Whether it goes with its last consumer.
    #[serde(default)]
    pub auto_delete: bool,
    /// Whether it belongs to one connection, and goes with it.
    #[serde(default)]
    pub exclusive: bool,
    /// Its arguments, `x-queue-type` among them.
    #[serde(default, deserialize_with = "arguments")]
    pub arguments: Map<String, Value>,
}

impl Queue {
    /// Whether it can be made elsewhere: not one that belongs to a connection, nor one with a name that RabbitMQ chose.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        !self.exclusive && !self.name.starts_with("amq.")
    }
}

/// What a binding leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationType {
    /// A queue.
    #[default]
    Queue,
    /// Another exchange.
    Exchange,
}

/// A binding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The exchange that messages come from.
    pub source: String,
    /// The queue or exchange that they go to.
    pub destination: String,
    /// Which of the two.
    pub destination_type: DestinationType,
    /// The routing key, or the pattern.
    pub routing_key: String,
    /// The arguments: what a headers exchange looks at.
    #[serde(default, deserialize_with = "arguments")]
    pub arguments: Map<String, Value>,
}

/// A policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The regular expression of the names that it holds for.
    pub pattern: String,
    /// `queues`, `exchanges`, `all`, …
    #[serde(rename = "apply-to")]
    pub apply_to: String,
    /// The one with the highest holds.
    #[serde(default)]
    pub priority: i64,
    /// What it says.
    #[serde(default, deserialize_with = "arguments")]
    pub definition: Map<String, Value>,
}

/// The management API writes an empty list where it means an empty object.
fn arguments<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        Value::Array(list) if list.is_empty() => Ok(Map::new()),
        other => Err(serde::de::Error::custom(format!("expected arguments, an object, found {other}"))),
    }
}

/// Why a file is no topology.
#[derive(Debug, thiserror::Error)]
pub enum BadTopology {
    /// It is no JSON, or does not say what is expected.
    #[error("{name}: {0}", name = Topology::NAME)]
    Json(#[from] serde_json::Error),
    /// It is of a later dejaq.
    #[error("{name}: version {0} is of a later dejaq; this one reads version {own}", name = Topology::NAME, own = Topology::VERSION)]
    Version(u32),
    /// It is too large.
    #[error("{name}: {0} bytes, at most {most} are read", name = Topology::NAME, most = Topology::BYTES_MAX)]
    Size(usize),
}

impl Topology {
    /// The file's name in a recording.
    pub const NAME: &str = "rabbitmq-topology.json";
    /// Its media type.
    pub const MEDIA_TYPE: &str = "application/json";
    /// The version that this build writes.
    pub const VERSION: u32 = 1;
    /// The most bytes that are read of one.
    pub const BYTES_MAX: usize = 64 << 20;

    /// Of these virtual hosts, put in order, without what is dejaq's own.
    #[must_use]
    pub fn of(mut vhosts: Vec<VirtualHost>) -> Self {
        vhosts.iter_mut().for_each(VirtualHost::tidy);
        vhosts.sort_by(|a, b| a.name.cmp(&b.name));
        Self { version: Self::VERSION, vhosts }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`BadTopology`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadTopology> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(BadTopology::Size(bytes.len()));
        }
        let read: Self = serde_json::from_slice(bytes)?;
        if read.version > Self::VERSION { Err(BadTopology::Version(read.version)) } else { Ok(read) }
    }

    /// The file's content.
    ///
    /// # Errors
    /// [`BadTopology::Size`] when it would be too large to be read back.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BadTopology> {
        let bytes = serde_json::to_vec_pretty(self)?;
        if bytes.len() > Self::BYTES_MAX { Err(BadTopology::Size(bytes.len())) } else { Ok(bytes) }
    }

    /// The virtual host of that name.
    #[must_use]
    pub fn vhost(&self, name: &str) -> Option<&VirtualHost> {
        self.vhosts.iter().find(|vhost| vhost.name == name)
    }
}

impl VirtualHost {
    /// Puts everything in order, and takes out what is dejaq's own and what every queue has anyway.
    fn tidy(&mut self) {
        let own = |name: &str| name.starts_with(OWN_PREFIX);
        self.queues.retain(|queue| !own(&queue.name));
        self.bindings.retain(|binding| !binding.source.is_empty() && !own(&binding.destination));
        self.exchanges.sort_by(|a, b| a.name.cmp(&b.name));
        self.queues.sort_by(|a, b| a.name.cmp(&b.name));
        self.bindings.sort_by(by_ends);
        self.policies.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// The exchange of that name.
    #[must_use]
    pub fn exchange(&self, name: &str) -> Option<&Exchange> {
        self.exchanges.iter().find(|exchange| exchange.name == name)
    }
}

fn by_ends(a: &Binding, b: &Binding) -> Ordering {
    let ends = |x: &Binding| (x.source.clone(), x.destination_type, x.destination.clone(), x.routing_key.clone());
    ends(a).cmp(&ends(b)).then_with(|| canonical(&a.arguments).cmp(&canonical(&b.arguments)))
}

/// Arguments as a text that is the same for equal ones.
pub(super) fn canonical(arguments: &Map<String, Value>) -> String {
    Value::Object(arguments.clone()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RabbitMQ 3.10 answers `/api/exchanges/VHOST`, `/api/queues/VHOST` and `/api/bindings/VHOST`, shortened.
    const EXCHANGES: &str = r#"[{"arguments":{"alternate-exchange":"unrouted"},"auto_delete":false,"durable":true,"internal":false,"name":"orders",
        "type":"topic","user_who_performed_action":"guest","vhost":"/","message_stats":{"publish_in":3}},
        {"arguments":{},"auto_delete":false,"durable":true,"internal":false,"name":"","type":"direct","user_who_performed_action":"rmq-internal","vhost":"/"}]"#;
    const QUEUES: &str = r#"[{"arguments":{"x-max-length":10},"auto_delete":false,"durable":true,"exclusive":false,"name":"billing","type":"classic","vhost":"/"},
        {"arguments":{},"auto_delete":false,"durable":true,"exclusive":false,"name":"dejaq.1f","vhost":"/"}]"#;
    const BINDINGS: &str = r##"[{"source":"","vhost":"/","destination":"billing","destination_type":"queue","routing_key":"billing","arguments":{},"properties_key":"billing"},
        {"source":"orders","vhost":"/","destination":"dejaq.1f","destination_type":"queue","routing_key":"eu.#","arguments":{},"properties_key":"eu.%23"},
        {"source":"orders","vhost":"/","destination":"billing","destination_type":"queue","routing_key":"eu.#","arguments":[],"properties_key":"eu.%23"},
        {"source":"orders","vhost":"/","destination":"audit","destination_type":"exchange","routing_key":"#","arguments":{},"properties_key":"%23"}]"##;

    fn read() -> VirtualHost {
        let parsed = "as the management API answers";
        VirtualHost {
            name: "/".into(),
            exchanges: serde_json::from_str(EXCHANGES).expect(parsed),
            queues: serde_json::from_str(QUEUES).expect(parsed),
            bindings: serde_json::from_str(BINDINGS).expect(parsed),
            policies: vec![],
        }
    }

    #[test]
    fn what_the_management_api_answers_comes_back_from_the_file_without_what_is_our_own() {
        let topology = Topology::of(vec![VirtualHost { name: "b".into(), ..VirtualHost::default() }, read()]);
        let back = Topology::parse(&topology.to_bytes().expect("small")).expect("own file");
        assert_eq!(back, topology);
        let vhost = back.vhost("/").expect("recorded");
        assert_eq!(vhost.queues.iter().map(|q| q.name.as_str()).collect::<Vec<_>>(), ["billing"]);
        let ends: Vec<_> = vhost.bindings.iter().map(|b| (b.source.as_str(), b.destination.as_str(), b.destination_type)).collect();
        assert_eq!(ends, [("orders", "billing", DestinationType::Queue), ("orders", "audit", DestinationType::Exchange)]);
        assert_eq!(vhost.exchange("orders").expect("there").arguments["alternate-exchange"], "unrouted");
        assert!(vhost.exchange("").expect("there").is_predeclared());
    }

    #[test]
    fn the_order_of_the_answers_does_not_matter() {
        let mut other = read();
        other.exchanges.reverse();
        other.queues.reverse();
        other.bindings.reverse();
        assert_eq!(Topology::of(vec![other]), Topology::of(vec![read()]));
    }

    #[test]
    fn a_file_that_is_none_is_refused_with_words() {
        let refused = |bytes: &[u8]| Topology::parse(bytes).expect_err("refused").to_string();
        assert!(refused(b"{").starts_with("rabbitmq-topology.json: EOF"));
        assert!(refused(br#"{"version":2,"vhosts":[]}"#).contains("later dejaq"));
        let arguments = br#"{"version":1,"vhosts":[{"name":"/","queues":[],"bindings":[],"policies":[],"exchanges":[{"name":"e","type":"topic","arguments":7}]}]}"#;
        assert!(refused(arguments).contains("expected arguments"));
    }
}
