//! The same through the `mcap` crate, as fast as its documentation allows.
//!
//! Writing: its channel is added beforehand (`write_to_known_channel`), compression runs on the calling thread (its default
//! is one more thread per core; this compares one thread with one), everything else is its default, the checksums included.
//! Its message indexes are a default too: 16 bytes a message, uncompressed, by which it reads in time order. They are
//! measured with and without, since a pass from start to end does not need them. Reading: its event-driven linear reader,
//! which hands out borrowed bytes and checks no checksum unless asked (ours always checks).

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Cursor;

use anyhow::{Context as _, bail};
use mcap::records::{MessageHeader, Record, op};
use mcap::sans_io::{LinearReadEvent, LinearReader};

use crate::segments::{CHUNK_BYTES, Input, LEVEL, sum};

/// Writes all of it into `store`, whose memory is used again.
///
/// # Errors
/// mcap's.
pub(crate) fn write(input: &Input<'_>, message_indexes: bool, mut store: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    store.clear();
    let mut writer = mcap::WriteOptions::new()
        .compression(Some(mcap::Compression::Zstd))
        .compression_level(u32::try_from(LEVEL)?)
        .compression_threads(0)
        .chunk_size(Some(CHUNK_BYTES as u64))
        .emit_message_indexes(message_indexes)
        .create(Cursor::new(store))?;
    let channel_id = writer.add_channel(0, "bench", "", &BTreeMap::new())?;
    for (sequence, (arrival_ns, create_ms, value)) in (0u32..).zip(input.each()) {
        let header = MessageHeader {
            channel_id,
            sequence,
            log_time: arrival_ns.cast_unsigned(),
            publish_time: create_ms.cast_unsigned().wrapping_mul(1_000_000),
        };
        writer.write_to_known_channel(&header, value)?;
    }
    writer.finish()?;
    Ok(writer.into_inner().into_inner())
}

/// Reads all of it.
///
/// # Errors
/// mcap's.
pub(crate) fn read(store: &[u8]) -> anyhow::Result<u64> {
    let (mut reader, mut rest, mut total) = (LinearReader::new(), store, 0);
    while let Some(event) = reader.next_event() {
        match event.context("mcap's read")? {
            LinearReadEvent::ReadRequest(wanted) => {
                let into = reader.insert(wanted);
                let length = into.len().min(rest.len());
                into[..length].copy_from_slice(&rest[..length]);
                rest = &rest[length..];
                reader.notify_read(length);
            }
            LinearReadEvent::Record { data, opcode: op::MESSAGE } => {
                let Record::Message { header, data } = black_box(mcap::parse_record(op::MESSAGE, data)?) else {
                    bail!("mcap gave something else than a message")
                };
                total = sum(total, header.log_time.cast_signed(), &data);
            }
            LinearReadEvent::Record { .. } => {}
        }
    }
    Ok(total)
}
