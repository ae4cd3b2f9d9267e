//! `--expand FILE` on its way into a run: read before anything else, bound to the recording before the target is asked for
//! anything, counted when the schedule is known.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use dejaq_replay::config::Options;
use dejaq_replay::engine::RunSetup;
use dejaq_replay::expanding::expand;
use dejaq_replay::recorded::RecordedFeed;
use dejaq_replay::schedule::Pace;
use dejaq_replay::transform::bound::Bound;
use dejaq_replay::transform::recognise::{self, Recognition};
use dejaq_replay::transform::rules::Rules;
use dejaq_shared::record::Stream;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::units::{format_bytes, format_count};

use super::Usage;
use crate::progress::Progress;

/// The largest rule file, in bytes: it is kept in `run.json`.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A rule file that makes sense by itself.
pub(crate) struct Following {
    path: PathBuf,
    text: String,
    rules: Rules,
}

/// Its rules, bound to the streams of a recording.
pub(crate) struct BoundRules {
    path: PathBuf,
    text: String,
    bound: Arc<Bound>,
    notes: Vec<String>,
}

impl Following {
    /// The rules of `--expand`, if that is given.
    pub(crate) fn read(options: &Options) -> anyhow::Result<Option<Self>> {
        let Some(path) = options.expand.clone() else { return Ok(None) };
        let text = read(&path).with_context(|| format!("reading {}", path.display()))?;
        let rules = Rules::from_toml(&text).map_err(|e| Usage::error(format!("--expand {}: {e}", path.display())))?;
        if rules.need_time() && options.pace == Pace::Max {
            let why = "its rules depend on time (churn, grow, retime), and a flood has no schedule";
            return Err(Usage::error(format!("--max and --expand {} contradict each other: {why}", path.display())));
        }
        Ok(Some(Self { path, text, rules }))
    }

    /// Looks which streams of the recording the rules are for.
    pub(crate) fn bind(self, recording: &Recording) -> anyhow::Result<BoundRules> {
        let streams: Vec<Stream> = recording.streams.iter().map(|s| s.stream.clone()).collect();
        let found = if self.rules.wants_recognition() { recognise::formats(recording)? } else { Vec::new() };
        let notes = recognised_words(&found, &streams);
        let recognised: Vec<_> = found.into_iter().map(|r| r.format).collect();
        let bound = self.rules.bind(&streams, &recognised).with_context(|| format!("--expand {}", self.path.display()))?;
        Ok(BoundRules { path: self.path, text: self.text, bound: Arc::new(bound), notes })
    }
}

impl BoundRules {
    /// Counts what the rules will write in the run, and lets the run follow them.
    pub(crate) fn count(self, setup: &mut RunSetup, feed: &mut RecordedFeed) -> anyhow::Result<()> {
        let mut progress = Progress::new();
        let mut show = |records| progress.show(format_args!("counting what the rules will write: {} messages", format_count(records)));
        let expanded = expand(&setup.planner, &setup.streams, &self.bound, setup.identity.seed, feed, &mut show);
        progress.end();
        let (job, expanded) = expanded.with_context(|| format!("--expand {}", self.path.display()))?;
        setup.planner.transform = job;
        setup.identity.expand_rules = Some(self.text);
        setup.identity.notes.extend(self.notes);
        setup.identity.notes.extend(expanded.notes.iter().cloned());
        setup.expanded = expanded;
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() as u64 <= FILE_BYTES_MAX, "it is larger than {}", format_bytes(FILE_BYTES_MAX));
    Ok(text)
}

/// What was recognised where; streams that are alike share a line.
fn recognised_words(found: &[Recognition], streams: &[Stream]) -> Vec<String> {
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (recognition, stream) in found.iter().zip(streams) {
        lines.entry(recognition.format.map_or("nothing that dejaq knows", |f| f.name())).or_default().push(stream.name());
    }
    let words = |(format, streams): (&str, Vec<String>)| match streams.as_slice() {
        [first, rest @ ..] if !rest.is_empty() => format!("format = \"auto\": {format} in {first} and {} more", rest.len()),
        _ => format!("format = \"auto\": {format} in {}", streams.concat()),
    };
    lines.into_iter().map(words).collect()
}
