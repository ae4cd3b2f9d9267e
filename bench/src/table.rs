//! Rows: pairs of measurements, their medians and ratios, a table for people and JSON for machines.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// What a ratio is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// Good when it is not below.
    AtLeast(f64),
    /// Good when it is not above.
    AtMost(f64),
    /// Shown only.
    None,
}

impl Target {
    fn met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtLeast(limit) => Some(ratio >= limit),
            Self::AtMost(limit) => Some(ratio <= limit),
            Self::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(limit) => format!(">= {limit}"),
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::None => "-".into(),
        }
    }
}

/// One comparison.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What with.
    pub(crate) against: String,
    /// Of `ours` and `theirs`.
    pub(crate) unit: &'static str,
    /// Ours and theirs, taken one after the other, round by round.
    pub(crate) pairs: Vec<(f64, f64)>,
    /// For the ratio's median.
    pub(crate) target: Target,
}

impl Row {
    /// A row without measurements yet.
    #[must_use]
    pub(crate) fn new(what: impl Into<String>, against: impl Into<String>, unit: &'static str, target: Target) -> Self {
        Self { what: what.into(), against: against.into(), unit, pairs: Vec::new(), target }
    }

    fn side(&self, of: impl Fn(&(f64, f64)) -> f64) -> Spread {
        Spread::of(self.pairs.iter().map(of).collect())
    }

    fn ratio(&self) -> Spread {
        self.side(|(ours, theirs)| ours / theirs)
    }
}

struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let median = if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) };
        Self { median, min: at(0), max: at(values.len().wrapping_sub(1)) }
    }

    fn json(&self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

/// The table.
#[must_use]
pub(crate) fn text(rows: &[Row]) -> String {
    let mut cells = vec![["what", "against", "unit", "ours", "theirs", "ratio (min..max, pairs)", "wanted", ""].map(str::to_owned)];
    for row in rows {
        let ratio = row.ratio();
        let verdict = match row.target.met(ratio.median) {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        cells.push([
            row.what.clone(),
            row.against.clone(),
            row.unit.to_owned(),
            number(row.side(|p| p.0).median),
            number(row.side(|p| p.1).median),
            format!("{:.2} ({:.2}..{:.2}, {})", ratio.median, ratio.min, ratio.max, row.pairs.len()),
            row.target.text(),
            verdict.to_owned(),
        ]);
    }
    let widths: [usize; 8] = std::array::from_fn(|column| cells.iter().map(|line| line[column].len()).max().unwrap_or(0));
    let mut out = String::new();
    for line in &cells {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(out, "{cell:width$}  ");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// The rows as JSON.
#[must_use]
pub(crate) fn rows_json(rows: &[Row]) -> Vec<Value> {
    rows.iter()
        .map(|row| {
            let ratio = row.ratio();
            let (wanted, met) = (row.target.text(), row.target.met(ratio.median));
            json!({
                "what": row.what, "against": row.against, "unit": row.unit,
                "ours": row.side(|p| p.0).json(), "theirs": row.side(|p| p.1).json(), "ratio": ratio.json(),
                "pairs": row.pairs, "wanted": wanted, "met": met,
            })
        })
        .collect()
}

fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{:.2} M", value / 1e6),
        v if v >= 1e4 => format!("{:.0} k", value / 1e3),
        v if v >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_pair_by_pair() {
        let mut row = Row::new("x", "y", "1/s", Target::AtLeast(2.0));
        row.pairs = vec![(1.0, 1.0), (30.0, 10.0), (4.0, 2.0), (100.0, 1000.0)];
        let ratio = row.ratio();
        assert_eq!((ratio.min, ratio.median, ratio.max), (0.1, 1.5, 3.0));
        assert_eq!(row.target.met(ratio.median), Some(false));
        assert!(text(&[row]).contains("NOT MET"));
    }
}
