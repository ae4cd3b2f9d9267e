//! Holds the plan of a multiplied replay against the recording: rate per 100 ms, burstiness, key skew, shares of the streams.
//!
//! `cargo run --release -p dejaq-replay --example shape -- RECORDING COPIES [SEED]`
//!
//! Both columns are counted by the same code; the left one comes from a planner without copies. Nothing is sent.

#![expect(clippy::print_stdout, reason = "a tool: its output is a table")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use dejaq_replay::batch::Route;
use dejaq_replay::copies::Copies;
use dejaq_replay::fidelity::mix::Mix;
use dejaq_replay::fidelity::shape::{self, gap_tolerance_ns};
use dejaq_replay::fidelity::timing::Timing;
use dejaq_replay::fidelity::{Apart, OrderKept, Sides, judge};
use dejaq_replay::marks::MarkPolicy;
use dejaq_replay::planner::{Planner, PlannerOptions};
use dejaq_replay::recorded::{RecordedFeed, facts, window};
use dejaq_replay::schedule::Pace;
use dejaq_replay::timestamps::TimestampMode;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::timeline::{TimeStatistics, measure};
use dejaq_shared::units::{Ratio, parse_ratio};

#[derive(Default)]
struct Shape {
    messages: u64,
    timing: Timing,
    mix: Mix,
    bins: BTreeMap<u64, u64>,
    keys: BTreeMap<(u32, Vec<u8>), u64>,
    streams: BTreeMap<u32, u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: shape RECORDING COPIES [SEED]";
    let dir = arguments.next().ok_or(usage)?;
    let number = parse_ratio(&arguments.next().ok_or(usage)?)?;
    let seed = arguments.next().map_or(Ok(0), |seed| seed.parse())?;
    let copies = Copies { seed, ..Copies::of(number).ok_or("too many copies")? };
    let (recorded, gap_ns) = shape(Path::new(&dir), Copies::default())?;
    let (planned, _) = shape(Path::new(&dir), Copies { jitter_ns: gap_ns, ..copies })?;
    let times = number.as_f64();
    println!("{:<42} {:>14} {:>14}", "", "recording", format!("copies {times}"));
    row("messages", recorded.messages as f64, planned.messages as f64);
    row("fullest 100 ms", recorded.fullest() as f64, planned.fullest() as f64);
    let [a, b] = [&recorded, &planned].map(|s| s.timing.summary().dispersion[1]);
    row("index of dispersion, 100 ms, of count/copies", a, b / times);
    row("Zipf exponent of original keys", recorded.zipf(), planned.zipf());
    row("share of the most frequent key", recorded.top_key(), planned.top_key());
    row("share of the largest stream", recorded.share(recorded.largest()), planned.share(recorded.largest()));
    println!("likeness to the recording x {times}:");
    for part in recorded.likeness(&planned, number).parts {
        // Copies lie between each other's messages: gaps are others by design, and bursts are above.
        if let Some(score) = part.score.filter(|_| !["inter-arrival", "burstiness"].contains(&part.name.as_str())) {
            println!("  {:<14} {score:.5}   {}", part.name, part.detail);
        }
    }
    println!("keys whose count is more than 1 off their share: {}", recorded.off_share(&planned, times));
    Ok(())
}

fn row(name: &str, recorded: f64, planned: f64) {
    println!("{name:<42} {recorded:>14.4} {planned:>14.4}");
}

fn shape(dir: &Path, copies: Copies) -> Result<(Shape, u64), Box<dyn Error>> {
    let recording = Arc::new(Recording::open(dir)?);
    let facts = facts(&recording);
    let statistics = measure(&recording)?;
    let clocks: Vec<_> = statistics.iter().map(TimeStatistics::preferred_clock).collect();
    let mut feed = RecordedFeed::open(recording, &clocks, &statistics, window(None, None), &std::env::temp_dir(), &mut |_| ())?;
    let (first, last) = feed.span().ok_or("the recording is empty")?;
    let gap_ns = last.abs_diff(first) / facts.records.iter().sum::<u64>().saturating_sub(1).max(1);
    let mut planner = Planner::new(PlannerOptions {
        transform: dejaq_replay::transform::TransformJob::None,
        fit: Arc::default(),
        routes: (0..).take(facts.streams.len()).map(|stream| Some(Route::fixed(stream, 0))).collect(),
        elsewhere: Vec::new(),
        from_time_ns: None,
        to_time_ns: None,
        pace: Pace::Recorded { speed: Ratio::ONE },
        repeat: false,
        run_ns: None,
        marks: MarkPolicy::Off,
        timestamps: TimestampMode::Now,
        copies,
        record_bytes_max: usize::try_from(facts.record_bytes_max.iter().copied().max().unwrap_or(0))?,
    });
    let mut shape = Shape::default();
    let mut more = true;
    while more {
        more = planner.advance(&mut feed)?;
        while let Some(batch) = planner.pop() {
            for item in &batch.items {
                shape.messages += 1;
                shape.timing.push(item.due_ns);
                *shape.bins.entry(item.due_ns / 100_000_000).or_default() += 1;
                *shape.streams.entry(item.stream).or_default() += 1;
                let suffix = if item.copy == 0 { String::new() } else { format!("~{}", item.copy) };
                let original =
                    |key: &[u8]| key.strip_suffix(suffix.as_bytes()).map(<[u8]>::to_vec).ok_or("a copy's key without its number");
                let original = batch.key(item).map(original).transpose()?;
                shape.mix.push(item.bytes() - batch.key(item).and(Some(suffix.len() as u64)).unwrap_or(0), original.as_deref());
                if let Some(original) = original {
                    *shape.keys.entry((item.stream, original)).or_default() += 1;
                }
            }
        }
    }
    Ok((shape, gap_ns))
}

