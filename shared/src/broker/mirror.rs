//! What capture needs of a broker whose messages have no place in a log: they are mirrored into a queue of our own, delivered
//! once, and acknowledged when they are on disk. Here a message is known by its [`Receipt`] alone.
//!
//! The order of calls: [`Mirror::begin`], then [`Mirror::poll`] and [`Mirror::acknowledge`] in turns, [`Mirror::settle`] last.
//! Everything that was lost comes as a [`Loss`]; what is neither a record nor a loss was never sent to us.

use std::time::Duration;

use super::BrokerError;
use crate::record::{GapReason, Record, Stream};

/// A lane of the mirror: its number in the order in which [`MirrorHandler::lane`] told them, from 0.
pub type LaneIx = u32;

/// What a delivery is acknowledged by. Receipts of one `link` and `generation` come in ascending order of `tag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// Which of the mirror's queues it came from.
    pub link: u32,
    /// Which connection of that queue, counted from its first: a receipt of an earlier one acknowledges nothing, and the
    /// message comes again.
    pub generation: u32,
    /// The delivery tag.
    pub tag: u64,
}

/// A message that was delivered.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Its lane.
    pub lane: LaneIx,
    /// What it is acknowledged by.
    pub receipt: Receipt,
    /// The message. Its stream number, position and epoch say nothing: whoever writes it numbers it. Redelivered ones are flagged.
    pub record: Record<'a>,
}

/// Messages that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The lane, if one is known.
    pub lane: Option<LaneIx>,
    /// What it covers, for people: an exchange's name, or "virtual host NAME".
    pub scope: String,
    /// The start of the time it covers, nanoseconds since 1970.
    pub from_time_ns: Option<i64>,
    /// Its end; `None`: still open, a later one closes it.
    pub to_time_ns: Option<i64>,
    /// How many messages, if that is known.
    pub count: Option<u64>,
    /// Whether `count` is exact.
    pub exact: bool,
    /// Why.
    pub reason: GapReason,
    /// More about it, for people.
    pub detail: String,
}

/// A file that travels in the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Something other than a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MirrorNotice {
    /// Messages were lost. Those that were delivered and could not be read (`unparseable`) count as delivered.
    Loss(Loss),
    /// What stands at the source has changed: to be kept in the recording.
    Snapshot(Snapshot),
    /// Something for people. At most one a second of a kind.
    Warning(String),
}

/// Takes what a mirror delivers. Records are borrowed for the length of the call.
pub trait MirrorHandler {
    /// A lane that was not there before: comes before anything else about it, once, and counts up from 0.
    fn lane(&mut self, lane: LaneIx, stream: &Stream);
    /// One message, with `arrival_ns` as given to [`Mirror::poll`].
    fn delivery(&mut self, delivery: &Delivery<'_>);
    /// Something else.
    fn notice(&mut self, notice: MirrorNotice);
}

/// Which exchanges to mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeSelection {
    /// Their names; empty is the default exchange.
    pub names: Vec<String>,
    /// The virtual hosts to look for them in; none: the endpoint's.
    pub vhosts: Vec<String>,
    /// How.
    pub by: MirrorBy,
}

/// How messages come into a queue of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MirrorBy {
    /// By copies of the bindings that are there: what some queue gets.
    #[default]
    Bindings,
    /// By bindings that take all: what is routed nowhere too.
    CatchAll,
    /// By the broker's trace: everything that is published, the default exchange included.
    Firehose,
}

/// What a capture knows when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorBegin {
    /// The recording's id: our queues are named after it, so that the next capture into the same recording finds them.
    pub recording: String,
    /// When the newest record that is on disk arrived, nanoseconds since 1970; `None`: a new recording.
    pub resumed_from_ns: Option<i64>,
    /// The time now.
    pub now_ns: i64,
}

/// A broker whose messages are mirrored. It consumes from queues of its own only.
pub trait Mirror: Send {
    /// The cluster's own identity.
    fn cluster(&self) -> &str;

    /// What is recorded, as a recording's filters say it.
    fn filters(&self) -> Vec<String>;

    /// What holds of the settings: `(name, value)`, secrets as `***`.
    fn describe(&self) -> Vec<(String, String)>;

    /// Checks everything that can be checked without changing anything at the broker, and says what people should know. Asked
    /// before a recording is made.
    ///
    /// # Errors
    /// What is missing or refused, with what to do.
    fn check(&mut self, timeout: Duration) -> Result<Vec<String>, BrokerError>;

    /// Makes the queues (or finds those of an earlier capture), binds them, and begins to consume. Returns what stands at the
    /// source, to be kept in the recording. An interruption since the earlier capture comes as a [`Loss`] with the next poll.
    ///
    /// # Errors
    /// When the broker refuses or does not answer in `timeout`.
    fn begin(&mut self, begin: &MirrorBegin, timeout: Duration) -> Result<Vec<Snapshot>, BrokerError>;

    /// How many deliveries of one of its queues may be unacknowledged at once: the broker sends no more then, so they are
    /// written and acknowledged well before.
    fn window(&self) -> u32;

    /// Hands over what has come, at most `records_max` messages, waiting at most `timeout` for the first. `clock` is asked once
    /// a batch for the arrival time (nanoseconds since 1970). Connections are kept up inside; returns the number of messages.
    ///
    /// # Errors
    /// When it cannot go on, whatever is tried.
    fn poll<H: MirrorHandler>(
        &mut self,
        records_max: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError>
    where
        Self: Sized;

    /// Acknowledges everything up to these receipts, one for each link at most. Never waits.
    fn acknowledge(&mut self, receipts: &[Receipt]);

    /// How many messages are known to wait in our queues; `None`: unknown.
    fn lag(&mut self) -> Option<u64>;

    /// Ends: the last losses are told, the queues removed. What was delivered and is not acknowledged by then is dropped: it
    /// belongs to no recording. All records must have been acknowledged before.
    ///
    /// # Errors
    /// When the queues could not be removed; the error says how to do it by hand.
    fn settle<H: MirrorHandler>(&mut self, timeout: Duration, clock: &mut dyn FnMut() -> i64, handler: &mut H) -> Result<(), BrokerError>
    where
        Self: Sized;
}
