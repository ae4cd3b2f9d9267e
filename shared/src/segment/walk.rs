//! Going over a recording's blocks in storage order, with each stream's number in the recording.
//!
//! Each file is opened once, and of each block only what is wanted is read. Damage ends nothing: it is handed over in the place
//! of its block.

use std::fs::File;

use super::SegmentError;
use super::block_read::{Block, Wanted};
use super::reader::BlockReader;
use super::recording::Recording;
use super::scan::Damage;
use crate::record::{Record, StreamIx};

/// What a walk meets: a block with the recording's numbers of its streams (as `block.head.streams` has them), or why it cannot be
/// read.
pub type Met<'a> = Result<(&'a Block, &'a [StreamIx]), Damage>;

/// Calls `f` for every block of which something is `wanted` (by its number in the recording; `None`: it is passed over).
///
/// # Errors
/// I/O, something that must be understood, or what `f` returns.
pub fn walk_blocks<E: From<SegmentError>>(
    recording: &Recording,
    mut wanted: impl FnMut(usize) -> Option<Wanted>,
    mut f: impl FnMut(usize, Met<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = BlockReader::new()?;
    let mut block = Block::default();
    let mut lanes = Vec::new();
    let mut open: Option<(u32, File)> = None;
    for (ix, at) in recording.blocks.iter().enumerate() {
        let Some(wanted) = wanted(ix) else { continue };
        let segment = &recording.segments[at.segment as usize];
        let file = match open.take().filter(|(number, _)| *number == at.segment) {
            Some((_, file)) => file,
            None => File::open(&segment.path).map_err(SegmentError::io("opening", &segment.path))?,
        };
        let damage = |from, what| Damage { from, to: from + u64::from(at.bytes_stored), what };
        match reader.read(&file, &segment.path, &segment.header.segment.sync, *at, wanted, &mut block) {
            Ok(()) => {
                lanes.clear();
                lanes.extend(block.head.streams.iter().map_while(|s| segment.streams.get(&s.stream)));
                let met = match block.head.streams.get(lanes.len()) {
                    None => Ok((&block, lanes.as_slice())),
                    Some(row) => Err(damage(at.offset, format!("nothing that can be read introduces stream {}", row.stream))),
                };
                f(ix, met)?;
            }
            Err(SegmentError::Damaged { offset, what, .. }) => f(ix, Err(damage(offset, what)))?,
            Err(other) => return Err(other.into()),
        }
        open = Some((at.segment, file));
    }
    Ok(())
}

/// Calls `f` for the times of every readable block.
///
/// # Errors
/// As [`walk_blocks`].
pub fn each_block(recording: &Recording, mut f: impl FnMut(usize, &Block, &[StreamIx])) -> Result<(), SegmentError> {
    walk_blocks(
        recording,
        |_| Some(Wanted::TIMES),
        |ix, met| {
            if let Ok((block, lanes)) = met {
                f(ix, block, lanes);
            }
            Ok(())
        },
    )
}

/// Calls `f` for every record of the blocks that are `wanted` (by their number in the recording), whole, with the number of its
/// stream in the recording. Returns how many blocks could not be read.
///
/// # Errors
/// As [`walk_blocks`].
pub fn each_record<E: From<SegmentError>>(
    recording: &Recording,
    mut wanted: impl FnMut(usize) -> bool,
    mut f: impl FnMut(StreamIx, &Record<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let mut damaged = 0;
    walk_blocks::<E>(
        recording,
        |ix| wanted(ix).then_some(Wanted::ALL),
        |_, met| {
            let Ok((block, lanes)) = met else {
                damaged += 1;
                return Ok(());
            };
            for (ix, slot) in block.slots().iter().enumerate() {
                f(lanes[*slot as usize], &block.record(ix))?;
            }
            Ok(())
        },
    )?;
    Ok(damaged)
}
