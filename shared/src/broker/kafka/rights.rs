//! What a user lacks a right for, in words: who, which operation, on what, and the command that grants it. Pure.
//!
//! Limits: the broker may map a certificate's name or a token's subject to another user name; then the command names the one that
//! the client knows. Brokers without ACLs of their own (managed ones) have other commands; operation and resource are the same.

use super::config::Properties;
use crate::broker::BrokerError;
use crate::broker::shell;

/// The most topics that one text names.
const NAMED_MAX: usize = 5;

/// Who the client is to the broker.
#[derive(Debug, Clone)]
pub(super) struct Who {
    /// For people.
    words: String,
    /// For `--allow-principal`.
    principal: String,
    addresses: String,
}

/// A right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "source", feature = "sink")),
    expect(dead_code, reason = "one list of rights; a build with one direction needs a part of it")
)]
pub(super) enum Right {
    /// Seeing that a topic is there; READ and WRITE include it.
    Describe,
    Read,
    Write,
    Create,
    DescribeConfigs,
    IdempotentWrite,
}

impl Right {
    /// As Kafka writes it, and as its command takes it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Describe => ("DESCRIBE", "Describe"),
            Self::Read => ("READ", "Read"),
            Self::Write => ("WRITE", "Write"),
            Self::Create => ("CREATE", "Create"),
            Self::DescribeConfigs => ("DESCRIBE_CONFIGS", "DescribeConfigs"),
            Self::IdempotentWrite => ("IDEMPOTENT_WRITE", "IdempotentWrite"),
        }
    }
}

impl Who {
    /// Reads it from the client's properties; `token_user` is whom a token names.
    pub(super) fn of(properties: &Properties, token_user: Option<&str>) -> Self {
        let addresses = properties.get("bootstrap.servers").unwrap_or_default().to_owned();
        let (words, principal) = match token_user.or_else(|| properties.get("sasl.username")) {
            Some(user) => (format!("user {user:?}"), format!("User:{user}")),
            None if properties.get("ssl.certificate.location").is_some() => {
                ("the client certificate's user".to_owned(), "User:CN=…".to_owned())
            }
            None => ("who comes without a user".to_owned(), "User:ANONYMOUS".to_owned()),
        };
        Self { words, principal, addresses }
    }

    /// The user may not do this with these topics. `needs` is the right to grant, where a wider one is what is needed in the end.
    pub(super) fn lacks(&self, right: Right, topics: &[&str], needs: Right) -> BrokerError {
        let mut names: Vec<String> = topics.iter().take(NAMED_MAX).map(|topic| format!("{topic:?}")).collect();
        if topics.len() > NAMED_MAX {
            names.push(format!("{} more", topics.len() - NAMED_MAX));
        }
        let noun = if topics.len() == 1 { "topic" } else { "topics" };
        let resources: String = topics.iter().take(NAMED_MAX).map(|topic| format!(" --topic {}", shell::word(topic))).collect();
        self.missing(right, format!("{noun} {}", names.join(", ")), needs, &resources)
    }

    /// The user may not do this with the cluster as a whole.
    #[cfg(feature = "sink")]
    pub(super) fn lacks_on_cluster(&self, right: Right) -> BrokerError {
        self.missing(right, "the cluster".to_owned(), right, " --cluster")
    }

    fn missing(&self, right: Right, resource: String, needs: Right, resources: &str) -> BrokerError {
        BrokerError::MissingRight {
            who: self.words.clone(),
            operation: right.names().0,
            resource,
            command: format!(
                "kafka-acls.sh --bootstrap-server {} --add --allow-principal {} --operation {}{resources}",
                self.addresses,
                shell::word(&self.principal),
                needs.names().1,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(words: &str, principal: &str) -> Who {
        Who { words: words.into(), principal: principal.into(), addresses: "h:9092".into() }
    }

    #[test]
    fn who_lacks_what_and_how_to_grant_it_is_said() {
        let recorder = who("user \"recorder\"", "User:recorder");
        assert_eq!(
            recorder.lacks(Right::Describe, &["orders"], Right::Read).to_string(),
            "user \"recorder\" may not DESCRIBE topic \"orders\"; to allow it: kafka-acls.sh --bootstrap-server h:9092 --add \
             --allow-principal User:recorder --operation Read --topic orders"
        );
        let many = recorder.lacks(Right::Write, &["a", "b", "c", "d", "e", "f", "g"], Right::Write).to_string();
        assert!(many.contains("topics \"a\", \"b\", \"c\", \"d\", \"e\", 2 more;") && many.ends_with("--topic e"), "{many}");
    }

    #[cfg(feature = "sink")]
    #[test]
    fn a_right_on_the_cluster_is_one_too() {
        let cluster = who("user \"player\"", "User:player").lacks_on_cluster(Right::IdempotentWrite).to_string();
        assert!(cluster.contains("may not IDEMPOTENT_WRITE the cluster") && cluster.ends_with("IdempotentWrite --cluster"), "{cluster}");
    }

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let text = who("x", "User:o'brien; reboot").lacks(Right::Read, &["a"], Right::Read).to_string();
        assert!(text.contains(r"--allow-principal 'User:o'\''brien; reboot' --operation"), "{text}");
    }
}
