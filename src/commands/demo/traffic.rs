//! Production-like traffic, the same for the same seed: bursts, keys by Zipf's law, DogStatsD metrics with tags, orders as
//! JSON with headers.

use std::time::{Duration, Instant};

use dejaq_shared::broker::AnyTarget;
use dejaq_shared::broker::endpoint::Endpoint;
use dejaq_shared::broker::sink::{ClientProfile, Completions as _, Destination, Outgoing, QueueLimits, Refusal, Sink as _, SinkOptions};
use dejaq_shared::record::HeadersBuf;

/// Topics and their partitions.
pub(super) const TOPICS: [(&str, u32); 2] = [("metrics", 4), ("orders", 2)];
const METRICS: u32 = 0;
const ORDERS: u32 = 1;
/// Different hosts.
pub(super) const HOSTS: usize = 40;
const CUSTOMERS: usize = 500;
const TICK: Duration = Duration::from_millis(5);

/// Sends traffic to the cluster at `url` for `duration`; returns the number of messages.
pub(super) fn send(url: &str, seed: u64, duration: Duration) -> anyhow::Result<u64> {
    let queue = QueueLimits { messages_max: 100_000, bytes_max: 32 << 20 };
    let options = SinkOptions { queue, profile: ClientProfile::Precise, connections: 1, user: Vec::new() };
    let target = AnyTarget::connect(&Endpoint::parse(url)?, &options, Duration::from_secs(10))?;
    let destinations = TOPICS.map(|(name, _)| Destination::named(name));
    let (mut sink, mut completions) = target.open(&destinations, Duration::from_secs(10))?;
    let mut source = Traffic::new(seed);
    let began = Instant::now();
    let mut sent = 0u64;
    let mut tick = Duration::ZERO;
    while began.elapsed() < duration {
        for _ in 0..source.due() {
            let message = source.next();
            let mut headers = HeadersBuf::default();
            if message.topic == ORDERS {
                headers.push(b"content-type", Some(b"application/json"));
            }
            let outgoing = Outgoing {
                target: message.topic,
                partition: message.partition,
                key: Some(message.key.as_bytes()),
                value: Some(message.value.as_bytes()),
                headers: headers.as_headers(),
                ..Outgoing::EMPTY
            };
            match sink.submit(&outgoing) {
                Ok(()) => sent += 1,
                // This service drops what it cannot send at once; what is recorded is what was sent.
                Err(Refusal::QueueFull | Refusal::Blocked) => {}
                Err(Refusal::Final(why)) => anyhow::bail!("the demo's traffic was refused: {why}"),
            }
        }
        // The answers' own pace must not become the traffic's: the mock keeps 5 MiB a partition, and no more may come.
        tick += TICK;
        while let Some(left) = tick.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            completions.poll(left, &mut |_| ())?;
        }
    }
    sink.flush(Duration::from_secs(2));
    while sink.in_flight() > 0 && began.elapsed() < duration + Duration::from_secs(5) {
        completions.poll(TICK, &mut |_| ())?;
    }
    Ok(sent)
}

struct Message {
    topic: u32,
    partition: i32,
    key: String,
    value: String,
}

struct Traffic {
    random: SplitMix,
    hosts: Zipf,
    customers: Zipf,
    tick: u64,
    order: u64,
}

impl Traffic {
    fn new(seed: u64) -> Self {
        Self { random: SplitMix(seed), hosts: Zipf::new(HOSTS), customers: Zipf::new(CUSTOMERS), tick: 0, order: 0 }
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
        let host = self.hosts.pick(&mut self.random);
        let (name, kind) = [("http.requests", "c"), ("http.latency", "h"), ("queue.depth", "g")][self.random.index(3)];
        let endpoint = ["/cart", "/login", "/search", "/pay"][self.random.index(4)];
        let status = if self.random.below(50) == 0 { 500 } else { 200 };
        let value = format!("{name}:{}|{kind}|#host:web-{host:03},endpoint:{endpoint},status:{status}", self.random.below(1_000));
        Message { topic: METRICS, partition: i32::try_from(host % 4).unwrap_or(0), key: format!("web-{host:03}"), value }
    }

    fn order(&mut self) -> Message {
        self.order += 1;
        let customer = self.customers.pick(&mut self.random);
        let cents = 100 + self.random.below(50_000);
        let value = format!("{{\"order\":{},\"customer\":\"c{customer:05}\",\"cents\":{cents}}}", self.order);
        Message { topic: ORDERS, partition: i32::try_from(customer % 2).unwrap_or(0), key: format!("c{customer:05}"), value }
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
