//! How far a consumer group has come, and who is in it. Guarantees: the group is asked about by its coordinator's own answers
//! (`OffsetFetch`, `DescribeGroups`, with a client that is no member of any group), so that no rebalance is caused and nothing is committed.

use std::sync::Arc;
use std::time::Duration;

use super::config;
use super::connect::{Connected, connect};
use super::ffi::groups::GroupOffset;
use super::ffi::{Code, Role};
use crate::broker::BrokerError;
use crate::broker::backlog::{Backlog, Depth, Membership, Waiting};
use crate::broker::endpoint::KafkaEndpoint;
use crate::broker::source::SourceOptions;

/// Asks for the end of a log.
const OFFSET_END: i64 = -1;

/// A consumer group that is looked at.
pub struct KafkaGroup {
    connected: Connected,
    group: String,
}

impl KafkaGroup {
    /// Connects, and waits for the cluster's first answer. The group need not be there yet.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when the user is refused, TLS fails, there is no
    /// valid token, or a property is refused.
    pub fn connect(endpoint: &KafkaEndpoint, group: &str, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        let properties = config::source_properties(endpoint, options)?;
        let connected = connect(Role::Consumer, endpoint, &properties, timeout)?;
        Ok(Self { connected, group: group.to_owned() })
    }
}

impl Backlog for KafkaGroup {
    fn waiting(&mut self, timeout: Duration) -> Result<Waiting, BrokerError> {
        // The client's events are of no use here, and would pile up.
        while self.connected.events.poll(Duration::ZERO).is_some() {}
        let client = Arc::clone(&self.connected.client);
        let committed: Vec<GroupOffset> = client.group_offsets(&self.group, timeout)?;
        let wanted: Vec<_> = committed.iter().map(|at| (at.topic.as_str(), at.partition, OFFSET_END)).collect();
        let ends = client.list_offsets(&wanted, timeout)?;
        let depth = |(at, (end, code)): (&GroupOffset, &(i64, Code))| Depth {
            topic: at.topic.clone(),
            partition: at.partition,
            committed: at.offset,
            end: (*code == Code::NONE).then_some(*end),
        };
        Ok(Waiting::Log(committed.iter().zip(&ends).map(depth).collect()))
    }

    fn membership(&mut self, timeout: Duration) -> Result<Option<Membership>, BrokerError> {
        self.connected.client.group_members(&self.group, timeout)
    }
}
