//! A plan in words, without its secrets: what `--check` prints and what is attached to the recording.

use std::collections::BTreeMap;

use dejaq_shared::broker::endpoint::redact;
use dejaq_shared::broker::secret::{HIDDEN, is_secret};
use dejaq_shared::broker::source::StartAt;
use dejaq_shared::units::format_time_ns;
use serde::Serialize;

use super::{CapturePlan, Compress};

#[derive(Serialize)]
struct Described<'a> {
    from: String,
    topics: Vec<String>,
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

impl CapturePlan {
    /// All settings that hold, defaults included, as a configuration file that would give the same plan; secrets are `***`.
    #[must_use]
    pub fn describe(&self) -> String {
        let bytes_per_s = |rate: u64| format!("{rate}B/s");
        let described = Described {
            from: redact(&self.from),
            topics: self.topics.as_typed(),
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
        };
        // Strings, numbers and one table of strings: always expressible as TOML.
        toml::to_string(&described).unwrap_or_default()
    }

    /// The memory arithmetic, a line a part.
    #[must_use]
    pub fn describe_memory(&self) -> String {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let (m, threads) = (&self.memory, self.compress_threads);
        format!(
            "memory at most {} MiB of {} MiB:\n  {} MiB {} blocks ({threads} being compressed, one filled, one written)\n  {} MiB compression\n  {} MiB the client's queue\n  the rest program, stacks and streams",
            mib(m.total()),
            mib(self.memory_budget),
            mib(m.blocks),
            m.slots,
            mib(m.zstd),
            mib(m.source_queue),
        )
    }
}
