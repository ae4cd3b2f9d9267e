//! `dejaq-bench`: speed and size, side by side with the tools that do the same. `scripts/bench` builds and runs it.
//!
//! The two sides of a row run one after the other, round by round, in the same minutes on the same machine: the ratio of
//! each pair counts, not the rates. Rates on a machine that others use too say little.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

mod expansion;
mod kafka;
mod mcap_side;
mod payloads;
mod process;
mod rabbitmq;
mod segments;
mod table;
mod topics;

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
    /// Segments, expansion, then Kafka
    All(kafka::Setup),
    /// Segments against the mcap crate
    Segments,
    /// What a rule costs, by format
    Expansion,
    /// Kafka capture and replay against rdkafka_performance
    Kafka(kafka::Setup),
    /// RabbitMQ replay and capture against PerfTest
    Rabbitmq(rabbitmq::Setup),
    /// One thing over and over, for a profiler
    Profile {
        /// Which
        pass: segments::Pass,
        /// Cut messages to this many bytes
        #[arg(long, value_name = "N", default_value_t = 100)]
        cut: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let payloads = match &arguments.data {
        Some(path) => Payloads::read(path)?,
        None => Payloads::made_up(),
    };
    if payloads.synthetic {
        talk("NO REAL DATA: the messages are made up (--data FILE gives real ones); the figures are NO claim about real traffic");
    }
    talk(&format!("{}: {} messages, {} bytes each on average", payloads.name, payloads.messages.len(), payloads.mean_bytes()));
    let before = load();
    talk(&format!("load before: {before}"));
    let mut rows = Vec::new();
    let rounds = arguments.rounds.max(1);
    let (segments, expansion, kafka, rabbitmq) = match &arguments.what {
        What::All(setup) => (true, true, Some(setup), None),
        What::Segments => (true, false, None, None),
        What::Expansion => (false, true, None, None),
        What::Kafka(setup) => (false, false, Some(setup), None),
        What::Rabbitmq(setup) => (false, false, None, Some(setup)),
        What::Profile { pass, cut } => {
            let rate = segments::profile(*pass, &payloads.cut(*cut), rounds)?;
            talk(&format!("{rate:.0} records/s"));
            return Ok(());
        }
    };
    if segments {
        segments::measure(&payloads.cut(100), true, rounds, &mut rows)?;
        segments::measure(&payloads, false, rounds, &mut rows)?;
    }
    if expansion {
        expansion::measure(rounds, &mut rows)?;
    }
    if let Some(setup) = kafka {
        kafka::measure(setup, &payloads.cut(200), rounds, &mut rows)?;
    }
    if let Some(setup) = rabbitmq {
        rabbitmq::measure(setup, &payloads.cut(200), rounds, &mut rows)?;
    }
    let after = load();
    talk(&format!("load after: {after}"));
    print(&table::text(&rows));
    if let Some(path) = &arguments.json {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let json = serde_json::json!({
            "payloads": payloads.name, "made_up": payloads.synthetic, "rounds": rounds, "cores": cores,
            "load_before": before, "load_after": after, "rows": table::rows_json(&rows),
        });
        let text = serde_json::to_string_pretty(&json)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// The machine's load averages, as the kernel says them; only Linux does so.
fn load() -> String {
    match std::fs::read_to_string("/proc/loadavg") {
        Ok(text) => text.split(' ').take(3).collect::<Vec<_>>().join(" "),
        Err(_) => "not known".to_owned(),
    }
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
