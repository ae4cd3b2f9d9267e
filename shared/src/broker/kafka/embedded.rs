//! A Kafka in this process, for the demo and the tests: librdkafka's mock cluster on loopback.
//!
//! Real clients, from this process or another, connect to it over TCP. Its limits, all hard-coded in librdkafka:
//! - a partition keeps at most 5 MiB (or 100 000 batches), then drops its oldest; a single batch above 5 MiB breaks it;
//! - an empty fetch waits the whole `fetch.wait.max.ms`: set that low (10) on clients that should see records soon;
//! - looking up an offset by time gives the end; there are no CreateTopics, DescribeConfigs, ListGroups, no TLS, no SASL,
//!   no throttling, no real transactions; `acks` and sizes are not checked;
//! - a delivery report's time stamp means nothing; one thread serves all brokers: no latency measured on it means
//!   anything.

use crate::broker::BrokerError;
use crate::broker::kafka::config;
use crate::broker::kafka::ffi::mock::Cluster;
use crate::broker::kafka::ffi::{Client, Role};

/// Kafka's API keys, for [`EmbeddedKafka::fail_requests`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Api {
    /// Produce.
    Produce = 0,
    /// Fetch.
    Fetch = 1,
    /// ListOffsets.
    ListOffsets = 2,
    /// Metadata.
    Metadata = 3,
    /// InitProducerId: what an idempotent producer begins with.
    InitProducerId = 22,
    /// OffsetForLeaderEpoch: the broker's word on where logs part.
    OffsetForLeaderEpoch = 23,
}

/// The cluster. It ends when this is dropped.
pub struct EmbeddedKafka {
    cluster: Cluster,
}

impl EmbeddedKafka {
    /// Starts a cluster of one broker with these topics and partition counts.
    ///
    /// # Errors
    /// When the client cannot open a port on loopback, or refuses a topic.
    pub fn start(topics: &[(&str, u32)]) -> Result<Self, BrokerError> {
        Self::start_brokers(1, topics)
    }

    /// Starts a cluster of several brokers, numbered from 1.
    ///
    /// # Errors
    /// As [`EmbeddedKafka::start`].
    pub fn start_brokers(brokers: u8, topics: &[(&str, u32)]) -> Result<Self, BrokerError> {
        let client = Client::new(Role::Producer, &config::embedded_properties())?;
        let embedded = Self { cluster: Cluster::new(client, i32::from(brokers))? };
        for (topic, partitions) in topics {
            embedded.create_topic(topic, *partitions)?;
        }
        Ok(embedded)
    }

    /// The addresses, `host:port[,host:port]…`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }

    /// The endpoint, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("kafka://{}", self.bootstrap())
    }

    /// Adds a topic.
    ///
    /// # Errors
    /// When the cluster refuses it.
    pub fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), BrokerError> {
        self.cluster.create_topic(topic, i32::try_from(partitions).unwrap_or(i32::MAX))
    }

    /// Takes a broker off the network: connections close, and none is accepted.
    ///
    /// # Errors
    /// When there is no such broker.
    pub fn broker_down(&self, broker: i32) -> Result<(), BrokerError> {
        self.cluster.set_up(broker, false)
    }

    /// Puts it back.
    ///
    /// # Errors
    /// As [`EmbeddedKafka::broker_down`].
    pub fn broker_up(&self, broker: i32) -> Result<(), BrokerError> {
        self.cluster.set_up(broker, true)
    }

    /// Delays a broker's answers by this many milliseconds.
    ///
    /// # Errors
    /// As [`EmbeddedKafka::broker_down`].
    pub fn round_trip_ms(&self, broker: i32, ms: i32) -> Result<(), BrokerError> {
        self.cluster.set_round_trip(broker, ms)
    }

    /// Makes the next requests of this kind fail with these of Kafka's error codes, one each.
    pub fn fail_requests(&self, api: Api, codes: &[i32]) {
        self.cluster.push_errors(api as i16, codes);
    }

    /// Makes metadata answer with this of Kafka's error codes for a topic; 0 ends that.
    ///
    /// # Errors
    /// When the name has a NUL byte in it.
    pub fn fail_topic(&self, topic: &str, code: i32) -> Result<(), BrokerError> {
        self.cluster.set_topic_error(topic, code)
    }

    /// Makes `broker` a partition's leader, in a new epoch.
    ///
    /// # Errors
    /// When there is no such broker or partition.
    pub fn set_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<(), BrokerError> {
        self.cluster.set_leader(topic, partition, broker)
    }
}
