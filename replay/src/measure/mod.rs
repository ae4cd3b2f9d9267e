//! What is measured: latency in histograms, and the counts beside it.
//!
//! `counts` what was planned and sent · `latency` one histogram and its percentiles · `recorder` all histograms of a run,
//! fed by completions · `hlog` the interval log that the standard tools read.

pub mod counts;
pub mod hlog;
pub mod latency;
pub mod recorder;
