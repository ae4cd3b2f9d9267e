//! `dejaq inspect`: what is in a recording, from its index and its times.

use std::fmt::Write as _;
use std::path::PathBuf;

use dejaq_shared::outcome::Outcome;
use dejaq_shared::record::Gap;
use dejaq_shared::segment::profile::Profile;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::timeline::{TimeStatistics, measure};
use dejaq_shared::units::{format_bytes, format_count, format_duration_ns, format_time_ns};
use serde_json::json;

use crate::progress::talk;

/// Streams listed for people; `--json` has all.
const STREAMS_SHOWN: usize = 20;

#[derive(clap::Args)]
#[command(after_help = "\
Reads the index and the columns of times, no payloads: quick at any size. What it cannot see that way, verify does.
--tags reads every payload (not in a build without replay): what a rule file for replay --expand can be made of.

Exit codes: 0 shown (with a warning when a segment is not sealed), 3 shown, and damage or a missing segment was met, 1 failed.

Examples:
  dejaq inspect rec
  dejaq inspect rec --json | jq '.streams[] | {name, records, holes}'
  dejaq inspect rec --tags --json | jq '.tags[] | {topic, tag, distinct}'")]
pub(crate) struct Arguments {
    /// The recording
    dir: PathBuf,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
    /// The tags in the payloads, their distinct and most frequent values, and the number of series
    #[cfg(feature = "replay")]
    #[arg(long)]
    tags: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let recording = Recording::open(&arguments.dir)?;
    let statistics = measure(&recording)?;
    let clocks = statistics.iter().map(TimeStatistics::preferred_clock).collect();
    let profile = Profile::of(&recording, clocks, statistics)?;
    let damages = damages(&recording, &profile);
    for what in damages.iter().chain(&recording.unsealed()) {
        talk(format_args!("warning: {what}"));
    }
    let json = arguments.json.then(|| as_json(&recording, &profile, &damages));
    let text = if json.is_none() { as_text(&recording, &profile) } else { String::new() };
    #[cfg(feature = "replay")]
    let (json, text) = if arguments.tags { with_tags(&recording, json, text)? } else { (json, text) };
    match json {
        Some(json) => super::print_json(&json)?,
        None => super::print(&text)?,
    }
    Ok(if damages.is_empty() { Outcome::Done } else { Outcome::Doubtful })
}

/// The tags beside the rest.
#[cfg(feature = "replay")]
fn with_tags(
    recording: &Recording,
    mut json: Option<serde_json::Value>,
    mut text: String,
) -> anyhow::Result<(Option<serde_json::Value>, String)> {
    let tags = super::tags::read(recording)?;
    match &mut json {
        Some(json) => super::tags::add_json(json, &tags)?,
        None => text.push_str(&super::tags::as_text(&tags)),
    }
    Ok((json, text))
}

/// What is known to be missing: the index may count records that the blocks no longer tell the times of.
fn damages(recording: &Recording, profile: &Profile) -> Vec<String> {
    let mut found = recording.damages();
    let timed: u64 = profile.statistics.iter().map(|s| s.records).sum();
    let unread = recording.records().saturating_sub(timed);
    if unread > 0 {
        let dir = recording.dir.display();
        found.push(format!(
            "{} records are in damaged blocks, times and rates leave them out: run dejaq verify {dir}",
            format_count(unread)
        ));
    }
    found
}

fn as_json(recording: &Recording, profile: &Profile, damages: &[String]) -> serde_json::Value {
    let streams = recording.streams.iter().map(|stream| {
        json!({
            "name": stream.stream.name(),
            "cluster": stream.stream.cluster,
            "topic_id": stream.stream.topic_id().map(|id| id.to_string()),
            "records": stream.records,
            "bytes_raw": stream.bytes_raw,
            "record_bytes_max": stream.record_bytes_max,
            "holes": stream.books.holes,
            "lost": stream.books.lost,
            "filtered": stream.books.filtered,
            "start_position": stream.start,
            "first_position": stream.positions.map(|p| p.0),
            "last_position": stream.positions.map(|p| p.1),
            "next_position": stream.books.next,
            "ended": stream.books.ended,
        })
    });
    json!({
        "id": recording.id_text(),
        "broker": recording.broker(),
        "clusters": recording.clusters(),
        "ancestors": recording.ancestors,
        "isolation": recording.isolation(),
        "records": recording.records(),
        "bytes_raw": recording.bytes_raw(),
        "bytes_stored": recording.bytes_stored(),
        "segments": recording.segments.len(),
        "live": recording.live,
        "damages": damages,
        "unsealed": recording.unsealed(),
        "first_time_ns": profile.span.map(|s| s.0),
        "last_time_ns": profile.span.map(|s| s.1),
        "clock": profile.clock_name(),
        "peak_per_s": profile.peak_per_s,
        "streams": streams.collect::<Vec<_>>(),
        "gaps": recording.gaps.iter().map(|g| gap_json(g, Some(recording))).collect::<Vec<_>>(),
    })
}

