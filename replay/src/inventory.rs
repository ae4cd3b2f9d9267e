//! What tags there are in a recording: how many samples carry each, how many values it has, which are frequent, and how
//! many series they make. What a person needs to know to write a rule.
//!
//! Everything is read once, in the order of the files. Memory is flat in the length and the variety of the recording: a
//! count of distinct things is exact up to [`EXACT_MAX`](crate::distinct::EXACT_MAX) and an estimate beyond, frequent values
//! are kept in a bounded number of counters (`top`), and at most [`TAGS_MAX`] tags are told apart (some 30 KB each).

mod report;
mod stamps;
mod suggest;
mod top;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::BuildHasher as _;

use dejaq_shared::record::Record;
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::walk::each_record;
use rustc_hash::FxBuildHasher;

use crate::distinct::{Distinct, ERROR_SHARE};
use crate::transform::formats::{Format, FormatKind, Parsed, Part, Wanted, open};
use crate::transform::recognise::{Opener, Recognition, formats};

pub use report::{GroupReport, Malformation, TagOfGroup, TagReport, TopValue, Unrecognised};
pub use suggest::suggest;
pub use top::KEPT;

use top::Top;

/// The most tags that are told apart, over all topics.
pub const TAGS_MAX: usize = 2_048;
/// The most values of a tag that are shown.
const TOP_SHOWN: usize = 10;
/// Formats that every stream has besides the one of its payloads.
const BESIDE: [FormatKind; 4] = [FormatKind::Key, FormatKind::Header, FormatKind::AmqpHeader, FormatKind::RoutingKey];

/// A stream of the recording: its name, its topic.
#[derive(Debug, Clone)]
struct StreamName {
    name: String,
    topic: String,
}

/// Counts tags. See the module's words.
#[derive(Debug)]
pub struct Inventory {
    streams: Vec<StreamName>,
    recognised: Vec<Recognition>,
    groups: Vec<Group>,
    /// For each stream its groups, as indices.
    of_stream: Vec<Vec<usize>>,
    formats: BTreeMap<FormatKind, Box<dyn Format>>,
    parsed: Parsed,
    tags: usize,
    damaged_blocks: u64,
}

#[derive(Debug)]
struct Group {
    topic: String,
    kind: FormatKind,
    recognised: String,
    payloads: u64,
    malformed: u64,
    example: Option<Malformation>,
    samples: u64,
    metrics: Distinct,
    named: bool,
    series: Distinct,
    stamps: u64,
    tags: BTreeMap<Vec<u8>, SeenTag>,
    other_tags: u64,
}

#[derive(Debug, Default)]
struct SeenTag {
    samples: u64,
    values: u64,
    /// The sample that had it last: a tag that a sample has twice counts once.
    last: u64,
    distinct: Distinct,
    top: Top,
    stamp: stamps::Guess,
}

/// Goes through a whole recording. `progress` is told how many of its raw bytes are done.
///
/// # Errors
/// I/O, or a block that must be understood.
pub fn take_inventory(recording: &Recording, progress: &mut dyn FnMut(u64)) -> Result<TagReport, SegmentError> {
    let streams = recording.streams.iter().map(|s| StreamName { name: s.stream.name(), topic: s.stream.topic().to_owned() });
    let mut inventory = Inventory::new(streams.collect(), formats(recording)?, open);
    let mut done = 0;
    let damaged = each_record::<SegmentError>(
        recording,
        |ix| {
            progress(done);
            done += recording.blocks[ix].bytes_raw;
            true
        },
        |stream, record| {
            inventory.take(stream as usize, record);
            Ok(())
        },
    )?;
    progress(done);
    inventory.damaged_blocks = damaged;
    Ok(inventory.report())
}

impl Inventory {
    fn new(streams: Vec<StreamName>, recognised: Vec<Recognition>, opener: Opener) -> Self {
        let mut places = BTreeMap::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut formats = BTreeMap::new();
        let mut of_stream = Vec::with_capacity(streams.len());
        for (stream, found) in streams.iter().zip(&recognised) {
            let kinds = found.format.into_iter().chain(BESIDE);
            let mut mine = Vec::new();
            for kind in kinds {
                if let Entry::Vacant(place) = formats.entry(kind) {
                    let Ok(format) = opener(kind, &Wanted::default()) else { continue };
                    place.insert(format);
                }
                mine.push(*places.entry((stream.topic.clone(), kind)).or_insert_with(|| {
                    let recognised = if kind.part() == Part::Value { found.to_string() } else { String::new() };
                    groups.push(Group::new(stream.topic.clone(), kind, recognised));
                    groups.len() - 1
                }));
            }
            of_stream.push(mine);
        }
        Self { streams, recognised, groups, of_stream, formats, parsed: Parsed::default(), tags: 0, damaged_blocks: 0 }
    }

    fn take(&mut self, stream: usize, record: &Record<'_>) {
        let Some(mine) = self.of_stream.get(stream) else { return };
        for group in mine {
            let group = &mut self.groups[*group];
            // An empty header set is no payload.
            let part = group.kind.part();
            let listed = matches!(part, Part::Headers | Part::Properties);
            let Some(payload) = part.of(record).filter(|bytes| !(listed && bytes.is_empty())) else { continue };
            let Some(format) = self.formats.get_mut(&group.kind) else { continue };
            group.payloads += 1;
            match format.parse(payload, &mut self.parsed) {
                Ok(()) => group.note(&self.parsed, &mut self.tags),
                Err(malformed) => {
                    group.malformed += 1;
                    let name = self.streams.get(stream).map_or("", |s| s.name.as_str());
                    group.example.get_or_insert_with(|| Malformation {
                        stream: name.to_owned(),
                        position: record.position,
                        what: malformed.to_string(),
                    });
                }
            }
        }
    }

