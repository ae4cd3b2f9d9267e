//! `dejaq-bench`: speed and size, side by side with the tools that do the same. `scripts/bench` builds and runs it.
//!
//! The two sides of a row run one after the other, round by round, in the same minutes on the same machine: the ratio of
//! each pair counts, not the rates. Rates on a machine that others use too say little.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

mod mcap_side;
mod payloads;
mod segments;
mod table;

use payloads::Payloads;

#[derive(Parser)]
#[command(about = "dejaq's speed and size, side by side with the tools that do the same")]
struct Arguments {
    /// Messages to measure with: NDJSON, one object with "value" and "ts_us" a line, .zst or plain. Without it: made-up ones
    #[arg(long, value_name = "FILE", global = true)]
    data: Option<PathBuf>,
    /// Pairs of measurements for each row
    #[arg(long, value_name = "N", default_value_t = 5, global = true)]
    rounds: usize,
    /// Write the rows as JSON too
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Segments against the mcap crate
    Segments,
    /// Write segments and nothing else, for a profiler
    Write,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let payloads = match &arguments.data {
        Some(path) => Payloads::read(path)?,
        None => Payloads::made_up(),
    };
    if payloads.synthetic {
        talk("NO REAL DATA: the messages are made up (--data FILE gives real ones). Compression, sizes and so rates are NOT comparable");
    }
    let mut rows = Vec::new();
    match &arguments.what {
        What::Segments => {
            for set in [payloads.cut(100), payloads] {
                segments::measure(&set, arguments.rounds, &mut rows)?;
            }
        }
        What::Write => {
            let rate = segments::write_only(&payloads.cut(100), arguments.rounds)?;
            talk(&format!("{rate:.0} records/s"));
        }
    }
    print(&table::text(&rows));
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&serde_json::json!({ "rows": table::rows_json(&rows) }))?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is the data that this program makes")]
fn print(text: &str) {
    print!("{text}");
}

/// Says something to the person, on stderr.
#[expect(clippy::print_stderr, reason = "this program talks to a person")]
fn talk(text: &str) {
    eprintln!("bench: {text}");
}
