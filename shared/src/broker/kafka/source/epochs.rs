//! Positions that were reached under a known leader epoch: the broker checks them before anything is read from them.
//!
//! Guarantees: a log that was cut and grew again behind a position is found out when its lane starts. Limits: waits up to
//! [`EPOCH_CHECK_TIMEOUT`] and the requests that are under way then; a position outside its log is left to the poll, which reports it.

use std::time::{Duration, Instant};

use super::super::ffi::Code;
use super::super::ffi::partitions::PartitionList;
use super::KafkaSource;
use crate::broker::BrokerError;
use crate::broker::source::ReadFrom;

/// How long starting may wait for the client to begin, before epochs can be checked.
const EPOCH_CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// The first pause between two tries; each later one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(10);

impl KafkaSource {
    /// Has the broker check the epochs of positions that were reached under a known one.
    pub(super) fn check_epochs(&self, lanes: &[ReadFrom]) -> Result<(), BrokerError> {
        let (deadline, mut pause) = (Instant::now() + EPOCH_CHECK_TIMEOUT, PAUSE_MIN);
        let mut unchecked: Vec<&ReadFrom> = lanes.iter().filter(|lane| lane.leader_epoch >= 0 && lane.position > 0).collect();
        while !unchecked.is_empty() {
            let mut list = PartitionList::with_capacity(unchecked.len())?;
            for lane in &unchecked {
                list.add(&lane.topic, lane.partition, lane.position, lane.leader_epoch)?;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let codes = self.client.seek(&list, left.max(Duration::from_millis(1)))?;
            // A partition that was assigned a moment ago may not have begun yet.
            let not_yet = |code: &Code| matches!(*code, Code::STATE | Code::PREVIOUS_IN_PROGRESS | Code::UNKNOWN_PARTITION);
            let mut failed = codes.iter().copied().find(|code| *code != Code::NONE && !not_yet(code));
            let mut each = codes.iter();
            unchecked.retain(|_| each.next().is_some_and(not_yet));
            if left.is_zero() && failed.is_none() {
                failed = codes.iter().copied().find(not_yet);
            }
            if let Some(code) = failed {
                return Err(code.request_error("having the leader epochs of partitions checked".to_owned()));
            }
            if !unchecked.is_empty() {
                std::thread::sleep(pause.min(left));
                pause *= 2;
                self.leave_out_of_range(&mut unchecked);
            }
        }
        Ok(())
    }

    /// Takes away the lanes whose position is not in the log: the client may have found that out and stopped them before they were
    /// checked, and then no check ever succeeds. A poll reports them. Without an answer all stay.
    fn leave_out_of_range(&self, lanes: &mut Vec<&ReadFrom>) {
        let wanted: Vec<_> = lanes.iter().map(|lane| (lane.topic.as_str(), lane.partition)).collect();
        let Some(logs) = self.logs(&wanted) else { return };
        let mut logs = logs.into_iter();
        lanes.retain(|lane| logs.next().is_some_and(|log| log.contains(&lane.position)));
    }
}
