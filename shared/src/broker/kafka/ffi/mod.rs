//! Small safe wrappers over librdkafka's C API.
//!
//! **Safety.** Every pointer that C gives out is owned by one Rust value, which frees it once, in `Drop`:
//! - [`Client`] owns the `rd_kafka_t`. All that belongs to it (queues, topic handles, messages, events) keeps an
//!   `Arc<Client>` or borrows from something that does, so the client is destroyed last. `rd_kafka_t` and queues are
//!   documented as thread-safe, hence `Send` and `Sync`.
//! - Pointers into an event, a message or a metadata answer never outlive the value that owns it: lifetimes say so.
//! - Strings from C are copied, or borrowed as bytes; none is assumed to be UTF-8.
//! - Error codes are read as plain integers ([`Code`]): a newer broker can send codes that the binding's Rust enum does
//!   not have, and such an enum value would be undefined behaviour. The few functions that return codes are therefore
//!   declared here again, with an integer.
//! - No Rust function is ever called by C: everything arrives as events on queues that we poll.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

pub(crate) mod admin;
#[cfg(feature = "source")]
pub(crate) mod consumer;
pub(crate) mod mock;
#[cfg(feature = "sink")]
pub(crate) mod producer;

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::config::{Properties, property_error};
use crate::broker::BrokerError;

// The same functions as in the binding, with error codes as integers; see the safety argument.
unsafe extern "C" {
    fn rd_kafka_err2str(code: c_int) -> *const c_char;
    fn rd_kafka_err2name(code: c_int) -> *const c_char;
    fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> c_int;
    fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> c_int;
    fn rd_kafka_fatal_error(rk: *mut rd::rd_kafka_t, text: *mut c_char, size: usize) -> c_int;
}

/// An error code of Kafka (positive) or of the client itself (negative); 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Code(pub(crate) i32);

impl Code {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const OFFSET_OUT_OF_RANGE: Self = Self(1);
    pub(crate) const UNKNOWN_TOPIC_OR_PARTITION: Self = Self(3);
    pub(crate) const LEADER_NOT_AVAILABLE: Self = Self(5);
    pub(crate) const NOT_LEADER: Self = Self(6);
    pub(crate) const REQUEST_TIMED_OUT: Self = Self(7);
    pub(crate) const MESSAGE_TOO_LARGE: Self = Self(10);
    pub(crate) const CORRUPT_MESSAGE: Self = Self(2);
    pub(crate) const INVALID_TOPIC: Self = Self(17);
    pub(crate) const RECORD_LIST_TOO_LARGE: Self = Self(18);
    pub(crate) const CLUSTER_AUTHORIZATION_FAILED: Self = Self(31);
    pub(crate) const INVALID_TIMESTAMP: Self = Self(32);
    pub(crate) const POLICY_VIOLATION: Self = Self(44);
    pub(crate) const INVALID_RECORD: Self = Self(87);
    pub(crate) const TOPIC_AUTHORIZATION_FAILED: Self = Self(29);
    pub(crate) const GROUP_AUTHORIZATION_FAILED: Self = Self(30);
    pub(crate) const UNKNOWN_TOPIC_ID: Self = Self(100);
    pub(crate) const BAD_MESSAGE: Self = Self(-199);
    pub(crate) const BAD_COMPRESSION: Self = Self(-198);
    pub(crate) const TRANSPORT: Self = Self(-195);
    pub(crate) const RESOLVE: Self = Self(-193);
    pub(crate) const MESSAGE_TIMED_OUT: Self = Self(-192);
    pub(crate) const PARTITION_EOF: Self = Self(-191);
    pub(crate) const UNKNOWN_PARTITION: Self = Self(-190);
    pub(crate) const UNKNOWN_TOPIC: Self = Self(-188);
    pub(crate) const ALL_BROKERS_DOWN: Self = Self(-187);
    pub(crate) const TIMED_OUT: Self = Self(-185);
    pub(crate) const QUEUE_FULL: Self = Self(-184);
    pub(crate) const SSL: Self = Self(-181);
    pub(crate) const NOT_IMPLEMENTED: Self = Self(-170);
    pub(crate) const AUTHENTICATION: Self = Self(-169);
    pub(crate) const TIMED_OUT_QUEUE: Self = Self(-166);
    pub(crate) const PURGE_QUEUE: Self = Self(-152);
    pub(crate) const PURGE_IN_FLIGHT: Self = Self(-151);
    pub(crate) const NO_ENTRY: Self = Self(-156);
    pub(crate) const FATAL: Self = Self(-150);
    pub(crate) const AUTO_OFFSET_RESET: Self = Self(-140);
    pub(crate) const UNSUPPORTED_FEATURE: Self = Self(-165);
    pub(crate) const LOG_TRUNCATION: Self = Self(-139);

