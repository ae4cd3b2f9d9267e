//! Topics to measure with: made, filled once with the same messages for both sides, removed.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::payloads::Payloads;

/// A cluster where topics are made and removed.
pub(crate) struct Cluster {
    address: String,
    admin: AdminClient<DefaultClientContext>,
}

impl Cluster {
    /// # Errors
    /// When the client cannot be made.
    pub(crate) fn at(address: &str) -> anyhow::Result<Self> {
        let admin = ClientConfig::new().set("bootstrap.servers", address).create()?;
        Ok(Self { address: address.to_owned(), admin })
    }

    /// # Errors
    /// What the cluster says.
    pub(crate) fn create(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for result in wait(self.admin.create_topics(&[new], &AdminOptions::new()))? {
            result.map_err(|(name, code)| anyhow!("creating topic {name}: {code}"))?;
        }
        Ok(())
    }

    /// # Errors
    /// What the cluster says.
    pub(crate) fn delete(&self, topic: &str) -> anyhow::Result<()> {
        for result in wait(self.admin.delete_topics(&[topic], &AdminOptions::new()))? {
            result.map_err(|(name, code)| anyhow!("deleting topic {name}: {code}"))?;
        }
        Ok(())
    }

    /// Fills a topic: whole passes over the payloads, `messages` in all, to its partitions in turn, in runs of 100, without
    /// compression. The times are the moment of sending, as for any live topic.
    ///
    /// # Errors
    /// When a message is not taken.
    pub(crate) fn fill(&self, topic: &str, partitions: i32, payloads: &Payloads, messages: u64) -> anyhow::Result<()> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("linger.ms", "50")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.kbytes", "131072")
            .create()?;
        let all = payloads.messages.iter().cycle();
        for (number, (_, value)) in (0..messages).zip(all) {
            let partition = i32::try_from(number / 100 % u64::try_from(partitions)?)?;
            let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(partition).payload(value);
            while let Err((error, back)) = producer.send(record) {
                ensure!(error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), "filling topic {topic}: {error}");
                producer.poll(Duration::from_millis(50));
                record = back;
            }
            if number % 1_000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(Duration::from_secs(60)).context("filling a topic")
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread; rdkafka completes them on threads of its own.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}
