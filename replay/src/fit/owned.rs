//! The headers that RabbitMQ writes or reads itself.

use dejaq_shared::amqp::Value;

/// Whether brokers write this header: what is replayed must not claim to have been through their hands.
pub(super) fn is_owned(name: &[u8]) -> bool {
    matches!(name, b"x-death" | b"x-received-from" | b"x-stream-offset" | b"x-delivery-count")
        || name.starts_with(b"x-first-death-")
        || name.starts_with(b"x-last-death-")
}

/// Whether RabbitMQ routes by this header, besides the routing key.
pub(super) fn is_route(name: &[u8]) -> bool {
    matches!(name, b"CC" | b"BCC")
}

/// Whether RabbitMQ takes this value for further routing keys: anything else closes the channel.
pub(super) fn are_routes(value: Value<'_>) -> bool {
    matches!(value, Value::Array(list) if list.iter().all(|key| matches!(key, Value::String(_))))
}
