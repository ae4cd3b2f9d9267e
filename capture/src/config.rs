//! What a capture is asked to do: a TOML file, overridden by flags, turned into a [`CapturePlan`] that is valid as a whole.
//!
//! Unknown keys are errors. Secrets may stand in it (`properties`, a password in the URL); nothing that this module prints
//! shows them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dejaq_shared::broker::source::StartAt;
use dejaq_shared::toml_text;
use serde::Deserialize;

use crate::memory::{DEFAULT_BUDGET, MemoryPlan};

mod describe;
mod parse;
mod wanted;

pub use wanted::Wanted;

/// zstd's level when none is given, and the one that `auto` uses while it keeps up.
pub const DEFAULT_LEVEL: i32 = 3;
/// The level that `auto` uses while the capture is behind.
pub const BEHIND_LEVEL: i32 = 1;
/// How often the cluster's topics are looked at, at least.
pub const WATCH_EVERY_MAX: Duration = Duration::from_secs(30);

/// A number or a text, as people write it in TOML.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A whole number.
    Number(i64),
    /// A yes or no.
    Truth(bool),
    /// Anything in quotes.
    Text(String),
}

/// The raw settings, from a file or from flags. All of them can be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureConfig {
    /// The broker's URL.
    pub from: Option<String>,
    /// Topic names and `^patterns`.
    pub topics: Option<Vec<String>>,
    /// Names of exchanges; `(default)` is the default one.
    pub exchanges: Option<Vec<String>>,
    /// The virtual hosts of these exchanges; the URL's without it.
    pub vhosts: Option<Vec<String>>,
    /// Take what is routed nowhere too.
    pub catch_all: Option<bool>,
    /// Take what is published from the broker's trace.
    pub firehose: Option<bool>,
    /// The name of a stream queue.
    pub stream_queue: Option<String>,
    /// The recording's directory.
    pub out: Option<PathBuf>,
    /// `end` (default), `beginning`, or a time as RFC 3339.
    pub start: Option<String>,
    /// `end`: stop when everything that was there at the start has been read.
    pub until: Option<String>,
    /// Stop after this time.
    #[serde(rename = "for")]
    pub run_for: Option<String>,
    /// Stop when the recording holds so many records.
    pub records: Option<u64>,
    /// `stop` (default) or `include`: what to do with replayed traffic.
    pub replayed: Option<String>,
    /// A zstd level, `none` or `auto`.
    pub compress: Option<Scalar>,
    /// Threads that compress.
    pub compress_threads: Option<NonZeroUsize>,
    /// A cap on what is fetched, per second.
    pub fetch_rate: Option<Scalar>,
    /// A cap on what is fetched while the capture catches up, per second.
    pub catch_up_rate: Option<Scalar>,
    /// Stop when the recording has this size.
    pub disk_max: Option<Scalar>,
    /// Stop when the disk has only this much left.
    pub disk_free_min: Option<Scalar>,
    /// The memory that the capture may use.
    pub memory: Option<Scalar>,
    /// How often the cluster's topics are looked at.
    pub watch_every: Option<String>,
    /// Properties for the client, by its own names.
    #[serde(default)]
    pub properties: BTreeMap<String, Scalar>,
}

/// Why settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading {path}: {reason}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The file is no such TOML.
    #[error("{path}: {reason}", path = path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, what was found, what was expected.
        reason: String,
    },
    /// Something that must be given is not.
    #[error("{key} is missing: {hint}")]
    Missing {
        /// The key.
        key: &'static str,
        /// How to give it.
        hint: &'static str,
    },
    /// Settings that do not go together.
    #[error("{key} {why}")]
    Contradiction {
        /// One of them.
        key: &'static str,
        /// What it does not go with, and what to do.
        why: String,
    },
    /// A value that cannot be.
    #[error("{key} is {found:?}, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        found: String,
        /// What can be.
        expected: String,
    },
}

/// What to do with traffic that dejaq has replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replayed {
    /// Stop recording a stream that carries it.
    #[default]
    Stop,
    /// Record it, flagged; the recording inherits the clusters that it came from.
    Include,
}

impl Replayed {
    /// Its name in settings and recordings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Include => "include",
        }
    }
}

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// Not at all.
    None,
    /// zstd at this level.
    Level(i32),
    /// zstd at [`DEFAULT_LEVEL`], at [`BEHIND_LEVEL`] while the capture is behind.
    Auto,
}

