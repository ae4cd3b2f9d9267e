//! A comparison for a person, and for a pull request.

use std::fmt::Write as _;

use dejaq_shared::units::format_percent;

use super::result::{Comparison, Measure};
use super::verdict::Verdict;
use crate::unit::in_unit;

/// The comparison for a terminal, many lines.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut out = format!("{}\n\n", headline(comparison));
    let width = comparison.measures.iter().map(|m| m.title().chars().count()).max().unwrap_or(0).max(22);
    let row = |cells: &[String; 6]| {
        let [measure, base, new, ratio, interval, verdict] = cells;
        format!("{measure:<width$}{base:>12}{new:>12}{ratio:>10}  {interval:<18} {verdict}\n")
    };
    let head = ["", "BASE", "NEW", "NEW/BASE", "95 % interval", ""].map(str::to_owned);
    out.push_str(&row(&head));
    for (measure, next) in comparison.measures.iter().zip(comparison.measures.iter().skip(1).map(Some).chain([None])) {
        out.push_str(&row(&cells(measure)));
        if measure.primary && next.is_some_and(|next| !next.primary) {
            out.push_str("shown, not decisive:\n");
        }
    }
    out.push('\n');
    for line in lines(comparison) {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// The comparison as Markdown.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    let mut out = format!(
        "**{}**\n\n| measure | BASE | NEW | NEW/BASE | 95 % interval | verdict |\n|---|--:|--:|--:|---|---|\n",
        escaped(&headline(comparison))
    );
    for measure in &comparison.measures {
        let [title, base, new, ratio, interval, verdict] = cells(measure).map(|cell| escaped(&cell));
        let title = if measure.primary { format!("**{title}**") } else { title };
        let _ = writeln!(out, "| {title} | {base} | {new} | {ratio} | {interval} | {verdict} |");
    }
    out.push('\n');
    for line in lines(comparison) {
        let _ = writeln!(out, "- {}", escaped(&line));
    }
    out
}

/// What it comes down to, in a line.
#[must_use]
pub fn headline(comparison: &Comparison) -> String {
    format!("{}: {}", word(comparison.verdict), against(comparison))
}

/// The verdict, as it stands above everything.
pub(crate) fn word(verdict: Verdict) -> String {
    verdict.to_string().to_uppercase()
}

/// What was compared, and which measures made the verdict.
pub(crate) fn against(comparison: &Comparison) -> String {
    let sides = format!("{} against {}", comparison.new.join(", "), comparison.base.join(", "));
    let of_verdict = comparison.measures.iter().filter(|m| m.primary && m.verdict == comparison.verdict);
    match comparison.verdict {
        Verdict::Same => sides,
        _ => format!("{sides} ({})", of_verdict.map(Measure::title).collect::<Vec<_>>().join(", ")),
    }
}

/// Title, values, ratio, interval and verdict of a measure.
#[must_use]
pub fn cells(measure: &Measure) -> [String; 6] {
    let value = |value: Option<f64>| match value {
        None if measure.unit == "ns" && measure.tested => "> deadline".to_owned(),
        None => "-".to_owned(),
        Some(value) => in_unit(value, &measure.unit),
    };
    let ratio = |ratio: f64| match ratio {
        _ if !ratio.is_finite() => "inf".to_owned(),
        _ if ratio >= 100.0 => format!("{ratio:.0}"),
        _ => format!("{ratio:.3}"),
    };
    let interval = measure.interval().map_or(String::new(), |(low, high)| format!("{} .. {}", ratio(low), ratio(high)));
    let verdict = match (&measure.why, measure.primary || measure.tested) {
        (Some(why), true) => format!("{} ({why})", measure.verdict),
        (Some(why), false) => why.clone(),
        (None, _) => measure.verdict.to_string(),
    };
    [measure.title(), value(measure.base), value(measure.new), measure.ratio.map_or("-".to_owned(), ratio), interval, verdict]
}

/// What one must know to read the numbers.
pub(crate) fn lines(comparison: &Comparison) -> Vec<String> {
    let Comparison { unit_s, units, block_s, seed, replicates, margin, .. } = comparison;
    let variation = if comparison.within_run_only {
        "within-run variation only: give several runs a side to know what varies from run to run".to_owned()
    } else {
        format!("{} and {} runs: what varies from run to run is in the intervals", comparison.base.len(), comparison.new.len())
    };
    let pairing = if comparison.paired { "paired by time" } else { "not paired: each side for itself" };
    let from = if comparison.from_s > 0 { format!(", the first {} s left out as warm-up", comparison.from_s) } else { String::new() };
    let mut lines = vec![
        variation,
        format!("same: within {} of 1; {pairing}{from}", format_percent(*margin)),
        format!("block bootstrap: {units} units of {unit_s} s, blocks of {block_s} s, {replicates} replicates, seed {seed}"),
    ];
    lines.extend(comparison.notes.iter().map(|note| format!("note: {note}")));
    lines
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\`*_{}[]<>|#".contains(c) {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_a_table() {
        assert_eq!(escaped("a|b<script>\n"), "a\\|b\\<script\\> ");
    }
}
