//! What was typed → what it means, option by option.

use std::sync::Arc;

use dejaq_shared::broker::sink::ClientProfile;
use dejaq_shared::segment::timeline::StreamClock;
use dejaq_shared::units::{self, Ratio, UnitError, duration_ns};

use super::observe::EACH_MAX;
use super::{ConfigError, DRAIN_NS, ObserveOptions, Options, RawOptions, TOPICS, TOPICS_MAX};
use crate::clock_choice::ClockOption;
use crate::copies::{Copies, LoopKeys, SUFFIX, check_suffix};
use crate::fail_if::of_run::RunThreshold;
use crate::marks::MarkPolicy;
use crate::profile::Profile;
use crate::remap::PartitionMode;
use crate::schedule::Pace;
use crate::shard::Shard;
use crate::timestamps::TimestampMode;

impl RawOptions {
    /// Checks everything.
    ///
    /// # Errors
    /// [`ConfigError`]: a usage error.
    pub fn validate(&self) -> Result<Options, ConfigError> {
        let pace = self.pace()?;
        let observe = ObserveOptions::of(self, &pace)?;
        let thresholds = self.thresholds(&pace, &observe)?;
        let options = Options {
            pace,
            observe,
            thresholds,
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
            create_topology: self.create_topology,
            connections: self.connections()?,
            fit: self.fit()?,
            given: self.given(),
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

    fn thresholds(&self, pace: &Pace, observe: &ObserveOptions) -> Result<Vec<RunThreshold>, ConfigError> {
        if self.fail_if.len() > EACH_MAX {
            return Err(ConfigError::Value { option: "fail-if", found: self.fail_if.len().to_string(), expected: "32 times at most" });
        }
        let run = observe.measurable(pace, None);
        let read = |text: &String| {
            let threshold = RunThreshold::parse(text)?;
            threshold.check(&run)?;
            Ok(threshold)
        };
        self.fail_if.iter().map(read).collect()
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

pub(super) fn parse<T>(
    option: &'static str,
    typed: Option<&str>,
    read: impl Fn(&str) -> Result<T, UnitError>,
) -> Result<Option<T>, ConfigError> {
    typed.map(read).transpose().map_err(|source| ConfigError::Unit { option, source })
}

pub(super) fn choice<T: Copy + Default>(
    option: &'static str,
    typed: Option<&str>,
    expected: &'static str,
    known: &[(&str, T)],
) -> Result<T, ConfigError> {
    let Some(typed) = typed else { return Ok(T::default()) };
    let found = known.iter().find(|(name, _)| *name == typed);
    found.map(|(_, value)| *value).ok_or_else(|| ConfigError::Value { option, found: typed.to_owned(), expected })
}

pub(super) fn pair(option: &'static str, typed: &str, expected: &'static str) -> Result<(String, String), ConfigError> {
    match typed.split_once('=') {
        Some((key, value)) if !key.is_empty() && (option != "map" || !value.is_empty()) => Ok((key.to_owned(), value.to_owned())),
        _ => Err(ConfigError::Value { option, found: typed.to_owned(), expected }),
    }
}
