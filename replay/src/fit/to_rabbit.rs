//! Kafka → RabbitMQ: headers become the header table, in order.
//!
//! | of the record | at RabbitMQ |
//! |---|---|
//! | a header whose value is UTF-8 | a string of that name |
//! | a header with other bytes | a byte array |
//! | a header whose value is null | void |
//! | a header whose name has more than 255 bytes or is no UTF-8 | not carried |
//! | a header whose name means something to RabbitMQ (`CC`, `x-death`, …) | not carried |
//! | the key, unless it is the routing key | not carried |
//! | the broker's time stamp | not carried |
//! | a null value | an empty body |

use dejaq_shared::amqp::{Basic, Properties, TableBuf, Value};
use dejaq_shared::record::{BrokerTime, Headers, Record};

use super::counts::{Loss, Losses};
use super::owned::{is_owned, is_route};
use super::{Buffers, SHORT_BYTES_MAX};

/// The properties to send; `out` keeps them.
pub(super) fn properties<'r>(headers: Headers<'_>, out: &'r mut Buffers, losses: &mut Losses) -> Properties<'r> {
    let Buffers { table, bytes, .. } = out;
    bytes.clear();
    fill(table, headers, losses);
    let table = table.as_table().ok().filter(|table| !table.as_bytes().is_empty());
    // Only a short string of more than 255 bytes is refused, and there is none.
    match (Basic { headers: table, ..Basic::default() }).write(bytes) {
        Ok(()) => Properties::from_checked(bytes),
        Err(_) => Properties::EMPTY,
    }
}

fn fill(table: &mut TableBuf, headers: Headers<'_>, losses: &mut Losses) {
    table.clear();
    for (name, value) in headers.iter() {
        if name.len() > SHORT_BYTES_MAX || std::str::from_utf8(name).is_err() {
            losses.add(Loss::HeaderNames);
        } else if is_owned(name) || is_route(name) {
            losses.add(Loss::ReservedHeaders);
        } else {
            table.name(name).value(match value {
                None => Value::Void,
                Some(bytes) if std::str::from_utf8(bytes).is_ok() => Value::String(bytes),
                Some(bytes) => Value::Bytes(bytes),
            });
        }
    }
}

/// What of a record besides its headers has no place in the message.
pub(super) fn losses(record: &Record<'_>, key_routes: bool, losses: &mut Losses) {
    if record.key.is_some() && !key_routes {
        losses.add(Loss::KeyPart);
    }
    if record.value.is_none() {
        losses.add(Loss::NullValue);
    }
    if record.broker_time != BrokerTime::None {
        losses.add(Loss::TimeStamp);
    }
}