    /// The client's words for it.
    pub(crate) fn text(self) -> String {
        // SAFETY: the function takes any integer and gives a static string.
        unsafe { lossy(rd_kafka_err2str(self.0)) }
    }

    /// Its name, as in `MSG_SIZE_TOO_LARGE`: static, for the ledger's reasons.
    #[cfg(feature = "sink")]
    pub(crate) fn name(self) -> &'static str {
        // SAFETY: a static string, or for unknown codes a thread-local buffer: those are not passed on.
        let name = unsafe { CStr::from_ptr(rd_kafka_err2name(self.0)) };
        match name.to_str() {
            Ok(name) if !name.starts_with("ERR_") => name,
            _ => "unknown error",
        }
    }

    /// Whether asking again can help.
    pub(crate) fn is_retryable(self) -> bool {
        let again = [Self::LEADER_NOT_AVAILABLE, Self::NOT_LEADER, Self::REQUEST_TIMED_OUT, Self::TRANSPORT, Self::TIMED_OUT];
        again.contains(&self) || self == Self::RESOLVE
    }

    pub(crate) fn request_error(self, request: String) -> BrokerError {
        BrokerError::Request { request, reason: self.text(), retryable: self.is_retryable() }
    }
}

/// Copies a C string; null is empty.
///
/// # Safety
/// `text` is null or a NUL-terminated string.
unsafe fn lossy(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the contract of this function.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A string for C; one with a NUL in it can mean nothing to Kafka.
pub(crate) fn c_string(text: &str, what: &str) -> Result<CString, BrokerError> {
    CString::new(text).map_err(|_| BrokerError::Request {
        request: format!("using {what} {text:?}"),
        reason: "it has a NUL byte in it, which Kafka does not allow".to_owned(),
        retryable: false,
    })
}

/// A timeout for C, in milliseconds; what is below one is one, so that it never means "do not wait at all".
pub(crate) fn millis(timeout: Duration) -> c_int {
    if timeout.is_zero() {
        return 0;
    }
    c_int::try_from(timeout.as_millis().max(1)).unwrap_or(c_int::MAX)
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

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    #[cfg(feature = "source")]
    Consumer,
    /// Also what the admin requests and the embedded cluster are made of: a producer that produces nothing.
    Producer,
}

/// A librdkafka instance with its threads and connections.
pub(crate) struct Client {
    rk: NonNull<rd::rd_kafka_t>,
    role: Role,
}

// SAFETY: librdkafka's handle is thread-safe by its documentation ("librdkafka API is thread-safe").
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// Makes one. Its log lines, errors, statistics and delivery reports come as events on [`Client::main_queue`], from
    /// the first line on: nothing is written to stderr.
    pub(crate) fn new(role: Role, properties: &Properties) -> Result<Arc<Self>, BrokerError> {
        let mut text = [0 as c_char; 512];
        // SAFETY: the conf is ours until rd_kafka_new takes it; on its failure it is still ours and is destroyed. All
        // strings live through the calls. `text` has the stated size and is NUL-terminated by the library.
        unsafe {
            let conf = rd::rd_kafka_conf_new();
            for (name, value) in properties.reveal() {
                if let Err(reason) = set(conf, name, value, &mut text) {
                    rd::rd_kafka_conf_destroy(conf);
                    return Err(property_error(name, value, &reason));
                }
            }
            let mut events = rd::RD_KAFKA_EVENT_ERROR | rd::RD_KAFKA_EVENT_STATS | rd::RD_KAFKA_EVENT_LOG;
            if role == Role::Producer {
                events |= rd::RD_KAFKA_EVENT_DR;
            }
            rd::rd_kafka_conf_set_events(conf, events);
            let kind = match role {
                #[cfg(feature = "source")]
                Role::Consumer => rd::rd_kafka_type_t::RD_KAFKA_CONSUMER,
                Role::Producer => rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            };
            let Some(rk) = NonNull::new(rd::rd_kafka_new(kind, conf, text.as_mut_ptr(), text.len())) else {
                rd::rd_kafka_conf_destroy(conf);
                let reason = lossy(text.as_ptr());
                return Err(BrokerError::Request { request: "setting up the Kafka client".to_owned(), reason, retryable: false });
            };
            let client = Self { rk, role };
            // Null: the main queue.
            let code = rd::rd_kafka_set_log_queue(rk.as_ptr(), std::ptr::null_mut()) as i32;
            if code != 0 {
                return Err(Code(code).request_error("setting the client's log queue".to_owned()));
            }
            Ok(Arc::new(client))
        }
    }

    fn ptr(&self) -> *mut rd::rd_kafka_t {
        self.rk.as_ptr()
    }

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
    pub(crate) fn fatal_error(&self) -> Option<String> {
        let mut text = [0 as c_char; 512];
        // SAFETY: the buffer has the stated size; the library terminates it.
        unsafe {
            let code = rd_kafka_fatal_error(self.ptr(), text.as_mut_ptr(), text.len());
            (code != 0).then(|| lossy(text.as_ptr()))
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A consumer joined no group, so there is nothing to leave; and nothing shall wait for a cluster that is away.
        let flags = match self.role {
            #[cfg(feature = "source")]
            Role::Consumer => rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE,
            Role::Producer => 0,
        };
        // SAFETY: every other owner of something of this client held an Arc of it, so this is the last.
        unsafe { rd::rd_kafka_destroy_flags(self.ptr(), flags) };
    }
}

/// Sets one property; the error is the library's text.
///
/// # Safety
/// `conf` is a live conf.
unsafe fn set(conf: *mut rd::rd_kafka_conf_t, name: &str, value: &str, text: &mut [c_char; 512]) -> Result<(), String> {
    let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else {
        return Err("there is a NUL byte in it".to_owned());
    };
    // SAFETY: conf by contract, strings are live, the buffer has the stated size.
    let result = unsafe { rd::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), text.as_mut_ptr(), text.len()) };
    if result == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
        return Ok(());
    }
    // SAFETY: terminated by the library.
    Err(unsafe { lossy(text.as_ptr()) })
}

