//! Questions to the cluster: metadata and topic settings; and, for a sink, the creation of topics.
//!
//! **Safety.** Request objects are owned by small values that free them on every path ([`Owned`]). Answers borrow the
//! event that they came in, and are copied before it is dropped. Error fields of C structs are read as integers.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::{c_char, c_int};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::{Client, Code, Event, Queue, TopicHandle, c_string, lossy, millis};
use crate::broker::BrokerError;
#[cfg(feature = "sink")]
use crate::broker::sink::NewTopic;

unsafe extern "C" {
    fn rd_kafka_ConfigResource_error(resource: *const rd::rd_kafka_ConfigResource_t) -> c_int;
    fn rd_kafka_ConfigEntry_source(entry: *const rd::rd_kafka_ConfigEntry_t) -> c_int;
    fn rd_kafka_metadata(
        rk: *mut rd::rd_kafka_t,
        all: c_int,
        only: *mut rd::rd_kafka_topic_t,
        answer: *mut *const rd::rd_kafka_metadata,
        timeout_ms: c_int,
    ) -> c_int;
}
#[cfg(feature = "sink")]
unsafe extern "C" {
    fn rd_kafka_topic_result_error(result: *const rd::rd_kafka_topic_result_t) -> c_int;
    fn rd_kafka_NewTopic_set_config(topic: *mut rd::rd_kafka_NewTopic_t, name: *const c_char, value: *const c_char) -> c_int;
}

/// A C object with its destructor.
pub(super) struct Owned<T> {
    pub(super) pointer: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    pub(super) fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T), what: &str) -> Result<Self, BrokerError> {
        let pointer = NonNull::new(pointer).ok_or_else(|| BrokerError::Fatal(format!("the client could not make {what}")))?;
        Ok(Self { pointer, destroy })
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: ours, freed once, by the destructor that belongs to it.
        unsafe { (self.destroy)(self.pointer.as_ptr()) };
    }
}

/// What metadata is asked for.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// Every topic that the user may see.
    #[cfg(feature = "source")]
    AllTopics,
    /// One topic; the client uses it from then on.
    Topic(&'a TopicHandle),
}

/// A topic in the cluster's metadata.
#[derive(Debug)]
pub(crate) struct MetadataTopic {
    pub(crate) name: String,
    pub(crate) code: Code,
    /// Ascending.
    pub(crate) partitions: Vec<i32>,
}

/// One topic's settings: name, value (`None`: secret), whether it was set on the topic itself.
pub(crate) type Settings = Vec<(String, Option<String>, bool)>;

/// Each topic's settings, or why they were not told.
pub(crate) type AllSettings = Vec<(String, Result<Settings, Code>)>;
/// What became of each topic: name, answer, the broker's words.
#[cfg(feature = "sink")]
pub(crate) type Created = Vec<(String, Code, String)>;

impl Client {
    /// The cluster's metadata.
    pub(crate) fn metadata(&self, about: About<'_>, timeout: Duration) -> Result<Vec<MetadataTopic>, Code> {
        let mut answer = std::ptr::null();
        let (all, topic) = match about {
            #[cfg(feature = "source")]
            About::AllTopics => (1, std::ptr::null_mut()),
            About::Topic(topic) => (0, topic.topic.as_ptr()),
        };
        // SAFETY: client and topic live. The answer is ours when the code is 0; it is read, copied, and freed once.
        unsafe {
            let code = Code(rd_kafka_metadata(self.ptr(), all, topic, &raw mut answer, millis(timeout)));
            if code != Code::NONE {
                return Err(code);
            }
            if (*answer).orig_broker_id >= 0 {
                self.answered_by.store((*answer).orig_broker_id, Ordering::Relaxed);
            }
            let count = usize::try_from((*answer).topic_cnt).unwrap_or(0);
            let topics = (0..count).map(|i| metadata_topic((*answer).topics.add(i))).collect();
            rd::rd_kafka_metadata_destroy(answer);
            Ok(topics)
        }
    }

    /// The settings of topics; all are absent where the cluster does not know the request.
    pub(crate) fn topic_settings(self: &Arc<Self>, names: &[&str], timeout: Duration) -> Result<AllSettings, BrokerError> {
        self.settings_of(rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, names, timeout)
    }

    /// The settings of the broker that answered last for metadata; `None` where they may not be read.
    #[cfg(feature = "sink")]
    pub(crate) fn broker_settings(self: &Arc<Self>, timeout: Duration) -> Result<Option<Settings>, BrokerError> {
        let broker = self.answered_by.load(Ordering::Relaxed).to_string();
        let found = self.settings_of(rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER, &[&broker], timeout)?;
        Ok(found.into_iter().next().and_then(|(_, settings)| settings.ok()))
    }

