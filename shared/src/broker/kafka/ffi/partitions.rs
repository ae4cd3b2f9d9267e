//! Lists of partitions, offsets, and topic ids.
//!
//! **Safety.** Request objects are owned by small values that free them on every path. Answers borrow the event that they
//! came in, and are copied before it is dropped. Error fields of C structs are read as integers.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::admin::Owned;
use super::{Client, Code, c_string, lossy, millis};
use crate::broker::BrokerError;
use crate::record::TopicId;

unsafe extern "C" {
    fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> c_int;
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

    /// The ids of topics, in the order asked; `None` where the cluster tells none.
    pub(crate) fn topic_ids(self: &Arc<Self>, names: &[&str], timeout: Duration) -> Result<Vec<Option<TopicId>>, BrokerError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let c_names = names.iter().map(|n| c_string(n, "the topic name")).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<*const c_char> = c_names.iter().map(|n| n.as_ptr()).collect();
        // SAFETY: the names live; they are copied.
        let collection = unsafe { rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
        let collection = Owned::new(collection, rd::rd_kafka_TopicCollection_destroy, "a list of topics")?;
        let answer = self.ask(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout, &|options, queue| {
            // SAFETY: all live through the call, which copies what it needs.
            unsafe { rd::rd_kafka_DescribeTopics(self.ptr(), collection.pointer.as_ptr(), options, queue) };
        });
        let event = match answer? {
            Ok(event) => event,
            Err(Code::UNSUPPORTED_FEATURE) => return Ok(vec![None; names.len()]),
            Err(code) => return Err(code.request_error("asking for topic ids".to_owned())),
        };
        let mut found = std::collections::HashMap::new();
        // SAFETY: the event is of the type that was asked for and lives; the answer's parts are copied.
        unsafe {
            let result = rd::rd_kafka_event_DescribeTopics_result(event.ptr());
            if result.is_null() {
                return Ok(vec![None; names.len()]);
            }
            let mut count = 0;
            let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            for i in 0..count {
                let topic = *topics.add(i);
                let error = rd::rd_kafka_TopicDescription_error(topic);
                if error.is_null() || rd_kafka_error_code(error) == 0 {
                    found.insert(lossy(rd::rd_kafka_TopicDescription_name(topic)), topic_id(topic));
                }
            }
        }
        Ok(names.iter().map(|name| found.get(*name).copied().flatten()).collect())
    }
}

/// # Safety
/// `topic` is an element of a live answer.
unsafe fn topic_id(topic: *const rd::rd_kafka_TopicDescription_t) -> Option<TopicId> {
    // SAFETY: by contract; the id belongs to the answer.
    unsafe {
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return None;
        }
        let (high, low) = (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        // All zeroes: the cluster is too old for ids.
        (bytes != [0; 16]).then_some(TopicId(bytes))
    }
}