/// A gap with the names that scripts may rely on.
pub(crate) fn gap_json(gap: &Gap, recording: Option<&Recording>) -> serde_json::Value {
    let stream = gap.stream.and_then(|s| recording.and_then(|r| r.streams.get(s as usize)).map(|s| s.stream.name()));
    let stream = stream.or_else(|| gap.stream.map(|_| gap.scope.clone()));
    json!({
        "stream": stream,
        "scope": gap.scope,
        "from": gap.from,
        "to": gap.to,
        "from_time_ns": gap.from_time_ns,
        "to_time_ns": gap.to_time_ns,
        "count": gap.count,
        "exact": gap.exact,
        "reason": gap.reason.name(),
        "detail": gap.detail,
    })
}

/// A gap in a line for people.
pub(crate) fn gap_text(gap: &Gap) -> String {
    let number = |n: Option<i64>| n.map_or("?".to_owned(), |n| n.to_string());
    let mut text = format!("{}: ", gap.scope);
    match gap.count {
        Some(count) => {
            let _ = write!(text, "{}{} lost ", if gap.exact { "" } else { "up to " }, format_count(count));
        }
        None => text.push_str("an unknown number lost "),
    }
    if gap.from.is_some() || gap.to.is_some() {
        let _ = write!(text, "at positions {}..{} ", number(gap.from), number(gap.to));
    }
    let _ = write!(text, "({})", gap.reason.name());
    if !gap.detail.is_empty() {
        let _ = write!(text, ": {}", gap.detail);
    }
    text
}

/// What the isolation level means for what is in the recording.
fn isolation_text(level: &str) -> &'static str {
    match level {
        "read_uncommitted" => " (records of aborted transactions are in it)",
        "read_committed" => " (records of aborted transactions count as holes)",
        _ => "",
    }
}

fn as_text(recording: &Recording, profile: &Profile) -> String {
    let mut text = String::new();
    let (records, raw, stored) = (recording.records(), recording.bytes_raw(), recording.bytes_stored());
    let _ = writeln!(text, "recording {} ({})", recording.id_text(), recording.dir.display());
    let known = |clusters: Vec<String>| {
        clusters.into_iter().map(|c| if c.is_empty() { "unknown".to_owned() } else { c }).collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(text, "  source    {} cluster {}", recording.broker(), known(recording.clusters()));
    if let Some(level) = recording.isolation() {
        let _ = writeln!(text, "  isolation {level}{}", isolation_text(level));
    }
    if !recording.ancestors.is_empty() {
        let _ = writeln!(text, "  ancestors {} (replayed traffic is in it)", recording.ancestors.join(", "));
    }
    let ratio = if stored == 0 { 0.0 } else { raw as f64 / stored as f64 };
    let live = if recording.live { ", being written" } else { "" };
    let _ = writeln!(text, "  records   {} in {} streams", format_count(records), recording.streams.len());
    let _ = writeln!(
        text,
        "  size      {} raw, {} stored in {} ({ratio:.1} x){live}",
        format_bytes(raw),
        format_bytes(stored),
        super::segments(recording.segments.len())
    );
    if let Some((first, last)) = profile.span {
        let span = u64::try_from(last - first).unwrap_or(0);
        let per_s = if span == 0 { 0.0 } else { records as f64 * 1e9 / span as f64 };
        let _ = writeln!(
            text,
            "  time      {} .. {} ({}), {} time",
            format_time_ns(first),
            format_time_ns(last),
            format_duration_ns(span),
            profile.clock_name()
        );
        let _ = writeln!(text, "  rate      {per_s:.1}/s mean, {}/s in the fullest second", format_count(profile.peak_per_s));
    }
    let holes: u64 = recording.streams.iter().map(|s| s.books.holes).sum();
    let _ = writeln!(text, "  holes     {} (offsets that never held a record: no loss)", format_count(holes));
    let mut streams: Vec<_> = recording.streams.iter().collect();
    streams.sort_by_key(|s| std::cmp::Reverse(s.records));
    let width = streams.iter().take(STREAMS_SHOWN).map(|s| s.stream.name().len()).max().unwrap_or(6).max(6);
    let _ = writeln!(text, "\n  {:width$}  {:>12}  {:>10}  {:>8}  positions", "stream", "records", "raw", "holes");
    for stream in streams.iter().take(STREAMS_SHOWN) {
        let positions = stream.positions.map_or("-".to_owned(), |(first, last)| format!("{first}..={last}"));
        let ended = if stream.books.ended { " (ended)" } else { "" };
        let _ = writeln!(
            text,
            "  {:width$}  {:>12}  {:>10}  {:>8}  {positions}{ended}",
            stream.stream.name(),
            format_count(stream.records),
            format_bytes(stream.bytes_raw),
            format_count(stream.books.holes)
        );
    }
    if streams.len() > STREAMS_SHOWN {
        let _ = writeln!(text, "  … and {} more (--json lists all)", streams.len() - STREAMS_SHOWN);
    }
    if recording.gaps.is_empty() {
        let _ = writeln!(text, "\n  no gaps");
    } else {
        let _ = writeln!(text, "\n  {} gaps", recording.gaps.len());
        for gap in &recording.gaps {
            let _ = writeln!(text, "    {}", gap_text(gap));
        }
    }
    text
}