    fn settings_of(
        self: &Arc<Self>,
        kind: rd::rd_kafka_ResourceType_t,
        names: &[&str],
        timeout: Duration,
    ) -> Result<AllSettings, BrokerError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut resources = Vec::with_capacity(names.len());
        for name in names {
            let c_name = c_string(name, "the name")?;
            // SAFETY: the name is copied.
            let resource = unsafe { rd::rd_kafka_ConfigResource_new(kind, c_name.as_ptr()) };
            resources.push(Owned::new(resource, rd::rd_kafka_ConfigResource_destroy, "a request")?);
        }
        let mut pointers: Vec<_> = resources.iter().map(|r| r.pointer.as_ptr()).collect();
        let (first, count) = (pointers.as_mut_ptr(), pointers.len());
        let answer = self.ask(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout, &|options, queue| {
            // SAFETY: all live through the call, which copies what it needs.
            unsafe { rd::rd_kafka_DescribeConfigs(self.ptr(), first, count, options, queue) };
        });
        let event = match answer? {
            Ok(event) => event,
            Err(Code::UNSUPPORTED_FEATURE) => return Ok(Vec::new()),
            Err(code) => return Err(code.request_error("asking for settings".to_owned())),
        };
        // SAFETY: the event is of the type that was asked for and lives; the answer's parts are copied.
        unsafe {
            let result = rd::rd_kafka_event_DescribeConfigs_result(event.ptr());
            if result.is_null() {
                return Ok(Vec::new());
            }
            let mut count = 0;
            let list = rd::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
            let one = |resource| match Code(rd_kafka_ConfigResource_error(resource)) {
                Code::NONE => Ok(settings(resource)),
                code => Err(code),
            };
            Ok((0..count).map(|i| *list.add(i)).map(|r| (lossy(rd::rd_kafka_ConfigResource_name(r)), one(r))).collect())
        }
    }

    /// Creates topics, replicated as the cluster does by default, or only asks whether it would (`validate`); gives each
    /// one's answer.
    #[cfg(feature = "sink")]
    pub(crate) fn create_topics(
        self: &Arc<Self>,
        topics: &[NewTopic],
        validate: bool,
        timeout: Duration,
    ) -> Result<Result<Created, Code>, BrokerError> {
        let mut wanted = Vec::with_capacity(topics.len());
        for topic in topics {
            wanted.push(new_topic(&topic.name, topic.partitions, &topic.settings)?);
        }
        let mut pointers: Vec<_> = wanted.iter().map(|t| t.pointer.as_ptr()).collect();
        let (first, count) = (pointers.as_mut_ptr(), pointers.len());
        let answer = self.ask(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout, &|options, queue| {
            let mut text = [0 as c_char; 256];
            // SAFETY: all live through the calls, which copy what they need; the buffer has the stated size. This request
            // knows the option, so setting it cannot fail.
            unsafe {
                rd::rd_kafka_AdminOptions_set_validate_only(options, c_int::from(validate), text.as_mut_ptr(), text.len());
                rd::rd_kafka_CreateTopics(self.ptr(), first, count, options, queue);
            }
        });
        let event = match answer? {
            Ok(event) => event,
            Err(code) => return Ok(Err(code)),
        };
        // SAFETY: the event is of the type that was asked for and lives; the answer's parts are copied.
        unsafe {
            let result = rd::rd_kafka_event_CreateTopics_result(event.ptr());
            if result.is_null() {
                return Err(BrokerError::Fatal("the answer to creating topics is of another type".to_owned()));
            }
            let mut count = 0;
            let list = rd::rd_kafka_CreateTopics_result_topics(result, &raw mut count);
            Ok(Ok((0..count)
                .map(|i| {
                    let one = *list.add(i);
                    let code = Code(rd_kafka_topic_result_error(one));
                    (lossy(rd::rd_kafka_topic_result_name(one)), code, lossy(rd::rd_kafka_topic_result_error_string(one)))
                })
                .collect()))
        }
    }

    /// Sends an admin request and waits for its answer.
    pub(super) fn ask(
        self: &Arc<Self>,
        operation: rd::rd_kafka_admin_op_t,
        timeout: Duration,
        send: &dyn Fn(*mut rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
    ) -> Result<Result<Event, Code>, BrokerError> {
        // SAFETY: the client lives.
        let options = unsafe { rd::rd_kafka_AdminOptions_new(self.ptr(), operation) };
        let options = Owned::new(options, rd::rd_kafka_AdminOptions_destroy, "a request's options")?;
        let mut text = [0 as c_char; 256];
        // SAFETY: options are ours, the buffer has the stated size. Its codes are local ones. The client lives.
        let queue = unsafe {
            let code = rd::rd_kafka_AdminOptions_set_request_timeout(
                options.pointer.as_ptr(),
                millis(timeout).max(1),
                text.as_mut_ptr(),
                text.len(),
            );
            if code as i32 != 0 {
                return Ok(Err(Code(code as i32)));
            }
            // Any broker can answer most questions, so one is asked that is known to be there; only the controller makes topics,
            // and only a group's coordinator knows its offsets and members. (The client's own choice, the controller for all others, is one
            // that the embedded cluster does not have.)
            let broker = self.answered_by.load(Ordering::Relaxed);
            if broker >= 0 && any_broker_answers(operation) {
                rd::rd_kafka_AdminOptions_set_broker(options.pointer.as_ptr(), broker, text.as_mut_ptr(), text.len());
            }
            Queue::own(self, rd::rd_kafka_queue_new(self.ptr()))?
        };
        send(options.pointer.as_ptr(), queue.queue.as_ptr());
        // The client answers by itself when the time is up; the second beyond is for the answer's own way.
        let Some(event) = queue.poll(timeout + Duration::from_secs(1)) else { return Ok(Err(Code::TIMED_OUT)) };
        match event.answer_error() {
            Code::NONE => Ok(Ok(event)),
            code => Ok(Err(code)),
        }
    }
}

