//! Small safe wrappers over librdkafka's C API.
//!
//! **Safety.** Every pointer that C gives out is owned by one Rust value, which frees it once, in `Drop`:
//! - [`Client`] owns the `rd_kafka_t`. All that belongs to it (queues, topic handles, messages, events) keeps an
//!   `Arc<Client>` or borrows from something that does, so the client is destroyed last. `rd_kafka_t` and queues are
//!   documented as thread-safe, hence `Send` and `Sync`.
//! - Pointers into an event, a message or a metadata answer never outlive the value that owns it: lifetimes say so.
//! - Strings from C are copied, or borrowed as bytes; none is assumed to be UTF-8.
//! - Error codes are read as plain integers ([`Code`]); the functions that return codes from a broker are therefore declared
//!   again here, with an integer.
//! - Everything arrives as events on queues that we poll. C calls one function of ours, which words why a certificate is not
//!   accepted ([`certificate`]).
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

#[cfg(any(feature = "source", feature = "sink"))]
pub(crate) mod admin;
mod certificate;
mod code;
#[cfg(feature = "source")]
pub(crate) mod consumer;
#[cfg(feature = "source")]
pub(crate) mod groups;
pub(crate) mod mock;
#[cfg(feature = "source")]
pub(crate) mod partitions;
#[cfg(feature = "sink")]
pub(crate) mod producer;
#[cfg(any(feature = "source", feature = "sink"))]
mod queue;
#[cfg(any(feature = "source", feature = "sink"))]
mod token;
#[cfg(any(feature = "source", feature = "sink"))]
pub(crate) mod topics;

pub(crate) use code::Code;
#[cfg(any(feature = "source", feature = "sink"))]
pub(crate) use queue::{Event, Queue, Told, TopicHandle, millis};

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::sync::Arc;
#[cfg(any(feature = "source", feature = "sink"))]
use std::sync::atomic::AtomicI32;

use rdkafka::bindings as rd;

use super::config::{Properties, property_error};
use crate::broker::BrokerError;

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
    /// The broker that answered last for metadata; -1: none yet whose number is known.
    #[cfg(any(feature = "source", feature = "sink"))]
    answered_by: AtomicI32,
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
            if let Some(missing) = missing_features(conf) {
                rd::rd_kafka_conf_destroy(conf);
                return Err(BrokerError::Fatal(format!(
                    "this build's librdkafka lacks {missing}: build dejaq with its default dependencies"
                )));
            }
            let mut events = rd::RD_KAFKA_EVENT_ERROR | rd::RD_KAFKA_EVENT_STATS | rd::RD_KAFKA_EVENT_LOG;
            if role == Role::Producer {
                events |= rd::RD_KAFKA_EVENT_DR;
            }
            if properties.by_token() {
                // A queue of its own, so that tokens are renewed whatever else is polled or not.
                rd::rd_kafka_conf_enable_sasl_queue(conf, 1);
                events |= rd::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH;
            }
            rd::rd_kafka_conf_set_events(conf, events);
            // Only a library without TLS refuses; that was seen to above.
            rd::rd_kafka_conf_set_ssl_cert_verify_cb(conf, Some(certificate::explain));
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
            let client = Self {
                rk,
                role,
                #[cfg(any(feature = "source", feature = "sink"))]
                answered_by: AtomicI32::new(-1),
            };
            // Null: the main queue.
            let code = rd::rd_kafka_set_log_queue(rk.as_ptr(), std::ptr::null_mut()) as i32;
            if code != 0 {
                return Err(Code(code).request_error("setting the client's log queue".to_owned()));
            }
            Ok(Arc::new(client))
        }
    }

    /// What holds of a property, the library's own defaults included; `None` when it knows none of that name.
    #[cfg(feature = "sink")]
    pub(crate) fn property(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        let mut text = [0 as c_char; 512];
        let mut size = text.len();
        // SAFETY: the client lives, and with it its configuration; the buffer has the stated size and is terminated by the
        // library.
        unsafe {
            let found = rd::rd_kafka_conf_get(rd::rd_kafka_conf(self.ptr()), name.as_ptr(), text.as_mut_ptr(), &raw mut size);
            (found == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK).then(|| lossy(text.as_ptr()))
        }
    }

    fn ptr(&self) -> *mut rd::rd_kafka_t {
        self.rk.as_ptr()
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

/// What the library must have been built with: a source's batches may use any codec, and a missing one would make its
/// messages unreadable; and what people sign in by.
const FEATURES: [&str; 8] = ["gzip", "snappy", "lz4", "zstd", "ssl", "sasl_plain", "sasl_scram", "sasl_oauthbearer"];

/// The first feature that the library lacks.
///
/// # Safety
/// `conf` is a live conf.
unsafe fn missing_features(conf: *const rd::rd_kafka_conf_t) -> Option<&'static str> {
    let mut text = [0 as c_char; 512];
    let mut size = text.len();
    // SAFETY: conf by contract; the buffer has the stated size and is terminated by the library.
    let built_in = unsafe {
        rd::rd_kafka_conf_get(conf, c"builtin.features".as_ptr(), text.as_mut_ptr(), &raw mut size);
        lossy(text.as_ptr())
    };
    FEATURES.into_iter().find(|feature| !built_in.split(',').any(|f| f == *feature))
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
