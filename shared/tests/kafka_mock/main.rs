//! Source and sink against the embedded Kafka: what goes in comes out, and what goes wrong is told.
#![cfg(all(feature = "source", feature = "sink", feature = "kafka"))]
#![expect(clippy::panic, reason = "a test that waits in vain says for what")]

mod common;
mod publishing;
mod reading;
mod round_trip;
