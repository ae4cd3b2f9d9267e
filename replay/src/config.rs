//! What was typed → what it means.
//!
//! [`RawOptions`] is a configuration file (TOML; unknown keys are errors) or the flags, as text; flags override the file.
//! [`RawOptions::validate`] turns it into [`Options`], in which nothing contradicts anything and nothing needs to be
//! checked again. An error names the option, as on the command line, and what is expected.

use std::path::PathBuf;

use dejaq_shared::broker::sink::ClientProfile;
use dejaq_shared::units::{Ratio, UnitError, format_time_ns};

use crate::clock_choice::ClockOption;
use crate::copies::Copies;
use crate::fail_if::FailIfError;
use crate::fail_if::of_run::RunThreshold;
use crate::fit::FitOptions;
use crate::marks::MarkPolicy;
use crate::pointed::Pointed;
use crate::profile::ProfileError;
use crate::remap::PartitionMode;
use crate::schedule::Pace;
use crate::shard::Shard;
use crate::timestamps::TimestampMode;

mod brokers;
mod describe;
mod observe;
mod raw;
mod text;
mod validate;

pub use observe::ObserveOptions;
pub use raw::RawOptions;

/// Options that make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that cannot be read.
    #[error("--{option}: {source}")]
    Unit {
        /// The option.
        option: &'static str,
        /// What is wrong.
        source: UnitError,
    },
    /// A value that is none of the possible ones.
    #[error("--{option} {found:?}: expected {expected}")]
    Value {
        /// The option.
        option: &'static str,
        /// What was found.
        found: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A rate curve that cannot be read.
    #[error("--profile, {0}")]
    Profile(ProfileError),
    /// A text of a small grammar that cannot be read.
    #[error("--{0}, {1}")]
    Pointed(&'static str, Pointed),
    /// A threshold that is none, or of what the run will not measure.
    #[error(transparent)]
    FailIf(#[from] FailIfError),
    /// Two options that exclude each other.
    #[error("--{0} and --{1} contradict each other: {2}")]
    Contradiction(&'static str, &'static str, &'static str),
    /// An option that does nothing without another one.
    #[error("--{0} does nothing without --{1}: {2}")]
    Idle(&'static str, &'static str, &'static str),
    /// An option that these brokers have no use for.
    #[error("--{option} makes no sense here: {why}")]
    NotFor {
        /// The option.
        option: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A start that has passed.
    #[error("--start-at {found} has passed: it is {now}; give a time that all machines are ready by")]
    Past {
        /// The start.
        found: String,
        /// The time.
        now: String,
    },
    /// Not a configuration file.
    #[error("not a replay configuration: {0}")]
    Toml(String),
}

/// Options that hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What decides due times.
    pub pace: Pace,
    /// How the traffic is multiplied. Its jitter is that of `copy_jitter_ns`, or else the recording's mean gap, once that is known.
    pub copies: Copies,
    /// How far copies are apart at most, in nanoseconds of recorded time; `None`: a mean gap.
    pub copy_jitter_ns: Option<u64>,
    /// Ceiling in messages per second.
    pub max_rate: Option<Ratio>,
    /// Ceiling in bytes per second.
    pub max_bytes: Option<u64>,
    /// Topics and exchanges to rename.
    pub map: Vec<(String, String)>,
    /// Globs of streams; none: all.
    pub streams: Vec<String>,
    /// How partitions are chosen.
    pub partitions: PartitionMode,
    /// The length of the run, in nanoseconds.
    pub run_ns: Option<u64>,
    /// Records from this time on, nanoseconds since 1970.
    pub from_time_ns: Option<i64>,
    /// Records before this time.
    pub to_time_ns: Option<i64>,
    /// Whether to begin again at the end.
    pub repeat: bool,
    /// Which time counts.
    pub clock: ClockOption,
    /// Which records are marked.
    pub mark: MarkPolicy,
    /// Records later than this are left out, in nanoseconds.
    pub late_skip_ns: Option<u64>,
    /// How long answers are waited for, in nanoseconds.
    pub drain_ns: u64,
    /// The seed.
    pub seed: u64,
    /// What time stamps are made of.
    pub timestamps: TimestampMode,
    /// What shifted ones count from, nanoseconds since 1970; `None`: the start of the run.
    pub origin_ns: Option<i64>,
    /// Whose batching the client follows.
    pub client: ClientProfile,
    /// When the run starts, nanoseconds since 1970; `None`: at once.
    pub start_at_ns: Option<i64>,
    /// The file with rules for what messages say.
    pub expand: Option<PathBuf>,
    /// Which shard of the run this is.
    pub shard: Option<Shard>,
    /// Whether topics that the target lacks are made.
    pub create_topics: bool,
    /// Whether exchanges, queues and bindings that the target lacks are made.
    pub create_topology: bool,
    /// How many connections to RabbitMQ share the streams.
    pub connections: u32,
    /// How records become messages of the target.
    pub fit: FitOptions,
    /// Which of the options were given that only some brokers have.
    pub given: Vec<&'static str>,
    /// How many topics have a latency of their own.
    pub measure_topics: u32,
    /// Where to sort what is too far out of time order for memory; `None`: the caller's choice.
    pub scratch: Option<PathBuf>,
    /// Whether a recording of unknown source may be replayed.
    pub allow_unknown_source: bool,
    /// What is looked at meanwhile.
    pub observe: ObserveOptions,
    /// What the run is held against at its end.
    pub thresholds: Vec<RunThreshold>,
    /// Properties of the client.
    pub properties: Vec<(String, String)>,
}

const DRAIN_NS: u64 = 30_000_000_000;
const TOPICS: u32 = 16;
/// More topics than this would not fit into the memory that is planned for them.
const TOPICS_MAX: u32 = 256;

impl Options {
    /// Checks what depends on the time: `now_ns`, nanoseconds since 1970.
    ///
    /// # Errors
    /// [`ConfigError::Past`] when the run was to start before now.
    pub fn check_start(&self, now_ns: i64) -> Result<(), ConfigError> {
        match self.start_at_ns {
            Some(at) if at <= now_ns => Err(ConfigError::Past { found: format_time_ns(at), now: format_time_ns(now_ns) }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
