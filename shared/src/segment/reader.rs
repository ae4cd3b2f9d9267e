//! Reading one segment: its header, its facts (from the footer, or frame by frame where there is none), its blocks.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::block::DURABLE_BYTES;
use super::block_head::{BlockHead, head_end};
use super::block_read::{Block, BlockFault, Wanted};
use super::codec::{ColumnDecoder, column};
use super::facts::{BodyFault, SegmentFacts};
use super::frame::{FrameHead, HEAD_BYTES, SegmentHeader};
use super::scan::{Damage, Ending, Event, Scanner, read_header};
use super::store::ReadAt;
use super::{SegmentError, footer};

/// How a segment was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentState {
    /// Sealed by a footer.
    Sealed,
    /// Without a footer: still being written, or its writer died.
    Open,
    /// Without a footer, and with bytes after its last whole frame.
    Torn,
}

/// An opened segment.
#[derive(Debug)]
pub struct SegmentReader {
    /// Its file.
    pub path: PathBuf,
    /// Its header.
    pub header: SegmentHeader,
    /// What its frames say. Of a damaged segment without a footer: what the readable frames say.
    pub facts: SegmentFacts,
    /// How it was left.
    pub state: SegmentState,
    /// What could not be read while looking for the facts (none is looked for in a sealed segment: see `verify`).
    pub damages: Vec<Damage>,
}

impl SegmentReader {
    /// Opens a segment file.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn open(path: &Path) -> Result<Self, SegmentError> {
        let file = File::open(path).map_err(SegmentError::io("opening", path))?;
        Self::read(&file, path)
    }

    /// Reads a segment from any store; `path` is for messages.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn read(store: &impl ReadAt, path: &Path) -> Result<Self, SegmentError> {
        let (header, _, header_bytes) = read_header(store, path)?;
        if let Some(offset) =
            footer::locate(store, &header.segment.sync).map_err(SegmentError::io("reading", path))?.filter(|o| *o >= header_bytes)
        {
            match footer::read(store, offset) {
                Ok(facts) if facts.is_index_of(header_bytes, offset) => {
                    return Ok(Self { path: path.to_owned(), header, facts, state: SegmentState::Sealed, damages: Vec::new() });
                }
                Err(BodyFault::MustUnderstand(what)) => return Err(SegmentError::MustUnderstand { path: path.to_owned(), offset, what }),
                // The footer only repeats: without it the frames say the same. The scan reports the damage.
                Ok(_) | Err(BodyFault::Damaged(_)) => {}
            }
        }
        Self::scan(store, path)
    }

    fn scan(store: &impl ReadAt, path: &Path) -> Result<Self, SegmentError> {
        let mut scanner = Scanner::new(store, path)?;
        let mut facts = SegmentFacts::default();
        let mut damages = Vec::new();
        while let Some(event) = scanner.next_event()? {
            match event {
                Event::Frame { offset, head, body, .. } => facts.absorb(offset, &head, &body),
                Event::Damage(damage) => damages.push(damage),
            }
        }
        let header = scanner.header.clone();
        let state = match scanner.into_ending() {
            Some(Ending::Sealed(footer)) => {
                facts.name_streams(*footer);
                SegmentState::Sealed
            }
            Some(Ending::Torn(_)) => SegmentState::Torn,
            Some(Ending::Open) | None => SegmentState::Open,
        };
        Ok(Self { path: path.to_owned(), header, facts, state, damages })
    }
}

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where its head begins in the file.
    pub offset: u64,
    /// Its number, where it is known: another frame there is damage.
    pub number: Option<u64>,
}

impl From<u64> for Place {
    /// A place whose frame may have any number.
    fn from(offset: u64) -> Self {
        Self { offset, number: None }
    }
}

/// Reads blocks at known places. Reuse it: buffers and zstd's context are kept.
pub struct BlockReader {
    decoder: ColumnDecoder,
    body: Vec<u8>,
}

impl BlockReader {
    /// A new reader.
    ///
    /// # Errors
    /// When zstd cannot have its memory.
    pub fn new() -> Result<Self, SegmentError> {
        let decoder = ColumnDecoder::new().map_err(SegmentError::io("preparing to decompress", ""))?;
        Ok(Self { decoder, body: Vec::new() })
    }

    /// Reads the block whose frame is at `place` into `block`.
    ///
    /// # Errors
    /// I/O, damage, or a column that must be understood.
    pub fn read(
        &mut self,
        store: &impl ReadAt,
        path: &Path,
        sync: &[u8; 16],
        place: impl Into<Place>,
        wanted: Wanted,
        block: &mut Block,
    ) -> Result<(), SegmentError> {
        let Place { offset, number } = place.into();
        let damaged = |what| SegmentError::Damaged { path: path.to_owned(), offset, what };
        let bytes = store.bytes().map_err(SegmentError::io("reading", path))?;
        let mut head = [0u8; HEAD_BYTES];
        store.read_exact_at(&mut head, offset).map_err(SegmentError::io("reading", path))?;
        let head = FrameHead::decode(&head, sync).map_err(damaged)?;
        if let Some(number) = number.filter(|number| *number != head.number) {
            return Err(damaged(format!("frame {} is where frame {number} was expected", head.number)));
        }
        let start = offset + HEAD_BYTES as u64;
        if bytes < start + u64::from(head.body_bytes) {
            return Err(damaged(format!("a frame's body of {} bytes is cut after {}", head.body_bytes, bytes.saturating_sub(start))));
        }
        self.body.resize(head.body_bytes as usize, 0);
        if wanted == Wanted::ALL {
            store.read_exact_at(&mut self.body, start).map_err(SegmentError::io("reading", path))?;
        } else {
            self.read_times(store, path, start).map_err(|e| e.unwrap_or_else(damaged))?;
        }
        let decoded = block.decode(&mut self.decoder, &self.body, wanted);
        decoded.and_then(|()| Ok(block.head.check_frame(&self.body, head.crc)?)).map_err(|fault| match fault {
            BlockFault::Damaged(what) => damaged(what),
            BlockFault::MustUnderstand(what) => SegmentError::MustUnderstand { path: path.to_owned(), offset, what },
        })
    }

    /// Reads only the head and the columns of numbers, each to its place.
    fn read_times(&mut self, store: &impl ReadAt, path: &Path, start: u64) -> Result<(), Fault> {
        const GUESS: usize = 4096;
        let body_bytes = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        let get = |range: std::ops::Range<usize>, body: &mut Vec<u8>| {
            store
                .read_exact_at(&mut body[range.clone()], start + range.start as u64)
                .map_err(|e| Fault::Whole(SegmentError::io("reading", path)(e)))
        };
        let there = GUESS.min(self.body.len());
        get(0..there, &mut self.body)?;
        let first = self.body.first_chunk::<{ DURABLE_BYTES + 4 }>().ok_or_else(|| Fault::Words("the block's body has no head".into()))?;
        let end = head_end(first, body_bytes).map_err(Fault::Words)?;
        if end > there {
            get(there..end, &mut self.body)?;
        }
        let head = BlockHead::decode(&self.body, body_bytes).map_err(Fault::Words)?;
        for id in column::FRAME..=column::FLAGS {
            if let Some((_, range)) = head.column(id)
                && range.end > there
            {
                get(range, &mut self.body)?;
            }
        }
        Ok(())
    }
}

enum Fault {
    Whole(SegmentError),
    Words(String),
}

impl Fault {
    fn unwrap_or_else(self, damaged: impl FnOnce(String) -> SegmentError) -> SegmentError {
        match self {
            Self::Whole(error) => error,
            Self::Words(what) => damaged(what),
        }
    }
}
