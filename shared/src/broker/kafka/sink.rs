//! Publishing to Kafka.
//!
//! Guarantees: [`KafkaSink::submit`](Sink::submit) never waits; every message that it took is answered by exactly one
//! [`Completion`], as long as somebody polls [`KafkaCompletions`]; order within a partition is the order of submission
//! (with the idempotent client, the default). Topic handles are made once, so that a message costs no lookup by name.
//!
//! Limits: a time stamp of exactly 0 is refused, since the client would write now; the target can still refuse what the
//! client took (a topic's own size limit), which is a failed completion.
//!
//! Closing: [`KafkaSink::flush`], then [`KafkaSink::give_up`] after the drain deadline, while the other half is polled;
//! each returns within its time. Dropping both halves ends the client's threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::connect::Connected;
use super::convert;
use super::fate::{fate, refusal};
use super::ffi::{Client, Code, Queue, Told, TopicHandle};
use super::rights::{Right, Who};
pub use super::target::KafkaTarget;
use super::token::TokenKeeper;
use crate::broker::BrokerError;
use crate::broker::sink::{Completion, Completions, Outgoing, Refusal, Sink};
use crate::broker::warnings::Limiter;

/// The most completions handed over in one call.
const BATCH_MAX: usize = 4096;
/// Syslog's number for a warning; what is above is for information.
const LEVEL_WARNING: i32 = 4;

/// The submitting half.
pub struct KafkaSink {
    topics: Vec<TopicHandle>,
    client: Arc<Client>,
    submitted: usize,
    completed: Arc<AtomicUsize>,
}

/// The completing half.
pub struct KafkaCompletions {
    // Dropped before the client.
    _keeper: Option<TokenKeeper>,
    events: Queue,
    client: Arc<Client>,
    who: Who,
    completed: Arc<AtomicUsize>,
    batch: Vec<Completion>,
    limiter: Limiter,
    warning: Option<String>,
}

pub(super) fn halves(connected: Connected, topics: Vec<TopicHandle>) -> (KafkaSink, KafkaCompletions) {
    let Connected { keeper, events, client, who, .. } = connected;
    let completed = Arc::new(AtomicUsize::new(0));
    let sink = KafkaSink { topics, client: Arc::clone(&client), submitted: 0, completed: Arc::clone(&completed) };
    let batch = Vec::with_capacity(BATCH_MAX);
    (sink, KafkaCompletions { _keeper: keeper, events, client, who, completed, batch, limiter: Limiter::default(), warning: None })
}

impl KafkaSink {
    /// Sends what the client still holds back to fill batches, and waits at most `timeout` until all is answered. The
    /// other half must be polled meanwhile.
    pub fn flush(&self, timeout: Duration) {
        self.client.flush(timeout);
    }

    /// Gives up on every message that is not answered yet: their completions come at once, as failed (never sent) or
    /// unknown (on their way).
    pub fn give_up(&self) {
        self.client.purge();
    }
}

impl Sink for KafkaSink {
    #[inline]
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        let topic = usize::try_from(message.target).ok().and_then(|ix| self.topics.get(ix)).ok_or(Refusal::Final("unknown topic"))?;
        topic.publish(&convert::publish(message)?).map_err(refusal)?;
        self.submitted = self.submitted.wrapping_add(1);
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.submitted.wrapping_sub(self.completed.load(Ordering::Acquire))
    }
}

impl KafkaCompletions {
    /// Why the client gives up.
    fn fatal(&self, text: String) -> BrokerError {
        match self.client.fatal_error() {
            // Before Kafka 2.8, idempotent publishing is a right of its own.
            Some((Code::CLUSTER_AUTHORIZATION_FAILED, text)) => {
                let lacks = self.who.lacks_on_cluster(Right::IdempotentWrite);
                BrokerError::Fatal(format!("{text}: {lacks}; or do without: -X enable.idempotence=false"))
            }
            Some((_, text)) => BrokerError::Fatal(text),
            None => BrokerError::Fatal(text),
        }
    }

    fn warn(&mut self, kind: &str, text: String) {
        if let Some(text) = self.limiter.pass(kind, text, Instant::now()) {
            self.warning = Some(text);
        }
    }
}

impl Completions for KafkaCompletions {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError> {
        let mut next = self.events.poll(timeout);
        while let Some(event) = next {
            let mut answered = 0;
            match event.told() {
                Told::DeliveryReports => {
                    let mut reports = event.delivery_reports();
                    loop {
                        self.batch.extend(
                            reports.by_ref().take(BATCH_MAX).map(|(tag, code, persisted)| Completion { tag, fate: fate(code, persisted) }),
                        );
                        if self.batch.is_empty() {
                            break;
                        }
                        handler(&self.batch);
                        answered += self.batch.len();
                        self.batch.clear();
                    }
                    if let Some(topic) = reports.refused_topic {
                        let lacks = self.who.lacks(Right::Write, &[&topic], Right::Write);
                        self.warn("not authorized", lacks.to_string());
                    }
                }
                Told::Error { code: Code::FATAL, text } => return Err(self.fatal(text)),
                Told::Error { code, text } => self.warn(&format!("error {}", code.0), text),
                Told::Log { level, facility, text } if level <= LEVEL_WARNING => self.warn(&facility, text),
                _ => {}
            }
            // Messages lie in the client's queue until their event is gone: counted out before, a full queue would look empty.
            drop(event);
            self.completed.fetch_add(answered, Ordering::AcqRel);
            next = self.events.poll(Duration::ZERO);
        }
        Ok(())
    }

    fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }
}
