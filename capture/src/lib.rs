//! Broker to recording: dejaq's capture.
//!
//! `config` what is asked for · `intake` (pure) what becomes of each record · `watch` (pure) what changed at the source ·
//! `until`, `checkpoint`, `pace` (pure), `throttle` when to stop, to sync, to wait · `memory` the arithmetic of its bounds ·
//! `takeup` (pure) what to begin with · `taker`, `pipeline` from the source's buffers to the disk · `session` the loop ·
//! `daemon` one capture from start to end · `report` what it says.

mod attach;
pub mod books;
pub mod checkpoint;
pub mod config;
pub mod daemon;
mod gauge;
pub mod intake;
pub mod memory;
pub mod mirror;
mod opening;
mod pace;
mod pipeline;
pub mod report;
mod session;
mod taker;
mod takeup;
pub mod throttle;
pub mod until;
pub mod watch;

pub use config::{CaptureConfig, CapturePlan, ConfigError};
pub use daemon::Capture;
pub use report::{CaptureError, CaptureSummary, Progress, Report};
