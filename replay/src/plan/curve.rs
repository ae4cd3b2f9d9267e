//! A rate curve in bounded memory: counts in bins that grow with what they hold; and a small chart of it.

use std::fmt::Write as _;

use dejaq_shared::units::{format_duration_ns, format_rate};
use serde::Serialize;

const BINS_MAX: usize = 512;
const BIN_MIN_NS: u64 = 1_000_000;
/// Columns and rows of the chart.
const COLUMNS: usize = 64;
const ROWS: usize = 6;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A point of a rate curve: messages in a part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Where it begins, nanoseconds after the start.
    pub from_ns: u64,
    /// How long it is.
    pub len_ns: u64,
    /// The messages that are due in it.
    pub messages: u64,
    /// Their rate.
    pub per_s: f64,
}

/// Counts by time.
#[derive(Debug)]
pub(super) struct Counts {
    bin_ns: u64,
    bins: Vec<u64>,
    total: u64,
    last_ns: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { bin_ns: BIN_MIN_NS, bins: Vec::new(), total: 0, last_ns: 0 }
    }
}

impl Counts {
    pub(super) fn add(&mut self, at_ns: u64) {
        while at_ns / self.bin_ns >= BINS_MAX as u64 {
            self.bin_ns = self.bin_ns.saturating_mul(2);
            self.bins = self.bins.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
        let ix = usize::try_from(at_ns / self.bin_ns).unwrap_or(BINS_MAX - 1);
        if self.bins.len() <= ix {
            self.bins.resize(ix + 1, 0);
        }
        self.bins[ix] += 1;
        self.total += 1;
        self.last_ns = self.last_ns.max(at_ns);
    }

    /// How many lie before a time; inside a bin as if they were even in it.
    pub(super) fn until(&self, at_ns: u64) -> u64 {
        if at_ns > self.last_ns {
            return self.total;
        }
        let ix = usize::try_from(at_ns / self.bin_ns).unwrap_or(usize::MAX);
        let whole: u64 = self.bins.iter().take(ix).sum();
        let part = self.bins.get(ix).map_or(0, |n| u128::from(*n) * u128::from(at_ns % self.bin_ns) / u128::from(self.bin_ns));
        whole + u64::try_from(part).unwrap_or(0)
    }
}

/// The curve of a run of `len_ns`, of which `until` says how many messages are due before a time.
pub(super) fn curve(len_ns: u64, until: &dyn Fn(u64) -> u64) -> Vec<CurvePoint> {
    let columns = COLUMNS as u64;
    let edge = |k: u64| u64::try_from(u128::from(len_ns) * u128::from(k) / u128::from(columns)).unwrap_or(u64::MAX);
    let points = (0..columns).map(|k| (edge(k), edge(k + 1))).filter(|(from, to)| to > from);
    points
        .map(|(from, to)| {
            let messages = until(to).saturating_sub(until(from));
            CurvePoint { from_ns: from, len_ns: to - from, messages, per_s: messages as f64 * 1e9 / (to - from) as f64 }
        })
        .collect()
}

/// The chart: rates upwards, time to the right.
pub(super) fn chart(points: &[CurvePoint]) -> String {
    let peak = points.iter().map(|p| p.per_s).fold(0.0, f64::max);
    let Some(last) = points.last().filter(|_| peak > 0.0) else { return String::new() };
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let label = match row {
            r if r == ROWS - 1 => format_rate(peak),
            r if r == ROWS / 2 - 1 => format_rate(peak / 2.0),
            _ => String::new(),
        };
        let line: String = points.iter().map(|p| block(p.per_s / peak, row)).collect();
        let _ = writeln!(text, "{label:>10} │{}", line.trim_end());
    }
    let end = format_duration_ns(last.from_ns + last.len_ns);
    let _ = writeln!(text, "{:>10} └{}", "0/s", "─".repeat(points.len()));
    let _ = writeln!(text, "{:>11}0{end:>width$}", "", width = points.len());
    text
}

/// The block of a column, `share` of the chart high, in a row from the bottom. What is not nothing is seen.
fn block(share: f64, row: usize) -> char {
    let eighths = (share * (ROWS * 8) as f64).round().max(if share > 0.0 { 1.0 } else { 0.0 });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 48")]
    let eighths = eighths as usize;
    BLOCKS[eighths.saturating_sub(row * 8).min(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_while_bins_grow() {
        let mut counts = Counts::default();
        (0..100_000u64).for_each(|n| counts.add(n * 1_000_000));
        assert!(counts.bins.len() <= BINS_MAX);
        assert_eq!([0, 50_000, 100_000, 200_000].map(|ms| counts.until(ms * 1_000_000)), [0, 50_000, 100_000, 100_000]);
    }

    #[test]
    fn a_ramp_looks_like_one() {
        let points = curve(64_000_000_000, &|at| at / 1_000_000 * (at / 1_000_000) / 64_000_000);
        assert_eq!(points.iter().map(|p| p.messages).sum::<u64>(), 64);
        let ramp = curve(8_000_000_000, &|at| (at / 1_000_000).pow(2) / 16_000);
        let drawn = chart(&ramp);
        assert_eq!(drawn.lines().count(), 8, "{drawn}");
        assert!(
            drawn.lines().nth(5).is_some_and(|l| l.ends_with("│ ▁▂▃▃▄▅▆▇▇██████████████████████████████████████████████████████")),
            "{drawn}"
        );
        assert!(drawn.ends_with("8 s\n") && drawn.contains("0/s └────"), "{drawn}");
    }
}
