//! Keys and routing keys: what a message goes by at the target. Nothing is copied: they are the record's own bytes, or
//! were made before the run.

use std::sync::Arc;

use dejaq_shared::amqp::Value;
use dejaq_shared::record::Record;

use super::{Fit, KeySource, Way};

impl Fit {
    /// The record with the key that it has at Kafka, which copies, `--loop-keys` and rules for keys go by.
    #[must_use]
    #[inline]
    pub fn keyed<'r>(&self, record: &Record<'r>) -> Record<'r> {
        match self.way(record.stream) {
            Way::RabbitToKafka => Record { key: self.key_of(record), ..*record },
            _ => *record,
        }
    }

    fn key_of<'r>(&self, record: &Record<'r>) -> Option<&'r [u8]> {
        match &self.key {
            KeySource::RoutingKey => record.routing_key,
            KeySource::MessageId => record.properties.basic().message_id,
            KeySource::Header(name) => {
                let mut headers = record.properties.basic().headers?.iter();
                headers.find(|(found, _)| *found == name.as_bytes()).and_then(|(_, value)| match value {
                    Value::String(bytes) | Value::Bytes(bytes) => Some(bytes),
                    _ => None,
                })
            }
            KeySource::None => None,
        }
    }
}

/// Gives messages their routing keys, and knows which of `--map-key` were of use.
#[derive(Debug)]
pub struct RoutingKeys {
    fit: Arc<Fit>,
    mapped: Vec<u64>,
}

impl RoutingKeys {
    /// For a run.
    #[must_use]
    pub fn new(fit: Arc<Fit>) -> Self {
        let mapped = vec![0; fit.map_key.len()];
        Self { fit, mapped }
    }

    /// The routing key of a record at RabbitMQ; what it has already where the target is Kafka.
    #[inline]
    pub fn of<'r>(&'r mut self, record: &Record<'r>) -> Option<&'r [u8]> {
        let given = match self.fit.way(record.stream) {
            Way::AsItIs | Way::RabbitToKafka => return record.routing_key,
            Way::RabbitToRabbit => record.routing_key,
            Way::KafkaToRabbit => Some(record.key.unwrap_or_default()),
        };
        let key = self.fit.streams.get(record.stream as usize).and_then(|s| s.routing_key.as_deref()).or(given);
        let Some(ix) = key.and_then(|key| self.fit.map_key.iter().position(|(old, _)| old.as_slice() == key)) else { return key };
        self.mapped[ix] += 1;
        Some(&self.fit.map_key[ix].1)
    }

    /// What became of `--map-key`, in words.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let unused = self.fit.map_key.iter().zip(&self.mapped).filter(|(_, mapped)| **mapped == 0);
        unused
            .map(|((old, new), _)| {
                let shown = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
                format!("--map-key {}={}: no message has that routing key", shown(old), shown(new))
            })
            .collect()
    }
}
