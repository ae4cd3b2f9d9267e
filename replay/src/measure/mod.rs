//! What is measured: latency in histograms, and the counts beside it.
//!
//! `counts` what was planned and sent · `latency` one histogram and its percentiles · `recorder` the open intervals of a run,
//! fed by completions · `collector` its totals · `hlog` the interval log that the standard tools read.

pub mod collector;
pub mod counts;
pub mod hlog;
pub mod latency;
pub mod recorder;
