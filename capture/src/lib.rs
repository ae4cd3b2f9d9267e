//! Broker to recording: dejaq's capture.
//!
//! `config` what is asked for · `intake` (pure) what becomes of each record · `watch` (pure) what changed at the source ·
//! `until`, `checkpoint`, `throttle` (pure) when to stop, to sync, to wait · `memory` the arithmetic of its bounds ·
//! `pipeline` the threads that obey them · `daemon` one capture from start to end.

pub mod books;
pub mod checkpoint;
pub mod config;
pub mod intake;
pub mod memory;
pub mod throttle;
pub mod until;
pub mod watch;
