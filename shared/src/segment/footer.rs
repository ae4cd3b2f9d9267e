//! The footer, which seals a segment: it repeats and indexes what the frames say, and adds nothing.
//!
//! ```text
//! footer = magic "DEJAQFTR" · length u32 · metadata · length u32 again · crc32c u32 of all before · magic "DEJAQEND"
//! ```
//! It is found from the end of the file, or met by a reader that goes forward.

use super::facts::{BodyFault, SegmentFacts};
use super::store::ReadAt;
use super::{END_MAGIC, FOOTER_BYTES_MAX, FOOTER_MAGIC};

/// The bytes of a footer around its metadata.
pub const AROUND_BYTES: u64 = 28;

/// A footer's bytes.
///
/// # Errors
/// When the facts are larger than a footer may be, in words.
pub fn encode(facts: &SegmentFacts) -> Result<Vec<u8>, String> {
    let list = facts.to_footer()?;
    let length = u32::try_from(list.len()).map_err(|e| e.to_string())?.to_le_bytes();
    let mut out = Vec::with_capacity(list.len() + 28);
    out.extend_from_slice(&FOOTER_MAGIC);
    out.extend_from_slice(&length);
    out.extend_from_slice(&list);
    out.extend_from_slice(&length);
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&END_MAGIC);
    Ok(out)
}

/// Where a file's footer begins; `None` when it does not end with one.
///
/// # Errors
/// The operating system's.
pub fn locate(store: &impl ReadAt) -> std::io::Result<Option<u64>> {
    let bytes = store.bytes()?;
    let Some(tail_start) = bytes.checked_sub(16) else { return Ok(None) };
    let mut tail = [0u8; 16];
    store.read_exact_at(&mut tail, tail_start)?;
    if tail[8..] != END_MAGIC {
        return Ok(None);
    }
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    Ok(bytes.checked_sub(length + AROUND_BYTES).filter(|_| length <= u64::from(FOOTER_BYTES_MAX)))
}

/// Reads the footer at `offset`, which reaches to the end of the file.
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
    let list = &footer[12..length - 16];
    let claimed = u32::try_from(list.len()).unwrap_or(u32::MAX).to_le_bytes();
    if footer[..8] != FOOTER_MAGIC
        || footer[8..12] != claimed
        || footer[length - 16..length - 12] != claimed
        || footer[length - 8..] != END_MAGIC
    {
        return Err(BodyFault::Damaged("the footer's magic or lengths do not fit together".into()));
    }
    let crc = crc32c::crc32c(&footer[..length - 12]);
    if footer[length - 12..length - 8] != crc.to_le_bytes() {
        return Err(BodyFault::Damaged(format!(
            "the footer's checksum is {crc:#010x}, its bytes say {}",
            super::frame::hex(&footer[length - 12..length - 8])
        )));
    }
    SegmentFacts::from_footer(list)
}
