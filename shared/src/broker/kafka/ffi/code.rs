//! Error codes, as plain integers.
//!
//! **Safety.** A newer broker can send codes that the binding's Rust enum does not have, and such an enum value would be
//! undefined behaviour; so codes are integers here. Texts and names of codes are static strings in librdkafka.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

#[cfg(feature = "sink")]
use std::ffi::CStr;
use std::ffi::{c_char, c_int};

use super::lossy;
use crate::broker::BrokerError;

// The same functions as in the binding, with error codes as integers; see the safety argument.
unsafe extern "C" {
    fn rd_kafka_err2str(code: c_int) -> *const c_char;
    #[cfg(feature = "sink")]
    fn rd_kafka_err2name(code: c_int) -> *const c_char;
}

/// An error code of Kafka (positive) or of the client itself (negative); 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Code(pub(crate) i32);

#[cfg_attr(
    not(all(feature = "source", feature = "sink")),
    expect(dead_code, reason = "one table of codes; a build with one direction needs the half of it")
)]
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
    #[cfg(feature = "sink")]
    pub(crate) const TOPIC_ALREADY_EXISTS: Self = Self(36);
    #[cfg(feature = "sink")]
    pub(crate) const INVALID_CONFIG: Self = Self(40);
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
    pub(crate) const PREVIOUS_IN_PROGRESS: Self = Self(-177);
    pub(crate) const STATE: Self = Self(-172);
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
