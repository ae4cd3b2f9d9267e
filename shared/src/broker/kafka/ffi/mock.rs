//! librdkafka's in-process cluster.
//!
//! **Safety.** [`Cluster`] owns the mock cluster and keeps the client that it belongs to alive until after it is
//! destroyed. The mock's functions are served by its own thread and may be called from any other.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::{c_char, c_int};
use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka::bindings as rd;

use super::{Client, Code, c_string, lossy};
use crate::broker::BrokerError;

unsafe extern "C" {
    fn rd_kafka_mock_push_request_errors_array(cluster: *mut rd::rd_kafka_mock_cluster_t, api: i16, count: usize, errors: *const c_int);
    fn rd_kafka_mock_topic_set_error(cluster: *mut rd::rd_kafka_mock_cluster_t, topic: *const c_char, error: c_int);
}

pub(crate) struct Cluster {
    cluster: NonNull<rd::rd_kafka_mock_cluster_t>,
    /// Lives longer: fields are dropped after `drop` has run.
    _client: Arc<Client>,
}

// SAFETY: the mock's functions hand their work to the cluster's own thread.
unsafe impl Send for Cluster {}
// SAFETY: as above.
unsafe impl Sync for Cluster {}

impl Cluster {
    pub(crate) fn new(client: Arc<Client>, brokers: i32) -> Result<Self, BrokerError> {
        // SAFETY: the client lives at least as long as the cluster.
        let cluster = unsafe { rd::rd_kafka_mock_cluster_new(client.ptr(), brokers) };
        let cluster = NonNull::new(cluster).ok_or_else(|| BrokerError::Fatal("the embedded Kafka did not start".to_owned()))?;
        Ok(Self { cluster, _client: client })
    }

    fn ptr(&self) -> *mut rd::rd_kafka_mock_cluster_t {
        self.cluster.as_ptr()
    }

    pub(crate) fn bootstrap(&self) -> String {
        // SAFETY: the cluster lives and owns the string, which is copied.
        unsafe { lossy(rd::rd_kafka_mock_cluster_bootstraps(self.ptr())) }
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), BrokerError> {
        let name = c_string(topic, "the topic name")?;
        // SAFETY: the cluster lives; the name is copied. Its codes are local ones.
        let code = unsafe { rd::rd_kafka_mock_topic_create(self.ptr(), name.as_ptr(), partitions, 1) };
        check(code, &format!("creating topic {topic:?} in the embedded Kafka"))
    }

    pub(crate) fn set_up(&self, broker: i32, up: bool) -> Result<(), BrokerError> {
        // SAFETY: the cluster lives.
        let code = unsafe {
            if up { rd::rd_kafka_mock_broker_set_up(self.ptr(), broker) } else { rd::rd_kafka_mock_broker_set_down(self.ptr(), broker) }
        };
        check(code, "switching a broker of the embedded Kafka")
    }

    pub(crate) fn set_round_trip(&self, broker: i32, ms: i32) -> Result<(), BrokerError> {
        // SAFETY: the cluster lives.
        check(unsafe { rd::rd_kafka_mock_broker_set_rtt(self.ptr(), broker, ms) }, "setting the embedded Kafka's round trip")
    }

    /// Makes the next requests of this kind (Kafka's API key) fail with these codes, one each.
    pub(crate) fn push_errors(&self, api: i16, codes: &[i32]) {
        // SAFETY: the cluster lives; the codes are copied.
        unsafe { rd_kafka_mock_push_request_errors_array(self.ptr(), api, codes.len(), codes.as_ptr()) };
    }

    /// Makes metadata answer with this code for the topic; 0 ends that.
    pub(crate) fn set_topic_error(&self, topic: &str, code: i32) -> Result<(), BrokerError> {
        let name = c_string(topic, "the topic name")?;
        // SAFETY: the cluster lives; the name is copied.
        unsafe { rd_kafka_mock_topic_set_error(self.ptr(), name.as_ptr(), code) };
        Ok(())
    }

    /// Makes `broker` the partition's leader, in a new epoch.
    pub(crate) fn set_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<(), BrokerError> {
        let name = c_string(topic, "the topic name")?;
        // SAFETY: the cluster lives; the name is copied.
        let code = unsafe { rd::rd_kafka_mock_partition_set_leader(self.ptr(), name.as_ptr(), partition, broker) };
        check(code, "setting a leader in the embedded Kafka")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once, while its client lives.
        unsafe { rd::rd_kafka_mock_cluster_destroy(self.ptr()) };
    }
}

fn check(code: rd::rd_kafka_resp_err_t, request: &str) -> Result<(), BrokerError> {
    match Code(code as i32) {
        Code::NONE => Ok(()),
        code => Err(code.request_error(request.to_owned())),
    }
}
