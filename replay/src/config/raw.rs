//! Options as typed: flags, and a file under them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dejaq_shared::toml_text;
use serde::Deserialize;

use super::ConfigError;
use super::text::{text, texts};

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
    /// `--create-topology`: make exchanges, queues and bindings that the target lacks.
    pub create_topology: bool,
    /// `--connections N`: how many connections to RabbitMQ share the streams.
    pub connections: Option<u32>,
    /// `--key WHICH`: what a message of RabbitMQ has for a key at Kafka.
    pub key: Option<String>,
    /// `--routing-key WHICH`: what a record of Kafka has for a routing key at RabbitMQ.
    pub routing_key: Option<String>,
    /// `--map-key OLD=NEW`, repeated: routing keys to rename.
    pub map_key: Vec<String>,
    /// `--expiration keep|scale|strip`.
    pub expiration: Option<String>,
    /// `--dead-lettered skip|send`.
    pub dead_lettered: Option<String>,
    /// `--strip-reply-to`.
    pub strip_reply_to: bool,
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
    /// `--fail-if EXPR`, repeated: thresholds that make the run end with 4.
    pub fail_if: Vec<String>,
    /// `-X key=value`, repeated: properties of the client. In TOML a table.
    #[serde(deserialize_with = "texts")]
    pub properties: BTreeMap<String, String>,
}

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
            create_topology: self.create_topology || file.create_topology,
            connections: self.connections.or(file.connections),
            key: self.key.or(file.key),
            routing_key: self.routing_key.or(file.routing_key),
            map_key: list(self.map_key, file.map_key),
            expiration: self.expiration.or(file.expiration),
            dead_lettered: self.dead_lettered.or(file.dead_lettered),
            strip_reply_to: self.strip_reply_to || file.strip_reply_to,
            measure_topics: self.measure_topics.or(file.measure_topics),
            scratch: self.scratch.or(file.scratch),
            allow_unknown_source: self.allow_unknown_source || file.allow_unknown_source,
            probe: list(self.probe, file.probe),
            lag: list(self.lag, file.lag),
            watch: list(self.watch, file.watch),
            metrics: self.metrics.or(file.metrics),
            fail_if: list(self.fail_if, file.fail_if),
            properties,
        }
    }
}