/// A valid whole.
#[derive(Debug, Clone)]
pub struct CapturePlan {
    /// The broker's URL, secrets included.
    pub from: String,
    /// What to record.
    pub wanted: Wanted,
    /// The recording's directory.
    pub out: PathBuf,
    /// Where streams begin that are there when a new recording begins. Later ones begin at their beginning.
    pub start: StartAt,
    /// Whether to stop at the end as it is when the capture begins.
    pub until_end: bool,
    /// How long to run.
    pub run_for: Option<Duration>,
    /// How many records the recording is to hold.
    pub records: Option<u64>,
    /// What to do with replayed traffic.
    pub replayed: Replayed,
    /// Compression.
    pub compress: Compress,
    /// Threads that compress.
    pub compress_threads: usize,
    /// Bytes a second that are fetched at most.
    pub fetch_rate: Option<u64>,
    /// Bytes a second that are fetched at most while catching up.
    pub catch_up_rate: Option<u64>,
    /// Bytes that the recording may have.
    pub disk_max: Option<u64>,
    /// Bytes that stay free on the disk.
    pub disk_free_min: Option<u64>,
    /// The memory budget.
    pub memory_budget: u64,
    /// How it is divided.
    pub memory: MemoryPlan,
    /// How often the cluster's topics are looked at.
    pub watch_every: Duration,
    /// Properties for the client, secrets included.
    pub properties: BTreeMap<String, String>,
}

impl CaptureConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError::Read`], [`ConfigError::Toml`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|reason| ConfigError::Read { path: path.to_owned(), reason })?;
        toml_text::parse(&text).map_err(|reason| ConfigError::Toml { path: path.to_owned(), reason })
    }

    /// These settings, with those that `flags` gives in their place. Properties are merged one by one.
    #[must_use]
    pub fn overridden_by(self, flags: Self) -> Self {
        let mut properties = self.properties;
        properties.extend(flags.properties);
        Self {
            from: flags.from.or(self.from),
            topics: flags.topics.or(self.topics),
            exchanges: flags.exchanges.or(self.exchanges),
            vhosts: flags.vhosts.or(self.vhosts),
            catch_all: flags.catch_all.or(self.catch_all),
            firehose: flags.firehose.or(self.firehose),
            stream_queue: flags.stream_queue.or(self.stream_queue),
            out: flags.out.or(self.out),
            start: flags.start.or(self.start),
            until: flags.until.or(self.until),
            run_for: flags.run_for.or(self.run_for),
            records: flags.records.or(self.records),
            replayed: flags.replayed.or(self.replayed),
            compress: flags.compress.or(self.compress),
            compress_threads: flags.compress_threads.or(self.compress_threads),
            fetch_rate: flags.fetch_rate.or(self.fetch_rate),
            catch_up_rate: flags.catch_up_rate.or(self.catch_up_rate),
            disk_max: flags.disk_max.or(self.disk_max),
            disk_free_min: flags.disk_free_min.or(self.disk_free_min),
            memory: flags.memory.or(self.memory),
            watch_every: flags.watch_every.or(self.watch_every),
            properties,
        }
    }

    /// Checks everything and makes a plan of it.
    ///
    /// # Errors
    /// [`ConfigError`], at the first value that cannot be.
    pub fn plan(self) -> Result<CapturePlan, ConfigError> {
        let from = self.from.clone().ok_or(ConfigError::Missing { key: "from", hint: "give --from kafka://host:9092 or amqp://host" })?;
        let wanted = Wanted::of(&self, &from)?;
        let out = self.out.ok_or(ConfigError::Missing { key: "out", hint: "give --out DIR" })?;
        let (start, until_end) = (parse::start(self.start.as_deref())?, parse::until(self.until.as_deref())?);
        if wanted.is_mirrored() {
            parse::refuse_places(start, until_end)?;
        }
        let compress = parse::compress(self.compress.as_ref())?;
        let compress_threads = self.compress_threads.map_or_else(default_threads, NonZeroUsize::get);
        let memory_budget = parse::bytes("memory", self.memory.as_ref())?.unwrap_or(DEFAULT_BUDGET);
        let memory = MemoryPlan::divide(memory_budget, compress_threads, compress).ok_or_else(|| ConfigError::Value {
            key: "memory",
            found: format!("{} MiB", memory_budget >> 20),
            expected: format!(
                "more, for {compress_threads} compressing threads at this level: raise memory, or lower compress_threads or compress (dejaq capture --check shows the arithmetic)"
            ),
        })?;
        Ok(CapturePlan {
            start,
            until_end,
            run_for: self.run_for.as_deref().map(|t| parse::duration("for", t)).transpose()?,
            records: parse::records(self.records)?,
            replayed: parse::replayed(self.replayed.as_deref())?,
            fetch_rate: parse::rate("fetch_rate", self.fetch_rate.as_ref())?,
            catch_up_rate: parse::rate("catch_up_rate", self.catch_up_rate.as_ref())?,
            disk_max: parse::bytes("disk_max", self.disk_max.as_ref())?,
            disk_free_min: parse::bytes("disk_free_min", self.disk_free_min.as_ref())?,
            watch_every: parse::watch_every(self.watch_every.as_deref())?,
            properties: self.properties.into_iter().map(|(k, v)| (k, v.to_string())).collect(),
            from,
            wanted,
            out,
            compress,
            compress_threads,
            memory_budget,
            memory,
        })
    }
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).clamp(1, 4)
}

#[cfg(test)]
mod tests;
