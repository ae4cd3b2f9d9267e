//! What was typed → what it means.
//!
//! [`RawOptions`] is a configuration file (TOML; unknown keys are errors) or the flags, as text; flags override the file.
//! [`RawOptions::validate`] turns it into [`Options`], in which nothing contradicts anything and nothing needs to be
//! checked again. An error names the option, as on the command line, and what is expected.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dejaq_shared::broker::sink::ClientProfile;
use dejaq_shared::segment::timeline::StreamClock;
use dejaq_shared::toml_text;
use dejaq_shared::units::{self, Ratio, UnitError, duration_ns, format_time_ns};
use serde::Deserialize;

use crate::clock_choice::ClockOption;
use crate::copies::{Copies, LoopKeys, SUFFIX, check_suffix};
use crate::marks::MarkPolicy;
use crate::pointed::Pointed;
use crate::profile::{Profile, ProfileError};
use crate::remap::PartitionMode;
use crate::schedule::Pace;
use crate::shard::Shard;
use crate::timestamps::TimestampMode;

mod describe;
mod observe;
mod text;
pub use observe::ObserveOptions;
use text::{text, texts};

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
    /// Two options that exclude each other.
    #[error("--{0} and --{1} contradict each other: {2}")]
    Contradiction(&'static str, &'static str, &'static str),
    /// An option that does nothing without another one.
    #[error("--{0} does nothing without --{1}: {2}")]
    Idle(&'static str, &'static str, &'static str),
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

/// Options as typed. In TOML the keys are the flags' names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawOptions {
    /// `--speed N`: the recorded time line, N times as fast.
    #[serde(deserialize_with = "text")]
    pub speed: Option<String>,
    /// `--rate R`: a steady rate.
    pub rate: Option<String>,
    /// `--profile P`: a rate curve.
    pub profile: Option<String>,
    /// `--max`: as fast as the target takes it.
    pub max: bool,
    /// `--copies N`: how many times the traffic.
    #[serde(deserialize_with = "text")]
    pub copies: Option<String>,
    /// `--copy-jitter DUR`: how far copies are apart at most.
    pub copy_jitter: Option<String>,
    /// `--copy-suffix TEXT`: what a copy's keys have before its number.
    pub copy_suffix: Option<String>,
    /// `--loop-keys same|one-shot|all`: which keys are new in each pass.
    pub loop_keys: Option<String>,
    /// `--max-rate R`: messages per second that no second exceeds.
    pub max_rate: Option<String>,
    /// `--max-bytes R`: bytes per second that no second exceeds.
    pub max_bytes: Option<String>,
    /// `--map OLD=NEW`, repeated.
    pub map: Vec<String>,
    /// `--streams GLOB`, repeated.
    pub streams: Vec<String>,
    /// `--partitions exact|modulo|rekey`.
    pub partitions: Option<String>,
    /// `--for DUR`: the length of the run.
    #[serde(rename = "for")]
    pub run_for: Option<String>,
    /// `--from-time T`: records from then on.
    pub from_time: Option<String>,
    /// `--to-time T`: records before then.
    pub to_time: Option<String>,
    /// `--loop`: again from the start at the end.
    #[serde(rename = "loop")]
    pub repeat: bool,
    /// `--clock auto|append|create|arrival`.
    pub clock: Option<String>,
    /// `--mark first|all|off`.
    pub mark: Option<String>,
    /// `--late skip=DUR`: leave out what is later.
    pub late: Option<String>,
    /// `--drain DUR`: how long answers are waited for.
    pub drain: Option<String>,
    /// `--seed N`.
    pub seed: Option<u64>,
    /// `--timestamps now|shift|original`.
    pub timestamps: Option<String>,
    /// `--origin T`: what shifted time stamps count from.
    pub origin: Option<String>,
    /// `--client precise|prod-like`.
    pub client: Option<String>,
    /// `--start-at T`: when the run starts.
    pub start_at: Option<String>,
    /// `--expand FILE`: rules for what messages say.
    pub expand: Option<PathBuf>,
    /// `--shard i/n`: which part of the streams this machine sends.
    pub shard: Option<String>,
    /// `--create-topics`: make topics that the target lacks.
    pub create_topics: bool,
    /// `--measure-topics N`: how many topics have a latency of their own.
    pub measure_topics: Option<u32>,
    /// `--scratch DIR`: where a recording is sorted that is too far out of time order for memory.
    pub scratch: Option<PathBuf>,
    /// `--allow-unknown-source`.
    pub allow_unknown_source: bool,
    /// `--probe SPEC`, repeated: what to look for at the system's output.
    pub probe: Vec<String>,
    /// `--lag GROUP`, repeated: whose consumers to follow.
    pub lag: Vec<String>,
    /// `--watch SOURCE`, repeated: the system's own signals.
    pub watch: Vec<String>,
    /// `--metrics ADDR`: where the run's own figures can be had.
    pub metrics: Option<String>,
    /// `-X key=value`, repeated: properties of the client. In TOML a table.
    #[serde(deserialize_with = "texts")]
    pub properties: BTreeMap<String, String>,
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
    /// Topics to rename.
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
    /// How many topics have a latency of their own.
    pub measure_topics: u32,
    /// Where to sort what is too far out of time order for memory; `None`: the caller's choice.
    pub scratch: Option<PathBuf>,
    /// Whether a recording of unknown source may be replayed.
    pub allow_unknown_source: bool,
    /// What is looked at meanwhile.
    pub observe: ObserveOptions,
    /// Properties of the client.
    pub properties: Vec<(String, String)>,
}

const DRAIN_NS: u64 = 30_000_000_000;
const TOPICS: u32 = 16;
/// More topics than this would not fit into the memory that is planned for them.
const TOPICS_MAX: u32 = 256;

impl RawOptions {
    /// Reads a configuration file's text.
    ///
    /// # Errors
    /// [`ConfigError::Toml`], with line and column.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        toml_text::parse(text).map_err(ConfigError::Toml)
    }

    /// These flags over a file's options. Lists replace the file's; properties are added to it.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        let list = |mine: Vec<String>, theirs: Vec<String>| if mine.is_empty() { theirs } else { mine };
        // A pace on the command line replaces the file's, whichever kind that is.
        let own_pace = self.speed.is_some() || self.rate.is_some() || self.profile.is_some() || self.max;
        let file_pace = |theirs: Option<String>| if own_pace { None } else { theirs };
        let mut properties = file.properties;
        properties.extend(self.properties);
        Self {
            speed: self.speed.or(file_pace(file.speed)),
            rate: self.rate.or(file_pace(file.rate)),
            profile: self.profile.or(file_pace(file.profile)),
            copies: self.copies.or(file.copies),
            copy_jitter: self.copy_jitter.or(file.copy_jitter),
            copy_suffix: self.copy_suffix.or(file.copy_suffix),
            loop_keys: self.loop_keys.or(file.loop_keys),
            max: self.max || (file.max && !own_pace),
            max_rate: self.max_rate.or(file.max_rate),
            max_bytes: self.max_bytes.or(file.max_bytes),
            map: list(self.map, file.map),
            streams: list(self.streams, file.streams),
            partitions: self.partitions.or(file.partitions),
            run_for: self.run_for.or(file.run_for),
            from_time: self.from_time.or(file.from_time),
            to_time: self.to_time.or(file.to_time),
            repeat: self.repeat || file.repeat,
            clock: self.clock.or(file.clock),
            mark: self.mark.or(file.mark),
            late: self.late.or(file.late),
            drain: self.drain.or(file.drain),
            seed: self.seed.or(file.seed),
            timestamps: self.timestamps.or(file.timestamps),
            origin: self.origin.or(file.origin),
            client: self.client.or(file.client),
            start_at: self.start_at.or(file.start_at),
            expand: self.expand.or(file.expand),
            shard: self.shard.or(file.shard),
            create_topics: self.create_topics || file.create_topics,
            measure_topics: self.measure_topics.or(file.measure_topics),
            scratch: self.scratch.or(file.scratch),
            allow_unknown_source: self.allow_unknown_source || file.allow_unknown_source,
            probe: list(self.probe, file.probe),
            lag: list(self.lag, file.lag),
            watch: list(self.watch, file.watch),
            metrics: self.metrics.or(file.metrics),
            properties,
        }
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`ConfigError`]: a usage error.
    pub fn validate(&self) -> Result<Options, ConfigError> {
        let pace = self.pace()?;
        let observe = ObserveOptions::of(self, &pace)?;
        let options = Options {
            pace,
            observe,
            copies: self.copies()?,
            copy_jitter_ns: parse("copy-jitter", self.copy_jitter.as_deref(), units::parse_duration)?.map(duration_ns),
            max_rate: parse("max-rate", self.max_rate.as_deref(), units::parse_rate)?,
            max_bytes: parse("max-bytes", self.max_bytes.as_deref(), units::parse_byte_rate)?,
            map: self.map.iter().map(|m| pair("map", m, "OLD=NEW")).collect::<Result<_, _>>()?,
            streams: self.streams.clone(),
            partitions: choice(
                "partitions",
                self.partitions.as_deref(),
                "exact, modulo or rekey",
                &[("exact", PartitionMode::Exact), ("modulo", PartitionMode::Modulo), ("rekey", PartitionMode::Rekey)],
            )?,
            run_ns: parse("for", self.run_for.as_deref(), units::parse_duration)?.map(duration_ns),
            from_time_ns: parse("from-time", self.from_time.as_deref(), units::parse_time)?,
            to_time_ns: parse("to-time", self.to_time.as_deref(), units::parse_time)?,
            repeat: self.repeat,
            clock: choice("clock", self.clock.as_deref(), "auto, append, create or arrival", &CLOCKS)?,
            mark: choice(
                "mark",
                self.mark.as_deref(),
                "first, all or off",
                &[("first", MarkPolicy::First), ("all", MarkPolicy::All), ("off", MarkPolicy::Off)],
            )?,
            late_skip_ns: self.late_skip()?,
            drain_ns: parse("drain", self.drain.as_deref(), units::parse_duration)?.map_or(DRAIN_NS, duration_ns),
            seed: self.seed.unwrap_or(0),
            timestamps: choice("timestamps", self.timestamps.as_deref(), "now, shift or original", &TIMESTAMPS)?,
            origin_ns: parse("origin", self.origin.as_deref(), units::parse_time)?,
            client: choice("client", self.client.as_deref(), "precise or prod-like", &CLIENTS)?,
            start_at_ns: parse("start-at", self.start_at.as_deref(), units::parse_time)?,
            expand: self.expand.clone(),
            shard: self.shard()?,
            create_topics: self.create_topics,
            measure_topics: self.measure_topics.unwrap_or(TOPICS),
            scratch: self.scratch.clone(),
            allow_unknown_source: self.allow_unknown_source,
            properties: self.properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        };
        check(&options)?;
        Ok(options)
    }

    fn pace(&self) -> Result<Pace, ConfigError> {
        if self.max && self.speed.is_some() {
            return Err(ConfigError::Contradiction("max", "speed", "a flood has no time line"));
        }
        if self.max && self.rate.is_some() {
            return Err(ConfigError::Contradiction("max", "rate", "a flood has no rate; for an upper bound give --max-rate"));
        }
        if self.speed.is_some() && self.rate.is_some() {
            return Err(ConfigError::Contradiction("speed", "rate", "a rate replaces the recorded time line"));
        }
        if self.profile.is_some() {
            let other = [(self.speed.is_some(), "speed"), (self.rate.is_some(), "rate"), (self.max, "max")];
            if let Some((_, other)) = other.into_iter().find(|(given, _)| *given) {
                return Err(ConfigError::Contradiction("profile", other, "a profile alone says when messages are due"));
            }
        }
        if self.max {
            return Ok(Pace::Max);
        }
        if let Some(rate) = parse("rate", self.rate.as_deref(), units::parse_rate)? {
            return Ok(Pace::Rate(rate));
        }
        if let Some(profile) = &self.profile {
            return Ok(Pace::Profile(Arc::new(Profile::parse(profile).map_err(ConfigError::Profile)?)));
        }
        Ok(Pace::Recorded { speed: parse("speed", self.speed.as_deref(), units::parse_ratio)?.unwrap_or(Ratio::ONE) })
    }

    fn copies(&self) -> Result<Copies, ConfigError> {
        let number = parse("copies", self.copies.as_deref(), units::parse_ratio)?.unwrap_or(Ratio::ONE);
        let wrong = || ConfigError::Value { option: "copies", found: number.to_string(), expected: "100000 at most" };
        let copies = Copies::of(number).ok_or_else(wrong)?;
        let suffix = self.copy_suffix.clone().unwrap_or_else(|| SUFFIX.to_owned());
        if !check_suffix(&suffix) {
            let expected = "1 to 64 bytes without a digit, so that the number after it can be told from it";
            return Err(ConfigError::Value { option: "copy-suffix", found: suffix, expected });
        }
        let kinds = [("same", LoopKeys::Same), ("one-shot", LoopKeys::OneShot), ("all", LoopKeys::All)];
        let loop_keys = choice("loop-keys", self.loop_keys.as_deref(), "same, one-shot or all", &kinds)?;
        if self.copy_jitter.is_some() && copies.count == 1 {
            return Err(ConfigError::Idle("copy-jitter", "copies", "only a further copy has a phase"));
        }
        if self.copy_suffix.is_some() && copies.count == 1 && loop_keys == LoopKeys::Same {
            return Err(ConfigError::Idle("copy-suffix", "copies", "only a further copy has keys of its own"));
        }
        if self.loop_keys.is_some() && !self.repeat {
            return Err(ConfigError::Idle("loop-keys", "loop", "there is a single pass"));
        }
        Ok(Copies { suffix, loop_keys, seed: self.seed.unwrap_or(0), ..copies })
    }

    fn shard(&self) -> Result<Option<Shard>, ConfigError> {
        let Some(shard) = &self.shard else { return Ok(None) };
        let expected = "i/n: the i-th of n machines, such as 2/3; n is 1000 at most";
        let wrong = || ConfigError::Value { option: "shard", found: shard.clone(), expected };
        Shard::parse(shard).ok_or_else(wrong).map(Some)
    }

    fn late_skip(&self) -> Result<Option<u64>, ConfigError> {
        let Some(late) = &self.late else { return Ok(None) };
        let duration = late.strip_prefix("skip=").ok_or_else(|| ConfigError::Value {
            option: "late",
            found: late.clone(),
            expected: "skip=DUR, such as skip=5s",
        })?;
        parse("late", Some(duration), units::parse_duration).map(|d| d.map(duration_ns))
    }
}

