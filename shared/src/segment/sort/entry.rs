//! A record in a run: `length u32` of what follows, then the fixed fields as varints, then the bytes of key, header set,
//! value, routing key and properties. Its time stands before it in the chunk, as the difference to the entry before. Private to this build: a run
//! never outlives its process.

use crate::amqp::Properties;
use crate::record::{BrokerTime, Headers, Record, RecordFlags, StreamIx};
use crate::varint;

/// Bytes of the length in front of an entry.
pub(super) const LENGTH_BYTES: usize = 4;

/// Appends a record of the recording's stream `stream`.
pub(super) fn write(out: &mut Vec<u8>, stream: StreamIx, record: &Record<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let (kind, raw) = match record.broker_time {
        BrokerTime::None => (0, 0),
        BrokerTime::Create(raw) => (1, raw),
        BrokerTime::Append(raw) => (2, raw),
    };
    out.extend_from_slice(&[kind, record.flags.0]);
    varint::write_u64(out, u64::from(stream));
    varint::write_i64(out, record.position);
    varint::write_i64(out, i64::from(record.leader_epoch));
    varint::write_i64(out, record.arrival_ns);
    varint::write_i64(out, raw);
    let parts = [record.key, Some(record.headers.as_bytes()), record.value, record.routing_key, Some(record.properties.as_bytes())];
    for part in parts {
        varint::write_u64(out, part.map_or(0, |bytes| bytes.len() as u64 + 1));
    }
    for part in parts.into_iter().flatten() {
        out.extend_from_slice(part);
    }
    let length = u32::try_from(out.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// The length of the entry at the front of `from`, its own length included.
pub(super) fn length(from: &[u8]) -> Option<usize> {
    Some(LENGTH_BYTES + u32::from_le_bytes(*from.first_chunk()?) as usize)
}

/// The stream of the entry at the front of `from`.
pub(super) fn stream(from: &[u8]) -> Option<StreamIx> {
    StreamIx::try_from(varint::read_u64(&mut from.get(LENGTH_BYTES + 2..)?)?).ok()
}

/// Reads the entry that fills `from`. `None` when it is none.
pub(super) fn read(from: &[u8]) -> Option<Record<'_>> {
    let mut rest = from.get(LENGTH_BYTES..)?;
    let [kind, flags] = *rest.split_off(..2)?.first_chunk()?;
    let stream = StreamIx::try_from(varint::read_u64(&mut rest)?).ok()?;
    let position = varint::read_i64(&mut rest)?;
    let leader_epoch = i32::try_from(varint::read_i64(&mut rest)?).ok()?;
    let arrival_ns = varint::read_i64(&mut rest)?;
    let raw = varint::read_i64(&mut rest)?;
    let broker_time = match kind {
        0 => BrokerTime::None,
        1 => BrokerTime::Create(raw),
        2 => BrokerTime::Append(raw),
        _ => return None,
    };
    let mut lengths = [0; 5];
    for length in &mut lengths {
        *length = varint::read_u64(&mut rest)?;
    }
    let [key, headers, value, routing_key, properties] = lengths.map(|length| match length.checked_sub(1) {
        None => Some(None),
        Some(length) => usize::try_from(length).ok().and_then(|length| rest.split_off(..length)).map(Some),
    });
    let record = Record {
        stream,
        position,
        leader_epoch,
        arrival_ns,
        broker_time,
        key: key?,
        value: value?,
        headers: Headers::from_checked(headers?.unwrap_or_default()),
        flags: RecordFlags(flags),
        routing_key: routing_key?,
        properties: Properties::from_checked(properties?.unwrap_or_default()),
    };
    rest.is_empty().then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_went_in(
            stream in any::<u32>(), position in any::<i64>(), leader_epoch in any::<i32>(), arrival_ns in any::<i64>(), kind in 0u8..3, raw in any::<i64>(), flags in any::<u8>(),
            key in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), value in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
            routing_key in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), properties in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let broker_time = match kind { 0 => BrokerTime::None, 1 => BrokerTime::Create(raw), _ => BrokerTime::Append(raw) };
            let record = Record { stream: 9, position, leader_epoch, arrival_ns, broker_time, key: key.as_deref(), value: value.as_deref(), headers: Headers::EMPTY, flags: RecordFlags(flags), routing_key: routing_key.as_deref(), properties: Properties::from_checked(&properties) };
            let mut bytes = Vec::new();
            write(&mut bytes, stream, &record);
            prop_assert_eq!((length(&bytes), super::stream(&bytes)), (Some(bytes.len()), Some(stream)));
            prop_assert_eq!(read(&bytes), Some(Record { stream, ..record }));
        }

        #[test]
        fn other_bytes_are_no_entry_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = (length(&bytes), stream(&bytes), read(&bytes));
        }
    }
}
