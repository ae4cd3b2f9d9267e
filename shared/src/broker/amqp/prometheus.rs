//! RabbitMQ's Prometheus plugin, which tells the cluster's persistent id, and counters that the management API has not.
//!
//! Limits: it is asked without a password, as Prometheus itself does; the answer is bounded; only samples without a time stamp of
//! their own are read, which RabbitMQ does not write.

use super::http::Http;
use crate::broker::BrokerError;

/// The metric that names the cluster, and its labels.
const IDENTITY: &str = "rabbitmq_identity_info";
const CLUSTER_ID: &str = "rabbitmq_cluster_permanent_id";
const CLUSTER_NAME: &str = "rabbitmq_cluster";
/// What a queue of a capture threw away because it was full: classic queues without dead-lettering.
#[cfg(feature = "source")]
const DROPPED: &str = "rabbitmq_global_messages_dead_lettered_maxlen_total";
/// The most bytes of an answer.
const BYTES_MAX: u64 = 64 << 20;

/// The plugin of one node.
pub(super) struct Prometheus {
    http: Http,
}

/// What a node says of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdentityInfo {
    /// The id that was made with the cluster, and stays.
    pub(super) cluster_id: String,
    /// The name that people gave it, or its first node's.
    pub(super) cluster_name: String,
}

impl Prometheus {
    pub(super) fn new(http: Http) -> Self {
        Self { http }
    }

    /// What the node says of its cluster; `None`: it says nothing (RabbitMQ before 3.8.10).
    ///
    /// # Errors
    /// When nobody answers, or the answer is no text.
    pub(super) fn identity(&self) -> Result<Option<IdentityInfo>, BrokerError> {
        Ok(identity(&self.metrics()?))
    }

    /// How many messages classic queues without dead-lettering threw away on this node since it started, because they were full;
    /// `None`: the node does not count them (RabbitMQ before 3.10).
    ///
    /// # Errors
    /// As [`Prometheus::identity`].
    #[cfg(feature = "source")]
    pub(super) fn dropped(&self) -> Result<Option<u64>, BrokerError> {
        Ok(dropped(&self.metrics()?))
    }

    fn metrics(&self) -> Result<String, BrokerError> {
        self.http.text("/metrics", BYTES_MAX)
    }
}

fn identity(metrics: &str) -> Option<IdentityInfo> {
    let (labels, _) = samples(metrics, IDENTITY).next()?;
    let label = |name: &str| labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let cluster_id = label(CLUSTER_ID).filter(|id| !id.is_empty())?;
    Some(IdentityInfo { cluster_id, cluster_name: label(CLUSTER_NAME).unwrap_or_default() })
}

#[cfg(feature = "source")]
fn dropped(metrics: &str) -> Option<u64> {
    let wanted = [("queue_type", "rabbit_classic_queue"), ("dead_letter_strategy", "disabled")];
    samples(metrics, DROPPED)
        .find(|(labels, _)| wanted.iter().all(|(name, value)| labels.iter().any(|(n, v)| n == name && v == value)))
        .and_then(|(_, value)| value.parse().ok())
}

type Labels = Vec<(String, String)>;

/// The samples of a metric, with their labels: `name{label="value",…} number`.
fn samples<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = (Labels, &'a str)> {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        value.starts_with(' ').then(|| (labels, value.trim()))
    })
}

/// Labels up to their closing brace, and what follows. A backslash stands before a quote, a backslash and an `n` for a new line.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.starts_with('}') {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(if let (_, 'n') = chars.clone().next()? { chars.next().map(|_| '\n')? } else { chars.next()?.1 }),
                (_, other) => value.push(other),
            }
        };
        found.push((name.to_owned(), value));
        rest = &after[end..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some((found, &rest[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RabbitMQ 3.10 answers, shortened.
    const METRICS: &str = r#"# TYPE rabbitmq_identity_info untyped
rabbitmq_identity_info{rabbitmq_node="dejaq-prod@localhost",rabbitmq_cluster="a \"b\" \\c",rabbitmq_cluster_permanent_id="rabbitmq-cluster-id-oYZF"} 1
rabbitmq_global_messages_dead_lettered_maxlen_total{queue_type="rabbit_classic_queue",dead_letter_strategy="at_most_once"} 7
rabbitmq_global_messages_dead_lettered_maxlen_total{queue_type="rabbit_classic_queue",dead_letter_strategy="disabled"} 90
rabbitmq_global_messages_dead_lettered_maxlen_total_more{queue_type="rabbit_classic_queue",dead_letter_strategy="disabled"} 5
"#;

    #[cfg(feature = "source")]
    #[test]
    fn the_cluster_and_the_counter_are_read() {
        let found = identity(METRICS).expect("told");
        assert_eq!(found, IdentityInfo { cluster_id: "rabbitmq-cluster-id-oYZF".into(), cluster_name: "a \"b\" \\c".into() });
        assert_eq!(dropped(METRICS), Some(90));
    }

    #[cfg(feature = "source")]
    #[test]
    fn what_is_not_told_is_not_guessed() {
        for text in [
            "",
            "rabbitmq_identity_info 1",
            "rabbitmq_identity_info{rabbitmq_cluster_permanent_id=\"\"} 1",
            "rabbitmq_identity_info{a=\"",
            "rabbitmq_identity_info{a=\"\\",
        ] {
            assert_eq!(identity(text), None, "{text}");
            assert_eq!(dropped(text), None);
        }
    }
}