impl Shape {
    fn fullest(&self) -> u64 {
        self.bins.values().copied().max().unwrap_or(0)
    }

    /// How like this one, multiplied, the other is.
    fn likeness(&self, other: &Self, times: Ratio) -> dejaq_replay::fidelity::Fidelity {
        let count = |of: &Self, bin| of.bins.get(&bin).copied().unwrap_or(0);
        let mut rate = Apart::default();
        for bin in self.bins.keys().chain(other.bins.keys().filter(|bin| !self.bins.contains_key(bin))) {
            rate.add(count(self, *bin) * times.num(), count(other, *bin) * times.den());
        }
        let [planned, sent] = [self, other].map(|s| shape::Shape { timing: s.timing.summary(), mix: s.mix.summary_without(None) });
        let of = |of: &Self, stream| of.streams.get(stream).copied().unwrap_or(0);
        let streams: Vec<(u64, u64)> = self.streams.keys().map(|stream| (of(self, stream), of(other, stream))).collect();
        let gap_tolerance_ns = gap_tolerance_ns(&Pace::Recorded { speed: Ratio::ONE });
        judge(&Sides {
            names: ["planned", "sent"],
            planned: &planned,
            sent: &sent,
            gap_tolerance_ns,
            rate,
            streams: &streams,
            order: OrderKept::default(),
        })
    }

    /// By key bytes, whatever the stream, the largest first.
    fn ranks(&self) -> Vec<f64> {
        let mut of_key: BTreeMap<&[u8], u64> = BTreeMap::new();
        for ((_, key), count) in &self.keys {
            *of_key.entry(key).or_default() += count;
        }
        let mut ranks: Vec<f64> = of_key.into_values().map(|n| n as f64).collect();
        ranks.sort_by(|a, b| b.total_cmp(a));
        ranks
    }

    fn top_key(&self) -> f64 {
        let ranks = self.ranks();
        ranks.first().copied().unwrap_or(0.0) / ranks.iter().sum::<f64>().max(1.0)
    }

    /// The maximum-likelihood exponent over the ranks seen: the mean of ln(rank) is that of the law.
    fn zipf(&self) -> f64 {
        let ranks = self.ranks();
        let logs: Vec<f64> = (1..=ranks.len()).map(|rank| (rank as f64).ln()).collect();
        let seen = ranks.iter().zip(&logs).map(|(n, log)| n * log).sum::<f64>() / ranks.iter().sum::<f64>();
        let (mut low, mut high) = (0.0, 10.0);
        for _ in 0..60 {
            let s = f64::midpoint(low, high);
            let weights: Vec<f64> = logs.iter().map(|log| (-s * log).exp()).collect();
            let mean = weights.iter().zip(&logs).map(|(w, log)| w * log).sum::<f64>() / weights.iter().sum::<f64>();
            if mean > seen { low = s } else { high = s }
        }
        low
    }

    fn largest(&self) -> u32 {
        self.streams.iter().max_by_key(|(_, n)| **n).map_or(0, |(stream, _)| *stream)
    }

    fn share(&self, stream: u32) -> f64 {
        self.streams.get(&stream).copied().unwrap_or(0) as f64 / self.messages.max(1) as f64
    }

    fn off_share(&self, other: &Self, times: f64) -> usize {
        let count = |key| other.keys.get(key).copied().unwrap_or(0) as f64;
        self.keys.iter().filter(|(key, n)| (count(*key) - **n as f64 * times).abs() > 1.0).count()
    }
}
