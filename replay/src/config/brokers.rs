//! Options that only some brokers have: what they mean, and which are refused for the brokers at hand.

use dejaq_shared::broker::sink::TargetKind;

use super::validate::{choice, pair};
use super::{ConfigError, Options, RawOptions};
use crate::fit::{DeadLettered, ExpirationMode, FitOptions, KeySource, RoutingKeySource, SHORT_BYTES_MAX};
use crate::remap::PartitionMode;
use crate::schedule::Pace;

/// More connections than this are not one generator's.
const CONNECTIONS_MAX: u32 = 64;

const EXPIRATIONS: [(&str, ExpirationMode); 3] =
    [("keep", ExpirationMode::Keep), ("scale", ExpirationMode::Scale), ("strip", ExpirationMode::Strip)];

impl RawOptions {
    pub(super) fn connections(&self) -> Result<u32, ConfigError> {
        match self.connections {
            None => Ok(1),
            Some(number) if (1..=CONNECTIONS_MAX).contains(&number) => Ok(number),
            Some(number) => Err(ConfigError::Value { option: "connections", found: number.to_string(), expected: "1 to 64" }),
        }
    }

    pub(super) fn fit(&self) -> Result<FitOptions, ConfigError> {
        let wrong = |option, found: &String, expected| ConfigError::Value { option, found: found.clone(), expected };
        let key = self
            .key
            .as_ref()
            .map(|text| KeySource::parse(text).ok_or_else(|| wrong("key", text, "routing-key, message-id, header:NAME or none")));
        let routing_key = self.routing_key.as_ref().map(|text| {
            RoutingKeySource::parse(text).ok_or_else(|| wrong("routing-key", text, "key, topic, partition, or a text of 255 bytes at most"))
        });
        let map_key = self.map_key.iter().map(|typed| pair("map-key", typed, "OLD=NEW")).collect::<Result<Vec<_>, _>>()?;
        if let Some((_, long)) = map_key.iter().find(|(_, new)| new.len() > SHORT_BYTES_MAX) {
            return Err(wrong("map-key", long, "a routing key of 255 bytes at most"));
        }
        let mut old: Vec<&String> = map_key.iter().map(|(old, _)| old).collect();
        old.sort_unstable();
        if let Some(twice) = old.windows(2).find(|w| w[0] == w[1]) {
            return Err(wrong("map-key", twice[0], "one mapping for each routing key"));
        }
        let dead_lettered = match self.dead_lettered.as_deref() {
            None => None,
            Some("skip") => Some(DeadLettered::Skip),
            Some("send") => Some(DeadLettered::Send),
            Some(other) => return Err(wrong("dead-lettered", &other.to_owned(), "skip or send")),
        };
        Ok(FitOptions {
            expiration: choice("expiration", self.expiration.as_deref(), "keep, scale or strip", &EXPIRATIONS)?,
            dead_lettered,
            strip_reply_to: self.strip_reply_to,
            key: key.transpose()?.unwrap_or_default(),
            routing_key: routing_key.transpose()?.unwrap_or_default(),
            map_key,
        })
    }

    /// Which of the options below were given.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let all = [
            ("partitions", self.partitions.is_some()),
            ("timestamps", self.timestamps.is_some()),
            ("client", self.client.is_some()),
            ("create-topics", self.create_topics),
            ("key", self.key.is_some()),
            ("create-topology", self.create_topology),
            ("connections", self.connections.is_some()),
            ("routing-key", self.routing_key.is_some()),
            ("map-key", !self.map_key.is_empty()),
            ("expiration", self.expiration.is_some()),
            ("dead-lettered", self.dead_lettered.is_some()),
            ("strip-reply-to", self.strip_reply_to),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(option, _)| option).collect()
    }
}

impl Options {
    /// Refuses options that these brokers have no use for, and thresholds of what a run at this target cannot have. `from_kafka` and `from_rabbit` say whose records are replayed.
    ///
    /// # Errors
    /// [`ConfigError`]: a usage error.
    pub fn check_brokers(&self, from_kafka: bool, from_rabbit: bool, target: TargetKind) -> Result<(), ConfigError> {
        for option in self.given.iter().copied() {
            let why = match target {
                TargetKind::Kafka => self.no_use_for_kafka(option, from_kafka, from_rabbit),
                TargetKind::RabbitMq => no_use_for_rabbit(option, from_kafka, from_rabbit),
            };
            if let Some(why) = why {
                return Err(ConfigError::NotFor { option, why });
            }
        }
        if let Some(why) = self.observe.probes.iter().find(|probe| probe.broker() != target).map(|_| output_of(target)) {
            return Err(ConfigError::NotFor { option: "probe", why });
        }
        let run = self.observe.measurable(&self.pace, Some(target));
        self.thresholds.iter().try_for_each(|threshold| threshold.check(&run))?;
        if self.fit.expiration == ExpirationMode::Scale && !matches!(self.pace, Pace::Recorded { .. }) {
            return Err(ConfigError::NotFor {
                option: "expiration",
                why: "scale divides by --speed, and the pace is another one (keep or strip)",
            });
        }
        Ok(())
    }

