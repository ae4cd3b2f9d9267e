//! `dejaq import`: the inverse of export.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::Context as _;
use dejaq_shared::ndjson::import;
use dejaq_shared::outcome::Outcome;

use crate::progress::{Progress, talk};

#[derive(clap::Args)]
#[command(after_help = "\
A line needs \"broker\" and \"value\"; with \"kafka\" also \"topic\" and \"partition\", with \"rabbitmq\" \"vhost\" and \"queue\", or \"vhost\", \"exchange\" and \"routing_key\". Bytes are {\"utf8\": …}, {\"base64\": …}, a plain string or \
null. \"broker_ts\" is in milliseconds, \"arrival_ns\" in nanoseconds since 1970.

Examples:
  dejaq export rec | zstd > rec.ndjson.zst && dejaq import rec.ndjson.zst --out copy
  dejaq import archive.ndjson --out rec --source-cluster MkU3OEVBNTcwNTJENDM2Qg")]
pub(crate) struct Arguments {
    /// The lines; a name that ends with .zst is decompressed, - is stdin
    file: PathBuf,
    /// The recording to make; must not exist
    #[arg(long)]
    out: PathBuf,
    /// The cluster that records come from which name none: replay will refuse to write there
    #[arg(long, value_name = "ID")]
    source_cluster: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let name = arguments.file.display().to_string();
    let open = || File::open(&arguments.file).with_context(|| format!("opening {name}"));
    let input: Box<dyn BufRead> = if name == "-" {
        Box::new(std::io::stdin().lock())
    } else if name.ends_with(".zst") {
        Box::new(BufReader::with_capacity(1 << 20, zstd::Decoder::new(open()?).with_context(|| format!("decompressing {name}"))?))
    } else {
        Box::new(BufReader::with_capacity(1 << 20, open()?))
    };
    let mut progress = Progress::new();
    let result = import(input, &name, &arguments.out, arguments.source_cluster.as_deref(), |records| {
        progress.show(format_args!("{records} records"));
    });
    progress.end();
    let summary = result?;
    talk(format_args!("{} records of {} streams in {}", summary.records, summary.streams, arguments.out.display()));
    if summary.source_unknown {
        talk(format_args!("the source cluster is unknown: replay will ask for --allow-unknown-source (or import with --source-cluster)"));
    }
    Ok(Outcome::Done)
}
