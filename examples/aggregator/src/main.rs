//! `aggregator`: the service, the traffic that production would give it, and the topics for both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use dejaq_aggregator::topics::{self, Topic};
use dejaq_aggregator::{Service, Stats, Traffic};

/// A small service that aggregates tagged metrics from Kafka, with a flaw: state for each set of tags
#[derive(Parser)]
enum Arguments {
    /// Read metrics and publish aggregates, once a second
    Run {
        #[command(flatten)]
        service: Service,
        /// How long (default: until it is killed)
        #[arg(long, value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Send what production would: metrics and orders
    Traffic {
        #[command(flatten)]
        traffic: Traffic,
        /// How long
        #[arg(long, value_name = "SECONDS")]
        seconds: u64,
    },
    /// Make topics that are not there
    Topics {
        /// The brokers: host:port,…
        #[arg(long, value_name = "HOST:PORT")]
        brokers: String,
        /// Each topic, and how many partitions it is to have
        #[arg(value_name = "NAME:PARTITIONS", required = true)]
        topics: Vec<Topic>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse() {
        Arguments::Run { service, seconds } => run(&service, seconds),
        Arguments::Traffic { traffic, seconds } => {
            say(&format!("sent {} messages", traffic.send(Duration::from_secs(seconds))?));
            Ok(())
        }
        Arguments::Topics { brokers, topics } => topics::make(&brokers, &topics),
    }
}

fn run(service: &Service, seconds: Option<u64>) -> anyhow::Result<()> {
    let (stats, stop) = (Arc::new(Stats::default()), Arc::new(AtomicBool::new(false)));
    let watch = {
        let (stats, stop) = (Arc::clone(&stats), Arc::clone(&stop));
        std::thread::Builder::new().name("watch".into()).spawn(move || {
            for _ in 0..seconds.unwrap_or(u64::MAX) {
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
