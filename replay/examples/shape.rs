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
    row("index of dispersion, 100 ms, of count/copies", recorded.dispersion(1.0), planned.dispersion(times));
    row("Zipf exponent of original keys", recorded.zipf(), planned.zipf());
    row("share of the most frequent key", recorded.top_key(), planned.top_key());
    row("share of the largest stream", recorded.share(recorded.largest()), planned.share(recorded.largest()));
    println!("rate per 100 ms against recording x {times}: score {:.5} (1 - sum|a-b| / sum(a+b))", recorded.rate_score(&planned, times));
    let moved: f64 = recorded.streams.keys().map(|s| (recorded.share(*s) - planned.share(*s)).abs()).sum::<f64>() / 2.0;
    println!("stream shares: total variation {moved:.6}");
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
                *shape.bins.entry(item.due_ns / 100_000_000).or_default() += 1;
                *shape.streams.entry(item.stream).or_default() += 1;
                if let Some(key) = batch.key(item) {
                    let suffix = if item.copy == 0 { String::new() } else { format!("~{}", item.copy) };
                    let original = key.strip_suffix(suffix.as_bytes()).ok_or("a copy's key without its number")?;
                    *shape.keys.entry((item.stream, original.to_vec())).or_default() += 1;
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

    fn at(&self, bin: u64) -> f64 {
        self.bins.get(&bin).copied().unwrap_or(0) as f64
    }

    fn all_bins(&self) -> std::ops::RangeInclusive<u64> {
        0..=self.bins.keys().last().copied().unwrap_or(0)
    }

    fn dispersion(&self, times: f64) -> f64 {
        let bins = self.all_bins().count() as f64;
        let mean = self.messages as f64 / times / bins;
        self.all_bins().map(|bin| (self.at(bin) / times - mean).powi(2)).sum::<f64>() / bins / mean
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

    fn rate_score(&self, other: &Self, times: f64) -> f64 {
        let bins = || 0..=(*self.all_bins().end()).max(*other.all_bins().end());
        let apart: f64 = bins().map(|bin| (self.at(bin) * times - other.at(bin)).abs()).sum();
        let sum: f64 = bins().map(|bin| self.at(bin) * times + other.at(bin)).sum();
        1.0 - apart / sum.max(1.0)
    }

    fn off_share(&self, other: &Self, times: f64) -> usize {
        let count = |key| other.keys.get(key).copied().unwrap_or(0) as f64;
        self.keys.iter().filter(|(key, n)| (count(*key) - **n as f64 * times).abs() > 1.0).count()
    }
}
