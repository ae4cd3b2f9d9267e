//! How far behind the consumers of a broker are: asked for, never joined.

use std::time::Duration;

use super::BrokerError;

/// How far one reader has come in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The position that the group will read next, as it has committed it.
    pub committed: i64,
    /// The position after the newest record.
    pub end: i64,
}

/// Who reads as a group, at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// Whether each knows what it reads; not so while the group rebalances.
    pub settled: bool,
    /// The members' ids, as the coordinator gave them: one that leaves and comes back has another.
    pub members: Vec<String>,
}

/// The position of a group of consumers. Asking joins no group and commits nothing.
pub trait Backlog: Send {
    /// Where the group stands in each partition for which it has committed a position, and where the logs end.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`, or refuses.
    fn depths(&mut self, timeout: Duration) -> Result<Vec<Depth>, BrokerError>;

    /// Who is in the group now; `None` where there are no such groups.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`, or refuses.
    fn membership(&mut self, timeout: Duration) -> Result<Option<Membership>, BrokerError>;
}
