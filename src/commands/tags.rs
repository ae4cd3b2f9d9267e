//! The tags of a recording, for `inspect --tags` and `expand --suggest`.

use std::fmt::Write as _;

use dejaq_replay::inventory::{GroupReport, TagOfGroup, TagReport, take_inventory};
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::units::{format_bytes, format_count, format_percent};

use crate::progress::{Progress, talk};

/// Tags of a topic that are listed for people; `--json` has all.
const TAGS_SHOWN: usize = 20;
/// Frequent values that are listed for people, and how much of each.
const VALUES_SHOWN: usize = 3;
const VALUE_CHARS: usize = 24;

/// Reads them, and shows how far it is.
pub(crate) fn read(recording: &Recording) -> anyhow::Result<TagReport> {
    let mut progress = Progress::new();
    let all = recording.bytes_raw();
    let report = take_inventory(recording, &mut |done| {
        let share = if all == 0 { 1.0 } else { done as f64 / all as f64 };
        progress.show(format_args!("reading payloads  {}  of {}", format_percent(share.min(1.0)), format_bytes(all)));
    });
    progress.end();
    let report = report?;
    if report.damaged_blocks > 0 {
        talk(format_args!("warning: {} damaged blocks are left out of the tags", report.damaged_blocks));
    }
    Ok(report)
}

/// Puts them beside what else is known of the recording.
pub(crate) fn add_json(into: &mut serde_json::Value, report: &TagReport) -> anyhow::Result<()> {
    if let (Some(into), serde_json::Value::Object(tags)) = (into.as_object_mut(), serde_json::to_value(report)?) {
        into.extend(tags);
    }
    Ok(())
}

/// For people.
pub(crate) fn as_text(report: &TagReport) -> String {
    let mut text = String::new();
    for group in &report.series {
        of_group(&mut text, group, &report.tags);
    }
    for left_out in &report.unrecognised {
        let _ = writeln!(text, "\n  {} ({} streams)  {}", left_out.topic, left_out.streams, left_out.why);
    }
    let estimated = report.tags.iter().any(|t| !t.distinct_exact) || report.series.iter().any(|g| !g.series_exact || !g.metrics_exact);
    if estimated {
        let _ = writeln!(text, "\n  ~ an estimate, standard error {}", format_percent(report.estimate_error_share));
    }
    if report.tags.iter().any(|t| !t.top_exact) {
        text.push_str("  \u{2265} at least: a tag with very many values is counted in a bounded number of counters\n");
    }
    text
}

fn of_group(text: &mut String, group: &GroupReport, tags: &[TagOfGroup]) {
    let how = if group.recognised.is_empty() { group.format } else { &group.recognised };
    let _ = writeln!(text, "\n  {}  {how}", group.topic);
    let _ = write!(text, "    {} payloads, {} samples", format_count(group.payloads), format_count(group.samples));
    for (what, count, exact) in [("metrics", group.metrics, group.metrics_exact), ("series", group.series, group.series_exact)] {
        if let Some(count) = count {
            let _ = write!(text, ", {}{} {what}", about(exact), format_count(count));
        }
    }
    if group.stamps > 0 {
        let _ = write!(text, ", {} time stamps", format_count(group.stamps));
    }
    text.push('\n');
    if let Some(example) = &group.malformed_example {
        let malformed = format_count(group.malformed);
        let _ = writeln!(text, "    {malformed} malformed, the first {} at {}: {}", example.stream, example.position, example.what);
    }
    let mine: Vec<&TagOfGroup> = tags.iter().filter(|t| (&t.topic, t.format) == (&group.topic, group.format)).collect();
    if mine.is_empty() {
        return text.push_str("    no tags\n");
    }
    let width = mine.iter().take(TAGS_SHOWN).map(|t| shortened(&t.tag).chars().count()).max().unwrap_or(3).max(3);
    let _ = writeln!(text, "    {:width$}  {:>12}  {:>12}  most frequent", "tag", "samples", "distinct");
    for tag in mine.iter().take(TAGS_SHOWN) {
        let bound = if tag.top_exact { "" } else { "\u{2265} " };
        let value = |v: &dejaq_replay::inventory::TopValue| format!("{} {bound}{}", shortened(&v.value), format_percent(v.share));
        let top: Vec<String> = tag.top.iter().take(VALUES_SHOWN).map(value).collect();
        let distinct = format!("{}{}", about(tag.distinct_exact), format_count(tag.distinct));
        let _ = writeln!(text, "    {:width$}  {:>12}  {distinct:>12}  {}", shortened(&tag.tag), format_count(tag.samples), top.join(", "));
    }
    if mine.len() > TAGS_SHOWN {
        let _ = writeln!(text, "    \u{2026} and {} more (--json lists all)", mine.len() - TAGS_SHOWN);
    }
    if group.other_tags > 0 {
        let _ = writeln!(text, "    tags beyond the bound were met {} times and are not listed", format_count(group.other_tags));
    }
}

fn about(exact: bool) -> &'static str {
    if exact { "" } else { "~" }
}

/// In a line, and not too long; what a terminal would obey is taken out.
fn shortened(value: &str) -> String {
    let mut short: String = value.chars().take(VALUE_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if value.chars().count() > VALUE_CHARS {
        short.push('\u{2026}');
    }
    short
}
