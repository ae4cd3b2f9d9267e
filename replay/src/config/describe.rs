//! Options as they hold, for `run.json`.

use std::collections::BTreeMap;

use dejaq_shared::broker::secret::{HIDDEN, is_secret};

use super::Options;
use crate::fit::DeadLettered;
use crate::schedule::Pace;

impl Options {
    /// Every option as it holds, by its name, for `run.json` and `plan`. Secrets are left out.
    #[must_use]
    pub fn describe(&self) -> BTreeMap<String, serde_json::Value> {
        use serde_json::json;
        let (speed, rate) = match &self.pace {
            Pace::Recorded { speed } => (json!(speed.to_string()), json!(null)),
            Pace::Rate(rate) => (json!(null), json!(format!("{rate}/s"))),
            Pace::Profile(_) | Pace::Max => (json!(null), json!(null)),
        };
        let profile = if let Pace::Profile(profile) = &self.pace { json!(profile.to_string()) } else { json!(null) };
        let properties: BTreeMap<&str, &str> =
            self.properties.iter().map(|(k, v)| (k.as_str(), if is_secret(k) { HIDDEN } else { v.as_str() })).collect();
        let pairs = [
            ("speed", speed),
            ("rate", rate),
            ("profile", profile),
            ("copies", json!(self.copies.number())),
            ("copy-jitter-ns", json!(self.copy_jitter_ns)),
            ("copy-suffix", json!(self.copies.suffix)),
            ("loop-keys", json!(self.copies.loop_keys.name())),
            ("max", json!(self.pace == Pace::Max)),
            ("max-rate", json!(self.max_rate.map(|r| format!("{r}/s")))),
            ("max-bytes-per-s", json!(self.max_bytes)),
            ("map", json!(self.map.iter().map(|(old, new)| format!("{old}={new}")).collect::<Vec<_>>())),
            ("streams", json!(self.streams)),
            ("partitions", json!(self.partitions.name())),
            ("for-ns", json!(self.run_ns)),
            ("from-time-ns", json!(self.from_time_ns)),
            ("to-time-ns", json!(self.to_time_ns)),
            ("loop", json!(self.repeat)),
            ("clock", json!(self.clock.name())),
            ("mark", json!(self.mark.name())),
            ("late-skip-ns", json!(self.late_skip_ns)),
            ("drain-ns", json!(self.drain_ns)),
            ("seed", json!(self.seed)),
            ("timestamps", json!(self.timestamps.name())),
            ("origin-ns", json!(self.origin_ns)),
            ("client", json!(self.client.name())),
            ("start-at-ns", json!(self.start_at_ns)),
            ("expand", json!(self.expand)),
            ("shard", json!(self.shard.map(|shard| shard.to_string()))),
            ("create-topics", json!(self.create_topics)),
            ("create-topology", json!(self.create_topology)),
            ("connections", json!(self.connections)),
            ("key", json!(self.fit.key.to_string())),
            ("routing-key", json!(self.fit.routing_key.to_string())),
            ("map-key", json!(self.fit.map_key.iter().map(|(old, new)| format!("{old}={new}")).collect::<Vec<_>>())),
            ("expiration", json!(self.fit.expiration.name())),
            ("dead-lettered", json!(self.fit.dead_lettered.map(DeadLettered::name))),
            ("strip-reply-to", json!(self.fit.strip_reply_to)),
            ("measure-topics", json!(self.measure_topics)),
            ("scratch", json!(self.scratch)),
            ("allow-unknown-source", json!(self.allow_unknown_source)),
            ("probe", json!(self.observe.probes.iter().map(ToString::to_string).collect::<Vec<_>>())),
            ("lag", json!(self.observe.lag)),
            ("watch", json!(self.observe.watch.iter().map(ToString::to_string).collect::<Vec<_>>())),
            ("metrics", json!(self.observe.metrics)),
            ("fail-if", json!(self.thresholds.iter().map(ToString::to_string).collect::<Vec<_>>())),
            ("properties", json!(properties)),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
