//! The files that a capture attaches to its recording.

use std::collections::BTreeMap;

use dejaq_shared::broker::source::{Source, TopicInfo};
use serde::Serialize;

use super::Session;
use crate::pipeline::Event;

/// What holds for this capture, as a configuration file without secrets.
const PLAN: &str = "capture.toml";
/// The client's settings as they hold.
const CLIENT: &str = "client.json";
/// The topics as the cluster had them; newer ones replace older ones.
const TOPICS: &str = "topics.json";
/// A change of the compression level by `auto`.
const COMPRESSION: &str = "compression.json";

#[derive(Serialize)]
struct Topic<'a> {
    name: &'a str,
    id: Option<String>,
    partitions: usize,
    /// Settings of its own; absent when they could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Compression {
    time_ns: i64,
    level: i32,
    because: &'static str,
}

impl<S: Source> Session<'_, S> {
    /// Attaches the plan, and the client's settings that follow from it.
    pub(crate) fn attach_plan(&mut self, client: &[(String, String)]) {
        let bytes = self.plan.describe().into_bytes();
        self.taker.event(Event::Attachment { name: PLAN, media_type: "application/toml", bytes });
        let settings: BTreeMap<&str, &str> = client.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.attach_json(CLIENT, &settings);
    }

    /// Attaches the topics' settings and partition counts. What may not be read is left out, with a warning.
    pub(crate) fn attach_topics(&mut self, topics: &[TopicInfo]) {
        let names: Vec<String> = topics.iter().map(|t| t.name.clone()).collect();
        let settings: BTreeMap<String, BTreeMap<String, String>> = match self.source.topic_settings(&names, super::LOOK_TIMEOUT) {
            Ok(all) => all.into_iter().map(|(topic, settings)| (topic, settings.into_iter().collect())).collect(),
            Err(error) => {
                self.taker.warnings.push(format!("the topics' settings could not be read, the recording does without them: {error}"));
                BTreeMap::new()
            }
        };
        let rows: Vec<Topic<'_>> = topics
            .iter()
            .map(|t| Topic {
                name: &t.name,
                id: t.id.map(|id| id.to_string()),
                partitions: t.partitions.len(),
                settings: settings.get(&t.name),
            })
            .collect();
        self.attach_json(TOPICS, &rows);
    }

    /// Attaches that `auto` compresses at another level from here on.
    pub(super) fn attach_level(&mut self, level: i32, behind: bool) {
        let because = if behind { "the capture was behind" } else { "the capture had caught up" };
        let change = Compression { time_ns: self.taker.wall_now(), level, because };
        self.attach_json(COMPRESSION, &change);
    }

    fn attach_json(&mut self, name: &'static str, value: &impl Serialize) {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.taker.event(Event::Attachment { name, media_type: "application/json", bytes }),
            Err(error) => self.taker.warnings.push(format!("{name} is not attached: {error}")),
        }
    }
}
