//! What a chart shows, apart from how: the page's script draws it.

use serde::Serialize;

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Messages per second.
    PerSecond,
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// A share, of which 1 is all.
    Share,
    /// Whatever the source says.
    Plain,
}

/// What runs from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Across {
    /// Seconds since the start of the run; values hold until the next one.
    Time,
    /// Percentiles: `−log10(1 − q)`, so that each nine is as wide as the one before.
    Percentile,
    /// Nanoseconds, each step a multiple of the one before; values hold until the next one.
    Ns,
    /// Bytes, likewise.
    Bytes,
    /// Ranks, likewise.
    Rank,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// Whether the space below it is filled, so that another line can lie upon it.
    pub filled: bool,
    /// Whether it is dashed, to be told from another without its colour.
    pub dashed: bool,
    /// Which of the eight colours it has; `None`: that of its place among the lines.
    pub hue: Option<u8>,
    /// Its values; `None` where there is none.
    pub values: Vec<Option<f64>>,
}

/// A chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// Its name in the page.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// How it is to be read.
    pub about: String,
    /// What its values are.
    pub unit: Unit,
    /// What runs from left to right.
    pub across: Across,
    /// Whether upwards each step is a multiple of the one before.
    pub logarithmic: bool,
    /// Where each value lies.
    pub x: Vec<f64>,
    /// Its lines, each as long as `x`.
    pub lines: Vec<Line>,
}

impl Chart {
    /// Whether any line has a value.
    #[must_use]
    pub fn has_values(&self) -> bool {
        self.lines.iter().any(|line| line.values.iter().any(Option::is_some))
    }
}

impl Line {
    /// A line without values.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), filled: false, dashed: false, hue: None, values: Vec::new() }
    }

    /// A line over so many bins. The last value is said twice: it holds to the end of its bin.
    #[must_use]
    pub fn over(bins: usize, name: &str, value: impl Fn(usize) -> Option<f64>) -> Self {
        let mut values: Vec<Option<f64>> = (0..bins).map(&value).collect();
        values.push(values.last().copied().flatten());
        Self { values, ..Self::named(name) }
    }
}
