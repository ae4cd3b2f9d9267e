//! `dejaq export`: records as lines of JSON.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use dejaq_shared::ndjson::Exporter;
use dejaq_shared::outcome::Outcome;
use dejaq_shared::segment::recording::Recording;

use crate::progress::talk;

#[derive(clap::Args)]
#[command(after_help = "\
Records come in the order in which they were captured; within a stream that is the order of their positions. Gaps and \
attachments are not written (inspect shows gaps).

Exit codes: 0 every record was written; 3 the recording is damaged, or cut off, and what could be read was written; 1 failed.

Examples:
  dejaq export rec --format ndjson > rec.ndjson
  dejaq export rec | head -1 | jq .")]
pub(crate) struct Arguments {
    /// The recording
    dir: PathBuf,
    /// One JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Ndjson,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Format::Ndjson = arguments.format;
    let recording = Recording::open(&arguments.dir)?;
    let not_whole = [recording.damages(), recording.unsealed()].concat();
    for what in &not_whole {
        talk(format_args!("warning: {what}"));
    }
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let mut damaged = 0;
    let records = Exporter::new(&recording).write(&mut out, |error| {
        damaged += 1;
        talk(format_args!("warning: {error}; its records are left out"));
    })?;
    out.flush()?;
    let attachments = recording.attachments()?.len();
    talk(format_args!(
        "{records} records written; {} gaps and {attachments} attachments of the recording do not travel in this form",
        recording.gaps.len()
    ));
    Ok(if damaged == 0 && not_whole.is_empty() { Outcome::Done } else { Outcome::Doubtful })
}
