//! The consumer's queue and its messages.
//!
//! **Safety.** A [`Messages`] owns the messages of one batch and destroys each of them once: when the next one is taken,
//! or when it is dropped. A [`Message`] borrows it, so that nothing read from a message outlives it. Fields are read
//! through the raw pointer, never through a reference to the C struct (its error field may hold a code that the
//! binding's enum does not know).
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::CStr;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::partitions::PartitionList;
use super::{Client, Code, Queue, lossy, millis};
use crate::broker::BrokerError;
use crate::record::{BrokerTime, HeadersBuf};

unsafe extern "C" {
    fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> i32;
    fn rd_kafka_message_headers(message: *const rd::rd_kafka_message_t, headers: *mut *mut rd::rd_kafka_headers_t) -> i32;
    fn rd_kafka_message_timestamp(message: *const rd::rd_kafka_message_t, kind: *mut u32) -> i64;
}

impl Client {
    /// The one queue on which the messages and errors of all assigned partitions come.
    pub(crate) fn consumer_queue(self: &Arc<Self>) -> Result<Queue, BrokerError> {
        // SAFETY: the client lives; the returned reference is owned by the queue.
        Queue::own(self, unsafe { rd::rd_kafka_queue_get_consumer(self.ptr()) })
    }

    /// Begins reading these partitions at their absolute offsets.
    pub(crate) fn assign(&self, lanes: &PartitionList) -> Result<(), BrokerError> {
        // SAFETY: client and list live; the list is copied; the error is ours.
        unsafe { take_error(rd::rd_kafka_incremental_assign(self.ptr(), lanes.as_ptr()), "starting to read partitions") }
    }

    /// Sets partitions that are being read to their offsets again, so that the broker checks each one's leader epoch: the
    /// client does that on a seek, not on an assignment. Gives the errors in the list's order.
    pub(crate) fn seek(&self, lanes: &PartitionList, timeout: Duration) -> Result<Vec<Code>, BrokerError> {
        // SAFETY: client and list live; the list's error fields are written; the error is ours.
        unsafe { take_error(rd::rd_kafka_seek_partitions(self.ptr(), lanes.as_ptr(), millis(timeout)), "setting positions")? };
        Ok(lanes.offsets().into_iter().map(|(_, code)| code).collect())
    }

    /// The oldest offset and the one after the newest that the partition's last fetch told, without asking; `None` before
    /// the first.
    pub(crate) fn cached_watermarks(&self, topic: &CStr, partition: i32) -> Option<(i64, i64)> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: client and name live; the numbers are written. Its codes are local ones.
        let code = unsafe { rd::rd_kafka_get_watermark_offsets(self.ptr(), topic.as_ptr(), partition, &raw mut low, &raw mut high) };
        (code as i32 == 0 && low >= 0 && high >= 0).then_some((low, high))
    }

    /// Ends reading these partitions; what the client holds of them is thrown away.
    pub(crate) fn unassign(&self, lanes: &PartitionList) -> Result<(), BrokerError> {
        // SAFETY: as above.
        unsafe { take_error(rd::rd_kafka_incremental_unassign(self.ptr(), lanes.as_ptr()), "ending to read partitions") }
    }
}

/// The messages of one batch. Reuse it: it keeps its memory.
#[derive(Default)]
pub(crate) struct Messages {
    array: Vec<*mut rd::rd_kafka_message_t>,
    /// How many of the array have been handed out; the last of these is still alive until the next is asked for.
    taken: usize,
}

// SAFETY: messages belong to no thread; whoever holds them may destroy them.
unsafe impl Send for Messages {}

impl Messages {
    /// Fills it with at most `max` messages: what is there, or the first one to come within `timeout` and what came
    /// with it. Returns how many.
    ///
    /// The client's own call waits until the batch is *full*, so it is only ever asked to wait for one message.
    pub(crate) fn fill(&mut self, queue: &Queue, max: usize, timeout: Duration) -> usize {
        self.clear();
        self.array.reserve(max);
        self.append(queue, max, Duration::ZERO);
        if self.array.is_empty() && !timeout.is_zero() && max > 0 {
            self.append(queue, 1, timeout);
            if !self.array.is_empty() {
                self.append(queue, max - 1, Duration::ZERO);
            }
        }
        self.array.len()
    }

    fn append(&mut self, queue: &Queue, max: usize, timeout: Duration) {
        let spare = self.array.spare_capacity_mut();
        let max = max.min(spare.len());
        // SAFETY: `max` pointers fit into the spare capacity; the library writes the first `count` of them, which are
        // ours from then on.
        unsafe {
            let count = rd::rd_kafka_consume_batch_queue(queue.queue.as_ptr(), millis(timeout), spare.as_mut_ptr().cast(), max);
            let count = usize::try_from(count).unwrap_or(0).min(max);
            self.array.set_len(self.array.len() + count);
        }
    }

    /// The next message; the one before it is gone.
    pub(crate) fn next(&mut self) -> Option<Message<'_>> {
        self.destroy_current();
        let message = *self.array.get(self.taken)?;
        self.taken += 1;
        Some(Message { message, life: PhantomData })
    }

    fn destroy_current(&mut self) {
        if let Some(slot) = self.taken.checked_sub(1).and_then(|last| self.array.get_mut(last)) {
            let message = std::mem::replace(slot, std::ptr::null_mut());
            if !message.is_null() {
                // SAFETY: ours, and never reached again: its slot is null now.
                unsafe { rd::rd_kafka_message_destroy(message) };
            }
        }
    }

    fn clear(&mut self) {
        while self.next().is_some() {}
        self.array.clear();
        self.taken = 0;
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A message, or an error about a partition or the consumer.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    message: *mut rd::rd_kafka_message_t,
    life: PhantomData<&'a Messages>,
}

