//! Lists of partitions, and offsets.
//!
//! **Safety.** Lists are owned by small values that free them on every path. Error fields of C structs are read as integers.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::c_int;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::admin::Owned;
use super::{Client, Code, c_string, millis};
use crate::broker::BrokerError;

unsafe extern "C" {
    fn rd_kafka_offsets_for_times(rk: *mut rd::rd_kafka_t, list: *mut rd::rd_kafka_topic_partition_list_t, timeout_ms: c_int) -> c_int;
}

/// A list of partitions with offsets, for requests.
pub(crate) struct PartitionList(Owned<rd::rd_kafka_topic_partition_list_t>);

impl PartitionList {
    pub(crate) fn with_capacity(count: usize) -> Result<Self, BrokerError> {
        let count = c_int::try_from(count).unwrap_or(c_int::MAX);
        // SAFETY: plain allocation.
        let list = unsafe { rd::rd_kafka_topic_partition_list_new(count) };
        Owned::new(list, rd::rd_kafka_topic_partition_list_destroy, "a list").map(Self)
    }

    /// Adds a partition; `leader_epoch` -1 is unknown.
    pub(crate) fn add(&mut self, topic: &str, partition: i32, offset: i64, leader_epoch: i32) -> Result<(), BrokerError> {
        let topic = c_string(topic, "the topic name")?;
        // SAFETY: the list is ours; the topic is copied; the element lives in the list.
        unsafe {
            let element = rd::rd_kafka_topic_partition_list_add(self.as_ptr(), topic.as_ptr(), partition);
            (*element).offset = offset;
            rd::rd_kafka_topic_partition_set_leader_epoch(element, leader_epoch);
        }
        Ok(())
    }

    pub(super) fn as_ptr(&self) -> *mut rd::rd_kafka_topic_partition_list_t {
        self.0.pointer.as_ptr()
    }

    /// Offset and error of each, in the order of adding.
    pub(super) fn offsets(&self) -> Vec<(i64, Code)> {
        // SAFETY: the list is ours, with `cnt` elements; the error is an i32 in memory.
        unsafe {
            let count = usize::try_from((*self.as_ptr()).cnt).unwrap_or(0);
            let first = (*self.as_ptr()).elems;
            (0..count)
                .map(|i| {
                    let element = first.add(i);
                    ((*element).offset, Code((&raw const (*element).err).cast::<i32>().read()))
                })
                .collect()
        }
    }
}

impl Client {
    /// For each `(topic, partition, what)` the offset: `what` is a time in milliseconds, -1 for the end or -2 for the
    /// beginning. A time after the last record gives -1.
    pub(crate) fn list_offsets(&self, wanted: &[(&str, i32, i64)], timeout: Duration) -> Result<Vec<(i64, Code)>, BrokerError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = PartitionList::with_capacity(wanted.len())?;
        for (topic, partition, what) in wanted {
            list.add(topic, *partition, *what, -1)?;
        }
        // SAFETY: client and list live; the list is filled in place, in its order.
        let code = Code(unsafe { rd_kafka_offsets_for_times(self.ptr(), list.as_ptr(), millis(timeout)) });
        if code != Code::NONE {
            return Err(code.request_error(format!("asking for the offsets of {} partitions", wanted.len())));
        }
        Ok(list.offsets())
    }
}
