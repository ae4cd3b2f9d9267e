//! Production-like traffic, the same for the same seed: bursts, keys by Zipf's law, DogStatsD metrics with tags, orders as
//! JSON with headers.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

/// Topics and their partitions.
pub const TOPICS: [(&str, u32); 2] = [("metrics", 4), ("orders", 2)];
/// Different processes that metrics are tagged with.
pub const PROCESSES: usize = 40;
const CUSTOMERS: usize = 10;
const BUYERS: usize = 500;
const TICK: Duration = Duration::from_millis(5);
const FLUSH: Duration = Duration::from_secs(5);

/// Sends traffic to the cluster at `brokers` (`host:port,…`) for `duration`; returns the number of messages.
///
/// # Errors
/// When the client cannot be made, or a message is refused.
pub fn send(brokers: &str, seed: u64, duration: Duration) -> anyhow::Result<u64> {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("linger.ms", "0").create().context("making the producer")?;
    let mut source = Traffic::new(seed);
    let began = Instant::now();
    let mut sent = 0u64;
    let mut tick = Duration::ZERO;
    while began.elapsed() < duration {
        for _ in 0..source.due() {
            let message = source.next();
            let mut record = BaseRecord::to(message.topic).partition(message.partition).key(&message.key).payload(&message.value);
            if message.topic == ORDERS {
                record = record.headers(OwnedHeaders::new().insert(Header { key: "content-type", value: Some("application/json") }));
            }
            match producer.send(record) {
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

const METRICS: &str = TOPICS[0].0;
const ORDERS: &str = TOPICS[1].0;

struct Message {
    topic: &'static str,
    partition: i32,
    key: String,
    value: String,
}

struct Traffic {
    random: SplitMix,
    processes: Zipf,
    customers: Zipf,
    buyers: Zipf,
    tick: u64,
    order: u64,
}

impl Traffic {
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
        if self.random.below(5) == 0 {
            return self.order();
        }
        let process = self.processes.pick(&mut self.random);
        let customer = self.customers.pick(&mut self.random);
        let (name, kind) = [("query.count", "c"), ("query.time", "h"), ("pool.waiting", "g")][self.random.index(3)];
        let value = format!("{name}:{}|{kind}|#customer:c{customer:02},process:api-{process:03}", self.random.below(1_000));
        Message { topic: METRICS, partition: i32::try_from(process % 4).unwrap_or(0), key: format!("api-{process:03}"), value }
    }

    fn order(&mut self) -> Message {
        self.order += 1;
        let buyer = self.buyers.pick(&mut self.random);
        let cents = 100 + self.random.below(50_000);
        let value = format!("{{\"order\":{},\"buyer\":\"b{buyer:05}\",\"cents\":{cents}}}", self.order);
        Message { topic: ORDERS, partition: i32::try_from(buyer % 2).unwrap_or(0), key: format!("b{buyer:05}"), value }
    }
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
