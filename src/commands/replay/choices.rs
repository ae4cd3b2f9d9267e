//! The flags that `dejaq replay` and `dejaq plan` share.

use std::path::PathBuf;

use dejaq_replay::config::{Options, RawOptions};
use dejaq_shared::clock::wall_now_ns;

use crate::commands::Usage;

/// What `replay` and `plan` share.
#[derive(clap::Args)]
pub(crate) struct Choices {
    /// The recording
    pub(super) dir: PathBuf,
    /// The target: kafka://host:port[,host:port…], kafkas://… for TLS; amqp://user@host:port/vhost, amqps://… (without a
    /// vhost the recorded ones are kept). Never the recording's source
    #[arg(long, value_name = "URL")]
    pub(super) to: String,
    /// N times as fast (default 1)
    #[arg(long, value_name = "N")]
    speed: Option<String>,
    /// A steady rate in recorded order: 50k/s
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// A rate curve in recorded order: 'ramp 1k/s..50k/s 10m, hold 30m, spike x5 30s'; also step and sine. Its end ends the run
    #[arg(long, value_name = "P")]
    profile: Option<String>,
    /// As fast as the target takes it
    #[arg(long)]
    max: bool,
    /// N times the traffic, each copy with keys of its own; fractions too (3.5, 0.1): every key keeps its share
    #[arg(long, value_name = "N")]
    copies: Option<String>,
    /// How far copies are apart at most, in recorded time (default: the recording's mean gap)
    #[arg(long, value_name = "DUR")]
    copy_jitter: Option<String>,
    /// What a copy's number follows in its keys (default ~)
    #[arg(long, value_name = "TEXT")]
    copy_suffix: Option<String>,
    /// Give a topic or an exchange another name at the target ((default) is RabbitMQ's default exchange); may be given several times
    #[arg(long, value_name = "OLD=NEW")]
    map: Vec<String>,
    /// Only streams whose name (topic/partition, exchange) or topic matches; may be given several times
    #[arg(long, value_name = "GLOB")]
    streams: Vec<String>,
    /// exact (default; refused if the target has fewer), modulo, or rekey (by the key, as Kafka's Java client does)
    #[arg(long, value_name = "MODE")]
    partitions: Option<String>,
    /// Begin again at the end
    #[arg(long = "loop")]
    repeat: bool,
    /// With --loop, which keys are new in each pass: same (default: none), one-shot (those that occur once), all
    #[arg(long, value_name = "WHICH")]
    loop_keys: Option<String>,
    /// The length of the run: 10m, 24h
    #[arg(long = "for", value_name = "DUR")]
    run_for: Option<String>,
    /// Only records from this time on (RFC 3339, by the chosen clock)
    #[arg(long, value_name = "T")]
    from_time: Option<String>,
    /// Only records before this time
    #[arg(long, value_name = "T")]
    to_time: Option<String>,
    /// Which time counts: auto (default), append, create, arrival
    #[arg(long, value_name = "CLOCK")]
    clock: Option<String>,
    /// Time stamps: now (default), shift (as far after --origin as intended after the start) or original (as recorded)
    #[arg(long, value_name = "WHICH")]
    timestamps: Option<String>,
    /// What shifted time stamps count from (RFC 3339; default: the start)
    #[arg(long, value_name = "T")]
    origin: Option<String>,
    /// precise (default: each message leaves at once) or prod-like (the client's defaults, and production's linger.ms,
    /// batch.size, compression.type and acks that you give with -X)
    #[arg(long, value_name = "PROFILE")]
    client: Option<String>,
    /// When to send the first message (RFC 3339): machines that share a run start together
    #[arg(long, value_name = "T")]
    start_at: Option<String>,
    /// Send the i-th of n parts of the streams only: n machines with the same options send together what one would
    #[arg(long, value_name = "i/n")]
    shard: Option<String>,
    /// A file of rules for what messages say: tags with any number of distinct values, time stamps of now (docs/EXPANSION.md)
    #[arg(long, value_name = "FILE")]
    expand: Option<PathBuf>,
    /// Messages that carry the dejaq-run header: first (default: of each stream, and one per stream and second), all, off
    #[arg(long, value_name = "WHICH")]
    mark: Option<String>,
    /// Messages per second that no second exceeds; of all shards together
    #[arg(long, value_name = "RATE")]
    max_rate: Option<String>,
    /// Bytes per second that no second exceeds: 10MiB/s; of all shards together
    #[arg(long, value_name = "RATE")]
    max_bytes: Option<String>,
    /// Leave out what is later than this: skip=5s
    #[arg(long, value_name = "skip=DUR")]
    late: Option<String>,
    /// How long answers are waited for at the end (default 30s)
    #[arg(long, value_name = "DUR")]
    drain: Option<String>,
    /// The seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Make topics that the target lacks, with the partitions and settings that the source had, as far as the target can
    #[arg(long)]
    create_topics: bool,
    /// RabbitMQ: make exchanges, queues and bindings that the target lacks, as the recording's snapshot of the source has them
    #[arg(long)]
    create_topology: bool,
    /// RabbitMQ: how many connections share the streams (default 1, which keeps the order between them)
    #[arg(long, value_name = "N")]
    connections: Option<u32>,
    /// RabbitMQ into Kafka: what messages have for a key: routing-key (default), message-id, header:NAME, none
    #[arg(long, value_name = "WHICH")]
    key: Option<String>,
    /// Kafka into RabbitMQ: what records have for a routing key: key (default), topic, partition, or this text
    #[arg(long, value_name = "WHICH")]
    routing_key: Option<String>,
    /// RabbitMQ: give messages with this routing key another one; may be given several times
    #[arg(long, value_name = "OLD=NEW")]
    map_key: Vec<String>,
    /// RabbitMQ: times to live, which count anew: keep (default), scale (divide by --speed), strip
    #[arg(long, value_name = "WHAT")]
    expiration: Option<String>,
    /// RabbitMQ: messages that the source's broker dead-lettered: skip (default, as the target makes its own), send (default
    /// into Kafka)
    #[arg(long, value_name = "WHAT")]
    dead_lettered: Option<String>,
    /// RabbitMQ: send without the reply_to property, whose queues are the source's
    #[arg(long)]
    strip_reply_to: bool,
    /// How many topics have a latency of their own (default 16)
    #[arg(long, value_name = "N")]
    measure_topics: Option<u32>,
    /// Where to sort a recording that is too far out of time order for memory (default: replay the run directory, plan the
    /// system's directory for temporary files). Nothing is left there
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Replay a recording that does not say where it came from
    #[arg(long)]
    allow_unknown_source: bool,
    #[command(flatten)]
    observe: super::observing::Flags,
    /// Exit with 4 if the run is beyond this: 'p99(response) > 50ms', 'achieved_rate < 9k/s', 'unanswered_share > 0.1%'; may be given
    /// several times (docs/MEASUREMENT.md, section 5)
    #[arg(long, value_name = "EXPR")]
    fail_if: Vec<String>,
    /// Settings as TOML, by the flags' names; flags override
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A property for librdkafka, or a setting for RabbitMQ; may be given several times
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    property: Vec<String>,
}