fn any_broker_answers(operation: rd::rd_kafka_admin_op_t) -> bool {
    use rd::rd_kafka_admin_op_t as op;
    !matches!(
        operation,
        op::RD_KAFKA_ADMIN_OP_CREATETOPICS | op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS | op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS
    )
}

/// # Safety
/// `topic` is an element of a live metadata answer.
unsafe fn metadata_topic(topic: *const rd::rd_kafka_metadata_topic) -> MetadataTopic {
    // SAFETY: by contract; the error is an i32 in memory; partitions are an array of the stated length.
    unsafe {
        let count = usize::try_from((*topic).partition_cnt).unwrap_or(0);
        let mut partitions: Vec<i32> = (0..count).map(|i| (*(*topic).partitions.add(i)).id).collect();
        partitions.sort_unstable();
        let code = Code((&raw const (*topic).err).cast::<i32>().read());
        MetadataTopic { name: lossy((*topic).topic), code, partitions }
    }
}

/// # Safety
/// `resource` is an element of a live answer.
unsafe fn settings(resource: *const rd::rd_kafka_ConfigResource_t) -> Settings {
    // SAFETY: by contract; strings are copied.
    unsafe {
        let mut count = 0;
        let entries = rd::rd_kafka_ConfigResource_configs(resource, &raw mut count);
        (0..count)
            .map(|i| {
                let entry = *entries.add(i);
                let value = rd::rd_kafka_ConfigEntry_value(entry);
                let own =
                    rd_kafka_ConfigEntry_source(entry) == rd::rd_kafka_ConfigSource_t::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG as c_int;
                (lossy(rd::rd_kafka_ConfigEntry_name(entry)), (!value.is_null()).then(|| lossy(value)), own)
            })
            .collect()
    }
}

#[cfg(feature = "sink")]
fn new_topic(name: &str, partitions: u32, settings: &[(String, String)]) -> Result<Owned<rd::rd_kafka_NewTopic_t>, BrokerError> {
    let refused = |reason: String| BrokerError::Request { request: format!("creating topic {name:?}"), reason, retryable: false };
    let c_name = c_string(name, "the topic name")?;
    let count = c_int::try_from(partitions).map_err(|_| refused(format!("{partitions} partitions are too many")))?;
    let mut text = [0 as c_char; 256];
    // SAFETY: the strings live through the calls and are copied; the buffer has the stated size; replication -1 leaves it
    // to the cluster.
    unsafe {
        let topic = rd::rd_kafka_NewTopic_new(c_name.as_ptr(), count, -1, text.as_mut_ptr(), text.len());
        if topic.is_null() {
            return Err(refused(lossy(text.as_ptr())));
        }
        let topic = Owned::new(topic, rd::rd_kafka_NewTopic_destroy, "a request")?;
        for (key, value) in settings {
            let (key, value) = (c_string(key, "the setting")?, c_string(value, "the setting's value")?);
            let code = Code(rd_kafka_NewTopic_set_config(topic.pointer.as_ptr(), key.as_ptr(), value.as_ptr()));
            if code != Code::NONE {
                return Err(refused(code.text()));
            }
        }
        Ok(topic)
    }
}
