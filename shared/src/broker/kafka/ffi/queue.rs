//! Queues, the events on them, and topic handles.
//!
//! **Safety.** Each of these owns one reference of librdkafka's, gives it back once, in `Drop`, and keeps an `Arc` of its
//! client, which is therefore destroyed later. Strings of an event are copied while it lives.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::{c_char, c_int};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::{Client, Code, c_string, lossy};
use crate::broker::BrokerError;

unsafe extern "C" {
    fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> c_int;
    fn rd_kafka_fatal_error(rk: *mut rd::rd_kafka_t, text: *mut c_char, size: usize) -> c_int;
}

/// A timeout for C, in milliseconds; what is below one is one, so that it never means "do not wait at all".
pub(crate) fn millis(timeout: Duration) -> c_int {
    if timeout.is_zero() {
        return 0;
    }
    c_int::try_from(timeout.as_millis().max(1)).unwrap_or(c_int::MAX)
}

impl Client {
    /// The queue of events.
    pub(crate) fn main_queue(self: &Arc<Self>) -> Result<Queue, BrokerError> {
        // SAFETY: the client lives; the returned reference is owned by the queue.
        Queue::own(self, unsafe { rd::rd_kafka_queue_get_main(self.ptr()) })
    }

    /// The cluster's id, once metadata has come; waits at most `timeout`.
    pub(crate) fn cluster_id(&self, timeout: Duration) -> Option<String> {
        // SAFETY: the string is ours and freed with the library's own function.
        unsafe {
            let text = rd::rd_kafka_clusterid(self.ptr(), millis(timeout));
            if text.is_null() {
                return None;
            }
            let id = lossy(text);
            rd::rd_kafka_mem_free(self.ptr(), text.cast());
            Some(id)
        }
    }

    /// The error after which the client does nothing any more, if it had one.
    pub(crate) fn fatal_error(&self) -> Option<(Code, String)> {
        let mut text = [0 as c_char; 512];
        // SAFETY: the buffer has the stated size; the library terminates it.
        unsafe {
            let code = rd_kafka_fatal_error(self.ptr(), text.as_mut_ptr(), text.len());
            (code != 0).then(|| (Code(code), lossy(text.as_ptr())))
        }
    }
}

/// A queue of a client.
pub(crate) struct Queue {
    pub(super) queue: NonNull<rd::rd_kafka_queue_t>,
    client: Arc<Client>,
}

// SAFETY: queues are thread-safe like the client.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// Owns a queue of `client`. The getters give null only to a client of the wrong kind.
    pub(super) fn own(client: &Arc<Client>, queue: *mut rd::rd_kafka_queue_t) -> Result<Self, BrokerError> {
        let queue = NonNull::new(queue).ok_or_else(|| BrokerError::Fatal("the client gave no queue".to_owned()))?;
        Ok(Self { queue, client: Arc::clone(client) })
    }

    /// The next event, waiting at most `timeout`.
    pub(crate) fn poll(&self, timeout: Duration) -> Option<Event> {
        // SAFETY: the queue lives; the event is ours.
        let event = unsafe { rd::rd_kafka_queue_poll(self.queue.as_ptr(), millis(timeout)) };
        NonNull::new(event).map(Event)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours; the client still lives, since `client` is dropped after this.
        unsafe { rd::rd_kafka_queue_destroy(self.queue.as_ptr()) };
        debug_assert!(Arc::strong_count(&self.client) > 0);
    }
}

/// Something that a client tells.
pub(crate) struct Event(NonNull<rd::rd_kafka_event_t>);

/// What an event is about, copied out. Delivery reports and answers to admin requests are read from the event itself.
#[derive(Debug)]
pub(crate) enum Told {
    /// [`Code::FATAL`]: the client does nothing any more.
    Error {
        code: Code,
        text: String,
    },
    Log {
        level: i32,
        facility: String,
        text: String,
    },
    #[cfg(feature = "source")]
    Statistics(String),
    DeliveryReports,
    /// The token runs out, or there is none yet.
    TokenWanted,
    Other,
}

impl Event {
    pub(super) fn ptr(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }

    fn kind(&self) -> c_int {
        // SAFETY: the event lives.
        unsafe { rd::rd_kafka_event_type(self.ptr()) }
    }

    pub(crate) fn told(&self) -> Told {
        // SAFETY: the event lives; each accessor is called for its own type and its strings are copied at once.
        unsafe {
            match self.kind() {
                rd::RD_KAFKA_EVENT_DR => Told::DeliveryReports,
                rd::RD_KAFKA_EVENT_ERROR => {
                    // The library puts the cause in place of FATAL.
                    let fatal = rd::rd_kafka_event_error_is_fatal(self.ptr()) != 0;
                    let code = if fatal { Code::FATAL } else { Code(rd_kafka_event_error(self.ptr())) };
                    Told::Error { code, text: lossy(rd::rd_kafka_event_error_string(self.ptr())) }
                }
                rd::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH => Told::TokenWanted,
                #[cfg(feature = "source")]
                rd::RD_KAFKA_EVENT_STATS => Told::Statistics(lossy(rd::rd_kafka_event_stats(self.ptr()))),
                rd::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut text, mut level) = (std::ptr::null(), std::ptr::null(), 0);
                    if rd::rd_kafka_event_log(self.ptr(), &raw mut facility, &raw mut text, &raw mut level) != 0 {
                        return Told::Other;
                    }
                    Told::Log { level, facility: lossy(facility), text: without_thread(&lossy(text)).to_owned() }
                }
                _ => Told::Other,
            }
        }
    }

    /// The error that an answer to a request carries as a whole.
    pub(super) fn answer_error(&self) -> Code {
        // SAFETY: the event lives.
        Code(unsafe { rd_kafka_event_error(self.ptr()) })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours, freed once.
        unsafe { rd::rd_kafka_event_destroy(self.ptr()) };
    }
}

/// A log line without the name of the client's thread, which tells people nothing.
fn without_thread(text: &str) -> &str {
    match text.split_once("]: ") {
        Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
        _ => text,
    }
}

/// A topic's handle: its pointer stays valid, and the same for this name, while it is held.
pub(crate) struct TopicHandle {
    pub(super) topic: NonNull<rd::rd_kafka_topic_t>,
    pub(super) client: Arc<Client>,
}

// SAFETY: topic handles are thread-safe like the client.
unsafe impl Send for TopicHandle {}
// SAFETY: as above.
unsafe impl Sync for TopicHandle {}

impl TopicHandle {
    pub(crate) fn new(client: &Arc<Client>, name: &str) -> Result<Self, BrokerError> {
        let c_name = c_string(name, "the topic name")?;
        // SAFETY: the client lives; a null topic conf means the client's default one.
        let topic = unsafe { rd::rd_kafka_topic_new(client.ptr(), c_name.as_ptr(), std::ptr::null_mut()) };
        let Some(topic) = NonNull::new(topic) else {
            let reason = "the client refuses the name".to_owned();
            return Err(BrokerError::Request { request: format!("opening topic {name:?}"), reason, retryable: false });
        };
        Ok(Self { topic, client: Arc::clone(client) })
    }

    /// The pointer as a number, to compare with.
    #[cfg(feature = "source")]
    pub(crate) fn address(&self) -> usize {
        self.topic.as_ptr().addr()
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: ours; the client lives still.
        unsafe { rd::rd_kafka_topic_destroy(self.topic.as_ptr()) };
        debug_assert!(Arc::strong_count(&self.client) > 0);
    }
}
