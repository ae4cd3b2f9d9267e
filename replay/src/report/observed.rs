//! What was sampled of the system under test while the run went on: its consumers' lag, its own signals, how long its outputs
//! took. Each is a table of seconds in the run directory; one that is not there is left out.
//!
//! A value of a longer bin is the highest of its seconds: peaks stay, and no percentile is made from percentiles. A value
//! holds for up to [`HOLDS_S`] seconds without a new one, so that only silence breaks a line. Charts and lines are bounded.

use std::collections::BTreeMap;
use std::path::Path;

use super::axis::TimeAxis;
use super::chart::{Across, Chart, Line, Unit};
use crate::run::dir::RunDirError;
use crate::run::read;
use crate::unit::of_metric;

/// The most charts of one table, and the most lines of a chart.
const CHARTS_MAX: usize = 8;
/// See [`CHARTS_MAX`].
const LINES_MAX: usize = 8;
/// See the module's words.
const HOLDS_S: u64 = 3;

/// A table that a run may have.
struct Table {
    file: &'static str,
    /// The columns with values.
    values: &'static [&'static str],
    /// The column by whose value there is a chart each, if there is one.
    chart_by: Option<&'static str>,
    /// The columns that name a line.
    line_by: &'static [&'static str],
    /// Only rows in which this column is empty.
    only_empty: Option<&'static str>,
    title: &'static str,
    about: &'static str,
}

const TABLES: [Table; 5] = [
    Table {
        file: "probe.csv",
        values: &["p50_ns", "p99_ns", "max_ns"],
        chart_by: None,
        line_by: &[],
        only_empty: None,
        title: "End to end",
        about: "From the intended time to when the output was seen, by the second in which it was seen.",
    },
    Table {
        file: "freshness.csv",
        values: &["age_ns"],
        chart_by: None,
        line_by: &[],
        only_empty: None,
        title: "Freshness",
        about: "The age of the newest event that the output covered.",
    },
    Table {
        file: "lag.csv",
        values: &["lag_messages"],
        chart_by: None,
        line_by: &["group"],
        only_empty: Some("partition"),
        title: "Consumer lag",
        about: "Messages that the group had not committed, over all partitions; of a queue, those that no consumer was given yet.",
    },
    Table {
        file: "lag.csv",
        values: &["lag_ns"],
        chart_by: None,
        line_by: &["group"],
        only_empty: Some("partition"),
        title: "Consumer lag in time",
        about: "How long ago the log ended where the group stood: what it reads next waited no longer than about that.",
    },
    Table {
        file: "watch.csv",
        values: &["value"],
        chart_by: Some("metric"),
        line_by: &["source", "metric"],
        only_empty: None,
        title: "",
        about: "As the system under test says of itself, or the machine of its processes.",
    },
];

/// The lines of one chart, by name.
type Lines = BTreeMap<String, Vec<Option<f64>>>;

/// A chart being filled.
#[derive(Default)]
struct Filling {
    lines: Lines,
    left_out: bool,
}

/// The charts of all tables that are there.
pub(super) fn charts(run: &Path) -> Result<Vec<Chart>, RunDirError> {
    let mut charts = Vec::new();
    for table in &TABLES {
        let mut end_s = 0;
        samples(run, table, |second, _, _, _| end_s = end_s.max(second + 1))?;
        let axis = TimeAxis::reaching(end_s.saturating_mul(1_000), 1_000);
        let mut filling: BTreeMap<String, Filling> = BTreeMap::new();
        samples(run, table, |second, chart, line, value| {
            if filling.len() >= CHARTS_MAX && !filling.contains_key(chart) {
                return;
            }
            let of = filling.entry(chart.to_owned()).or_default();
            if of.lines.len() >= LINES_MAX && !of.lines.contains_key(line) {
                of.left_out = true;
                return;
            }
            let values = of.lines.entry(line.to_owned()).or_insert_with(|| vec![None; axis.bins]);
            if let Some(place) = axis.bin(second.saturating_mul(1_000)).and_then(|bin| values.get_mut(bin)) {
                *place = Some(place.map_or(value, |highest: f64| highest.max(value)));
            }
        })?;
        let mut of_table: Vec<Chart> = filling.into_iter().map(|(name, of)| chart(table, &axis, &name, of)).collect();
        // Processor and memory come first.
        of_table.sort_by_key(|chart| !(chart.id.contains("cpu") || chart.id.contains("rss")));
        charts.extend(of_table);
    }
    Ok(charts)
}

