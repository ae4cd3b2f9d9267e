//! Which partition a key goes to: Kafka's Java client's rule, which `--partitions rekey` follows; and which rule the source's
//! producers followed, from what was recorded.
//!
//! Guarantees: [`java_partition`] is the Java client's choice for a record that has a key, an empty one included. The
//! inference looks at a bounded sample (see `sample`), depends on the recording alone, and says how many keys it rests on.
//!
//! Limits: a topic that was made wider while it was recorded, and one with a partitioner of its own, come out as neither.
//! Empty keys are not looked at (librdkafka spreads them at random, the Java client does not).

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;

use dejaq_shared::units::{format_count, format_percent};
use serde::Serialize;

mod sample;
pub use sample::sample;

/// Kafka's murmur2, as `org.apache.kafka.common.utils.Utils.murmur2` computes it (seed 0x9747b28c, 32 bits, little-endian).
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // Only keys beyond 4 GiB would lose something, and no record has such a one.
    #[expect(clippy::cast_possible_truncation, reason = "a key has 128 MiB at most")]
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |last, byte| (last << 8) | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition that the Java client's default partitioner gives a key (`Utils.toPositive(murmur2(key)) % partitions`).
#[must_use]
#[inline]
pub fn java_partition(key: &[u8], partitions: NonZeroU32) -> i32 {
    as_partition((murmur2(key) & 0x7fff_ffff) % partitions)
}

/// The partition that librdkafka's `consistent` partitioners (its default among them) give a key.
#[must_use]
fn crc32_partition(key: &[u8], partitions: NonZeroU32) -> i32 {
    as_partition(crc32fast::hash(key) % partitions)
}

fn as_partition(below_count: u32) -> i32 {
    i32::try_from(below_count).unwrap_or(i32::MAX)
}

/// A rule that the source's producers may have followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Partitioner {
    /// The Java client's.
    Murmur2,
    /// librdkafka's.
    Crc32,
    /// None of both.
    Neither,
}

/// What a topic's sampled keys say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicPartitioner {
    /// The recorded topic.
    pub topic: String,
    /// Its partitions at the source.
    pub partitions: u32,
    /// Whether the recording tells that number; else it is that of the highest recorded partition, and may be too small.
    pub partitions_known: bool,
    /// Different keys that were looked at.
    pub keys: u64,
    /// The share of them that lies where murmur2 puts it.
    pub murmur2: f64,
    /// The share of them that lies where CRC-32 puts it.
    pub crc32: f64,
    /// What follows; `None`: too few keys, or a single partition.
    pub partitioner: Option<Partitioner>,
}

/// Fewer keys than this prove nothing: 27 of 30 lie right by chance, in two partitions, four times in a million.
const KEYS_MIN: u64 = 30;
/// From this share on a rule explains what was recorded.
const SHARE_MIN: f64 = 0.9;
/// Different keys looked at per topic, and in all.
const KEYS_PER_TOPIC_MAX: usize = 1_000;
const KEYS_MAX: usize = 200_000;

/// One topic's keys so far.
#[derive(Debug, Default)]
struct Seen {
    /// Both hashes of a key, and the partition that it was in.
    keys: HashSet<(u32, u32, i32)>,
    murmur2: u64,
    crc32: u64,
}

/// Collects keys, topic by topic.
#[derive(Debug)]
pub struct Inference {
    /// Name, partitions and whether that number is known.
    topics: Vec<(String, NonZeroU32, bool)>,
    seen: Vec<Seen>,
    keys: usize,
}

impl Inference {
    /// For topics of these names and widths (`true`: known for sure).
    #[must_use]
    pub fn new(topics: Vec<(String, NonZeroU32, bool)>) -> Self {
        let seen = topics.iter().map(|_| Seen::default()).collect();
        Self { topics, seen, keys: 0 }
    }

