//! Publishing and delivery reports.
//!
//! **Safety.** The client copies a message's key and value (`MSG_F_COPY`) before the call returns. Headers are made by
//! us; a call that succeeds takes them over, one that fails leaves them ours, and then they are destroyed, once. Messages
//! of a delivery report live as long as the event.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::{c_int, c_void};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_vtype_t as v;

use super::{Client, Code, Event, TopicHandle, lossy, millis};
use crate::record::Headers;

unsafe extern "C" {
    fn rd_kafka_header_add(
        headers: *mut rd::rd_kafka_headers_t,
        name: *const c_void,
        name_size: isize,
        value: *const c_void,
        value_size: isize,
    ) -> c_int;
    fn rd_kafka_message_status(message: *const rd::rd_kafka_message_t) -> c_int;
}

/// One message to publish.
pub(crate) struct Publish<'a> {
    pub(crate) partition: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Headers<'a>,
    /// One more header, at the end.
    pub(crate) last_header: Option<(&'a [u8], Option<&'a [u8]>)>,
    /// Milliseconds since 1970; 0 is the client's now.
    pub(crate) timestamp_ms: i64,
    pub(crate) tag: usize,
}

/// Whether a message is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persisted {
    No,
    Possibly,
    Yes,
}

impl TopicHandle {
    /// Hands one message to the client; never waits.
    ///
    /// # Errors
    /// The message was not taken.
    #[inline]
    pub(crate) fn publish(&self, message: &Publish<'_>) -> Result<(), Code> {
        let headers = build_headers(message)?;
        let (key, key_len) = parts(message.key);
        let (value, value_len) = parts(message.value);
        // SAFETY: topic and client live and belong together; each type word is followed by arguments of the types that
        // rdkafka.h names for it; the list ends with END. Key and value are copied. Headers may be null (none). The
        // function returns local codes only, all of which the enum has.
        let code = unsafe {
            rd::rd_kafka_producev(
                self.client.ptr(),
                v::RD_KAFKA_VTYPE_RKT as c_int,
                self.topic.as_ptr(),
                v::RD_KAFKA_VTYPE_PARTITION as c_int,
                message.partition,
                v::RD_KAFKA_VTYPE_MSGFLAGS as c_int,
                rd::RD_KAFKA_MSG_F_COPY,
                v::RD_KAFKA_VTYPE_KEY as c_int,
                key,
                key_len,
                v::RD_KAFKA_VTYPE_VALUE as c_int,
                value,
                value_len,
                v::RD_KAFKA_VTYPE_HEADERS as c_int,
                headers,
                v::RD_KAFKA_VTYPE_TIMESTAMP as c_int,
                message.timestamp_ms,
                v::RD_KAFKA_VTYPE_OPAQUE as c_int,
                std::ptr::without_provenance_mut::<c_void>(message.tag),
                v::RD_KAFKA_VTYPE_END as c_int,
            )
        };
        let code = Code(code as i32);
        if code == Code::NONE {
            return Ok(());
        }
        if !headers.is_null() {
            // SAFETY: the call failed, so they are still ours.
            unsafe { rd::rd_kafka_headers_destroy(headers) };
        }
        Err(code)
    }
}

/// The headers for C; null when there are none.
fn build_headers(message: &Publish<'_>) -> Result<*mut rd::rd_kafka_headers_t, Code> {
    if message.headers.is_empty() && message.last_header.is_none() {
        return Ok(std::ptr::null_mut());
    }
    // SAFETY: plain allocation; the count is a hint.
    let list = unsafe { rd::rd_kafka_headers_new(8) };
    for (name, value) in message.headers.iter().chain(message.last_header) {
        let (value_at, value_len) = parts(value);
        // SAFETY: the list is ours; name and value have the stated lengths and are copied. A name of length 0 is given
        // by length, not as a C string. Null stands for a null value.
        let code = unsafe { rd_kafka_header_add(list, name.as_ptr().cast(), name.len().cast_signed(), value_at, value_len.cast_signed()) };
        if code != 0 {
            // SAFETY: still ours.
            unsafe { rd::rd_kafka_headers_destroy(list) };
            return Err(Code(code));
        }
    }
    Ok(list)
}

/// Pointer and length; null is null, and an empty slice's pointer never is.
#[inline]
fn parts(bytes: Option<&[u8]>) -> (*const c_void, usize) {
    bytes.map_or((std::ptr::null(), 0), |b| (b.as_ptr().cast(), b.len()))
}

/// Tag, error and state of every message that a delivery report is about. Each message is told once.
pub(crate) struct Reports<'a> {
    event: &'a Event,
    /// The topic of a message that the broker refused for lack of a right, if there was one.
    pub(crate) refused_topic: Option<String>,
}

impl Event {
    /// The messages that a delivery report is about.
    pub(crate) fn delivery_reports(&self) -> Reports<'_> {
        Reports { event: self, refused_topic: None }
    }
}

impl Iterator for Reports<'_> {
    type Item = (usize, Code, Persisted);

    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: the event lives, and with it its messages and their topic. The error field is read as the integer that it is.
        unsafe {
            let message = rd::rd_kafka_event_message_next(self.event.ptr());
            if message.is_null() {
                return None;
            }
            let code = Code((&raw const (*message).err).cast::<i32>().read());
            if code == Code::TOPIC_AUTHORIZATION_FAILED && self.refused_topic.is_none() {
                self.refused_topic = Some(lossy(rd::rd_kafka_topic_name((*message).rkt)));
            }
            let persisted = if code == Code::NONE {
                Persisted::Yes
            } else {
                match rd_kafka_message_status(message) {
                    0 => Persisted::No,
                    2 => Persisted::Yes,
                    _ => Persisted::Possibly,
                }
            };
            Some(((*message)._private.addr(), code, persisted))
        }
    }
}

impl Client {
    /// Waits at most `timeout` until every message is answered, sending what lingers at once. Another thread must poll.
    pub(crate) fn flush(&self, timeout: Duration) {
        // SAFETY: the client lives; both of its codes are local ones.
        unsafe { rd::rd_kafka_flush(self.ptr(), millis(timeout)) };
    }

    /// Gives up on every message, those on their way included; their reports come on the queue.
    pub(crate) fn purge(&self) {
        let flags = rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT | rd::RD_KAFKA_PURGE_F_NON_BLOCKING;
        // SAFETY: as above.
        unsafe { rd::rd_kafka_purge(self.ptr(), flags) };
    }
}
