//! `aggregator`: the service, and the traffic that production would give it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use dejaq_aggregator::{Service, Stats, traffic};

/// A small service that aggregates tagged metrics from Kafka, with a flaw: state for each set of tags
#[derive(Parser)]
enum Arguments {
    /// Read metrics and publish aggregates, once a second
    Run {
        #[command(flatten)]
        service: Service,
        /// How long
        #[arg(long, value_name = "SECONDS")]
        seconds: u64,
    },
    /// Send what production would: metrics and orders
    Traffic {
        /// The brokers: host:port,…
        #[arg(long, value_name = "HOST:PORT")]
        brokers: String,
        /// The seed of it
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How long
        #[arg(long, value_name = "SECONDS")]
        seconds: u64,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse() {
        Arguments::Run { service, seconds } => run(&service, Duration::from_secs(seconds)),
        Arguments::Traffic { brokers, seed, seconds } => {
            say(&format!("sent {} messages", traffic::send(&brokers, seed, Duration::from_secs(seconds))?));
            Ok(())
        }
    }
}

fn run(service: &Service, length: Duration) -> anyhow::Result<()> {
    let (stats, stop) = (Arc::new(Stats::default()), Arc::new(AtomicBool::new(false)));
    let watch = {
        let (stats, stop) = (Arc::clone(&stats), Arc::clone(&stop));
        std::thread::Builder::new().name("watch".into()).spawn(move || {
            for _ in 0..length.as_secs() {
                std::thread::sleep(Duration::from_secs(1));
                let [read, groups, published] = [&stats.read, &stats.groups, &stats.published].map(|n| n.load(Ordering::Relaxed));
                say(&format!("read {read}  groups {groups}  published {published}"));
            }
            stop.store(true, Ordering::Relaxed);
        })
    }
    .context("starting a thread")?;
    let done = service.run(&stats, &stop);
    if done.is_ok() {
        watch.join().map_err(|_| anyhow::anyhow!("the thread that counts ended unexpectedly"))?;
    }
    done
}

#[expect(clippy::print_stdout, reason = "the service says how it stands")]
fn say(text: &str) {
    println!("{text}");
}
