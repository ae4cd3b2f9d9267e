//! Which properties the Kafka client gets.
//!
//! Three layers: dejaq's defaults; what a person sets (`-X key=value`, or the config file), which overrides them; and
//! what the promises depend on, which cannot be set and is refused with the reason (`REFUSED`). Names have aliases in
//! librdkafka (`linger.ms` is `queue.buffering.max.ms`); all are brought to one name first, so that an override
//! overrides. Secrets are shown as `***` in every text form.
//!
//! Guarantees for a source (promise 1): a group id that begins with [`GROUP_PREFIX`] and that nothing else uses, no
//! commits, no offset store, no reset policy, no topic creation.

use std::collections::BTreeMap;
use std::fmt;

use crate::broker::BrokerError;
use crate::broker::endpoint::KafkaEndpoint;
use crate::broker::secret::{HIDDEN, is_secret};
#[cfg(feature = "sink")]
use crate::broker::sink::{ClientProfile, SinkOptions};
#[cfg(feature = "source")]
use crate::broker::source::SourceOptions;

/// What every group id of a source begins with, so that one ACL with a prefix covers them.
pub const GROUP_PREFIX: &str = "dejaq-";

/// How records of transactions are read.
pub(super) const ISOLATION: &str = "isolation.level";
/// The mechanism that signs in by a token.
pub(super) const BY_TOKEN: &str = "OAUTHBEARER";

/// Memory that librdkafka takes for a prefetched message beside its payload (measured: 112 + 192 bytes).
const MESSAGE_OVERHEAD_BYTES: usize = 304;

/// librdkafka's default for `batch.size`.
#[cfg(feature = "sink")]
const BATCH_BYTES_DEFAULT: u64 = 1_000_000;
/// A batch's own bytes, generously.
#[cfg(feature = "sink")]
const BATCH_HEAD_BYTES: u64 = 128;

const TOKENS: &str = "tokens come from a file that another program keeps up to date, DEJAQ_KAFKA_TOKEN_FILE, or from DEJAQ_KAFKA_TOKEN";

/// Properties that cannot be set, and why.
const REFUSED: &[(&str, &str)] = &[
    ("enable.auto.commit", "a capture never commits offsets"),
    ("auto.commit.enable", "a capture never commits offsets"),
    ("enable.auto.offset.store", "a capture never stores offsets"),
    ("offset.store.method", "a capture never stores offsets"),
    ("auto.offset.reset", "positions are absolute; a lost one must be seen as a gap, not skipped"),
    ("group.instance.id", "a capture joins no group"),
    ("group.protocol", "a capture joins no group"),
    ("group.remote.assignor", "a capture joins no group"),
    ("allow.auto.create.topics", "dejaq never creates a topic by accident"),
    ("enable.partition.eof", "the ends of partitions must be seen"),
    ("enable.metrics.push", "no telemetry is pushed to a cluster that did not ask for it"),
    ("log.queue", "log lines go through dejaq"),
    ("log_level", "log lines go through dejaq"),
    ("bootstrap.servers", "the address is given as a URL"),
    ("transactional.id", "replay is not transactional"),
    ("enable.gapless.guarantee", "one message that fails must not stop the run"),
    ("delivery.report.only.error", "every message must be answered for"),
    ("test.mock.num.brokers", "it would replace the cluster"),
    ("enable.sasl.oauthbearer.unsecure.jwt", TOKENS),
    ("sasl.oauthbearer.method", TOKENS),
    ("sasl.oauthbearer.config", TOKENS),
];

