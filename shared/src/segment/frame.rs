//! The outermost layer: the segment's header, and the head of each frame.
//!
//! ```text
//! header = magic "DEJAQSEG" · version u16 · flags u16 · length u32 · metadata (length bytes) · crc32c u32 of all before
//! head   = sync[16] · type u16 · flags u16 · number u64 · previous u32 · body length u32 · crc32c u32 of the 36 before
//! ```
//! `previous` is the head checksum of the frame before, for the first frame the header's checksum: a chain.

use super::meta::{self, FiltersV1, IsolationV1, SegmentV1, SourceV1, tag};
use super::{BODY_BYTES_MAX, HEADER_BYTES_MAX, MAGIC, MUST_UNDERSTAND, VERSION, checksum};

/// The bytes of a frame's head.
pub const HEAD_BYTES: usize = 40;
/// The bytes of a segment before its header's metadata.
pub const PREFIX_BYTES: usize = 16;

/// The types of frames. A number is never given twice.
pub mod frame_type {
    /// A block of records.
    pub const RECORDS: u16 = 1;
    /// Streams and ancestors.
    pub const STREAMS: u16 = 2;
    /// A checkpoint.
    pub const CHECKPOINT: u16 = 3;
    /// A gap.
    pub const GAP: u16 = 4;
    /// An attachment.
    pub const ATTACHMENT: u16 = 5;

    /// Whether this build knows a type.
    #[must_use]
    pub fn is_known(frame_type: u16) -> bool {
        (RECORDS..=ATTACHMENT).contains(&frame_type)
    }
}

/// What a segment says of itself before its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Which segment.
    pub segment: SegmentV1,
    /// From where.
    pub source: SourceV1,
    /// Of what.
    pub filters: FiltersV1,
    /// How records of transactions were read, by the broker's own name; `None`: not stated.
    pub isolation: Option<String>,
}

/// Why a header cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderFault {
    /// The magic is missing.
    Magic,
    /// A newer version.
    Version(u16),
    /// Damaged; in words.
    Damaged(String),
    /// Something in it must be understood.
    MustUnderstand(String),
}

impl SegmentHeader {
    /// A header that states no filters and no isolation level.
    #[must_use]
    pub fn new(segment: SegmentV1, source: SourceV1) -> Self {
        Self { segment, source, filters: FiltersV1::none(), isolation: None }
    }

    /// The header's bytes.
    ///
    /// # Errors
    /// When a list in it is too long, in words.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let mut list = Vec::new();
        meta::write(&mut list, tag::SEGMENT, MUST_UNDERSTAND, &self.segment)?;
        meta::write(&mut list, tag::SOURCE, MUST_UNDERSTAND, &self.source)?;
        meta::write(&mut list, tag::FILTERS, 0, &self.filters)?;
        meta::write_bytes(&mut list, tag::ENCODING, MUST_UNDERSTAND, &[]);
        if let Some(level) = &self.isolation {
            meta::write(&mut list, tag::ISOLATION, 0, &IsolationV1 { level: level.clone() })?;
        }
        let length = u32::try_from(list.len())
            .ok()
            .filter(|l| *l <= HEADER_BYTES_MAX)
            .ok_or_else(|| format!("the header has {} bytes, the limit is {HEADER_BYTES_MAX}", list.len()))?;
        let mut out = Vec::with_capacity(PREFIX_BYTES + list.len() + 4);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&0u16.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&list);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        Ok(out)
    }

    /// The length of the whole header, from its first [`PREFIX_BYTES`].
    ///
    /// # Errors
    /// [`HeaderFault`].
    pub fn length(prefix: &[u8; PREFIX_BYTES]) -> Result<usize, HeaderFault> {
        if prefix[..8] != MAGIC {
            return Err(HeaderFault::Magic);
        }
        let version = u16::from_le_bytes([prefix[8], prefix[9]]);
        if version > VERSION || version == 0 {
            return Err(HeaderFault::Version(version));
        }
        let flags = u16::from_le_bytes([prefix[10], prefix[11]]);
        if flags != 0 {
            return Err(HeaderFault::MustUnderstand(format!("header flags {flags:#06x}")));
        }
        let length = u32::from_le_bytes([prefix[12], prefix[13], prefix[14], prefix[15]]);
        if length > HEADER_BYTES_MAX {
            return Err(HeaderFault::Damaged(format!("the header claims {length} bytes of metadata, the limit is {HEADER_BYTES_MAX}")));
        }
        Ok(PREFIX_BYTES + length as usize + 4)
    }

    /// Reads a whole header; also gives its checksum, which starts the chain of frames.
    ///
    /// # Errors
    /// [`HeaderFault`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, u32), HeaderFault> {
        let damaged = HeaderFault::Damaged;
        let prefix = bytes
            .first_chunk::<PREFIX_BYTES>()
            .ok_or_else(|| damaged(format!("the header has {} bytes, at least {PREFIX_BYTES} expected", bytes.len())))?;
        let length = Self::length(prefix)?;
        if bytes.len() != length {
            return Err(damaged(format!("the header has {} bytes, {length} expected", bytes.len())));
        }
        let (content, stored) = bytes.split_at(length - 4);
        let crc = crc32c::crc32c(content);
        if !checksum::closes(stored, content) {
            return Err(damaged(format!("the header's checksum is {crc:#010x}, its bytes say {}", hex(stored))));
        }
        let mut segment = None;
        let mut source = None;
        let mut isolation = None;
        let mut filters = FiltersV1::none();
        let mut filters_seen = false;
        for entry in meta::entries(&content[PREFIX_BYTES..]) {
            let entry = entry.map_err(damaged)?;
            let again = match entry.tag {
                tag::SEGMENT => segment.replace(entry.decode().map_err(damaged)?).is_some(),
                tag::SOURCE => source.replace(entry.decode().map_err(damaged)?).is_some(),
                tag::FILTERS => {
                    filters = entry.decode().map_err(damaged)?;
                    std::mem::replace(&mut filters_seen, true)
                }
                tag::ISOLATION => isolation.replace(entry.decode::<IsolationV1>().map_err(damaged)?.level).is_some(),
                tag::ENCODING if entry.value.is_empty() => false,
                tag::ENCODING => return Err(HeaderFault::MustUnderstand("the codec and encryption section".into())),
                _ => {
                    entry.skip_unknown().map_err(HeaderFault::MustUnderstand)?;
                    false
                }
            };
            if again {
                return Err(damaged(format!("the header has two entries with tag {}, one is expected", entry.tag)));
            }
        }
        match (segment, source) {
            (Some(segment), Some(source)) => Ok((Self { segment, source, filters, isolation }, crc)),
            _ => Err(damaged("the header lacks its segment or its source entry".into())),
        }
    }
}

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Its type.
    pub frame_type: u16,
    /// Its flags.
    pub flags: u16,
    /// Its place in the segment, from 0.
    pub number: u64,
    /// The checksum of the head before.
    pub previous: u32,
    /// The bytes of its body.
    pub body_bytes: u32,
    /// The checksum of this head.
    pub crc: u32,
}

