//! `dejaq verify`: the validator.

use std::fmt::Write as _;
use std::path::PathBuf;

use dejaq_shared::outcome::Outcome;
use dejaq_shared::segment::verify::{RecordingReport, verify_recording};
use dejaq_shared::units::{format_bytes, format_count};
use serde_json::json;

use super::inspect::gap_json;
use crate::progress::Progress;

#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 all segments sealed (or held by a live writer), no damage, no gap; 3 damage, a gap, a missing segment, or an \
unsealed segment that nobody holds; 1 it cannot be read at all.

Examples:
  dejaq verify rec
  dejaq verify rec --json | jq .clean")]
pub(crate) struct Arguments {
    /// The recording
    dir: PathBuf,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut progress = Progress::new();
    let mut done = 0u64;
    let report = verify_recording(&arguments.dir, |segment| {
        done += segment.bytes;
        progress.show(format_args!("{} verified", format_bytes(done)));
    });
    progress.end();
    let report = report?;
    if arguments.json {
        super::print_json(&as_json(&report))?;
    } else {
        super::print(&as_text(&report))?;
    }
    Ok(if report.is_clean() { Outcome::Done } else { Outcome::Doubtful })
}

fn as_json(report: &RecordingReport) -> serde_json::Value {
    let segments = report.segments.iter().map(|segment| {
        json!({
            "path": segment.path,
            "bytes": segment.bytes,
            "frames": segment.frames,
            "records": segment.records,
            "sealed": segment.sealed,
            "recovered": segment.recovered,
            "torn_at": segment.torn_at,
            "damages": segment.damages.iter().map(|d| json!({"from": d.from, "to": d.to, "what": d.what})).collect::<Vec<_>>(),
        })
    });
    json!({
        "clean": report.is_clean(),
        "id": report.id,
        "live": report.live,
        "records": report.segments.iter().map(|s| s.records).sum::<u64>(),
        "segments": segments.collect::<Vec<_>>(),
        "missing": report.missing.iter().map(|(writer, number)| json!({"writer": writer, "number": number})).collect::<Vec<_>>(),
        "gaps": report.gaps.iter().map(|g| gap_json(g, None)).collect::<Vec<_>>(),
        "unbalanced": report.unbalanced,
    })
}

fn as_text(report: &RecordingReport) -> String {
    let mut text = String::new();
    let records: u64 = report.segments.iter().map(|s| s.records).sum();
    let bytes: u64 = report.segments.iter().map(|s| s.bytes).sum();
    let verdict = if report.is_clean() { "clean" } else { "NOT CLEAN" };
    let _ = writeln!(text, "{verdict}: {} records in {} segments, {}", format_count(records), report.segments.len(), format_bytes(bytes));
    for segment in &report.segments {
        let path = segment.path.display();
        for damage in &segment.damages {
            let _ = writeln!(text, "  damage   {path} bytes {}..{}: {}", damage.from, damage.to, damage.what);
        }
        if let Some(at) = segment.torn_at {
            let _ = writeln!(text, "  torn     {path}: {} bytes after the last whole frame, at byte {at}", segment.bytes - at);
        }
        if segment.recovered {
            let _ = writeln!(text, "  recovered {path}: its writer died; it was sealed by the capture that went on");
        }
        if !segment.sealed {
            let why = if report.live { "being written" } else { "its writer died: resume the capture with the same --out to seal it" };
            let _ = writeln!(text, "  open     {path}: {why}");
        }
    }
    for (writer, number) in &report.missing {
        let _ = writeln!(text, "  missing  segment {number} of writer {writer}");
    }
    for gap in &report.gaps {
        let _ = writeln!(text, "  gap      {}", super::inspect::gap_text(gap));
    }
    for what in &report.unbalanced {
        let _ = writeln!(text, "  books    {what}");
    }
    text
}
