//! The shape of a run, gathered while it sends: what was planned, and what was sent. Flat memory (4 MB), a few tens of
//! nanoseconds a message.

use serde::{Deserialize, Serialize};

use super::mix::{Mix, MixSummary};
use super::timing::{Timing, TimingSummary};
use crate::schedule::Pace;

/// The name of the file in a run directory.
pub const SHAPE_JSON: &str = "shape.json";
/// The version of `shape.json` that this build writes.
pub const SCHEMA_VERSION: u32 = 1;
/// Kafka's times are in milliseconds.
const CLOCK_NS: u64 = 1_000_000;
/// No sender on an ordinary system is more exact than this.
const SENDER_NS: u64 = 100_000;

/// Gaps between messages that are closer than this are not told apart: the source's clock had no finer steps (at the pace of
/// the replay), and no sender has.
#[must_use]
pub fn gap_tolerance_ns(pace: &Pace) -> u64 {
    match pace {
        Pace::Recorded { speed } => {
            let steps = u128::from(CLOCK_NS) * u128::from(speed.den()) / u128::from(speed.num().max(1));
            u64::try_from(steps).unwrap_or(u64::MAX).max(SENDER_NS)
        }
        Pace::Rate(_) | Pace::Profile(_) | Pace::Max => SENDER_NS,
    }
}

/// See the module's words. Planned times are those after ceilings.
#[derive(Debug, Clone, Default)]
pub struct ShapeTally {
    planned: Timing,
    sent: Timing,
    all: Mix,
    unsent: Mix,
}

impl ShapeTally {
    /// A message that was due at `planned_ns` and was sent at `sent_ns`, both after the start; `None`: it never was.
    pub fn push(&mut self, planned_ns: u64, sent_ns: Option<u64>, bytes: u64, key: Option<&[u8]>) {
        self.planned.push(planned_ns);
        self.all.push(bytes, key);
        match sent_ns {
            Some(sent_ns) => self.sent.push(sent_ns),
            None => self.unsent.push(bytes, key),
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn summary(&self, gap_tolerance_ns: u64) -> RunShape {
        RunShape {
            schema_version: SCHEMA_VERSION,
            gap_tolerance_ns,
            planned: Shape { timing: self.planned.summary(), mix: self.all.summary_without(None) },
            sent: Shape { timing: self.sent.summary(), mix: self.all.summary_without(Some(&self.unsent)) },
        }
    }
}

/// `shape.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunShape {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Gaps that differ by less are not told apart, in nanoseconds.
    pub gap_tolerance_ns: u64,
    /// What was planned, after ceilings.
    pub planned: Shape,
    /// What was sent.
    pub sent: Shape,
}

/// The shape of traffic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// When messages came.
    pub timing: TimingSummary,
    /// What they are like.
    pub mix: MixSummary,
}
