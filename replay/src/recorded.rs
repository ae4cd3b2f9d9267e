//! A recording as a feed: its records in time order, again from the start when a loop asks for it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::order::{TimeIndex, TimeOrder};
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::scan::Damage;
use dejaq_shared::segment::timeline::{StreamClock, TimeStatistics};

use crate::feed::{FeedError, RecordFeed, TakeRecord};

/// See the module's words.
pub struct RecordedFeed {
    recording: Arc<Recording>,
    index: Arc<TimeIndex>,
    window: RangeInclusive<i64>,
    order: TimeOrder,
    /// Damage met in passes before this one.
    before: Vec<String>,
}

impl RecordedFeed {
    /// Reads the times of the recording. `clocks` and `statistics` have an entry per stream; records outside of
    /// `from..to` (nanoseconds since 1970) are left out, by block where that is possible.
    ///
    /// # Errors
    /// [`SegmentError`], too much disorder among them.
    pub fn open(
        recording: Arc<Recording>,
        clocks: &[StreamClock],
        statistics: &[TimeStatistics],
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<Self, SegmentError> {
        let index = Arc::new(TimeIndex::build(&recording, clocks, statistics)?);
        let window = from.unwrap_or(i64::MIN)..=to.map_or(i64::MAX, |to| to.saturating_sub(1));
        let order = TimeOrder::new(Arc::clone(&recording), Arc::clone(&index), window.clone())?;
        Ok(Self { recording, index, window, order, before: Vec::new() })
    }

    /// The first and the last time of the whole recording, nanoseconds since 1970.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        self.index.span()
    }
}

impl RecordedFeed {
    fn words(&self, segment: u32, damage: &Damage) -> String {
        let path =
            self.recording.segments.get(segment as usize).map_or_else(|| format!("segment {segment}"), |s| s.path.display().to_string());
        format!("{path}: bytes {} to {}: {}", damage.from, damage.to, damage.what)
    }
}

impl RecordFeed for RecordedFeed {
    fn next_batch(&mut self, max: usize, take: &mut TakeRecord<'_>) -> Result<usize, FeedError> {
        self.order.next_batch(max, take).map_err(|e| FeedError(e.into()))
    }

    fn rewind(&mut self) -> Result<(), FeedError> {
        // Each pass meets the same damage: what the first one met is enough.
        if self.before.is_empty() {
            self.before = self.damages();
        }
        self.order =
            TimeOrder::new(Arc::clone(&self.recording), Arc::clone(&self.index), self.window.clone()).map_err(|e| FeedError(e.into()))?;
        Ok(())
    }

    fn damages(&self) -> Vec<String> {
        if !self.before.is_empty() {
            return self.before.clone();
        }
        self.order.damages().iter().map(|(segment, damage)| self.words(*segment, damage)).collect()
    }
}