impl<'a> Message<'a> {
    /// 0 for a message; else what is wrong.
    #[inline]
    pub(crate) fn code(self) -> Code {
        // SAFETY: the message lives; the enum is an i32 in memory (`repr(i32)`), read as such.
        Code(unsafe { (&raw const (*self.message).err).cast::<i32>().read() })
    }

    /// The topic's pointer, as [`TopicHandle::address`](super::TopicHandle::address) gives it; 0 where there is none.
    #[inline]
    pub(crate) fn topic_address(self) -> usize {
        // SAFETY: the message lives.
        unsafe { (*self.message).rkt }.addr()
    }

    /// The topic's name, for what is rare.
    pub(crate) fn topic_name(self) -> Option<String> {
        // SAFETY: the message lives, and holds its topic.
        unsafe {
            let topic = (*self.message).rkt;
            (!topic.is_null()).then(|| lossy(rd::rd_kafka_topic_name(topic)))
        }
    }

    #[inline]
    pub(crate) fn partition(self) -> i32 {
        // SAFETY: the message lives.
        unsafe { (*self.message).partition }
    }

    #[inline]
    pub(crate) fn offset(self) -> i64 {
        // SAFETY: the message lives.
        unsafe { (*self.message).offset }
    }

    #[inline]
    pub(crate) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: the message lives for 'a, and owns `key_len` bytes at `key`, where that is not null.
        unsafe { bytes((*self.message).key, (*self.message).key_len) }
    }

    /// The value; in an error its text.
    #[inline]
    pub(crate) fn value(self) -> Option<&'a [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes((*self.message).payload, (*self.message).len) }
    }

    #[inline]
    pub(crate) fn broker_time(self) -> BrokerTime {
        let mut kind = 0;
        // SAFETY: the message lives; the enum is an unsigned int in C.
        let raw = unsafe { rd_kafka_message_timestamp(self.message, &raw mut kind) };
        match kind {
            1 => BrokerTime::Create(raw),
            2 => BrokerTime::Append(raw),
            _ => BrokerTime::None,
        }
    }

    #[inline]
    pub(crate) fn leader_epoch(self) -> i32 {
        // SAFETY: the message lives.
        unsafe { rd::rd_kafka_message_leader_epoch(self.message) }
    }

    /// Writes the headers into `into`, which is cleared first, as bytes and in order. The name of a header whose value is
    /// null ends at its first NUL: the C API gives no length (see [`name_of`] for the others).
    ///
    /// # Errors
    /// When the client cannot read them (malformed, or more than 100 000).
    #[inline]
    pub(crate) fn headers_into(self, into: &mut HeadersBuf) -> Result<(), Code> {
        into.clear();
        let mut headers = std::ptr::null_mut();
        // SAFETY: the message lives and owns the headers.
        let code = Code(unsafe { rd_kafka_message_headers(self.message, &raw mut headers) });
        match code {
            Code::NONE => {}
            Code::NO_ENTRY => return Ok(()),
            other => return Err(other),
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
            // SAFETY: the headers live as long as the message; the name is as `name_of` wants it, value has `size` bytes or
            // is null; all are copied at once. The only codes that this function gives are 0 and "no such entry".
            unsafe {
                let result = rd::rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut size);
                if result as i32 != 0 {
                    break;
                }
                into.push(name_of(name, value), bytes(value.cast_mut(), size));
            }
        }
        Ok(())
    }

    /// An error's text.
    pub(crate) fn error_text(self) -> String {
        match self.value() {
            Some(text) if !text.is_empty() => String::from_utf8_lossy(text).into_owned(),
            _ => self.code().text(),
        }
    }
}

/// A header's name, which may have NUL bytes in it. librdkafka keeps name, NUL, value in one piece (`rd_kafka_header_add`;
/// its own comment on the value: "will be NULL for null values, else points to rkhdr_name+.."), so where the value begins
/// says how long the name is. What does not look like that is taken for a C string.
///
/// # Safety
/// `name` is a live C string; a `value` that is not null lies behind it in the same allocation.
#[inline]
unsafe fn name_of<'a>(name: *const std::ffi::c_char, value: *const std::ffi::c_void) -> &'a [u8] {
    // SAFETY: by the contract of this function.
    let text = unsafe { CStr::from_ptr(name) }.to_bytes();
    match value.addr().checked_sub(name.addr() + 1) {
        // SAFETY: the bytes from the name to the value are in one allocation, by the contract of this function.
        Some(length) if !value.is_null() && length > text.len() => unsafe { std::slice::from_raw_parts(name.cast::<u8>(), length) },
        _ => text,
    }
}

/// Null, or bytes that may be empty.
///
/// # Safety
/// `pointer` is null, or `length` bytes there live for 'a.
#[inline]
unsafe fn bytes<'a>(pointer: *mut std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: by the contract of this function.
    Some(unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), length) })
}

/// Takes an `rd_kafka_error_t`, if there is one.
///
/// # Safety
/// `error` is null or owned by the caller, who gives it up.
unsafe fn take_error(error: *mut rd::rd_kafka_error_t, request: &str) -> Result<(), BrokerError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: not null, ours, and freed once, here.
    let (code, reason) = unsafe {
        let code = Code(rd_kafka_error_code(error));
        let reason = lossy(rd::rd_kafka_error_string(error));
        rd::rd_kafka_error_destroy(error);
        (code, reason)
    };
    if code == Code::FATAL {
        return Err(BrokerError::Fatal(format!("{request}: {reason}")));
    }
    Err(BrokerError::Request { request: request.to_owned(), reason, retryable: code.is_retryable() })
}
