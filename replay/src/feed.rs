//! Where the records come from: a recording in time order, behind the smallest seam that lets tests use memory instead.

use dejaq_shared::record::Record;

/// Why a recording could not be read on. The text names file and place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FeedError(pub Box<dyn std::error::Error + Send + Sync>);

impl FeedError {
    /// An error from its words.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }
}

/// Takes one record and its time, nanoseconds since 1970 by the clock chosen for its stream.
pub type TakeRecord<'a> = dyn FnMut(i64, &Record<'_>) + 'a;

/// Records in time order. Times should not decrease; one that does is sent at its predecessor's time.
pub trait RecordFeed: Send {
    /// Hands over the next records, at most `max` (at least one unless at the end), and returns how many; 0 is the end.
    ///
    /// # Errors
    /// [`FeedError`]: what was handed over before holds, nothing after it can be had.
    fn next_batch(&mut self, max: usize, take: &mut TakeRecord<'_>) -> Result<usize, FeedError>;

    /// Goes back to the first record, for the next pass of a loop.
    ///
    /// # Errors
    /// [`FeedError`].
    fn rewind(&mut self) -> Result<(), FeedError>;

    /// What could not be read and was left out so far, in words.
    fn damages(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<F: RecordFeed + ?Sized> RecordFeed for Box<F> {
    fn next_batch(&mut self, max: usize, take: &mut TakeRecord<'_>) -> Result<usize, FeedError> {
        (**self).next_batch(max, take)
    }

    fn rewind(&mut self) -> Result<(), FeedError> {
        (**self).rewind()
    }

    fn damages(&self) -> Vec<String> {
        (**self).damages()
    }
}