impl FrameHead {
    /// Writes a head and gives its checksum.
    #[must_use]
    pub fn encode(sync: &[u8; 16], frame_type: u16, flags: u16, number: u64, previous: u32, body_bytes: u32) -> ([u8; HEAD_BYTES], u32) {
        let mut out = [0u8; HEAD_BYTES];
        out[..16].copy_from_slice(sync);
        out[16..18].copy_from_slice(&frame_type.to_le_bytes());
        out[18..20].copy_from_slice(&flags.to_le_bytes());
        out[20..28].copy_from_slice(&number.to_le_bytes());
        out[28..32].copy_from_slice(&previous.to_le_bytes());
        out[32..36].copy_from_slice(&body_bytes.to_le_bytes());
        let crc = crc32c::crc32c(&out[..36]);
        out[36..].copy_from_slice(&crc.to_le_bytes());
        (out, crc)
    }

    /// Reads a head; `Err` says in words what is wrong with it by itself (its place in the chain is the caller's to check).
    ///
    /// # Errors
    /// In words.
    pub fn decode(bytes: &[u8; HEAD_BYTES], sync: &[u8; 16]) -> Result<Self, String> {
        if bytes[..16] != *sync {
            return Err(format!("expected a frame that starts with {}, found {}", hex(sync), hex(&bytes[..16])));
        }
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let crc = crc32c::crc32c(&bytes[..36]);
        if !checksum::is_right(crc, u32_at(36)) {
            return Err(format!("the frame head's checksum is {crc:#010x}, its bytes say {:#010x}", u32_at(36)));
        }
        let head = Self {
            frame_type: u16_at(16),
            flags: u16_at(18),
            number: u64::from(u32_at(20)) | u64::from(u32_at(24)) << 32,
            previous: u32_at(28),
            body_bytes: u32_at(32),
            crc,
        };
        if head.body_bytes > BODY_BYTES_MAX {
            return Err(format!("the frame claims a body of {} bytes, the limit is {BODY_BYTES_MAX}", head.body_bytes));
        }
        Ok(head)
    }
}

/// Closes a body of metadata with its checksum.
#[must_use]
pub fn seal_metadata(mut list: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&list);
    list.extend_from_slice(&crc.to_le_bytes());
    list
}

/// The metadata in a body that [`seal_metadata`] closed.
///
/// # Errors
/// When the checksum is wrong, in words.
pub fn open_metadata(body: &[u8]) -> Result<&[u8], String> {
    let Some((list, stored)) = body.split_last_chunk::<4>() else {
        return Err(format!("the body has {} bytes, at least 4 expected", body.len()));
    };
    let crc = crc32c::crc32c(list);
    if !checksum::is_right(crc, u32::from_le_bytes(*stored)) {
        return Err(format!("the body's checksum is {crc:#010x}, its bytes say {:#010x}", u32::from_le_bytes(*stored)));
    }
    Ok(list)
}

/// Bytes as hexadecimal digits, for messages.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_head_is_seen() {
        let sync = [7u8; 16];
        let (bytes, crc) = FrameHead::encode(&sync, frame_type::GAP, MUST_UNDERSTAND, 1 << 40, 0xdead_beef, 12);
        let head = FrameHead::decode(&bytes, &sync).expect("own encoding");
        assert_eq!(head, FrameHead { frame_type: 4, flags: 1, number: 1 << 40, previous: 0xdead_beef, body_bytes: 12, crc });
        for bit in 0..HEAD_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHead::decode(&flipped, &sync).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_body_of_4_gib_is_refused() {
        let sync = [7u8; 16];
        let (bytes, _) = FrameHead::encode(&sync, 1, 0, 0, 0, u32::MAX);
        assert!(FrameHead::decode(&bytes, &sync).expect_err("too large").contains("limit"));
    }
}