/// Other names of the same property in librdkafka, and the one that is used here.
const ALIASES: &[(&str, &str)] = &[
    ("metadata.broker.list", "bootstrap.servers"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("compression.codec", "compression.type"),
    ("request.required.acks", "acks"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("message.send.max.retries", "retries"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
];

/// Properties of a client, by name. Its text forms hide secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The value of a property, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(canonical(name)).map(String::as_str)
    }

    /// All of them, secrets included: for the client only.
    pub(super) fn reveal(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What holds, for `plan` and `--check`: `(name, value)` by name, secrets as `***`.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), shown(name, value).to_owned())).collect()
    }

    /// The same with batches that fit into `bytes`; `None` when they do already, or the person said how large they are.
    #[cfg(feature = "sink")]
    pub(super) fn with_batches_of(&self, bytes: u64) -> Option<Self> {
        if bytes >= BATCH_BYTES_DEFAULT || self.get("batch.size").is_some() {
            return None;
        }
        let mut smaller = self.clone();
        smaller.set("batch.size", bytes.saturating_sub(BATCH_HEAD_BYTES).max(1).to_string());
        Some(smaller)
    }

    /// Whether the client signs in by a token.
    pub(super) fn by_token(&self) -> bool {
        self.get("sasl.mechanisms").is_some_and(|mechanism| mechanism.eq_ignore_ascii_case(BY_TOKEN))
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(canonical(name).to_owned(), value.into());
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.describe()).finish()
    }
}

/// A source's properties.
///
/// Budget: a quarter is for responses on their way, the rest for the queue of messages that wait to be polled, less
/// librdkafka's own bytes a message. These bytes come to a response when it is taken apart: 16 MiB of 40-byte messages grow
/// to 90 MiB. So a response (`fetch.max.bytes`) is a sixteenth of the budget.
///
/// # Errors
/// [`BrokerError::Property`] when a person set what cannot be set.
pub fn source_properties(endpoint: &KafkaEndpoint, options: &SourceOptions) -> Result<Properties, BrokerError> {
    let mut p = common(endpoint, &options.user);
    p.set("group.id", format!("{GROUP_PREFIX}{}", uuid::Uuid::new_v4()));
    p.set(ISOLATION, "read_uncommitted");
    p.set("check.crcs", "true");

    let payload = options.message_bytes_expected.max(1);
    let queue_bytes = options.memory_budget_bytes / 4 * 3;
    let messages = (queue_bytes / (payload + MESSAGE_OVERHEAD_BYTES)).clamp(1, 10_000_000);
    let payload_kib = (messages.saturating_mul(payload) / 1024).clamp(1, 2_097_151);
    let fetch_bytes = (options.memory_budget_bytes / 16).clamp(1 << 20, 50 << 20);
    p.set("queued.min.messages", messages.to_string());
    p.set("queued.max.messages.kbytes", payload_kib.to_string());
    p.set("fetch.max.bytes", fetch_bytes.to_string());
    p.set("fetch.message.max.bytes", (fetch_bytes / 4).to_string());
    // One record may be larger than any soft limit; this one is hard, and a response above it is retried for ever.
    p.set("receive.message.max.bytes", (crate::record::RECORD_BYTES_MAX + (64 << 20)).to_string());
    // The default of a second makes a saw-tooth of the intake each time the queue was full.
    p.set("fetch.queue.backoff.ms", "10");
    // Fewer, larger requests on a production broker: a poll waits for 64 KiB or half a second.
    p.set("fetch.min.bytes", "65536");
    p.set("fetch.wait.max.ms", "500");
    p.set("statistics.interval.ms", "5000");

    apply_user(&mut p, &options.user)?;
    p.set("enable.auto.commit", "false");
    p.set("enable.auto.offset.store", "false");
    p.set("auto.offset.reset", "error");
    p.set("enable.partition.eof", "true");
    let group = p.get("group.id").unwrap_or_default();
    if !group.starts_with(GROUP_PREFIX) {
        let reason = format!("a group id of dejaq begins with {GROUP_PREFIX:?}, so that it is never one of production's");
        return Err(BrokerError::Property { property: "group.id".to_owned(), value: group.to_owned(), reason });
    }
    Ok(p)
}

