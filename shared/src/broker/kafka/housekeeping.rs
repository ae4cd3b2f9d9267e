//! The thread that serves a source's main queue: log lines, errors, statistics.
//!
//! Somebody must poll that queue as long as the client lives: else these pile up without bound. (Tokens have a queue and a thread
//! of their own, see `token`.) What is worth telling is kept, one a second of a kind, until the source's next poll; what is told about a
//! partition only in a log line (a topic that went away) is handed on as well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::ffi::{Client, Code, Queue, Told};
use crate::broker::BrokerError;
use crate::broker::warnings::Limiter;

/// How long one poll waits: also how long stopping takes at most.
const STEP: Duration = Duration::from_millis(100);
/// The most texts kept for a source that does not poll.
const KEPT_MAX: usize = 64;
/// Syslog's number for a warning; what is above is for information.
const LEVEL_WARNING: i32 = 4;

/// What waits for the source's next poll.
#[derive(Debug, Default)]
struct Waiting {
    limiter: Limiter,
    warnings: Vec<String>,
    partition_errors: Vec<String>,
    fatal: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    something: AtomicBool,
    stop: AtomicBool,
}

impl Shared {
    fn with(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.something.store(true, Ordering::Release);
    }

    fn warn(&self, kind: &str, text: String) {
        self.with(|waiting| {
            if let Some(text) = waiting.limiter.pass(kind, text, Instant::now())
                && waiting.warnings.len() < KEPT_MAX
            {
                waiting.warnings.push(text);
            }
        });
    }
}

/// What was kept.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) warnings: Vec<String>,
    /// Lines of the form `client: topic [partition]: what`.
    pub(super) partition_errors: Vec<String>,
    /// The client is broken.
    pub(super) fatal: Option<String>,
}

/// The running thread; dropping it stops the thread and waits for that.
pub(super) struct Housekeeping {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Housekeeping {
    pub(super) fn start(client: &Arc<Client>, queue: Queue) -> Result<Self, BrokerError> {
        let shared = Arc::new(Shared::default());
        let (theirs, client) = (Arc::clone(&shared), Arc::clone(client));
        let thread = std::thread::Builder::new().name("kafka-house".to_owned()).spawn(move || {
            while !theirs.stop.load(Ordering::Acquire) {
                if let Some(event) = queue.poll(STEP) {
                    take(&theirs, &client, event.told());
                }
            }
        });
        let thread = thread.map_err(|e| BrokerError::Fatal(format!("no thread for the client's events: {e}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps a warning of the source's own with the others.
    pub(super) fn warn(&self, kind: &str, text: String) {
        self.shared.warn(kind, text);
    }

    /// What came since the last call; `None` costs one load.
    #[inline]
    pub(super) fn news(&self) -> Option<News> {
        if !self.shared.something.load(Ordering::Acquire) {
            return None;
        }
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.something.store(false, Ordering::Release);
        Some(News {
            warnings: std::mem::take(&mut waiting.warnings),
            partition_errors: std::mem::take(&mut waiting.partition_errors),
            fatal: waiting.fatal.take(),
        })
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn take(shared: &Shared, client: &Client, told: Told) {
    match told {
        Told::Error { code: Code::FATAL, text } => {
            let text = client.fatal_error().map_or(text, |(_, text)| text);
            shared.with(|waiting| waiting.fatal = Some(text));
        }
        // No right to describe our own group: it is never used.
        Told::Error { code: Code::GROUP_AUTHORIZATION_FAILED, .. } => {}
        Told::Error { code, text } => shared.warn(&format!("error {}", code.0), text),
        // "CLIENT: topic [partition]: what": an error that the batch call writes to the log instead of returning it.
        Told::Log { facility, text, .. } if facility == "ERROR" => {
            shared.with(|waiting| {
                if waiting.partition_errors.len() < KEPT_MAX * 16 {
                    waiting.partition_errors.push(text);
                }
            });
        }
        Told::Log { level, facility, text } if level <= LEVEL_WARNING => shared.warn(&facility, text),
        Told::Statistics(json) => {
            if let Some(worst) = worst_throttle_ms(&json).filter(|ms| *ms > 0) {
                shared.warn("throttle", format!("the cluster throttles this client, by up to {worst} ms a request"));
            }
        }
        Told::Log { .. } | Told::DeliveryReports | Told::TokenWanted | Told::Other => {}
    }
}

/// The longest throttling in the statistics' window, over all brokers.
fn worst_throttle_ms(json: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Statistics {
        brokers: std::collections::HashMap<String, Broker>,
    }
    #[derive(Deserialize)]
    struct Broker {
        throttle: Option<Window>,
    }
    #[derive(Deserialize)]
    struct Window {
        max: i64,
    }
    let statistics: Statistics = serde_json::from_str(json).ok()?;
    statistics.brokers.values().filter_map(|broker| broker.throttle.as_ref()).map(|window| window.max).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_read_from_the_statistics() {
        let json = r#"{"topics":{"t":{}},"brokers":{"a":{"throttle":{"min":0,"max":120}},"b":{"throttle":{"max":3}},"c":{}}}"#;
        assert_eq!(worst_throttle_ms(json), Some(120));
        assert_eq!(worst_throttle_ms("{"), None);
    }
}
