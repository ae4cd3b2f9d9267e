//! The interval log: HdrHistogram V2, compressed, one line per interval and measure, as the standard tools read it.
//!
//! Values are nanoseconds. Tags: `schedule_error`, `service`, `response`, `end_to_end` per second of intended time, and
//! `topic:NAME:service`, `topic:NAME:response` per ten seconds. It holds answered messages only: failed, unknown, skipped and
//! lost ones have no latency, and values over an hour have no place; `intervals.csv` and `probe.csv` count them.

use std::io::Write;
use std::time::Duration;

use dejaq_shared::units::system_time;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, IntervalLogWriterError, Tag};

use super::latency::Latency;
use super::recorder::{Closed, ClosedTopics, TOPIC_SECONDS};

/// What cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum HlogError {
    /// The file refused.
    #[error("cannot write the interval log: {0}")]
    Io(#[from] std::io::Error),
    /// A histogram could not be encoded.
    #[error("cannot encode a histogram: {0}")]
    Encode(String),
}

impl<E: std::fmt::Display> From<IntervalLogWriterError<E>> for HlogError {
    fn from(error: IntervalLogWriterError<E>) -> Self {
        match error {
            IntervalLogWriterError::IoError(e) => Self::Io(e),
            IntervalLogWriterError::SerializeError(e) => Self::Encode(e.to_string()),
        }
    }
}

/// Writes intervals.
pub struct Hlog<'a, W: Write> {
    writer: IntervalLogWriter<'a, 'a, W, V2DeflateSerializer>,
    topics: Vec<String>,
}

impl<'a, W: Write> Hlog<'a, W> {
    /// Begins a log; `topics` are the names of the classes.
    ///
    /// # Errors
    /// [`HlogError`].
    pub fn begin(out: &'a mut W, serializer: &'a mut V2DeflateSerializer, t0_unix_ns: i64, topics: Vec<String>) -> Result<Self, HlogError> {
        let t0 = system_time(t0_unix_ns);
        let writer = IntervalLogWriterBuilder::new()
            .add_comment("[Logged with dejaq; values in nanoseconds; answered messages only, see intervals.csv for the others]")
            .with_start_time(t0)
            .with_base_time(t0)
            .with_max_value_divisor(1_000_000.0)
            .begin_log_with(out, serializer)?;
        Ok(Self { writer, topics })
    }

    /// Writes what was closed.
    ///
    /// # Errors
    /// [`HlogError`].
    pub fn write(&mut self, closed: &Closed) -> Result<(), HlogError> {
        match closed {
            Closed::Second(second) => {
                let at = second.row.second;
                self.line("schedule_error", at, 1, &second.latencies.schedule_error)?;
                self.line("service", at, 1, &second.latencies.service)?;
                self.line("response", at, 1, &second.latencies.response)
            }
            Closed::Topics(topics) => self.write_topics(topics),
            // They belong to intervals that are written already: the totals have them.
            Closed::Stragglers(..) => Ok(()),
        }
    }

    /// Writes a second of observed − intended. It comes when its outputs have, so behind later seconds of the others.
    ///
    /// # Errors
    /// [`HlogError`].
    pub fn write_end_to_end(&mut self, second: u64, latency: &Latency<u32>) -> Result<(), HlogError> {
        self.line("end_to_end", second, 1, latency)
    }

    fn write_topics(&mut self, topics: &ClosedTopics) -> Result<(), HlogError> {
        for (class, latency) in topics.classes.iter().enumerate() {
            let (Some(latency), Some(name)) = (latency, self.topics.get(class)) else { continue };
            let (service, response) = (format!("topic:{name}:service"), format!("topic:{name}:response"));
            self.line(&service, topics.second, TOPIC_SECONDS, &latency.service)?;
            self.line(&response, topics.second, TOPIC_SECONDS, &latency.response)?;
        }
        Ok(())
    }

    fn line(&mut self, tag: &str, second: u64, length_s: u64, latency: &Latency<u32>) -> Result<(), HlogError> {
        let Some(histogram) = latency.histogram().filter(|h| !h.is_empty()) else { return Ok(()) };
        let tag = tag.replace([',', ' ', '\n', '\r'], "_");
        self.writer.write_histogram(histogram, Duration::from_secs(second), Duration::from_secs(length_s), Tag::new(&tag))?;
        Ok(())
    }
}
