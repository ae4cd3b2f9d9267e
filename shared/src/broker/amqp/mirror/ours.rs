//! Our own queue: its name, its bounds, and what a policy of production's must not make of it. Pure.
//!
//! Its arguments hold against policies: of dead-letter exchange and overflow RabbitMQ takes a queue's own argument before a
//! policy's; of lengths, times to live and expiry it takes the smaller one. What cannot be held against is refused.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable, LongLongInt, LongString};
use serde_json::{Map, Value};

use crate::broker::amqp::topology::{OWN_PREFIX, Policy};
use crate::broker::{BrokerError, shell};

/// Our queue in each of the virtual hosts that are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OurQueue {
    pub(super) name: String,
    /// The most messages that wait in it; those that are delivered and not acknowledged come on top (Q5).
    pub(super) messages_max: u64,
    /// The most bytes of bodies that wait in it.
    pub(super) bytes_max: u64,
    /// How long it outlives its last consumer.
    pub(super) expires: Duration,
}

impl OurQueue {
    /// Named after the recording, so that the next capture into it finds the queue.
    pub(super) fn name_of(recording: &str) -> String {
        format!("{OWN_PREFIX}{recording}")
    }

    /// What it is declared with.
    pub(super) fn arguments(&self) -> FieldTable {
        let number = |n: u64| AMQPValue::LongLongInt(LongLongInt::try_from(n).unwrap_or(LongLongInt::MAX));
        let text = |s: &str| AMQPValue::LongString(LongString::from(s));
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), text("classic"));
        // Any other overflow would refuse what production publishes (Q2).
        table.insert("x-overflow".into(), text("drop-head"));
        table.insert("x-max-length".into(), number(self.messages_max));
        table.insert("x-max-length-bytes".into(), number(self.bytes_max));
        table.insert("x-expires".into(), number(u64::try_from(self.expires.as_millis()).unwrap_or(u64::MAX)));
        // An exchange that is not there: what is dropped goes nowhere, whatever a policy says (Q4).
        table.insert("x-dead-letter-exchange".into(), text(&format!("{}.nowhere", self.name)));
        table
    }

    /// What a policy says of this queue, and whether it can be lived with.
    ///
    /// # Errors
    /// What it would do, and the command that keeps it off.
    pub(super) fn bears(&self, vhost: &str, policy: &str, priority: i64, says: &Map<String, Value>) -> Result<Vec<String>, BrokerError> {
        let mut warnings = Vec::new();
        for (key, value) in says {
            let smaller = |than: u64| value.as_u64().is_some_and(|limit| limit < than);
            let harm = match key.as_str() {
                _ if key.starts_with("ha-") => "would mirror it to other nodes",
                "message-ttl" => "would let messages in it expire unseen",
                "max-length" if smaller(self.messages_max) => "would hold less than is asked for (-X queue.messages=…)",
                "max-length-bytes" if smaller(self.bytes_max) => "would hold less than is asked for (-X queue.bytes=…)",
                "expires" if smaller(u64::try_from(self.expires.as_millis()).unwrap_or(u64::MAX)) => {
                    warnings.push(format!(
                        "policy {policy:?} of virtual host {vhost:?} says {key}={value}: our queue outlives a capture that broke off by no more than that many milliseconds"
                    ));
                    continue;
                }
                _ => continue,
            };
            return Err(BrokerError::Request {
                request: format!("making a queue {:?} in virtual host {vhost:?}", self.name),
                reason: format!(
                    "policy {policy:?} would hold for it, and its {key}={value} {harm}; to keep it off: rabbitmqctl set_policy -p {} \
                     --apply-to queues --priority {} dejaq '^dejaq\\.' '{{\"queue-mode\":\"default\"}}' (an operator policy: change its pattern)",
                    shell::word(vhost),
                    priority.saturating_add(1),
                ),
                retryable: false,
            });
        }
        Ok(warnings)
    }

    /// The policy among these that would hold for our queue: of those whose pattern takes its name the one with the highest
    /// priority. The second list has the names of those whose pattern cannot be read here (Erlang knows more than this).
    pub(super) fn policy_for<'p>(&self, policies: &'p [Policy]) -> (Option<&'p Policy>, Vec<&'p str>) {
        let mut unread = Vec::new();
        let mut found: Option<&Policy> = None;
        for policy in policies.iter().filter(|policy| matches!(policy.apply_to.as_str(), "queues" | "all" | "classic_queues")) {
            match regex::Regex::new(&policy.pattern) {
                Ok(pattern) if pattern.is_match(&self.name) && found.is_none_or(|found| policy.priority > found.priority) => {
                    found = Some(policy);
                }
                Ok(_) => {}
                Err(_) => unread.push(policy.name.as_str()),
            }
        }
        (found, unread)
    }

    /// How to remove it by hand.
    pub(super) fn removal(&self, vhost: &str) -> String {
        format!("rabbitmqctl delete_queue -p {} {}", shell::word(vhost), shell::word(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn queue() -> OurQueue {
        OurQueue { name: OurQueue::name_of("1f"), messages_max: 1_000, bytes_max: 1 << 20, expires: Duration::from_secs(1_800) }
    }

    fn policy(name: &str, pattern: &str, apply_to: &str, priority: i64) -> Policy {
        Policy { name: name.into(), pattern: pattern.into(), apply_to: apply_to.into(), priority, definition: Map::new() }
    }

    fn says(definition: &Value) -> Result<Vec<String>, String> {
        queue().bears("/", "p", 3, definition.as_object().expect("an object")).map_err(|e| e.to_string())
    }

    #[test]
    fn it_is_bounded_and_drops_its_oldest_into_nowhere() {
        let table = queue().arguments();
        let text = |key: &str| table.inner().get(key).and_then(AMQPValue::as_long_string).map(ToString::to_string);
        let number = |key: &str| table.inner().get(key).and_then(AMQPValue::as_long_long_int);
        assert_eq!(text("x-overflow").as_deref(), Some("drop-head"));
        assert_eq!(text("x-queue-type").as_deref(), Some("classic"));
        assert_eq!(text("x-dead-letter-exchange").as_deref(), Some("dejaq.1f.nowhere"));
        assert_eq!(
            (number("x-max-length"), number("x-max-length-bytes"), number("x-expires")),
            (Some(1_000), Some(1 << 20), Some(1_800_000))
        );
    }

    #[test]
    fn a_policy_that_would_lose_messages_or_copy_them_is_refused_with_the_command_that_keeps_it_off() {
        for (definition, word) in [
            (json!({"ha-mode": "all"}), "mirror"),
            (json!({"message-ttl": 50}), "expire"),
            (json!({"max-length": 999}), "queue.messages"),
            (json!({"max-length-bytes": 5}), "queue.bytes"),
        ] {
            let text = says(&definition).expect_err("refused");
            assert!(text.contains(word) && text.contains("rabbitmqctl set_policy -p / --apply-to queues --priority 4 dejaq"), "{text}");
        }
        // These our own arguments override, or they do no harm.
        let harmless = json!({"dead-letter-exchange": "dlx", "overflow": "reject-publish", "max-length": 1_000, "queue-mode": "lazy"});
        assert_eq!(says(&harmless), Ok(vec![]));
        assert_eq!(says(&json!({"expires": 60_000})).expect("a warning").len(), 1);
    }

    #[test]
    fn the_policy_with_the_highest_priority_whose_pattern_takes_the_name_holds() {
        let policies = [
            policy("all", ".*", "all", 0),
            policy("ours", r"^dejaq\.", "queues", 2),
            policy("exchanges", ".*", "exchanges", 9),
            policy("others", "^orders", "queues", 8),
            policy("erlang", "^(?!amq).*", "queues", 7),
        ];
        let ours = queue();
        let (found, unread) = ours.policy_for(&policies);
        assert_eq!((found.map(|p| p.name.as_str()), unread), (Some("ours"), vec!["erlang"]));
        assert_eq!(ours.policy_for(&policies[2..4]).0, None);
    }

    #[test]
    fn the_command_that_removes_it_can_be_pasted() {
        assert_eq!(queue().removal("a b"), "rabbitmqctl delete_queue -p 'a b' dejaq.1f");
    }
}
