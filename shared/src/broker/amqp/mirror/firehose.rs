//! What the broker's trace publishes of a message, made into that message again (Q9).
//!
//! The trace's body is the message's. Its headers tell the rest: the exchange, the routing keys, the properties in a table.
//!
//! Limits: the routing key is the first of the keys; those that a publisher added by CC stand in the message's headers, those of
//! BCC in none. What is published to dejaq's own queues is left out.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::broker::amqp::topology::OWN_PREFIX;

/// A message that was published.
#[derive(Debug, PartialEq)]
pub(super) struct Published {
    pub(super) exchange: String,
    pub(super) routing_key: Vec<u8>,
    pub(super) properties: BasicProperties,
}

/// `None`: it is no message of the trace.
pub(super) fn published(traced: &BasicProperties) -> Option<Published> {
    let headers = traced.headers().as_ref()?.inner();
    let AMQPValue::LongString(exchange) = headers.get("exchange_name")? else { return None };
    let AMQPValue::FieldArray(keys) = headers.get("routing_keys")? else { return None };
    let AMQPValue::FieldTable(properties) = headers.get("properties")? else { return None };
    let routing_key = match keys.as_slice().first() {
        Some(AMQPValue::LongString(key)) => key.as_bytes().to_vec(),
        _ => return None,
    };
    Some(Published { exchange: exchange.to_string(), routing_key, properties: basic(properties)? })
}

/// The exchange of a traced message, from the trace's routing key.
pub(super) fn exchange_of(routing_key: &str) -> Option<&str> {
    routing_key.strip_prefix("publish.")
}

/// Whether it was published to one of dejaq's own queues: a canary.
pub(super) fn is_ours(published: &Published) -> bool {
    published.exchange.is_empty() && published.routing_key.starts_with(OWN_PREFIX.as_bytes())
}

/// The basic properties, from the table that the trace makes of them.
fn basic(table: &FieldTable) -> Option<BasicProperties> {
    let mut to = BasicProperties::default();
    for (name, value) in table.inner() {
        to = match (name.as_str(), value) {
            ("headers", AMQPValue::FieldTable(headers)) => to.with_headers(headers.clone()),
            ("delivery_mode", _) => to.with_delivery_mode(u8::try_from(integer(value)?).ok()?),
            ("priority", _) => to.with_priority(u8::try_from(integer(value)?).ok()?),
            ("timestamp", AMQPValue::Timestamp(seconds)) => to.with_timestamp(*seconds),
            ("timestamp", _) => to.with_timestamp(u64::try_from(integer(value)?).ok()?),
            (name, AMQPValue::LongString(text)) => {
                let text = ShortString::try_new(text.to_string()).ok()?;
                match name {
                    "content_type" => to.with_content_type(text),
                    "content_encoding" => to.with_content_encoding(text),
                    "correlation_id" => to.with_correlation_id(text),
                    "reply_to" => to.with_reply_to(text),
                    "expiration" => to.with_expiration(text),
                    "message_id" => to.with_message_id(text),
                    "type" => to.with_type(text),
                    "user_id" => to.with_user_id(text),
                    "app_id" => to.with_app_id(text),
                    "cluster_id" => to.with_cluster_id(text),
                    _ => to,
                }
            }
            _ => to,
        };
    }
    Some(to)
}

/// The trace writes small numbers as whichever integer it has at hand.
fn integer(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::ShortShortInt(n) => i64::from(*n),
        AMQPValue::ShortShortUInt(n) => i64::from(*n),
        AMQPValue::ShortInt(n) => i64::from(*n),
        AMQPValue::ShortUInt(n) => i64::from(*n),
        AMQPValue::LongInt(n) => i64::from(*n),
        AMQPValue::LongUInt(n) => i64::from(*n),
        AMQPValue::LongLongInt(n) => *n,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        entries.iter().for_each(|(name, value)| {
            table.insert((*name).into(), value.clone());
        });
        table
    }

    fn traced(properties: FieldTable, keys: &[&str]) -> BasicProperties {
        let mut list = FieldArray::default();
        keys.iter().for_each(|key| list.push(text(key)));
        let headers = [
            ("exchange_name", text("orders")),
            ("routing_keys", AMQPValue::FieldArray(list)),
            ("properties", AMQPValue::FieldTable(properties)),
            ("node", text("rabbit@prod")),
        ];
        BasicProperties::default().with_headers(table(&headers))
    }

    #[test]
    fn the_message_is_as_it_was_published() {
        let own = table(&[("host", text("web1")), ("n", AMQPValue::LongInt(5))]);
        let properties = table(&[
            ("headers", AMQPValue::FieldTable(own.clone())),
            ("delivery_mode", AMQPValue::LongInt(2)),
            ("priority", AMQPValue::ShortShortInt(3)),
            ("timestamp", AMQPValue::Timestamp(7)),
            ("content_type", text("text/plain")),
            ("type", text("order")),
        ]);
        let found = published(&traced(properties, &["eu.1", "copy"])).expect("a message");
        let expected = BasicProperties::default()
            .with_headers(own)
            .with_delivery_mode(2)
            .with_priority(3)
            .with_timestamp(7)
            .with_content_type("text/plain".into())
            .with_type("order".into());
        assert_eq!(found, Published { exchange: "orders".into(), routing_key: b"eu.1".to_vec(), properties: expected });
    }

    #[test]
    fn what_is_no_trace_is_not_taken_for_one() {
        assert_eq!(published(&BasicProperties::default()), None);
        assert_eq!(published(&traced(FieldTable::default(), &[])), None);
        let absurd = table(&[("delivery_mode", AMQPValue::LongInt(700))]);
        assert_eq!(published(&traced(absurd, &["k"])), None);
    }
}
