//! The footer, which seals a segment: it repeats and indexes what the frames say, and adds nothing.
//!
//! ```text
//! footer = magic "DEJAQFTR" · sync[16] · length u32 · metadata · length u32 again · crc32c u32 of all before · magic "DEJAQEND"
//! ```
//! It is found from the end of the file, or met by a reader that goes forward. The sync is the segment's own: a torn segment
//! whose last payload is itself a whole segment does not end with a footer of its own.

use super::facts::{BodyFault, SegmentFacts};
use super::store::ReadAt;
use super::{END_MAGIC, FOOTER_BYTES_MAX, FOOTER_MAGIC, checksum};

/// The bytes of a footer around its metadata.
pub const AROUND_BYTES: u64 = 44;
/// The bytes of a footer before its metadata.
const FRONT_BYTES: usize = 28;

/// A footer's bytes, for the segment whose frames begin with `sync`.
///
/// # Errors
/// When the facts are larger than a footer may be, in words.
pub fn encode(facts: &SegmentFacts, sync: &[u8; 16]) -> Result<Vec<u8>, String> {
    let list = facts.to_footer()?;
    let length = u32::try_from(list.len()).map_err(|e| e.to_string())?.to_le_bytes();
    let mut out = Vec::with_capacity(list.len() + 44);
    out.extend_from_slice(&FOOTER_MAGIC);
    out.extend_from_slice(sync);
    out.extend_from_slice(&length);
    out.extend_from_slice(&list);
    out.extend_from_slice(&length);
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&END_MAGIC);
    Ok(out)
}

/// Where the footer of the segment whose frames begin with `sync` begins; `None` when the file does not end with one.
/// Its two ends must fit together: one whose length is damaged is none, and costs no frame.
///
/// # Errors
/// The operating system's.
pub fn locate(store: &impl ReadAt, sync: &[u8; 16]) -> std::io::Result<Option<u64>> {
    let bytes = store.bytes()?;
    let Some(tail_start) = bytes.checked_sub(16) else { return Ok(None) };
    let mut tail = [0u8; 16];
    store.read_exact_at(&mut tail, tail_start)?;
    if tail[8..] != END_MAGIC {
        return Ok(None);
    }
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let Some(offset) = bytes.checked_sub(length + AROUND_BYTES).filter(|_| length <= u64::from(FOOTER_BYTES_MAX)) else {
        return Ok(None);
    };
    let mut front = [0u8; FRONT_BYTES];
    store.read_exact_at(&mut front, offset)?;
    let fits = front[..8] == FOOTER_MAGIC && front[8..24] == *sync && front[24..] == tail[..4];
    Ok(fits.then_some(offset))
}

/// Reads the footer that [`locate`] found at `offset`, which reaches to the end of the file.
///
/// # Errors
/// [`BodyFault`]; the operating system's as damage in words.
pub fn read(store: &impl ReadAt, offset: u64) -> Result<SegmentFacts, BodyFault> {
    let bytes = store.bytes().map_err(|e| e.to_string())?;
    let length = bytes.checked_sub(offset).filter(|l| (AROUND_BYTES..=u64::from(FOOTER_BYTES_MAX) + AROUND_BYTES).contains(l));
    let length = length
        .and_then(|l| usize::try_from(l).ok())
        .ok_or_else(|| format!("the footer at byte {offset} of {bytes} has an impossible length"))?;
    let mut footer = vec![0u8; length];
    store.read_exact_at(&mut footer, offset).map_err(|e| e.to_string())?;
    let list = &footer[FRONT_BYTES..length - 16];
    let (covered, stored) = (&footer[..length - 12], &footer[length - 12..length - 8]);
    if !checksum::closes(stored, covered) {
        let crc = crc32c::crc32c(covered);
        return Err(BodyFault::Damaged(format!("the footer's checksum is {crc:#010x}, its bytes say {}", super::frame::hex(stored))));
    }
    SegmentFacts::from_footer(list)
}
