//! How like the recording a replay was: a run against its own planned schedule, or a recording against a recording. Pure but
//! for [`of_run`] and [`of_recordings`], which read.
//!
//! Guarantees: every part is between 0 and 1; the score is the lowest, so that no part makes up for another. Limits: memory is
//! flat, so keys are told apart by a hash ([`mix`]) and order is judged by a sample ([`order`]). docs/MEASUREMENT.md has the
//! definitions.

pub mod counted;
pub mod mix;
pub mod of_recordings;
pub mod of_run;
pub mod order;
pub mod shape;
pub mod text;
pub mod timing;

use dejaq_shared::units::{format_count, format_ns, format_percent};
use serde::{Deserialize, Serialize};

use counted::rank_distance;
use shape::Shape;
use timing::SCALES_NS;

/// Steps of the histogram of gaps: two that are the same may lie in neighbouring ones.
const GAP_STEP_SHARE: u64 = 256;

/// How like one another two things are: the fields of `fidelity --json`, which are fixed; more may be added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// The lowest of the parts.
    pub score: f64,
    /// Which part that is.
    pub lowest: String,
    /// The parts.
    pub parts: Vec<Part>,
}

/// One part of the likeness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `rate`, `inter-arrival`, `sizes`, `key ranks`, `stream shares`, `burstiness`, `order`.
    pub name: String,
    /// From 0, nothing alike, to 1; `null`: it could not be judged, and does not count.
    pub score: Option<f64>,
    /// What it is made of.
    pub detail: String,
}

/// Counts per 100 ms, held against each other one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Apart {
    difference: u64,
    sum: u64,
}

impl Apart {
    /// The counts of one 100 ms.
    pub fn add(&mut self, a: u64, b: u64) {
        self.difference += a.abs_diff(b);
        self.sum += a + b;
    }

    /// 1 − Σ|a − b| / Σ(a + b).
    #[must_use]
    pub fn score(&self) -> f64 {
        1.0 - self.difference as f64 / self.sum.max(1) as f64
    }
}

/// Order that was not kept: how many of how many messages came at or before the one before them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderKept {
    /// Messages out of order.
    pub violations: u64,
    /// Messages that were looked at; 0: nothing is known.
    pub of: u64,
}

/// All that is known of two sides.
#[derive(Debug)]
pub struct Sides<'a> {
    /// What is said of the two.
    pub names: [&'static str; 2],
    /// What it should be.
    pub planned: &'a Shape,
    /// What it is.
    pub sent: &'a Shape,
    /// See [`shape::gap_tolerance_ns`].
    pub gap_tolerance_ns: u64,
    /// The counts per 100 ms.
    pub rate: Apart,
    /// Messages of each stream, planned and sent.
    pub streams: &'a [(u64, u64)],
    /// The order within streams.
    pub order: OrderKept,
}

/// Judges how alike two sides are.
#[must_use]
pub fn judge(sides: &Sides<'_>) -> Fidelity {
    let parts = vec![rate(sides), gaps(sides), sizes(sides), keys(sides), streams(sides), burstiness(sides), order(sides)];
    let judged = parts.iter().filter_map(|part| Some((part.score?, &part.name)));
    let lowest = judged.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(score, name)| (score, name.clone()));
    let (score, lowest) = lowest.unwrap_or((0.0, String::new()));
    Fidelity { score, lowest, parts }
}

fn part(name: &str, score: f64, detail: String) -> Part {
    Part { name: name.to_owned(), score: Some(score.clamp(0.0, 1.0)), detail }
}

fn rate(sides: &Sides<'_>) -> Part {
    let [planned, sent] = [sides.planned, sides.sent].map(|s| format_count(s.timing.messages));
    let off = format_count(sides.rate.difference);
    part(
        "rate",
        sides.rate.score(),
        format!("{planned} messages {}, {sent} {}; {off} in other 100 ms (each counts on both sides)", sides.names[0], sides.names[1]),
    )
}

fn gaps(sides: &Sides<'_>) -> Part {
    let tolerance = |gap: u64| sides.gap_tolerance_ns.max(gap / GAP_STEP_SHARE);
    let distance = sides.planned.timing.gaps_ns.distance(&sides.sent.timing.gaps_ns, tolerance);
    let step = format_ns(sides.gap_tolerance_ns);
    part(
        "inter-arrival",
        1.0 - distance,
        format!("{} of the gaps between messages are others, by more than {step}", format_percent(distance)),
    )
}

fn sizes(sides: &Sides<'_>) -> Part {
    let distance = sides.planned.mix.bytes.distance(&sides.sent.mix.bytes, |_| 0);
    part("sizes", 1.0 - distance, format!("{} of the sizes are others", format_percent(distance)))
}

fn keys(sides: &Sides<'_>) -> Part {
    let [planned, sent] = [sides.planned, sides.sent].map(|s| &s.mix.keys_of_count);
    let [a, b] = [planned, sent].map(|keys| format_count(keys.pairs().iter().map(|(_, keys)| keys).sum()));
    part("key ranks", 1.0 - rank_distance(planned, sent), format!("{a} different keys {}, {b} {}", sides.names[0], sides.names[1]))
}

fn streams(sides: &Sides<'_>) -> Part {
    let [planned, sent] = [|s: &(u64, u64)| s.0, |s: &(u64, u64)| s.1].map(|of| sides.streams.iter().map(of).sum::<u64>().max(1) as f64);
    let moved: f64 = sides.streams.iter().map(|(a, b)| (*a as f64 / planned - *b as f64 / sent).abs()).sum::<f64>() / 2.0;
    part("stream shares", 1.0 - moved, format!("{} of the messages are in other streams", format_percent(moved)))
}

/// Of each scale (1 + min) / (1 + max) of the two indices of dispersion: without the ones, which are the index of pure chance,
/// a schedule as even as a clock would be unlike anything that a real machine can send.
fn burstiness(sides: &Sides<'_>) -> Part {
    let [planned, sent] = [sides.planned, sides.sent].map(|s| s.timing.dispersion);
    let of_scale = |(a, b): (&f64, &f64)| (1.0 + a.min(*b)) / (1.0 + a.max(*b));
    let score = planned.iter().zip(&sent).map(of_scale).fold(1.0, f64::min);
    let scales = SCALES_NS.iter().zip(planned.iter().zip(&sent));
    let [planned, sent] = sides.names;
    let detail: Vec<String> = scales.map(|(ns, (a, b))| format!("{a:.2} {planned}, {b:.2} {sent} per {}", format_ns(*ns))).collect();
    part("burstiness", score, format!("index of dispersion {}", detail.join("; ")))
}

fn order(sides: &Sides<'_>) -> Part {
    let OrderKept { violations, of } = sides.order;
    if of == 0 {
        return Part { name: "order".to_owned(), score: None, detail: "no message is on both sides: order cannot be judged".to_owned() };
    }
    let detail = format!("{} of {} messages came before the one that they follow", format_count(violations), format_count(of));
    part("order", 1.0 - violations as f64 / of as f64, detail)
}

#[cfg(test)]
mod tests;