    fn no_use_for_kafka(&self, option: &str, from_kafka: bool, from_rabbit: bool) -> Option<&'static str> {
        match option {
            "create-topology" | "connections" => Some("the target is Kafka, which has neither exchanges nor a connection for each stream"),
            "routing-key" | "map-key" => Some("the target is Kafka, which has no routing keys (--key says what becomes of them)"),
            "expiration" | "strip-reply-to" => Some("the target is Kafka, to which these properties are nothing but headers"),
            "key" if !from_rabbit => Some("the recording is Kafka's, and its records keep their keys"),
            "dead-lettered" if !from_rabbit => Some("the recording is Kafka's, which dead-letters nothing"),
            "partitions" if !from_kafka && self.partitions != PartitionMode::Rekey => {
                Some("the recording is RabbitMQ's, which has no partitions: the key decides (rekey, and --key)")
            }
            _ => None,
        }
    }
}

/// How an output at this broker is named.
fn output_of(target: TargetKind) -> &'static str {
    match target {
        TargetKind::Kafka => "the target is Kafka, where an output is a topic (topic=NAME)",
        TargetKind::RabbitMq => {
            "the target is RabbitMQ, where an output is an exchange (exchange=NAME) or a queue that nobody consumes (queue=NAME)"
        }
    }
}

fn no_use_for_rabbit(option: &str, from_kafka: bool, from_rabbit: bool) -> Option<&'static str> {
    match option {
        "partitions" | "create-topics" => {
            Some("the target is RabbitMQ, which has exchanges and no partitions (--create-topology makes them)")
        }
        "key" => Some("the target is RabbitMQ, whose messages have no keys (--routing-key, --map-key)"),
        "timestamps" => Some("the target is RabbitMQ: the time stamp is a property of the message, and stays as it was published"),
        "client" => Some("the target is RabbitMQ, whose client has no batches: each message leaves at once"),
        "routing-key" if !from_kafka => {
            Some("the recording is RabbitMQ's, and its messages keep their routing keys (--map-key renames them)")
        }
        "expiration" | "dead-lettered" | "strip-reply-to" if !from_rabbit => {
            Some("the recording is Kafka's, whose records have no such thing")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, from_rabbit: bool, target: TargetKind) -> Result<(), String> {
        let options = RawOptions::from_toml(text).expect("TOML").validate().expect("valid");
        options.check_brokers(!from_rabbit, from_rabbit, target).map_err(|e| e.to_string())
    }

    #[test]
    fn options_of_another_broker_are_refused_with_the_reason() {
        let refused = [
            ("partitions = \"exact\"", false, TargetKind::RabbitMq, "no partitions"),
            ("create-topics = true", true, TargetKind::RabbitMq, "--create-topology"),
            ("timestamps = \"now\"", true, TargetKind::RabbitMq, "property"),
            ("client = \"precise\"", true, TargetKind::RabbitMq, "no batches"),
            ("key = \"none\"", true, TargetKind::RabbitMq, "no keys"),
            ("routing-key = \"topic\"", true, TargetKind::RabbitMq, "--map-key"),
            ("expiration = \"keep\"", false, TargetKind::RabbitMq, "Kafka's"),
            ("probe = [\"topic=out,match=key\"]", false, TargetKind::RabbitMq, "exchange=NAME"),
            ("probe = [\"queue=out,match=key\"]", true, TargetKind::Kafka, "topic=NAME"),
            ("connections = 2", true, TargetKind::Kafka, "Kafka"),
            ("create-topology = true", true, TargetKind::Kafka, "exchanges"),
            ("map-key = [\"a=b\"]", true, TargetKind::Kafka, "--key"),
            ("strip-reply-to = true", true, TargetKind::Kafka, "headers"),
            ("key = \"none\"", false, TargetKind::Kafka, "keep their keys"),
            ("partitions = \"exact\"", true, TargetKind::Kafka, "rekey"),
            ("expiration = \"scale\"\nrate = \"5/s\"", true, TargetKind::RabbitMq, "--speed"),
        ];
        for (text, from_rabbit, target, said) in refused {
            let error = checked(text, from_rabbit, target).expect_err(text);
            let option = text.split(" =").next().expect("an option");
            assert!(error.starts_with(&format!("--{option}")) && error.contains(said), "{text}: {error}");
        }
        let taken = [
            (
                "connections = 2\nmap-key = [\"a=b\"]\nexpiration = \"scale\"\nspeed = 2\ndead-lettered = \"send\"",
                true,
                TargetKind::RabbitMq,
            ),
            (
                "routing-key = \"topic\"\ncreate-topology = true\nlag = [\"billing\"]\nprobe = [\"exchange=out,match=key\"]",
                false,
                TargetKind::RabbitMq,
            ),
            ("key = \"header:id\"\npartitions = \"rekey\"\ncreate-topics = true\ndead-lettered = \"skip\"", true, TargetKind::Kafka),
            ("partitions = \"modulo\"\ntimestamps = \"shift\"\nclient = \"prod-like\"\nlag = [\"billing\"]", false, TargetKind::Kafka),
        ];
        for (text, from_rabbit, target) in taken {
            assert_eq!(checked(text, from_rabbit, target), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_threshold_that_is_never_known_at_the_target_is_refused() {
        let of = |measure: &str, target| checked(&format!("lag = [\"q\"]\nfail-if = [\"{measure}(q) > 5s\"]"), false, target);
        assert_eq!(of("lag_time_max", TargetKind::Kafka), Ok(()));
        let error = of("lag_time_max", TargetKind::RabbitMq).expect_err("a queue has no positions");
        assert!(error.contains("lag_time_max(q) > 5s") && error.contains("lag_messages_max(q)"), "{error}");
        let messages = checked("lag = [\"q\"]\nfail-if = [\"lag_messages_max(q) > 5\"]", false, TargetKind::RabbitMq);
        assert_eq!(messages, Ok(()));
    }
}
