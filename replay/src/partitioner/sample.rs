//! Looking at some of a recording's keys: at most [`BLOCKS_MAX`] blocks, evenly spread over it.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZeroU32;

use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::block_read::{Block, Wanted};
use dejaq_shared::segment::reader::BlockReader;
use dejaq_shared::segment::recording::Recording;

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

    let (mut reader, mut block) = (BlockReader::new()?, Block::default());
    let blocks = recording.blocks.len();
    let taken = blocks.min(BLOCKS_MAX);
    for at in (0..taken).map(|n| &recording.blocks[n * blocks / taken]) {
        let segment = &recording.segments[at.segment as usize];
        let file = File::open(&segment.path).map_err(SegmentError::io("opening", &segment.path))?;
        match reader.read(&file, &segment.path, &segment.header.segment.sync, at.offset, Wanted::ALL, &mut block) {
            Ok(()) => {}
            Err(SegmentError::Damaged { .. }) => continue,
            Err(other) => return Err(other),
        }
        for record in (0..block.len()).map(|n| block.record(n)) {
            let lane = segment.streams.get(&record.stream).and_then(|ix| lanes.get(*ix as usize));
            if let (Some((topic, partition)), Some(key)) = (lane, record.key) {
                inference.key(*topic, key, *partition);
            }
        }
    }
    Ok(inference.found())
}