/// A queue of a client.
pub(crate) struct Queue {
    queue: NonNull<rd::rd_kafka_queue_t>,
    client: Arc<Client>,
}

// SAFETY: queues are thread-safe like the client.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// Owns a queue of `client`. The getters give null only to a client of the wrong kind.
    fn own(client: &Arc<Client>, queue: *mut rd::rd_kafka_queue_t) -> Result<Self, BrokerError> {
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
    Error { code: Code, text: String },
    Log { level: i32, facility: String, text: String },
    Statistics(String),
    DeliveryReports,
    Other,
}

impl Event {
    fn ptr(&self) -> *mut rd::rd_kafka_event_t {
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
                    Told::Error { code: Code(rd_kafka_event_error(self.ptr())), text: lossy(rd::rd_kafka_event_error_string(self.ptr())) }
                }
                rd::RD_KAFKA_EVENT_STATS => Told::Statistics(lossy(rd::rd_kafka_event_stats(self.ptr()))),
                rd::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut text, mut level) = (std::ptr::null(), std::ptr::null(), 0);
                    if rd::rd_kafka_event_log(self.ptr(), &raw mut facility, &raw mut text, &raw mut level) != 0 {
                        return Told::Other;
                    }
                    Told::Log { level, facility: lossy(facility), text: lossy(text) }
                }
                _ => Told::Other,
            }
        }
    }

    /// The error that an answer to a request carries as a whole.
    fn answer_error(&self) -> Code {
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

/// A topic's handle: its pointer stays valid, and the same for this name, while it is held.
pub(crate) struct TopicHandle {
    topic: NonNull<rd::rd_kafka_topic_t>,
    client: Arc<Client>,
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
