//! What the service keeps of the metrics that it has read, and what it publishes of that. Pure: no clock, no Kafka.

use std::collections::BTreeMap;

use serde_json::json;

/// How metrics are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum By {
    /// By metric and the whole set of tags: the flaw. Every new value of a tag is a new group, which is kept for ever.
    #[default]
    TagSet,
    /// By metric and customer: as many groups as there are customers, whatever else is in the tags.
    Customer,
}

/// Samples that a group keeps, for its quantiles.
const SAMPLES: usize = 64;

/// One group's sums.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    count: u64,
    sum: f64,
    max: f64,
    /// The newest samples, as a ring.
    samples: Vec<f64>,
}

impl Group {
    /// With room for its samples, so that a message costs no memory once its group is there.
    fn new() -> Self {
        Self { count: 0, sum: 0.0, max: 0.0, samples: Vec::with_capacity(SAMPLES) }
    }
}

/// All groups.
#[derive(Debug, Default)]
pub struct Aggregates {
    by: By,
    groups: BTreeMap<String, Group>,
    unreadable: u64,
    /// The newest time of what was taken in, in milliseconds since 1970.
    until_ms: i64,
}

impl Aggregates {
    /// None yet.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self { by, ..Self::default() }
    }

    /// Takes one DogStatsD line in: `name:value|kind|#tag:value,…`, which was sent at `at_ms`, in milliseconds since 1970. What
    /// cannot be read is counted.
    pub fn take(&mut self, line: &str, at_ms: i64) {
        self.until_ms = self.until_ms.max(at_ms);
        let Some((name, value, tags)) = parse(line) else {
            self.unreadable += 1;
            return;
        };
        let group = self.groups.entry(self.by.group(name, tags)).or_insert_with(Group::new);
        if group.samples.len() < SAMPLES {
            group.samples.push(value);
        } else if let Some(oldest) = group.samples.get_mut(usize::try_from(group.count).unwrap_or(0) % SAMPLES) {
            *oldest = value;
        }
        group.count += 1;
        group.sum += value;
        group.max = if group.count == 1 { value } else { group.max.max(value) };
    }

    /// How many groups are kept.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// How many lines could not be read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// What is published: key and value of one message for each group that is kept.
    pub fn published(&self) -> impl Iterator<Item = (&str, String)> {
        self.groups.iter().map(|(name, group)| {
            let mut samples = group.samples.clone();
            samples.sort_by(f64::total_cmp);
            let median = samples.get(samples.len() / 2).copied().unwrap_or_default();
            let value = json!({"group": name, "count": group.count, "sum": group.sum, "max": group.max, "median": median,
                "until_ms": self.until_ms});
            (name.as_str(), value.to_string())
        })
    }
}

impl By {
    /// The group of a metric.
    fn group(self, name: &str, tags: &str) -> String {
        match self {
            Self::TagSet => {
                // However a client orders them, it is the same set.
                let mut all: Vec<&str> = tags.split(',').collect();
                all.sort_unstable();
                format!("{name}|{}", all.join(","))
            }
            Self::Customer => {
                let customer = tags.split(',').find_map(|tag| tag.strip_prefix("customer:")).unwrap_or("none");
                format!("{name}|customer:{customer}")
            }
        }
    }
}

/// Name, value and tags.
fn parse(line: &str) -> Option<(&str, f64, &str)> {
    let (name, rest) = line.split_once(':')?;
    let mut parts = rest.split('|');
    let value = parts.next()?.parse().ok()?;
    let _kind = parts.next()?;
    Some((name, value, parts.find_map(|part| part.strip_prefix('#')).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(by: By, lines: &[&str]) -> Aggregates {
        let mut aggregates = Aggregates::new(by);
        lines.iter().zip(1..).for_each(|(line, at_ms)| aggregates.take(line, at_ms));
        aggregates
    }

    const LINES: [&str; 4] =
        ["q:1|c|#process:a,customer:x", "q:2|c|#customer:x,process:a", "q:4|h|#process:b,customer:x", "q:8|g|#process:c,customer:y"];

    #[test]
    fn the_flaw_is_a_group_for_each_tag_set_and_the_mended_one_has_as_many_as_customers() {
        assert_eq!(all(By::TagSet, &LINES).groups(), 3, "a,x twice, b,x, c,y");
        let mended = all(By::Customer, &LINES);
        let published: Vec<_> = mended.published().collect();
        assert_eq!(published.len(), 2);
        assert_eq!(published[0].1, r#"{"count":3,"group":"q|customer:x","max":4.0,"median":2.0,"sum":7.0,"until_ms":4}"#);
    }

    #[test]
    fn what_cannot_be_read_is_counted() {
        let aggregates = all(By::TagSet, &["", "q", "q:x|c", "q:1", "q:1|c"]);
        assert_eq!((aggregates.groups(), aggregates.unreadable()), (1, 4));
    }
}
