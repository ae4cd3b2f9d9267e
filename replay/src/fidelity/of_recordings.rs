//! A recording against a recording: a re-capture against what was replayed. Both are aligned by their first record, go by the
//! clock that each stream has in a replay, and are read side by side, a tenth of a second at a time.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use dejaq_shared::record::Record;
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::timeline::{TimeStatistics, measure};
use dejaq_shared::units::Ratio;

use super::mix::Mix;
use super::order::OrderSample;
use super::shape::{Shape, gap_tolerance_ns};
use super::timing::Timing;
use super::{Apart, Fidelity, Sides, judge};
use crate::feed::{FeedError, RecordFeed};
use crate::hash;
use crate::measure::counts::BUCKET_NS;
use crate::recorded::{RecordedFeed, window};
use crate::schedule::Pace;

/// How many records are asked for at a time.
const BATCH: usize = 4_096;

/// Why recordings have no fidelity.
#[derive(Debug, thiserror::Error)]
pub enum OfRecordingsError {
    /// One cannot be opened, or its times cannot be read.
    #[error(transparent)]
    Recording(#[from] SegmentError),
    /// Its records cannot be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// There is nothing in one of them.
    #[error("a recording without a record is like nothing")]
    Empty,
}

/// Judges how like `base` the recording `new` is. `scratch` is where one is sorted that is far out of time order.
///
/// # Errors
/// [`OfRecordingsError`].
pub fn of_recordings(new: &Path, base: &Path, scratch: &Path) -> Result<Fidelity, OfRecordingsError> {
    let (mut planned, mut sent) = (Side::open(base, scratch)?, Side::open(new, scratch)?);
    let mut rate = Apart::default();
    let (mut a, mut b) = (planned.next_bin()?, sent.next_bin()?);
    if a.is_none() || b.is_none() {
        return Err(OfRecordingsError::Empty);
    }
    loop {
        let order = match (a, b) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(&b),
        };
        let count = |bin: Option<(u64, u64)>, is_now: bool| if is_now { bin.map_or(0, |(_, count)| count) } else { 0 };
        rate.add(count(a, order != Ordering::Greater), count(b, order != Ordering::Less));
        if order != Ordering::Greater {
            a = planned.next_bin()?;
        }
        if order != Ordering::Less {
            b = sent.next_bin()?;
        }
    }
    let streams = streams(&planned, &sent);
    let shapes = [&planned, &sent].map(Side::shape);
    Ok(judge(&Sides {
        names: ["in the recording", "in the new one"],
        planned: &shapes[0],
        sent: &shapes[1],
        gap_tolerance_ns: gap_tolerance_ns(&Pace::Recorded { speed: Ratio::ONE }),
        rate,
        streams: &streams,
        order: planned.gathered.order.kept_by(sent.gathered.order),
    }))
}

/// The messages of each stream of either side, by name.
fn streams(planned: &Side, sent: &Side) -> Vec<(u64, u64)> {
    let mut by_name: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (name, count) in planned.names.iter().zip(&planned.gathered.streams) {
        by_name.entry(name).or_default().0 += count;
    }
    for (name, count) in sent.names.iter().zip(&sent.gathered.streams) {
        by_name.entry(name).or_default().1 += count;
    }
    by_name.into_values().collect()
}

/// One recording being read.
struct Side {
    feed: RecordedFeed,
    names: Vec<String>,
    gathered: Gathered,
}

/// What is known of the records so far.
struct Gathered {
    /// The hash of each stream's name.
    name_hashes: Vec<u64>,
    first_ns: Option<i64>,
    timing: Timing,
    mix: Mix,
    streams: Vec<u64>,
    order: OrderSample,
    /// Tenths of a second that are over, with their counts.
    bins: VecDeque<(u64, u64)>,
    open: (u64, u64),
}

impl Side {
    fn open(dir: &Path, scratch: &Path) -> Result<Self, OfRecordingsError> {
        let recording = Arc::new(Recording::open(dir)?);
        let names: Vec<String> = recording.streams.iter().map(|s| s.stream.name()).collect();
        let statistics = measure(&recording)?;
        let clocks: Vec<_> = statistics.iter().map(TimeStatistics::preferred_clock).collect();
        let feed = RecordedFeed::open(recording, &clocks, &statistics, window(None, None), scratch, &mut |_| ())?;
        let gathered = Gathered {
            name_hashes: names.iter().map(|name| hash::bytes(0, name.as_bytes())).collect(),
            first_ns: None,
            timing: Timing::default(),
            mix: Mix::default(),
            streams: vec![0; names.len()],
            order: OrderSample::default(),
            bins: VecDeque::new(),
            open: (0, 0),
        };
        Ok(Self { feed, names, gathered })
    }

    /// The next tenth of a second that has records: its number, and how many.
    fn next_bin(&mut self) -> Result<Option<(u64, u64)>, FeedError> {
        let Self { feed, gathered, .. } = self;
        while gathered.bins.is_empty() {
            if feed.next_batch(BATCH, &mut |time_ns, record| gathered.take(time_ns, record))? == 0 {
                let last = std::mem::take(&mut gathered.open);
                return Ok(Some(last).filter(|(_, count)| *count > 0));
            }
        }
        Ok(gathered.bins.pop_front())
    }

    fn shape(&self) -> Shape {
        Shape { timing: self.gathered.timing.summary(), mix: self.gathered.mix.summary_without(None) }
    }
}

impl Gathered {
    fn take(&mut self, time_ns: i64, record: &Record<'_>) {
        let first_ns = *self.first_ns.get_or_insert(time_ns);
        let ns = u64::try_from(time_ns.saturating_sub(first_ns)).unwrap_or(0);
        self.timing.push(ns);
        self.mix.push(record.bytes_raw() as u64, record.key);
        let stream = record.stream as usize;
        if let (Some(count), Some(name)) = (self.streams.get_mut(stream), self.name_hashes.get(stream)) {
            *count += 1;
            self.order.push(record.stream, *name, record.key, record.value);
        }
        let bin = ns / BUCKET_NS;
        if bin > self.open.0 {
            self.bins.extend(Some(self.open).filter(|(_, count)| *count > 0));
            self.open = (bin, 0);
        }
        self.open.1 += 1;
    }
}
