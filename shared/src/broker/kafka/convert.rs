//! Message to record, and record to message. The two are inverses, but for what librdkafka cannot carry: the name of a
//! header whose value is null ends at its first NUL when it is read, and a time stamp of exactly 0 cannot be written (it means "now").

#[cfg(feature = "sink")]
use super::ffi::producer::Publish;
#[cfg(feature = "source")]
use super::ffi::{Code, consumer::Message};
#[cfg(feature = "sink")]
use crate::broker::sink::{Outgoing, Refusal};
use crate::record::MARK_HEADER;
#[cfg(feature = "source")]
use crate::record::{HeadersBuf, Record, RecordFlags, StreamIx};

/// A message as a record that borrows from the message and from `headers`, which is overwritten.
///
/// # Errors
/// When the client cannot read the headers.
#[cfg(feature = "source")]
#[inline]
pub(super) fn record<'a>(message: Message<'a>, stream: StreamIx, arrival_ns: i64, headers: &'a mut HeadersBuf) -> Result<Record<'a>, Code> {
    message.headers_into(headers)?;
    let headers = headers.as_headers();
    let replayed = headers.iter().any(|(name, _)| name == MARK_HEADER);
    Ok(Record {
        stream,
        position: message.offset(),
        leader_epoch: message.leader_epoch(),
        arrival_ns,
        broker_time: message.broker_time(),
        key: message.key(),
        value: message.value(),
        headers,
        flags: if replayed { RecordFlags::REPLAYED } else { RecordFlags::default() },
        ..Record::EMPTY
    })
}

/// An outgoing message as the client wants it.
///
/// # Errors
/// When it has a time stamp of 0: the client would write now instead.
#[cfg(feature = "sink")]
#[inline]
pub(super) fn publish<'a>(message: &Outgoing<'a>) -> Result<Publish<'a>, Refusal> {
    if message.timestamp_ms == Some(0) {
        return Err(Refusal::Final("time stamp 0"));
    }
    Ok(Publish {
        partition: message.partition,
        key: message.key,
        value: message.value,
        headers: message.headers,
        last_header: message.mark.map(|mark| (MARK_HEADER, Some(mark))),
        timestamp_ms: message.timestamp_ms.unwrap_or(0),
        tag: message.tag,
    })
}