const CLOCKS: [(&str, ClockOption); 4] = [
    ("auto", ClockOption::Auto),
    ("append", ClockOption::Only(StreamClock::Append)),
    ("create", ClockOption::Only(StreamClock::Create)),
    ("arrival", ClockOption::Only(StreamClock::Arrival)),
];

const TIMESTAMPS: [(&str, TimestampMode); 3] =
    [("now", TimestampMode::Now), ("shift", TimestampMode::Shift), ("original", TimestampMode::Original)];

const CLIENTS: [(&str, ClientProfile); 2] = [("precise", ClientProfile::Precise), ("prod-like", ClientProfile::ProdLike)];

fn check(options: &Options) -> Result<(), ConfigError> {
    if options.pace == Pace::Max && options.late_skip_ns.is_some() {
        return Err(ConfigError::Contradiction("max", "late", "without a schedule nothing is late"));
    }
    if let (Some(from), Some(to)) = (options.from_time_ns, options.to_time_ns)
        && from >= to
    {
        return Err(ConfigError::Contradiction("from-time", "to-time", "the time window is empty"));
    }
    if options.origin_ns.is_some() && options.timestamps != TimestampMode::Shift && options.expand.is_none() {
        return Err(ConfigError::Contradiction(
            "origin",
            "timestamps",
            "only --timestamps shift and the [[retime]] rules of --expand count from an origin",
        ));
    }
    if options.run_ns == Some(0) {
        return Err(ConfigError::Value { option: "for", found: "0s".to_owned(), expected: "a duration longer than nothing" });
    }
    if options.measure_topics > TOPICS_MAX {
        return Err(ConfigError::Value {
            option: "measure-topics",
            found: options.measure_topics.to_string(),
            expected: "256 at most (each takes 0.8 MB)",
        });
    }
    let mut old: Vec<&String> = options.map.iter().map(|(old, _)| old).collect();
    old.sort_unstable();
    if let Some(twice) = old.windows(2).find(|w| w[0] == w[1]) {
        return Err(ConfigError::Value { option: "map", found: twice[0].clone(), expected: "one mapping for each topic" });
    }
    Ok(())
}

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

fn parse<T>(option: &'static str, typed: Option<&str>, read: impl Fn(&str) -> Result<T, UnitError>) -> Result<Option<T>, ConfigError> {
    typed.map(read).transpose().map_err(|source| ConfigError::Unit { option, source })
}

fn choice<T: Copy + Default>(
    option: &'static str,
    typed: Option<&str>,
    expected: &'static str,
    known: &[(&str, T)],
) -> Result<T, ConfigError> {
    let Some(typed) = typed else { return Ok(T::default()) };
    let found = known.iter().find(|(name, _)| *name == typed);
    found.map(|(_, value)| *value).ok_or_else(|| ConfigError::Value { option, found: typed.to_owned(), expected })
}

fn pair(option: &'static str, typed: &str, expected: &'static str) -> Result<(String, String), ConfigError> {
    match typed.split_once('=') {
        Some((key, value)) if !key.is_empty() && (option != "map" || !value.is_empty()) => Ok((key.to_owned(), value.to_owned())),
        _ => Err(ConfigError::Value { option, found: typed.to_owned(), expected }),
    }
}

#[cfg(test)]
mod tests;
