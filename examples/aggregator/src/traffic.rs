//! Production-like traffic, the same for the same seed: bursts, keys by Zipf's law, DogStatsD metrics with tags, several to a
//! message as clients send them, and orders as JSON with headers.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

/// Topics, as they are called by default, and their partitions.
pub const TOPICS: [(&str, u32); 2] = [("metrics", METRICS_PARTITIONS), ("orders", ORDERS_PARTITIONS)];
/// Different processes that metrics are tagged with.
pub const PROCESSES: usize = 40;
const METRICS_PARTITIONS: u32 = 4;
const ORDERS_PARTITIONS: u32 = 2;
/// The most samples in a message: about as many as a client puts into a datagram of 1,432 bytes.
const SAMPLES: u64 = 24;
const CUSTOMERS: usize = 10;
const BUYERS: usize = 500;
const TICK: Duration = Duration::from_millis(5);
const FLUSH: Duration = Duration::from_secs(5);

/// Where traffic goes to.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Traffic {
    /// The brokers: host:port,…
    #[arg(long, value_name = "HOST:PORT")]
    pub brokers: String,
    /// The topic for metrics: 4 partitions
    #[arg(long, value_name = "TOPIC", default_value = TOPICS[0].0)]
    pub metrics: String,
    /// The topic for orders: 2 partitions
    #[arg(long, value_name = "TOPIC", default_value = TOPICS[1].0)]
    pub orders: String,
    /// The seed of it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Traffic {
    /// Sends for `duration`; returns the number of messages.
    ///
    /// # Errors
    /// When the client cannot be made, or a message is refused.
    pub fn send(&self, duration: Duration) -> anyhow::Result<u64> {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).set("linger.ms", "0").create().context("making the producer")?;
        let mut source = Source::new(self.seed);
        let began = Instant::now();
        let mut sent = 0u64;
        let mut tick = Duration::ZERO;
        while began.elapsed() < duration {
            for _ in 0..source.due() {
                let message = source.next();
                let record = match message.kind {
                    Kind::Metrics => BaseRecord::to(&self.metrics),
                    Kind::Order => BaseRecord::to(&self.orders)
                        .headers(OwnedHeaders::new().insert(Header { key: "content-type", value: Some("application/json") })),
                };
                match producer.send(record.partition(message.partition).key(&message.key).payload(&message.value)) {
                    Ok(()) => sent += 1,
                    // This service drops what it cannot send at once; what is recorded is what was sent.
                    Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {}
                    Err((error, _)) => return Err(error).context("sending traffic"),
                }
            }
            // The answers' own pace must not become the traffic's.
            tick += TICK;
            while let Some(left) = tick.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
                producer.poll(left);
            }
        }
        producer.flush(FLUSH).context("waiting for the last answers")?;
        Ok(sent)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Metrics,
    Order,
}

struct Message {
    kind: Kind,
    partition: i32,
    key: String,
    value: String,
}

/// What is sent, and when.
struct Source {
    random: SplitMix,
    processes: Zipf,
    customers: Zipf,
    buyers: Zipf,
    tick: u64,
    order: u64,
}

impl Source {
    fn new(seed: u64) -> Self {
        let (processes, customers, buyers) = (Zipf::new(PROCESSES), Zipf::new(CUSTOMERS), Zipf::new(BUYERS));
        Self { random: SplitMix(seed), processes, customers, buyers, tick: 0, order: 0 }
    }

    /// How many messages are due in this tick: a steady hum, a burst now and then.
    fn due(&mut self) -> u64 {
        self.tick += 1;
        let hum = self.random.below(40);
        let burst = if self.random.below(150) == 0 { 500 + self.random.below(2_000) } else { 0 };
        hum + burst
    }

    fn next(&mut self) -> Message {
        if self.random.below(5) == 0 { self.order() } else { self.metrics() }
    }

    /// What one process has to say.
    fn metrics(&mut self) -> Message {
        let process = self.processes.pick(&mut self.random);
        let samples: Vec<String> = (0..=self.random.below(SAMPLES)).map(|_| self.sample(process)).collect();
        let key = format!("api-{process:03}");
        Message { kind: Kind::Metrics, partition: remainder(process, METRICS_PARTITIONS), key, value: samples.join("\n") }
    }

    fn sample(&mut self, process: usize) -> String {
        let customer = self.customers.pick(&mut self.random);
        let (name, kind) = [("query.count", "c"), ("query.time", "h"), ("pool.waiting", "g")][self.random.index(3)];
        format!("{name}:{}|{kind}|#customer:c{customer:02},process:api-{process:03}", self.random.below(1_000))
    }

    fn order(&mut self) -> Message {
        self.order += 1;
        let buyer = self.buyers.pick(&mut self.random);
        let cents = 100 + self.random.below(50_000);
        let value = format!("{{\"order\":{},\"buyer\":\"b{buyer:05}\",\"cents\":{cents}}}", self.order);
        Message { kind: Kind::Order, partition: remainder(buyer, ORDERS_PARTITIONS), key: format!("b{buyer:05}"), value }
    }
}

/// The partition of the n-th process or buyer.
fn remainder(n: usize, partitions: u32) -> i32 {
    i32::try_from(n % partitions as usize).unwrap_or(0)
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; the bias of a 64-bit remainder does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }
}

/// Ranks by Zipf's law with exponent 1: rank r comes with weight 1/r.
struct Zipf {
    /// Sums of the weights, in millionths.
    sums: Vec<u64>,
}

impl Zipf {
    fn new(ranks: usize) -> Self {
        let mut sum = 0;
        let weights = (1..=ranks as u64).map(|rank| {
            sum += 1_000_000 / rank;
            sum
        });
        Self { sums: weights.collect() }
    }

    fn pick(&self, random: &mut SplitMix) -> usize {
        let at = random.below(self.sums.last().copied().unwrap_or(1));
        self.sums.partition_point(|sum| *sum <= at)
    }
}