impl Choices {
    /// What they mean.
    pub(super) fn options(&self) -> anyhow::Result<Options> {
        let mut flags = RawOptions {
            speed: self.speed.clone(),
            rate: self.rate.clone(),
            profile: self.profile.clone(),
            copies: self.copies.clone(),
            copy_jitter: self.copy_jitter.clone(),
            copy_suffix: self.copy_suffix.clone(),
            loop_keys: self.loop_keys.clone(),
            max: self.max,
            max_rate: self.max_rate.clone(),
            max_bytes: self.max_bytes.clone(),
            map: self.map.clone(),
            streams: self.streams.clone(),
            partitions: self.partitions.clone(),
            run_for: self.run_for.clone(),
            from_time: self.from_time.clone(),
            to_time: self.to_time.clone(),
            repeat: self.repeat,
            clock: self.clock.clone(),
            mark: self.mark.clone(),
            late: self.late.clone(),
            drain: self.drain.clone(),
            seed: self.seed,
            timestamps: self.timestamps.clone(),
            origin: self.origin.clone(),
            client: self.client.clone(),
            start_at: self.start_at.clone(),
            expand: self.expand.clone(),
            shard: self.shard.clone(),
            create_topics: self.create_topics,
            create_topology: self.create_topology,
            connections: self.connections,
            key: self.key.clone(),
            routing_key: self.routing_key.clone(),
            map_key: self.map_key.clone(),
            expiration: self.expiration.clone(),
            dead_lettered: self.dead_lettered.clone(),
            strip_reply_to: self.strip_reply_to,
            measure_topics: self.measure_topics,
            scratch: self.scratch.clone(),
            allow_unknown_source: self.allow_unknown_source,
            fail_if: self.fail_if.clone(),
            ..RawOptions::default()
        };
        self.observe.onto(&mut flags);
        flags.properties.extend(crate::commands::properties(&self.property)?);
        let file = match &self.config {
            None => RawOptions::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| Usage::error(format!("reading {}: {e}", path.display())))?;
                RawOptions::from_toml(&text).map_err(|e| Usage::error(format!("{}: {e}", path.display())))?
            }
        };
        let options = flags.over(file).validate().map_err(Usage::error)?;
        options.check_start(wall_now_ns()).map_err(Usage::error)?;
        Ok(options)
    }
}
