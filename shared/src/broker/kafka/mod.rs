//! Kafka, through librdkafka.
//!
//! `config` which properties the client gets, and which a person may set · `ffi` the only unsafe code: small safe
//! wrappers over librdkafka's C API · `convert` message to record and back · `source` reading · `groups` how far consumers have come ·
//! `sink`, `target` publishing (cargo feature `sink` only: a build without it has no code of
//! dejaq's that publishes) · `embedded` a Kafka in this process, for the demo and the tests.
//!
//! dejaq speaks to the C API and not through the `rdkafka` crate's own clients: these panic on a header name that is not
//! UTF-8, lose topic and partition of errors, and take 311 ns a message where the batch call takes 110.

pub mod config;
#[cfg(any(feature = "source", feature = "sink"))]
mod connect;
#[cfg(any(feature = "source", feature = "sink"))]
mod convert;
pub mod embedded;
#[cfg(feature = "sink")]
mod fate;
mod ffi;
#[cfg(feature = "source")]
pub mod groups;
#[cfg(feature = "source")]
mod housekeeping;
#[cfg(feature = "source")]
mod lanes;
#[cfg(any(feature = "source", feature = "sink"))]
mod refusal;
#[cfg(any(feature = "source", feature = "sink"))]
mod rights;
#[cfg(feature = "sink")]
pub mod sink;
#[cfg(feature = "source")]
pub mod source;
#[cfg(feature = "sink")]
mod target;
#[cfg(any(feature = "source", feature = "sink"))]
mod token;
