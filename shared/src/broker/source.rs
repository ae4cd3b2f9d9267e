//! What capture needs of a broker.

use std::time::Duration;

use super::BrokerError;
use crate::record::{Record, StreamIx, TopicId};

/// A topic as the cluster shows it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its id; `None` when the cluster gives none.
    pub id: Option<TopicId>,
    /// The numbers of its partitions, ascending.
    pub partitions: Vec<i32>,
}

/// A topic's name, and its own settings as `(name, value)`.
pub type TopicSettings = (String, Vec<(String, String)>);

/// How a source reads.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Bytes of memory that messages may take between the network and [`Source::poll`].
    pub memory_budget_bytes: usize,
    /// The mean size of key and value that is expected: small messages cost more than their payload.
    pub message_bytes_expected: usize,
    /// What a person set (`-X`), in order; a later one wins.
    pub user: Vec<(String, String)>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self { memory_budget_bytes: 64 << 20, message_bytes_expected: 64, user: Vec::new() }
    }
}

/// Where to begin in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// The oldest record that is there.
    Beginning,
    /// The next record to come.
    End,
    /// The first record whose broker time is at or after this (nanoseconds since 1970).
    Time(i64),
}

/// A lane to read: an absolute place in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrom {
    /// The number under which its records and notices come.
    pub stream: StreamIx,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first position wanted.
    pub position: i64,
    /// The epoch under which that position was reached, for the broker to check; unknown: `-1`.
    pub leader_epoch: i32,
}

/// Something other than a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The wanted position is not in the log. Reading of this stream has stopped; start it again at `low` (positions
    /// before it are gone), or at `high` if even that is below the wanted one.
    OutOfRange {
        /// The stream.
        stream: StreamIx,
        /// The oldest position there is.
        low: i64,
        /// The position after the newest one.
        high: i64,
    },
    /// The log was cut back under us (another leader epoch). Reading of this stream has stopped; records from
    /// `position` on may differ from those read before.
    Truncated {
        /// The stream.
        stream: StreamIx,
        /// Where the logs part, if the broker told.
        position: Option<i64>,
        /// The client's words.
        detail: String,
    },
    /// All that was there has been read; `position` is the next one.
    End {
        /// The stream.
        stream: StreamIx,
        /// The position after the last record, transaction markers included.
        position: i64,
    },
    /// One message could not be read by the client; reading goes on after it.
    Unparseable {
        /// The stream.
        stream: StreamIx,
        /// Where.
        position: i64,
        /// The client's words.
        detail: String,
    },
    /// The partition cannot be read: deleted, or not permitted. Reading of this stream has stopped.
    Gone {
        /// The stream.
        stream: StreamIx,
        /// The client's words.
        detail: String,
    },
    /// Something for people: a broker that is away, a throttled fetch. At most one a second of a kind.
    Warning(String),
}

/// Takes what a source delivers. Records are borrowed from the client's buffers for the length of the call.
pub trait SourceHandler {
    /// One record, with `arrival_ns` as given to [`Source::poll`].
    fn record(&mut self, record: &Record<'_>);
    /// Something else.
    fn notice(&mut self, notice: Notice);
}

/// A broker that records are read from. It reads with an identity of its own, commits nothing and joins no group.
pub trait Source: Send {
    /// The cluster's own identity.
    fn cluster(&self) -> &str;

    /// How records of transactions are read, by the broker's own name; `None` where there is no such choice.
    fn isolation(&self) -> Option<&str>;

    /// The topics there are now that `wanted` accepts, by name; internal ones (`__…`) only when named exactly.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`.
    fn topics(&mut self, wanted: &TopicSelection, timeout: Duration) -> Result<Vec<TopicInfo>, BrokerError>;

    /// Whether all these topics may be read, to be asked before anything is begun. A broker that does not say counts as yes.
    ///
    /// # Errors
    /// [`BrokerError::MissingRight`], which names those that may not; when the cluster does not answer in `timeout`.
    fn check_rights(&mut self, topics: &[String], timeout: Duration) -> Result<(), BrokerError>;

    /// Each topic's own settings as `(name, value)` (those set on the topic, not the broker's defaults); topics that may
    /// not be read are absent.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`.
    fn topic_settings(&mut self, topics: &[String], timeout: Duration) -> Result<Vec<TopicSettings>, BrokerError>;

    /// The absolute position of `at` in each `(topic, partition)`, in the same order.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`, or refuses.
    fn positions(&mut self, lanes: &[(String, i32)], at: StartAt, timeout: Duration) -> Result<Vec<i64>, BrokerError>;

    /// Begins reading these lanes as well.
    ///
    /// # Errors
    /// When the client refuses.
    fn start(&mut self, lanes: &[ReadFrom]) -> Result<(), BrokerError>;

    /// Ends reading these streams.
    ///
    /// # Errors
    /// When the client refuses.
    fn stop(&mut self, streams: &[StreamIx]) -> Result<(), BrokerError>;

    /// Hands over what has come, at most `records_max` records, waiting at most `timeout` for the first. `clock` is
    /// asked once a batch for the arrival time (nanoseconds since 1970). Returns the number of records.
    ///
    /// # Errors
    /// When the client is broken.
    fn poll<H: SourceHandler>(
        &mut self,
        records_max: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError>
    where
        Self: Sized;

    /// How many records of the followed streams are known to be at the broker and not yet delivered; `None`: unknown.
    fn lag(&mut self) -> Option<u64>;

    /// How many partitions ended, when their end was told last, before an open transaction: its records, and those behind
    /// it, are at the broker and are not delivered yet.
    fn withheld(&self) -> usize;
}

/// Which topics: names, and regular expressions (`^…`).
#[derive(Debug, Clone)]
pub struct TopicSelection {
    names: Vec<String>,
    patterns: Vec<regex::Regex>,
}

/// A topic pattern that is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("topic pattern {pattern:?} is not a regular expression: {reason}")]
pub struct BadPattern {
    /// The pattern.
    pub pattern: String,
    /// What is wrong.
    pub reason: String,
}

impl TopicSelection {
    /// Reads a list of names and `^patterns`.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, BadPattern> {
        let mut selection = Self { names: Vec::new(), patterns: Vec::new() };
        for item in list {
            if item.starts_with('^') {
                let pattern = regex::Regex::new(item).map_err(|e| BadPattern { pattern: item.to_owned(), reason: e.to_string() })?;
                selection.patterns.push(pattern);
            } else {
                selection.names.push(item.to_owned());
            }
        }
        Ok(selection)
    }

    /// One name, whatever it looks like.
    #[must_use]
    pub fn exactly(name: &str) -> Self {
        Self { names: vec![name.to_owned()], patterns: Vec::new() }
    }

    /// The names that were given as such: each of them must exist.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether there are patterns, so that new topics can come in.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether a topic is wanted. Patterns never take internal topics (`__…`).
    #[must_use]
    pub fn accepts(&self, topic: &str) -> bool {
        self.names.iter().any(|n| n == topic) || (!topic.starts_with("__") && self.patterns.iter().any(|p| p.is_match(topic)))
    }

    /// As it was typed.
    #[must_use]
    pub fn as_typed(&self) -> Vec<String> {
        self.names.iter().cloned().chain(self.patterns.iter().map(|p| p.as_str().to_owned())).collect()
    }
}
