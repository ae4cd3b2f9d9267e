//! Kafka → RabbitMQ: headers become the header table, in order.
//!
//! | of the record | at RabbitMQ |
//! |---|---|
//! | a header whose value is UTF-8 | a string of that name |
//! | a header with other bytes | a byte array |
//! | a header whose value is null | void |
//! | a header whose name has more than 255 bytes, is no UTF-8, or comes again further on | not carried: the last one of a name holds |
//! | a header whose name means something to RabbitMQ (`CC`, `x-death`, …) | not carried |
//! | the key, unless it is the routing key | not carried |
//! | the broker's time stamp | not carried |
//! | a null value | an empty body |

use std::ops::Range;

use dejaq_shared::amqp::{Basic, Properties, TableBuf, Value};
use dejaq_shared::record::{BrokerTime, Headers, Record};

use super::counts::{Loss, Losses};
use super::owned::{is_owned, is_route};
use super::{Buffers, SHORT_BYTES_MAX};

/// The properties to send; `out` keeps them.
pub(super) fn properties<'r>(headers: Headers<'_>, out: &'r mut Buffers, losses: &mut Losses) -> Properties<'r> {
    let Buffers { table, bytes, names, .. } = out;
    bytes.clear();
    names.find(headers);
    fill(table, headers, names, losses);
    let table = table.as_table().ok().filter(|table| !table.as_bytes().is_empty());
    // Only a short string of more than 255 bytes is refused, and there is none.
    match (Basic { headers: table, ..Basic::default() }).write(bytes) {
        Ok(()) => Properties::from_checked(bytes),
        Err(_) => Properties::EMPTY,
    }
}

/// Which headers of a record have a name that comes again. Memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Where each name lies in the encoded headers, and which header it is.
    all: Vec<(Range<u32>, u32)>,
    again: Vec<u32>,
}

impl Names {
    fn find(&mut self, headers: Headers<'_>) {
        self.all.clear();
        self.again.clear();
        let bytes = headers.as_bytes();
        // A record has 128 MiB at most.
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        for ((name, _), number) in headers.iter().zip(0u32..) {
            let start = name.as_ptr().addr() - bytes.as_ptr().addr();
            self.all.push((place(start)..place(start + name.len()), number));
        }
        let name = |range: &Range<u32>| &bytes[range.start as usize..range.end as usize];
        self.all.sort_unstable_by(|(a, first), (b, second)| name(a).cmp(name(b)).then(first.cmp(second)));
        self.again.extend(self.all.windows(2).filter(|two| name(&two[0].0) == name(&two[1].0)).map(|two| two[0].1));
        self.again.sort_unstable();
    }
}

fn fill(table: &mut TableBuf, headers: Headers<'_>, names: &Names, losses: &mut Losses) {
    table.clear();
    let mut again = names.again.iter().peekable();
    for ((name, value), number) in headers.iter().zip(0u32..) {
        let comes_again = again.next_if(|next| **next == number).is_some();
        if comes_again || name.len() > SHORT_BYTES_MAX || std::str::from_utf8(name).is_err() {
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
