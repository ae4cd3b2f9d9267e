//! The loop: reads, sums up, once a second publishes, and then commits what it has read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::aggregate::{Aggregates, By};

/// How often it publishes.
const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(50);
/// The most messages between two looks at the clock: as many as a poll of Kafka's Java client gives.
const BATCH: usize = 500;
/// How long it waits for the cluster to confirm what it published.
const FLUSH: Duration = Duration::from_secs(60);

/// What it is to do.
#[derive(Debug, Clone, clap::Args)]
pub struct Service {
    /// The brokers: host:port,…
    #[arg(long, value_name = "HOST:PORT")]
    pub brokers: String,
    /// The topic with the metrics
    #[arg(long, default_value = "metrics")]
    pub input: String,
    /// The topic to publish to
    #[arg(long, default_value = "aggregates")]
    pub output: String,
    /// Its consumer group
    #[arg(long, default_value = "aggregator")]
    pub group: String,
    /// How it groups
    #[arg(long, value_enum, default_value_t)]
    pub by: By,
}

/// How it stands, to be looked at from another thread.
#[derive(Debug, Default)]
pub struct Stats {
    /// Messages read.
    pub read: AtomicU64,
    /// Groups kept.
    pub groups: AtomicU64,
    /// Messages published.
    pub published: AtomicU64,
}

impl Service {
    /// Runs until `stop` is set.
    ///
    /// # Errors
    /// When the cluster cannot be read from or written to.
    pub fn run(&self, stats: &Stats, stop: &AtomicBool) -> anyhow::Result<()> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "10")
            .create()
            .context("making the consumer")?;
        consumer.subscribe(&[&self.input]).with_context(|| format!("subscribing to {}", self.input))?;
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).set("linger.ms", "20").create().context("making the producer")?;
        let mut aggregates = Aggregates::new(self.by);
        let mut due = Instant::now() + EVERY;
        while !stop.load(Ordering::Relaxed) {
            read(&consumer, &mut aggregates, stats)?;
            let now = Instant::now();
            if now >= due {
                // The flaw's price: all that was ever seen, each second, while nothing is read. Once that takes longer than a
                // second, the next time is due already, and a batch is all that is read between.
                self.publish(&producer, &aggregates, stats)?;
                commit(&consumer)?;
                due = now + EVERY;
            }
        }
        self.publish(&producer, &aggregates, stats)?;
        commit(&consumer)
    }

    /// Publishes all groups, and waits until they are confirmed: what is committed then is not lost.
    fn publish(&self, producer: &BaseProducer, aggregates: &Aggregates, stats: &Stats) -> anyhow::Result<()> {
        stats.groups.store(aggregates.groups() as u64, Ordering::Relaxed);
        for (key, value) in aggregates.published() {
            let mut record = BaseRecord::to(&self.output).key(key).payload(&value);
            while let Err((error, back)) = producer.send(record) {
                anyhow::ensure!(error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull), "publishing to {}: {error}", self.output);
                record = back;
                producer.poll(PATIENCE);
            }
            stats.published.fetch_add(1, Ordering::Relaxed);
        }
        producer.flush(FLUSH).with_context(|| format!("publishing to {}", self.output))
    }
}

/// Takes a batch in, or what there is.
fn read(consumer: &BaseConsumer, aggregates: &mut Aggregates, stats: &Stats) -> anyhow::Result<()> {
    for _ in 0..BATCH {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => {
                let at_ms = message.timestamp().to_millis().unwrap_or(0);
                let value = message.payload().unwrap_or_default();
                String::from_utf8_lossy(value).lines().for_each(|line| aggregates.take(line, at_ms));
                stats.read.fetch_add(1, Ordering::Relaxed);
            }
            // Brokers come and go; the client tries again by itself.
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown))) => {}
            None => break,
            Some(Err(error)) => return Err(error).context("reading"),
        }
    }
    Ok(())
}

/// Commits what was read; before the first message there is nothing to commit.
fn commit(consumer: &BaseConsumer) -> anyhow::Result<()> {
    match consumer.commit_consumer_state(CommitMode::Async) {
        Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
        Err(error) => Err(error).context("committing what was read"),
    }
}
