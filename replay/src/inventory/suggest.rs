//! A rule file to start from, made of what an inventory found.

use std::fmt::Write as _;

use super::report::{GroupReport, TagOfGroup, TagReport};
use crate::transform::formats::{FormatKind, Part, StampUnit};

/// How many times the values of now a suggested rule shows.
const TIMES: u64 = 10;
/// The most tags of a topic and format that are suggested.
const TAGS_SHOWN: usize = 4;
/// Names of tags that grow with the size of what is observed: what production has more of than a test environment.
const GROWING: [&str; 12] =
    ["host", "hostname", "pod", "pod_name", "instance", "container", "container_id", "node", "user", "user_id", "customer", "tenant"];

/// A rule file with the tags worth expanding and the time stamps worth moving; everything measured is in its comments. The
/// first tag of each topic is a rule that is in force, the others are commented out. Text without a rule when there is
/// nothing to suggest.
#[must_use]
pub fn suggest(report: &TagReport, recording: &str) -> String {
    let mut text = format!(
        "# Rules to start from, for the recording {}: change what does not fit, and see what it would reach with\n",
        quoted(recording)
    );
    text.push_str(
        "#   dejaq plan DIR --to URL --expand THIS\n# `distinct` is how many values are alive at once: here ten times those recorded.\n",
    );
    let before = text.len();
    for group in report.series.iter().filter(|g| g.kind.part() == Part::Value) {
        of_group(&mut text, group, &report.tags);
    }
    for tag in report.tags.iter().filter(|t| t.kind == FormatKind::Key && t.distinct > 1) {
        let _ = writeln!(text, "\n# The keys of {}: {}. What goes by key moves with them.", tag.topic, measured(tag));
        text.push_str(&commented(&rule(tag)));
    }
    for left_out in &report.unrecognised {
        let _ = writeln!(text, "\n# {}: {}", quoted(&left_out.topic), left_out.why);
    }
    if text.len() == before {
        text.push_str("# Nothing to suggest: no format was recognised.\n");
    }
    text
}

fn of_group(text: &mut String, group: &GroupReport, tags: &[TagOfGroup]) {
    let _ = writeln!(text, "\n# {}: {}", quoted(&group.topic), group.recognised);
    if let Some(series) = group.series {
        let about = if group.series_exact { "" } else { "about " };
        let _ = writeln!(text, "# {} samples in {about}{series} series", group.samples);
    }
    let mine = tags.iter().filter(|t| (&t.topic, t.kind) == (&group.topic, group.kind));
    let (stamps, mut worth): (Vec<&TagOfGroup>, Vec<&TagOfGroup>) = mine.partition(|t| t.stamp.is_some());
    worth.retain(|tag| tag.distinct > 1 || grows(&tag.tag));
    worth.sort_by_key(|tag| (once(tag), !grows(&tag.tag)));
    for (n, tag) in worth.iter().take(TAGS_SHOWN).enumerate() {
        let unlike = if once(tag) { "; a value seldom comes twice, so there is little to multiply" } else { "" };
        let _ = writeln!(text, "# {}: {}{unlike}", quoted(&tag.tag), measured(tag));
        text.push_str(&if n == 0 && !once(tag) { rule(tag) } else { commented(&rule(tag)) });
    }
    if group.stamps > 0 {
        let _ = write!(text, "# {} time stamps in the payloads: move them to the time of sending.\n{}", group.stamps, retime(group, None));
    }
    for stamp in stamps {
        let first = stamp.top.first().map_or("", |t| t.value.as_str());
        let _ = write!(text, "# {} looks like a time, such as {}.\n{}", quoted(&stamp.tag), quoted(first), retime(group, Some(stamp)));
    }
}

/// Whether a tag's name is one of those that grow; for JSON the last part of its path.
fn grows(tag: &str) -> bool {
    let last = tag.rsplit(['.', '$', ']']).find(|part| !part.is_empty()).unwrap_or(tag).to_ascii_lowercase();
    GROWING.contains(&last.as_str())
}

/// Whether its values are like ids, each seen about once.
fn once(tag: &TagOfGroup) -> bool {
    tag.distinct > 100 && tag.distinct * 2 > tag.samples
}

fn measured(tag: &TagOfGroup) -> String {
    let about = if tag.distinct_exact { "" } else { "about " };
    let top: Vec<String> = tag.top.iter().take(3).map(|t| quoted(&t.value)).collect();
    format!("{about}{} values in {} samples, such as {}", tag.distinct, tag.samples, top.join(", "))
}

fn rule(tag: &TagOfGroup) -> String {
    let distinct = tag.distinct.max(1).saturating_mul(TIMES);
    format!(
        "[[expand]]\nstreams = {}\nformat = \"{}\"\ntag = {}\ndistinct = {distinct}\n",
        quoted(&tag.topic),
        tag.format,
        quoted(&tag.tag)
    )
}

fn retime(group: &GroupReport, field: Option<&TagOfGroup>) -> String {
    let mut text = format!("[[retime]]\nstreams = {}\nformat = \"{}\"\n", quoted(&group.topic), group.format);
    if let Some((field, unit)) = field.and_then(|f| Some((f, f.stamp?))) {
        let _ = writeln!(text, "field = {}\nunit = \"{}\"", quoted(&field.tag), unit_name(unit));
    }
    text
}

fn unit_name(unit: StampUnit) -> &'static str {
    match unit {
        StampUnit::Seconds => "s",
        StampUnit::Milliseconds => "ms",
        StampUnit::Microseconds => "us",
        StampUnit::Nanoseconds => "ns",
        StampUnit::Rfc3339 => "rfc3339",
    }
}

fn commented(rule: &str) -> String {
    rule.lines().map(|line| format!("# {line}\n")).collect()
}

/// As a string of TOML, and in comments without what would end them: JSON's escapes are among TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
