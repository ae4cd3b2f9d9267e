//! What is measured: latency in histograms, and the counts beside it.
//!
//! `counts` what was planned and sent · `latency` one histogram and its percentiles · `recorder` the open intervals of a run,
//! fed by completions · `collector` its totals · `recent` the last seconds · `hlog` the interval log that the standard tools read.
//!
//! Of the system under test: `probe` what comes out of it, `end_to_end` that by second · `lag` how far its consumers are behind · `watch` its own signals ·
//! `sampling` who asks for these, `silence` when there is no answer.

pub mod collector;
pub mod counts;
pub mod end_to_end;
pub mod hlog;
pub mod lag;
pub mod latency;
pub mod probe;
pub mod recent;
pub mod recorder;
pub mod sampling;
pub mod silence;
pub mod watch;
