//! What a cluster says of topics when they are described: their ids, and what this user may do with them.
//!
//! **Safety.** As in [`super::admin`]: request objects are owned; answers borrow their event and are copied before it is dropped.
//! Error and operation fields are read as integers.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::collections::HashMap;
use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::admin::Owned;
use super::{Client, Code, Event, c_string, lossy};
use crate::broker::BrokerError;
#[cfg(feature = "source")]
use crate::record::TopicId;

unsafe extern "C" {
    fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> c_int;
    fn rd_kafka_TopicDescription_authorized_operations(topic: *const rd::rd_kafka_TopicDescription_t, count: *mut usize) -> *const c_int;
}

/// An operation on a topic, by Kafka's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Operation {
    #[cfg(feature = "source")]
    Read = 3,
    #[cfg(feature = "sink")]
    Write = 4,
}

impl Client {
    /// The ids of topics, in the order asked; `None` where the cluster tells none.
    #[cfg(feature = "source")]
    pub(crate) fn topic_ids(self: &Arc<Self>, names: &[&str], timeout: Duration) -> Result<Vec<Option<TopicId>>, BrokerError> {
        // SAFETY: `topic_id` is given elements of a live answer.
        let found = self.describe_topics(names, false, timeout, "asking for topic ids", |topic| unsafe { topic_id(topic) })?;
        Ok(names.iter().map(|name| found.get(*name).copied().flatten()).collect())
    }

    /// Those of the topics with which the user may not do this; topics of which the cluster does not tell are none of them.
    pub(crate) fn not_permitted<'a>(
        self: &Arc<Self>,
        names: &[&'a str],
        operation: Operation,
        timeout: Duration,
    ) -> Result<Vec<&'a str>, BrokerError> {
        // SAFETY: `lacks` is given elements of a live answer.
        let lacking = |topic| unsafe { lacks(topic, operation) };
        let found = self.describe_topics(names, true, timeout, "asking what may be done with the topics", lacking)?;
        Ok(names.iter().copied().filter(|name| found.get(*name) == Some(&true)).collect())
    }

    /// Describes topics and takes something from each description; topics that cannot be described, or all where the cluster does
    /// not know the request, are absent.
    fn describe_topics<T>(
        self: &Arc<Self>,
        names: &[&str],
        with_rights: bool,
        timeout: Duration,
        request: &str,
        take: impl Fn(*const rd::rd_kafka_TopicDescription_t) -> T,
    ) -> Result<HashMap<String, T>, BrokerError> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let c_names = names.iter().map(|n| c_string(n, "the topic name")).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<*const c_char> = c_names.iter().map(|n| n.as_ptr()).collect();
        // SAFETY: the names live; they are copied.
        let collection = unsafe { rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
        let collection = Owned::new(collection, rd::rd_kafka_TopicCollection_destroy, "a list of topics")?;
        let answer = self.ask(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout, &|options, queue| {
            // SAFETY: all live through the calls, which copy what they need; an error of the first would mean that the option is
            // not one of this request's, and is freed.
            unsafe {
                let error = rd::rd_kafka_AdminOptions_set_include_authorized_operations(options, c_int::from(with_rights));
                if !error.is_null() {
                    rd::rd_kafka_error_destroy(error);
                }
                rd::rd_kafka_DescribeTopics(self.ptr(), collection.pointer.as_ptr(), options, queue);
            }
        });
        match answer? {
            Ok(event) => Ok(described(&event, take)),
            Err(Code::UNSUPPORTED_FEATURE) => Ok(HashMap::new()),
            Err(code) => Err(code.request_error(request.to_owned())),
        }
    }
}

fn described<T>(event: &Event, take: impl Fn(*const rd::rd_kafka_TopicDescription_t) -> T) -> HashMap<String, T> {
    let mut found = HashMap::new();
    // SAFETY: the event lives; its result is null unless it is of the type that was asked for; the answer's parts are copied.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(event.ptr());
        if result.is_null() {
            return found;
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for i in 0..count {
            let topic = *topics.add(i);
            let error = rd::rd_kafka_TopicDescription_error(topic);
            if error.is_null() || rd_kafka_error_code(error) == 0 {
                found.insert(lossy(rd::rd_kafka_TopicDescription_name(topic)), take(topic));
            }
        }
    }
    found
}

/// Whether the cluster says what may be done with the topic, and this is not among it.
///
/// # Safety
/// `topic` is an element of a live answer.
unsafe fn lacks(topic: *const rd::rd_kafka_TopicDescription_t, operation: Operation) -> bool {
    let mut count = 0;
    // SAFETY: by contract; `count` operations, which are integers in memory, belong to the answer; null: the cluster does not tell.
    unsafe {
        let first = rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        !first.is_null() && !(0..count).any(|i| *first.add(i) == operation as c_int)
    }
}

/// # Safety
/// `topic` is an element of a live answer.
#[cfg(feature = "source")]
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
