//! The report as Markdown, for a pull request: the verdict, the five numbers, the latencies, the thresholds, the command.

use std::fmt::Write as _;

use super::model::Report;
use super::numbers::{limits, percentile};
use super::page::verdict;

/// The text.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let run = &report.run;
    writeln!(out, "## dejaq run: {}\n", verdict(run))?;
    for reason in &run.trust {
        writeln!(out, "- **{}**: {}", cell(&reason.reason), cell(&reason.detail))?;
    }
    if run.limited_by.is_some() {
        writeln!(out, "- {}", cell(&limits(run)))?;
    }
    writeln!(out, "\n| | | |\n|---|---:|---|")?;
    for number in &report.numbers {
        writeln!(out, "| {} | **{}** | {} |", cell(&number.name), cell(&number.value), cell(&number.beside))?;
    }
    writeln!(out, "\n| latency | p50 | p90 | p99 | p99.9 | max | unanswered |\n|---|---:|---:|---:|---:|---:|---:|")?;
    let latency = &run.latency;
    let rows = [
        ("response", latency.response),
        ("service", Some(latency.service)),
        ("schedule error", latency.schedule_error),
        ("end to end", latency.end_to_end),
    ];
    for (name, of) in rows {
        let Some(of) = of else { continue };
        write!(out, "| {name} |")?;
        for (_, value) in of.named() {
            write!(out, " {} |", percentile(&of, value))?;
        }
        writeln!(out, " {} |", of.unanswered)?;
    }
    if !run.thresholds.is_empty() {
        writeln!(out, "\n| threshold | crossed | |\n|---|---|---|")?;
    }
    for threshold in &run.thresholds {
        let crossed = if threshold.crossed { "**yes**" } else { "no" };
        writeln!(out, "| {} | {crossed} | {} |", cell(&threshold.expr), cell(&threshold.found))?;
    }
    if !run.command.is_empty() {
        // Indented, so that nothing in it can end it.
        writeln!(out, "\n    {}", shell_line(&run.command))?;
    }
    Ok(())
}

/// A text in a cell of a table, as text.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '<' | '[' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Words as a line for a shell.
pub(super) fn shell_line(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    let quoted = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_a_shell_reads_back() {
        let words = ["dejaq", "--streams", "a*", "it's", "", "x=1/s"].map(str::to_owned);
        assert_eq!(shell_line(&words), r"dejaq --streams 'a*' 'it'\''s' '' x=1/s");
    }

    #[test]
    fn a_cell_stays_a_cell() {
        assert_eq!(cell("a|b\n<i>"), r"a\|b \<i>");
    }
}