/// A sink's properties.
///
/// `enable.idempotence` is on (no reordering, no duplicates by retries) unless the person sets `acks` to something else
/// than `all`, or more than 5 requests in flight: the client could not be idempotent then.
///
/// # Errors
/// [`BrokerError::Property`] when a person set what cannot be set.
#[cfg(feature = "sink")]
pub fn sink_properties(endpoint: &KafkaEndpoint, options: &SinkOptions) -> Result<Properties, BrokerError> {
    let mut p = common(endpoint, &options.user);
    if options.profile == ClientProfile::Precise {
        p.set("linger.ms", "0");
    }
    p.set("acks", "all");
    // The target's topic decides what is too large, not the client.
    p.set("message.max.bytes", (crate::record::RECORD_BYTES_MAX + (1 << 20)).to_string());
    // The default of five minutes hides failures until the run is over.
    p.set("message.timeout.ms", "30000");
    p.set("queue.buffering.max.messages", options.queue.messages_max.clamp(1, 2_147_483_647).to_string());
    p.set("queue.buffering.max.kbytes", (options.queue.bytes_max / 1024).clamp(1, 2_147_483_647).to_string());
    apply_user(&mut p, &options.user)?;
    let in_flight = p.get("max.in.flight.requests.per.connection").and_then(|n| n.parse::<u64>().ok());
    let idempotent = matches!(p.get("acks"), Some("all" | "-1")) && in_flight.is_none_or(|n| n <= 5);
    if p.get("enable.idempotence").is_none() {
        p.set("enable.idempotence", idempotent.to_string());
    }
    Ok(p)
}

/// The properties of the client that the embedded cluster lives in: it connects to nobody.
pub(super) fn embedded_properties() -> Properties {
    let mut p = Properties(BTreeMap::new());
    p.set("client.id", "dejaq-embedded");
    // Nobody polls this client, so it shall have nothing to say.
    p.set("log.queue", "true");
    p.set("log_level", "0");
    p.set("enable.metrics.push", "false");
    p
}

/// What source and sink have in common: addresses, security, and no surprises for the cluster.
fn common(endpoint: &KafkaEndpoint, user: &[(String, String)]) -> Properties {
    let mut p = Properties(BTreeMap::new());
    p.set("bootstrap.servers", endpoint.addresses());
    p.set("client.id", "dejaq");
    p.set("allow.auto.create.topics", "false");
    p.set("enable.metrics.push", "false");
    p.set("socket.keepalive.enable", "true");
    p.set("log.queue", "true");
    let sasl = endpoint.user.is_some() || user.iter().any(|(name, _)| name.starts_with("sasl."));
    let protocol = match (endpoint.tls, sasl) {
        (false, false) => "plaintext",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    };
    p.set("security.protocol", protocol);
    if endpoint.tls && !user.iter().any(|(name, _)| matches!(name.as_str(), "ssl.ca.pem" | "ssl.ca.location")) {
        // OpenSSL is linked in and knows no directory: look in the usual places of the host.
        p.set("ssl.ca.location", "probe");
    }
    if let Some(name) = &endpoint.user {
        p.set("sasl.mechanisms", "SCRAM-SHA-512");
        p.set("sasl.username", name.clone());
    }
    if let Some(password) = &endpoint.password {
        p.set("sasl.password", password.reveal());
    }
    p
}

fn apply_user(p: &mut Properties, user: &[(String, String)]) -> Result<(), BrokerError> {
    for (name, value) in user {
        let name = canonical(name);
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return Err(property_error(name, value, &format!("dejaq sets it: {why}")));
        }
        p.set(name, value.clone());
    }
    Ok(())
}

/// An error about a property; a secret stands neither in its value nor in its reason.
pub(super) fn property_error(name: &str, value: &str, reason: &str) -> BrokerError {
    let reason = if is_secret(name) && !value.is_empty() { reason.replace(value, HIDDEN) } else { reason.to_owned() };
    BrokerError::Property { property: name.to_owned(), value: shown(name, value).to_owned(), reason }
}

fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical)
}

fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) { HIDDEN } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::endpoint::Endpoint;
    use crate::broker::sink::QueueLimits;

    fn endpoint(url: &str) -> KafkaEndpoint {
        let Endpoint::Kafka(kafka) = Endpoint::parse(url).expect(url) else { panic!("{url} is not Kafka's") };
        kafka
    }

    fn source(url: &str, user: &[(&str, &str)]) -> Result<Properties, BrokerError> {
        let user = user.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        source_properties(&endpoint(url), &SourceOptions { user, ..SourceOptions::default() })
    }

    #[test]
    fn a_source_has_an_identity_of_its_own_and_commits_nothing() {
        let p = source("kafka://h", &[]).expect("defaults");
        assert!(p.get("group.id").is_some_and(|g| g.starts_with(GROUP_PREFIX)));
        assert_ne!(p.get("group.id"), source("kafka://h", &[]).expect("defaults").get("group.id"));
        for (name, value) in [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("allow.auto.create.topics", "false"),
            ("enable.metrics.push", "false"),
            ("isolation.level", "read_uncommitted"),
            ("security.protocol", "plaintext"),
        ] {
            assert_eq!(p.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn what_the_promises_need_is_refused_under_every_name() {
        for (name, value) in [
            ("enable.auto.commit", "true"),
            ("auto.commit.enable", "true"),
            ("auto.offset.reset", "latest"),
            ("group.id", "billing"),
            ("metadata.broker.list", "elsewhere:9092"),
            ("bootstrap.servers", "elsewhere:9092"),
            ("group.instance.id", "x"),
        ] {
            let error = source("kafka://h", &[(name, value)]).expect_err(name).to_string();
            assert!(error.contains('='), "{error}");
        }
        assert!(source("kafka://h", &[("group.id", "dejaq-night")]).is_ok());
        assert_eq!(
            source("kafka://h", &[("isolation.level", "read_committed")]).expect("set").get("isolation.level"),
            Some("read_committed")
        );
    }

    #[test]
    fn the_queue_stays_inside_the_budget_at_the_expected_size() {
        for (budget, size) in [(64 << 20, 50), (64 << 20, 200), (16 << 20, 20_000), (1 << 20, 1)] {
            let options = SourceOptions { memory_budget_bytes: budget, message_bytes_expected: size, user: Vec::new() };
            let p = source_properties(&endpoint("kafka://h"), &options).expect("defaults");
            let kib: usize = p.get("queued.max.messages.kbytes").and_then(|n| n.parse().ok()).expect("a number");
            let messages = kib * 1024 / size;
            assert!(messages * (size + MESSAGE_OVERHEAD_BYTES) <= budget, "{budget} {size}: {messages} messages");
        }
    }

    #[test]
    fn security_follows_the_url_and_what_is_set() {
        let p = source("kafkas://me:hunter2@h", &[]).expect("secure");
        assert_eq!(p.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(p.get("sasl.mechanisms"), Some("SCRAM-SHA-512"));
        assert_eq!(p.get("ssl.ca.location"), Some("probe"));
        let p = source("kafka://me:hunter2@h", &[("sasl.mechanism", "PLAIN"), ("ssl.key.pem", "hunter2")]).expect("set");
        assert_eq!(p.get("security.protocol"), Some("sasl_plaintext"));
        assert_eq!(p.get("sasl.mechanisms"), Some("PLAIN"));
        let shown = format!("{p:?} {:?}", p.describe());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("***"), "{shown}");
    }

    #[test]
    fn an_error_about_a_secret_does_not_tell_it() {
        let error = property_error("sasl.password", "hunter2", "Invalid value \"hunter2\"").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[cfg(feature = "sink")]
    #[test]
    fn a_sink_is_idempotent_unless_the_person_rules_it_out() {
        let sink = |profile, user: &[(&str, &str)]| {
            let user = user.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let queue = QueueLimits { messages_max: 1000, bytes_max: 96 << 20 };
            sink_properties(&endpoint("kafka://h"), &SinkOptions { queue, profile, connections: 1, user }).expect("properties")
        };
        let p = sink(ClientProfile::Precise, &[]);
        assert_eq!((p.get("enable.idempotence"), p.get("linger.ms"), p.get("acks")), (Some("true"), Some("0"), Some("all")));
        assert_eq!(p.get("queue.buffering.max.kbytes"), Some("98304"));
        let p = sink(ClientProfile::ProdLike, &[("request.required.acks", "1")]);
        assert_eq!((p.get("enable.idempotence"), p.get("linger.ms"), p.get("acks")), (Some("false"), None, Some("1")));
        assert_eq!(sink(ClientProfile::Precise, &[("queue.buffering.max.ms", "7")]).get("linger.ms"), Some("7"));
        let p = sink(ClientProfile::Precise, &[]);
        assert_eq!(p.with_batches_of(1_048_588), None);
        assert_eq!(p.with_batches_of(50_000).as_ref().and_then(|p| p.get("batch.size")), Some("49872"));
        assert_eq!(sink(ClientProfile::ProdLike, &[("batch.size", "9")]).with_batches_of(50_000), None);
    }
}
