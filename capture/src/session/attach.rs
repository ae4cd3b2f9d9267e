//! The topics, attached to the recording.

use std::collections::BTreeMap;

use dejaq_shared::broker::source::{Source, TopicInfo};
use serde::Serialize;

use super::Session;

/// The topics as the cluster had them; newer ones replace older ones.
const TOPICS: &str = "topics.json";

#[derive(Serialize)]
struct Topic<'a> {
    name: &'a str,
    id: Option<String>,
    partitions: usize,
    /// Settings of its own; absent when they could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<&'a BTreeMap<String, String>>,
}

impl<S: Source> Session<'_, S> {
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
        self.taker.attach_json(TOPICS, &rows);
    }
}
