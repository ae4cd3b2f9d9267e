//! The files that any capture attaches to its recording.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::CapturePlan;
use crate::pipeline::Event;
use crate::taker::Taker;

/// What holds for this capture, as a configuration file without secrets.
const PLAN: &str = "capture.toml";
/// The client's settings as they hold.
const CLIENT: &str = "client.json";
/// A change of the compression level by `auto`.
const COMPRESSION: &str = "compression.json";

#[derive(Serialize)]
struct Compression {
    time_ns: i64,
    level: i32,
    because: &'static str,
}

impl Taker {
    /// Attaches the plan, and the client's settings that follow from it.
    pub(crate) fn attach_plan(&mut self, plan: &CapturePlan, client: &[(String, String)]) {
        let bytes = plan.describe().into_bytes();
        self.event(Event::Attachment { name: PLAN.into(), media_type: "application/toml".into(), bytes });
        let settings: BTreeMap<&str, &str> = client.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.attach_json(CLIENT, &settings);
    }

    /// Attaches that `auto` compresses at another level from here on.
    pub(crate) fn attach_level(&mut self, level: i32, behind: bool) {
        let because = if behind { "the capture was behind" } else { "the capture had caught up" };
        let change = Compression { time_ns: self.wall_now(), level, because };
        self.attach_json(COMPRESSION, &change);
    }

    pub(crate) fn attach_json(&mut self, name: &'static str, value: &impl Serialize) {
        match serde_json::to_vec(value) {
            Ok(bytes) => {
                self.event(Event::Attachment { name: Cow::Borrowed(name), media_type: Cow::Borrowed("application/json"), bytes });
            }
            Err(error) => self.warnings.push(format!("{name} is not attached: {error}")),
        }
    }
}
