//! A plan in words, without its secrets: what `--check` prints and what is attached to the recording.

use std::collections::BTreeMap;

use dejaq_shared::broker::endpoint::redact;
use dejaq_shared::broker::mirror::MirrorBy;
use dejaq_shared::broker::secret::{HIDDEN, is_secret};
use dejaq_shared::broker::source::StartAt;
use dejaq_shared::record::DEFAULT_EXCHANGE;
use dejaq_shared::units::format_time_ns;
use serde::Serialize;

use super::{CapturePlan, Compress, Wanted};

/// Deliveries that RabbitMQ sends ahead of acknowledgements when nothing else is set.
const PREFETCH: u64 = 20_000;

#[derive(Serialize, Default)]
struct Described<'a> {
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    topics: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchanges: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhosts: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firehose: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_queue: Option<&'a str>,
    out: String,
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'static str>,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    run_for: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    replayed: &'static str,
    compress: String,
    compress_threads: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetch_rate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up_rate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_free_min: Option<u64>,
    memory: u64,
    watch_every: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<&'a str, &'a str>,
}

impl<'a> Described<'a> {
    /// As it would be typed.
    fn ask_for(&mut self, wanted: &'a Wanted) {
        match wanted {
            Wanted::Topics(topics) => self.topics = Some(topics.as_typed()),
            Wanted::Exchanges(selection) => {
                let shown = |name: &String| if name.is_empty() { DEFAULT_EXCHANGE.to_owned() } else { name.clone() };
                self.exchanges = Some(selection.names.iter().map(shown).collect());
                self.vhosts = (!selection.vhosts.is_empty()).then_some(selection.vhosts.as_slice());
                self.catch_all = (selection.by == MirrorBy::CatchAll).then_some(true);
                self.firehose = (selection.by == MirrorBy::Firehose).then_some(true);
            }
            Wanted::StreamQueue(queue) => self.stream_queue = Some(queue),
        }
    }
}

impl CapturePlan {
    /// All settings that hold, defaults included, as a configuration file that would give the same plan; secrets are `***`.
    #[must_use]
    pub fn describe(&self) -> String {
        let bytes_per_s = |rate: u64| format!("{rate}B/s");
        let mut described = Described {
            from: redact(&self.from),
            out: self.out.display().to_string(),
            start: match self.start {
                StartAt::End => "end".to_owned(),
                StartAt::Beginning => "beginning".to_owned(),
                StartAt::Time(ns) => format_time_ns(ns),
            },
            until: self.until_end.then_some("end"),
            run_for: self.run_for.map(|d| humantime::format_duration(d).to_string()),
            records: self.records,
            replayed: self.replayed.name(),
            compress: match self.compress {
                Compress::None => "none".to_owned(),
                Compress::Auto => "auto".to_owned(),
                Compress::Level(level) => level.to_string(),
            },
            compress_threads: self.compress_threads,
            fetch_rate: self.fetch_rate.map(bytes_per_s),
            catch_up_rate: self.catch_up_rate.map(bytes_per_s),
            disk_max: self.disk_max,
            disk_free_min: self.disk_free_min,
            memory: self.memory_budget,
            watch_every: humantime::format_duration(self.watch_every).to_string(),
            properties: self.properties.iter().map(|(k, v)| (k.as_str(), if is_secret(k) { HIDDEN } else { v.as_str() })).collect(),
            ..Described::default()
        };
        described.ask_for(&self.wanted);
        // Strings, numbers and one table of strings: always expressible as TOML.
        toml::to_string(&described).unwrap_or_default()
    }

    /// The memory arithmetic, a line a part.
    #[must_use]
    pub fn describe_memory(&self) -> String {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let (m, threads) = (&self.memory, self.compress_threads);
        let client = match &self.wanted {
            Wanted::Exchanges(_) => {
                let prefetch = self.properties.get("prefetch").and_then(|n| n.parse().ok()).unwrap_or(PREFETCH);
                let size = m.source_queue / prefetch.max(1);
                format!("deliveries on their way: {prefetch} of {size} bytes each; of larger messages fewer are let through at a time")
            }
            Wanted::Topics(_) | Wanted::StreamQueue(_) => "the client's queue".to_owned(),
        };
        format!(
            "memory at most {} MiB of {} MiB:\n  {} MiB {} blocks ({threads} being compressed, one filled, one written)\n  {} MiB compression\n  {} MiB {client}\n  the rest program, stacks and streams",
            mib(m.total()),
            mib(self.memory_budget),
            mib(m.blocks),
            m.slots,
            mib(m.zstd),
            mib(m.source_queue),
        )
    }
}