    /// A record of the topic with this number had this key and this partition.
    pub fn key(&mut self, topic: usize, key: &[u8], partition: i32) {
        let (Some((_, partitions, _)), Some(seen)) = (self.topics.get(topic), self.seen.get_mut(topic)) else { return };
        if key.is_empty() || seen.keys.len() >= KEYS_PER_TOPIC_MAX || self.keys >= KEYS_MAX {
            return;
        }
        let (java, crc32) = (java_partition(key, *partitions), crc32_partition(key, *partitions));
        if seen.keys.insert((murmur2(key), crc32fast::hash(key), partition)) {
            self.keys += 1;
            seen.murmur2 += u64::from(java == partition);
            seen.crc32 += u64::from(crc32 == partition);
        }
    }

    /// What the keys say, for each topic that had some, by name.
    #[must_use]
    pub fn found(self) -> Vec<TopicPartitioner> {
        let keyed = self.topics.into_iter().zip(self.seen).filter(|(_, seen)| !seen.keys.is_empty());
        let mut found: Vec<TopicPartitioner> = keyed
            .map(|((topic, partitions, partitions_known), seen)| {
                let keys = seen.keys.len() as u64;
                let (murmur2, crc32) = (seen.murmur2 as f64 / keys as f64, seen.crc32 as f64 / keys as f64);
                let partitioner = (keys >= KEYS_MIN && partitions.get() > 1).then_some(if murmur2.max(crc32) < SHARE_MIN {
                    Partitioner::Neither
                } else if murmur2 >= crc32 {
                    Partitioner::Murmur2
                } else {
                    Partitioner::Crc32
                });
                TopicPartitioner { topic, partitions: partitions.get(), partitions_known, keys, murmur2, crc32, partitioner }
            })
            .collect();
        found.sort_by(|a, b| a.topic.cmp(&b.topic));
        found
    }
}

/// What was found in words, a line for each rule. With `rekey` also what that changes.
#[must_use]
pub fn words(found: &[TopicPartitioner], rekey: bool) -> Vec<String> {
    let mut of_rule: BTreeMap<Partitioner, Vec<&TopicPartitioner>> = BTreeMap::new();
    for topic in found {
        if let Some(rule) = topic.partitioner {
            of_rule.entry(rule).or_default().push(topic);
        }
    }
    of_rule.into_iter().filter_map(|(rule, topics)| words_of(rule, &topics, rekey)).collect()
}

