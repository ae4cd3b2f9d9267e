//! Looking at some of a recording's keys: at most [`BLOCKS_MAX`] blocks, evenly spread over it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::walk::each_record;

use super::{Inference, TopicPartitioner};

/// The most blocks that are read: some 256 MiB of raw bytes.
const BLOCKS_MAX: usize = 64;

/// Infers each topic's partitioner. `partitions` is what the recording tells of a topic's width at the source. Damaged blocks are
/// left out: `verify` and replay report them.
///
/// # Errors
/// I/O, or a block that must be understood.
pub fn sample(recording: &Recording, partitions: &dyn Fn(&str) -> Option<u32>) -> Result<Vec<TopicPartitioner>, SegmentError> {
    let mut widths: BTreeMap<&str, u32> = BTreeMap::new();
    for stream in &recording.streams {
        let width = widths.entry(stream.stream.topic()).or_default();
        *width = (*width).max(u32::try_from(stream.stream.partition()).unwrap_or(0).saturating_add(1));
    }
    let topics: Vec<&str> = widths.keys().copied().collect();
    let wide = widths.iter().map(|(topic, least)| {
        let told = partitions(topic).filter(|told| told >= least);
        ((*topic).to_owned(), NonZeroU32::new(told.unwrap_or(*least)).unwrap_or(NonZeroU32::MIN), told.is_some())
    });
    let mut inference = Inference::new(wide.collect());
    let lanes: Vec<(usize, i32)> =
        recording.streams.iter().map(|s| (topics.binary_search(&s.stream.topic()).unwrap_or(usize::MAX), s.stream.partition())).collect();

    let blocks = recording.blocks.len();
    let taken = blocks.min(BLOCKS_MAX);
    let mut chosen = vec![false; blocks];
    (0..taken).for_each(|n| chosen[n * blocks / taken] = true);
    each_record::<SegmentError>(
        recording,
        |ix| chosen[ix],
        |ix, record| {
            let (topic, partition) = lanes[ix as usize];
            if let Some(key) = record.key {
                inference.key(topic, key, partition);
            }
            Ok(())
        },
    )?;
    Ok(inference.found())
}
