//! What a cluster says of a consumer group: its committed offsets, and who is in it.
//!
//! **Safety.** As in [`super::admin`]: request objects are owned; answers borrow their event and are copied before it is dropped.
//! Error fields are read as integers.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::c_int;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::admin::Owned;
use super::{Client, Code, Event, c_string, lossy};
use crate::broker::BrokerError;
use crate::broker::backlog::Membership;

unsafe extern "C" {
    fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> c_int;
    fn rd_kafka_ConsumerGroupDescription_state(group: *const rd::rd_kafka_ConsumerGroupDescription_t) -> c_int;
}

/// The states of a group in which nobody waits to be given something: stable, dead, empty.
const SETTLED: [c_int; 3] = [3, 4, 5];

/// Where a group stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupOffset {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Client {
    /// The offsets that a group has committed, of all its partitions; none for a group that is not there.
    pub(crate) fn group_offsets(self: &Arc<Self>, group: &str, timeout: Duration) -> Result<Vec<GroupOffset>, BrokerError> {
        let c_group = c_string(group, "the group")?;
        // SAFETY: the name is copied; null asks for all partitions that have an offset.
        let request = unsafe { rd::rd_kafka_ListConsumerGroupOffsets_new(c_group.as_ptr(), std::ptr::null()) };
        let request = Owned::new(request, rd::rd_kafka_ListConsumerGroupOffsets_destroy, "a request")?;
        let mut pointers = [request.pointer.as_ptr()];
        let first = pointers.as_mut_ptr();
        let asking = || format!("asking for the offsets of group {group:?}");
        let answer = self.ask(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout, &|options, queue| {
            // SAFETY: all live through the call, which copies what it needs.
            unsafe { rd::rd_kafka_ListConsumerGroupOffsets(self.ptr(), first, 1, options, queue) };
        });
        let event = answer?.map_err(|code| code.request_error(asking()))?;
        offsets(&event).map_err(|code| code.request_error(asking()))
    }

    /// Who is in a group: nobody in one that is not there. `None`: the cluster does not say (a group of the protocol of KIP-848 is
    /// none that this request knows).
    pub(crate) fn group_members(self: &Arc<Self>, group: &str, timeout: Duration) -> Result<Option<Membership>, BrokerError> {
        let c_group = c_string(group, "the group")?;
        let asking = || format!("asking who is in group {group:?}");
        let answer = self.ask(rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout, &|options, queue| {
            let mut names = [c_group.as_ptr()];
            // SAFETY: all live through the call, which copies what it needs.
            unsafe { rd::rd_kafka_DescribeConsumerGroups(self.ptr(), names.as_mut_ptr(), 1, options, queue) };
        });
        let event = answer?.map_err(|code| code.request_error(asking()))?;
        members(&event).map_err(|code| code.request_error(asking()))
    }
}

fn members(event: &Event) -> Result<Option<Membership>, Code> {
    // SAFETY: the event lives; its result is null unless it is of the type that was asked for. Groups and members belong to the
    // answer; indices are below the counts that it tells; ids are copied.
    unsafe {
        let result = rd::rd_kafka_event_DescribeConsumerGroups_result(event.ptr());
        if result.is_null() {
            return Ok(None);
        }
        let mut count = 0;
        let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        if count == 0 {
            return Ok(None);
        }
        let group = *groups;
        let error = rd::rd_kafka_ConsumerGroupDescription_error(group);
        if !error.is_null() && rd_kafka_error_code(error) != 0 {
            return Err(Code(rd_kafka_error_code(error)));
        }
        let count = rd::rd_kafka_ConsumerGroupDescription_member_count(group);
        let id = |ix| {
            let member = rd::rd_kafka_ConsumerGroupDescription_member(group, ix);
            lossy(rd::rd_kafka_MemberDescription_consumer_id(member))
        };
        let settled = SETTLED.contains(&rd_kafka_ConsumerGroupDescription_state(group));
        Ok(Some(Membership { settled, members: (0..count).map(id).collect() }))
    }
}

fn offsets(event: &Event) -> Result<Vec<GroupOffset>, Code> {
    let mut found = Vec::new();
    // SAFETY: the event lives; its result is null unless it is of the type that was asked for. Groups and their lists belong
    // to the answer; lists have `cnt` elements, whose error is an i32 in memory; names are copied.
    unsafe {
        let result = rd::rd_kafka_event_ListConsumerGroupOffsets_result(event.ptr());
        if result.is_null() {
            return Ok(found);
        }
        let mut count = 0;
        let groups = rd::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut count);
        for i in 0..count {
            let group = *groups.add(i);
            let error = rd::rd_kafka_group_result_error(group);
            if !error.is_null() && rd_kafka_error_code(error) != 0 {
                return Err(Code(rd_kafka_error_code(error)));
            }
            let list = rd::rd_kafka_group_result_partitions(group);
            if list.is_null() {
                continue;
            }
            for k in 0..usize::try_from((*list).cnt).unwrap_or(0) {
                let element = (*list).elems.add(k);
                let code = Code((&raw const (*element).err).cast::<i32>().read());
                // A negative offset: none is committed.
                if code == Code::NONE && (*element).offset >= 0 {
                    found.push(GroupOffset { topic: lossy((*element).topic), partition: (*element).partition, offset: (*element).offset });
                }
            }
        }
    }
    Ok(found)
}