    fn report(&self) -> TagReport {
        let mut groups: Vec<&Group> = self.groups.iter().filter(|g| g.payloads > 0).collect();
        groups.sort_by(|a, b| (&a.topic, a.kind).cmp(&(&b.topic, b.kind)));
        TagReport {
            estimate_error_share: ERROR_SHARE,
            series: groups.iter().map(|g| g.report()).collect(),
            tags: groups.iter().flat_map(|g| g.tags()).collect(),
            unrecognised: self.unrecognised(),
            damaged_blocks: self.damaged_blocks,
        }
    }

    fn unrecognised(&self) -> Vec<Unrecognised> {
        let mut by_topic: BTreeMap<&str, Unrecognised> = BTreeMap::new();
        for (stream, found) in self.streams.iter().zip(&self.recognised).filter(|(_, r)| r.format.is_none() && r.looked > 0) {
            let entry = by_topic.entry(&stream.topic);
            entry.or_insert_with(|| Unrecognised { topic: stream.topic.clone(), streams: 0, why: found.to_string() }).streams += 1;
        }
        by_topic.into_values().collect()
    }
}

impl Group {
    fn new(topic: String, kind: FormatKind, recognised: String) -> Self {
        Self {
            topic,
            kind,
            recognised,
            payloads: 0,
            malformed: 0,
            example: None,
            samples: 0,
            metrics: Distinct::default(),
            named: false,
            series: Distinct::default(),
            stamps: 0,
            tags: BTreeMap::new(),
            other_tags: 0,
        }
    }

    /// Whether a tag set is a series: JSON documents and headers are no metrics.
    fn has_series(&self) -> bool {
        !matches!(self.kind, FormatKind::Json | FormatKind::Key | FormatKind::Header | FormatKind::AmqpHeader | FormatKind::RoutingKey)
    }

    fn note(&mut self, parsed: &Parsed, tags_known: &mut usize) {
        self.stamps += parsed.stamps.len() as u64;
        for sample in &parsed.samples {
            self.samples += 1;
            let metric = FxBuildHasher.hash_one(parsed.get(sample.metric));
            if sample.metric.len > 0 {
                self.named = true;
                self.metrics.add(metric);
            }
            // A sum: the order of tags says nothing.
            let mut series = spread(metric);
            for (_, tag) in parsed.tags_of(sample) {
                let (name, value) = (parsed.get(tag.name), parsed.get(tag.value));
                let sample = self.samples;
                let value_hash = match self.tag(name, tags_known) {
                    Some(seen) => seen.note(value, sample),
                    None => {
                        self.other_tags += 1;
                        FxBuildHasher.hash_one(value)
                    }
                };
                series = series.wrapping_add(spread(FxBuildHasher.hash_one(name).rotate_left(32) ^ spread(value_hash)));
            }
            if self.has_series() {
                self.series.add(series);
            }
        }
    }

    fn tag(&mut self, name: &[u8], tags_known: &mut usize) -> Option<&mut SeenTag> {
        if !self.tags.contains_key(name) {
            if *tags_known >= TAGS_MAX {
                return None;
            }
            *tags_known += 1;
            self.tags.insert(name.to_vec(), SeenTag::default());
        }
        self.tags.get_mut(name)
    }

    fn report(&self) -> GroupReport {
        let (metrics, series) = (self.metrics.count(), self.series.count());
        GroupReport {
            topic: self.topic.clone(),
            format: self.kind.name(),
            recognised: self.recognised.clone(),
            payloads: self.payloads,
            malformed: self.malformed,
            malformed_example: self.example.clone(),
            samples: self.samples,
            metrics: self.named.then_some(metrics.count),
            metrics_exact: metrics.exact,
            series: self.has_series().then_some(series.count),
            series_exact: series.exact,
            stamps: self.stamps,
            other_tags: self.other_tags,
            kind: self.kind,
        }
    }

    fn tags(&self) -> Vec<TagOfGroup> {
        let mut tags: Vec<TagOfGroup> = self.tags.iter().map(|(name, seen)| seen.report(self, name)).collect();
        tags.sort_by(|a, b| b.distinct.cmp(&a.distinct).then_with(|| a.tag.cmp(&b.tag)));
        tags
    }
}

impl SeenTag {
    /// Notes a value in the n-th sample of its group, and returns the value's hash.
    fn note(&mut self, value: &[u8], sample: u64) -> u64 {
        self.samples += u64::from(self.last != sample);
        self.last = sample;
        self.values += 1;
        self.stamp.look(value);
        let hash = self.top.add(value);
        self.distinct.add(spread(hash));
        hash
    }

    fn report(&self, group: &Group, name: &[u8]) -> TagOfGroup {
        let distinct = self.distinct.count();
        let share = |count: u64| count as f64 / self.values.max(1) as f64;
        let top = self.top.largest(TOP_SHOWN).into_iter().map(|(value, count)| TopValue { value, count, share: share(count) });
        TagOfGroup {
            topic: group.topic.clone(),
            format: group.kind.name(),
            tag: String::from_utf8_lossy(name).into_owned(),
            samples: self.samples,
            distinct: distinct.count,
            distinct_exact: distinct.exact,
            top: top.collect(),
            top_exact: self.top.is_exact(),
            stamp: self.stamp.unit().filter(|_| group.kind == FormatKind::Json),
            kind: group.kind,
        }
    }
}

/// SplitMix64's finisher: sums of what it gives do not cancel out.
fn spread(n: u64) -> u64 {
    let z = (n ^ (n >> 30)).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
