//! The segment format and the recordings made of it. `docs/FORMAT.md` is normative; this is its one implementation.
//!
//! # What it guarantees
//! - Every byte is covered by a checksum; head checksums chain the frames, so that one removed, repeated or swapped is seen.
//! - A segment can be read without its footer: the footer only repeats and indexes what the frames say.
//! - Input is never trusted: every length has a limit (below) and is checked before memory is asked for; damage is an
//!   error that names file, offset, what was found and what was expected, never a panic, never a guess.
//!
//! # The ladder
//! [`meta`] tagged metadata values → [`frame`] header, frame heads, footer → [`codec`] columns → [`block`], [`block_head`] and
//! [`block_read`] records in columns → [`scan`] frames of a file, damage told → [`writer`] and [`reader`] one segment →
//! [`recording`] and [`recording_writer`] a directory of them → [`walk`] over its blocks → [`timeline`] and [`time_index`] when its records are →
//! [`order`] or [`sort`], as [`ordered`] chooses, its records in time order · [`append`] and [`sorted_copy`] recordings made of records ·
//! [`verify`] the one validator.

pub mod append;
pub mod block;
pub mod block_head;
pub mod block_read;
mod block_strings;
mod checksum;
pub mod codec;
mod error;
pub mod facts;
mod files;
pub mod footer;
pub mod frame;
pub mod meta;
pub mod order;
pub mod ordered;
pub mod profile;
pub mod reader;
pub mod recording;
pub mod recording_writer;
pub mod recovery;
pub mod scan;
pub mod sort;
pub mod sorted_copy;
pub mod store;
pub mod time_index;
pub mod timeline;
pub mod verify;
pub mod walk;
pub mod writer;

pub use error::SegmentError;

/// The first bytes of a segment.
pub const MAGIC: [u8; 8] = *b"DEJAQSEG";
/// The first bytes of a footer.
pub const FOOTER_MAGIC: [u8; 8] = *b"DEJAQFTR";
/// The last bytes of a sealed segment.
pub const END_MAGIC: [u8; 8] = *b"DEJAQEND";
/// The version this build writes, and the newest that it reads.
pub const VERSION: u16 = 1;
/// The flag on frames, columns and metadata entries: who does not know it must not go on.
pub const MUST_UNDERSTAND: u16 = 1;

/// The most bytes of a segment header's metadata.
pub const HEADER_BYTES_MAX: u32 = 1 << 20;
/// The most bytes of a frame's body.
pub const BODY_BYTES_MAX: u32 = 160 << 20;
/// The most bytes of one column, raw.
pub const COLUMN_BYTES_MAX: u64 = 144 << 20;
/// The most bytes of all columns of a block together, raw.
pub const BLOCK_BYTES_MAX: u64 = 160 << 20;
/// The most records in a block.
pub const BLOCK_RECORDS_MAX: u64 = 1 << 22;
/// The most streams in a recording.
pub const STREAMS_MAX: u32 = 1 << 20;
/// The most bytes of one metadata value, and of what decoding one may allocate.
pub const VALUE_BYTES_MAX: usize = 64 << 20;
/// The most bytes of a footer's metadata.
pub const FOOTER_BYTES_MAX: u32 = 256 << 20;