fn chart(table: &Table, axis: &TimeAxis, name: &str, of: Filling) -> Chart {
    let title = match name {
        "cpu_cores" => "Processor (cores)",
        "rss_bytes" => "Memory (resident)",
        "fds" => "Open files",
        "threads" => "Threads",
        "" => table.title,
        metric => metric,
    };
    let stem = table.file.split('.').next().unwrap_or_default();
    let id: String =
        format!("{stem}-{}-{name}", table.values[0]).chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let more = if of.left_out { format!(" There are more lines in {}.", table.file) } else { String::new() };
    let peaks = if axis.bin_ms > 1_000 { format!(" Each value is the highest of {} s.", axis.bin_ms / 1_000) } else { String::new() };
    let holds = usize::try_from(HOLDS_S * 1_000 / axis.bin_ms).unwrap_or(0);
    let line = |(name, values): (String, Vec<Option<f64>>)| {
        let held = |bin: usize| values[bin.saturating_sub(holds.saturating_sub(1))..=bin].iter().rev().find_map(|v| *v);
        Line::over(axis.bins, &name, |bin| values.get(bin).copied().flatten().or_else(|| held(bin)))
    };
    Chart {
        id,
        title: title.to_owned(),
        about: format!("{}{peaks}{more}", table.about),
        unit: unit(if name.is_empty() { table.values[0] } else { name }),
        across: Across::Time,
        logarithmic: table.file == "probe.csv",
        x: axis.edges_s(),
        lines: of.lines.into_iter().map(line).collect(),
    }
}

fn unit(metric: &str) -> Unit {
    match of_metric(metric) {
        "bytes" => Unit::Bytes,
        "s" => Unit::Seconds,
        "ns" => Unit::Ns,
        "messages" | "count" => Unit::Count,
        _ => Unit::Plain,
    }
}

/// Gives each value of a table to `each`: its second, its chart, its line, itself.
fn samples(run: &Path, table: &Table, mut each: impl FnMut(u64, &str, &str, f64)) -> Result<(), RunDirError> {
    let Table { values, chart_by, line_by, only_empty, .. } = table;
    let columns: Vec<&str> = [*values, *line_by].concat().into_iter().chain(*chart_by).chain(*only_empty).collect();
    read::observed(run, table.file, &columns, &mut |second, cells| {
        let (of_values, rest) = cells.split_at(values.len());
        let (of_line, mut rest) = rest.split_at(line_by.len());
        // A metric with labels shares its chart with those of other labels.
        let chart = chart_by.and_then(|_| rest.split_off_first()).map_or("", |cell| cell.split('{').next().unwrap_or_default());
        if only_empty.is_some() && rest.first().is_some_and(|cell| !cell.is_empty()) {
            return;
        }
        for (name, value) in values.iter().zip(of_values) {
            let line = if line_by.is_empty() { (*name).trim_end_matches("_ns").to_owned() } else { line_name(of_line, chart) };
            if let Some(value) = value.parse::<f64>().ok().filter(|value| value.is_finite()) {
                each(second, chart, &line, value);
            }
        }
    })
}

/// What a line is called: the cells that name it, less what the chart says already.
fn line_name(cells: &[&str], chart: &str) -> String {
    let words = cells.iter().map(|word| word.strip_prefix(chart).unwrap_or(word));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