fn words_of(rule: Partitioner, topics: &[&TopicPartitioner], rekey: bool) -> Option<String> {
    let first = topics.first()?;
    let which = match topics.len() {
        1 => first.topic.clone(),
        more => format!("{} and {} more topics", first.topic, more - 1),
    };
    let keys = format_count(topics.iter().map(|t| t.keys).sum());
    let least = |share: fn(&TopicPartitioner) -> f64| format_percent(topics.iter().map(|t| share(t)).fold(1.0, f64::min));
    let most_moved = || format_percent(1.0 - topics.iter().map(|t| t.murmur2).fold(1.0, f64::min));
    let moved = if rekey && rule != Partitioner::Murmur2 {
        format!(
            "; --partitions rekey goes by murmur2: up to {} of the keys would lie elsewhere even among as many partitions",
            most_moved()
        )
    } else {
        String::new()
    };
    Some(match rule {
        Partitioner::Murmur2 => {
            format!(
                "keys of {which} lie where murmur2 puts them (Kafka's Java client): at least {} of {keys} sampled",
                least(|t| t.murmur2)
            )
        }
        Partitioner::Crc32 => {
            format!("keys of {which} lie where CRC-32 puts them (librdkafka): at least {} of {keys} sampled{moved}", least(|t| t.crc32))
        }
        Partitioner::Neither => format!(
            "keys of {which} lie neither where murmur2 nor where CRC-32 puts them (at least {} and {} of {keys} sampled do){moved}",
            least(|t| t.murmur2),
            least(|t| t.crc32)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Apache Kafka's Java client says of a fixed set of keys: `tests/peer/peer partition-keys --partitions 3,50`. A live
    /// test holds it against the client again.
    const JAVA: &str = include_str!("partitioner/java_keys.ndjson");

    #[derive(serde::Deserialize)]
    struct Row {
        key: String,
        murmur2: i32,
        partitions: [i32; 2],
    }

    fn bytes_of(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect()
    }

    fn count(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("positive")
    }

    #[test]
    fn keys_go_where_the_java_client_puts_them() {
        assert_eq!(JAVA.lines().count(), 89);
        for row in JAVA.lines().map(|line| serde_json::from_str::<Row>(line).expect("a row")) {
            let key = bytes_of(&row.key);
            assert_eq!(murmur2(&key).cast_signed(), row.murmur2, "{}", row.key);
            assert_eq!([java_partition(&key, count(3)), java_partition(&key, count(50))], row.partitions, "{}", row.key);
        }
    }

    #[test]
    fn crc32_is_that_of_librdkafka() {
        // The check value of CRC-32 (as in zlib): librdkafka's rd_crc32 is the same polynomial.
        assert_eq!(crc32_partition(b"123456789", count(1_000)), i32::try_from(0xcbf4_3926u32 % 1_000).expect("small"));
    }

    fn inferred(place: impl Fn(usize, &[u8]) -> i32) -> TopicPartitioner {
        let mut inference = Inference::new(vec![("t".to_owned(), count(6), true)]);
        for n in 0..400 {
            let key = format!("key-{n}");
            // Twice: a key counts once.
            inference.key(0, key.as_bytes(), place(n, key.as_bytes()));
            inference.key(0, key.as_bytes(), place(n, key.as_bytes()));
        }
        inference.key(0, b"", 0);
        inference.found().remove(0)
    }

    #[test]
    fn the_source_s_rule_is_found_with_its_share() {
        let java = inferred(|_, key| java_partition(key, count(6)));
        assert_eq!((java.partitioner, java.keys, java.murmur2), (Some(Partitioner::Murmur2), 400, 1.0));
        let c = inferred(|_, key| crc32_partition(key, count(6)));
        assert_eq!((c.partitioner, c.crc32), (Some(Partitioner::Crc32), 1.0));
        assert!(c.murmur2 < 0.3, "{c:?}");
        // A tenth by hand is still the rule, a fifth is none.
        let by_hand = |every| inferred(move |n, key| if n % every == 0 { 0 } else { java_partition(key, count(6)) }).partitioner;
        assert_eq!((by_hand(12), by_hand(4)), (Some(Partitioner::Murmur2), Some(Partitioner::Neither)));
    }

    #[test]
    fn a_few_keys_or_a_single_partition_prove_nothing() {
        let mut inference =
            Inference::new(vec![("few".into(), count(6), true), ("one".into(), count(1), true), ("none".into(), count(6), true)]);
        for n in 0..40u32 {
            let key = format!("key-{n}");
            if n < 29 {
                inference.key(0, key.as_bytes(), java_partition(key.as_bytes(), count(6)));
            }
            inference.key(1, key.as_bytes(), 0);
        }
        let found = inference.found();
        assert_eq!(found.iter().map(|t| (t.topic.as_str(), t.partitioner)).collect::<Vec<_>>(), [("few", None), ("one", None)]);
        assert_eq!(words(&found, true), [] as [String; 0]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut inference = Inference::new(vec![("t".into(), count(6), true)]);
        (0..5_000u32).for_each(|n| inference.key(0, &n.to_le_bytes(), 0));
        assert_eq!(inference.found()[0].keys, KEYS_PER_TOPIC_MAX as u64);
    }

    #[test]
    fn rekey_says_what_it_changes() {
        let c = [inferred(|_, key| crc32_partition(key, count(6)))];
        assert_eq!(words(&c, false), ["keys of t lie where CRC-32 puts them (librdkafka): at least 100 % of 400 sampled"]);
        assert!(words(&c, true)[0].contains("of the keys would lie elsewhere"), "{:?}", words(&c, true));
        let java = [inferred(|_, key| java_partition(key, count(6)))];
        assert_eq!(words(&java, true), words(&java, false));
    }
}
