//! What a segment's frames say, gathered: the same facts whether they were written just now, read frame by frame from a
//! segment that has no footer, or repeated by a footer.

use std::collections::{BTreeMap, HashSet};

use super::block::BlockStream;
use super::block_head::{ANOTHER_FRAME, BlockHead};
use super::frame::{FrameHead, HEAD_BYTES, frame_type, open_metadata};
use super::meta::{
    self, AncestorV1, AttachmentV1, BlockEntryV1, CheckpointV1, FrameEntryV1, FrameIndexV1, FrameV1, GapV1, IntroducedStream, StatisticsV1,
    StreamBooksV1, StreamStatisticsV1, tag,
};
use super::{FOOTER_BYTES_MAX, MUST_UNDERSTAND, checksum};
use crate::record::Gap;

/// The facts of one segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SegmentFacts {
    /// Every frame, in order.
    pub frames: Vec<FrameEntryV1>,
    /// The streams it introduces, with where their recording began.
    pub streams: Vec<IntroducedStream>,
    /// Their numbers: a segment may introduce a million.
    pub(super) introduced: HashSet<u32>,
    /// Clusters whose replayed traffic is in it.
    pub ancestors: Vec<String>,
    /// The same, to ask.
    pub(super) descended: HashSet<String>,
    /// What was lost.
    pub gaps: Vec<Gap>,
    /// Its records.
    pub records: u64,
    /// Their key, value and header bytes.
    pub bytes_raw: u64,
    /// Totals per stream.
    pub statistics: BTreeMap<u32, StreamStatisticsV1>,
    /// Where every stream stands after it.
    pub books: BTreeMap<u32, StreamBooksV1>,
    /// The number that the next frame has: all frames so far, unreadable ones included.
    pub next_number: u64,
    /// The checksum of the last frame's head (of the header when there is none).
    pub last_head_crc: u32,
    /// Whether recovery sealed it.
    pub recovered: bool,
}

/// Why a body's facts cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyFault {
    /// Bytes are wrong; in words.
    Damaged(String),
    /// Something must be understood and is not; its name.
    MustUnderstand(String),
}

impl From<String> for BodyFault {
    fn from(what: String) -> Self {
        Self::Damaged(what)
    }
}

/// A frame's body, checked and read as far as facts go.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A block: its head; every column's checksum was right.
    Records(BlockHead),
    /// Streams and ancestors.
    Streams(Vec<IntroducedStream>, Vec<String>),
    /// A checkpoint.
    Checkpoint(CheckpointV1),
    /// A gap.
    Gap(Gap),
    /// An attachment.
    Attachment(AttachmentV1),
    /// A type that this build does not know and may skip.
    Skipped,
}

impl Body {
    /// Checks all checksums of a body and reads it.
    ///
    /// # Errors
    /// [`BodyFault`].
    pub fn read(head: &FrameHead, body: &[u8]) -> Result<Self, BodyFault> {
        if !frame_type::is_known(head.frame_type) {
            if head.flags & MUST_UNDERSTAND != 0 {
                return Err(BodyFault::MustUnderstand(format!("frame type {}", head.frame_type)));
            }
            // Every type from 6 on closes its body with a checksum, so that an older validator checks it too.
            open_metadata(body)?;
            return Ok(Self::Skipped);
        }
        if head.frame_type == frame_type::RECORDS {
            return Self::read_block(head, body);
        }
        let mut streams = Vec::new();
        let mut ancestors = Vec::new();
        let mut found = None;
        for entry in meta::entries(open_metadata(body)?) {
            let entry = entry?;
            if head.frame_type == frame_type::STREAMS
                && let Some(stream) = IntroducedStream::read(&entry)?
            {
                streams.push(stream);
                continue;
            }
            let one = match (head.frame_type, entry.tag) {
                (frame_type::STREAMS, tag::ANCESTOR) => {
                    ancestors.push(entry.decode::<AncestorV1>()?.cluster);
                    continue;
                }
                (_, tag::FRAME) if checksum::is_right(head.crc, u32::from_le_bytes(entry.decode::<FrameV1>()?.head_crc)) => continue,
                (_, tag::FRAME) => return Err(ANOTHER_FRAME.to_owned().into()),
                (frame_type::CHECKPOINT, tag::CHECKPOINT) => Self::Checkpoint(entry.decode()?),
                (frame_type::GAP, tag::GAP) => Self::Gap(entry.decode::<GapV1>()?.into()),
                (frame_type::ATTACHMENT, tag::ATTACHMENT) => Self::Attachment(entry.decode()?),
                _ => {
                    entry.skip_unknown().map_err(BodyFault::MustUnderstand)?;
                    continue;
                }
            };
            if found.replace(one).is_some() {
                return Err(format!("a frame of type {} has two entries, one is expected", head.frame_type).into());
            }
        }
        if head.frame_type == frame_type::STREAMS {
            return Ok(Self::Streams(streams, ancestors));
        }
        found.ok_or_else(|| BodyFault::Damaged(format!("a frame of type {} lacks its entry", head.frame_type)))
    }

    fn read_block(frame: &FrameHead, body: &[u8]) -> Result<Self, BodyFault> {
        let head = BlockHead::decode(body, u32::try_from(body.len()).unwrap_or(u32::MAX))?;
        head.refuse_unknown().map_err(BodyFault::MustUnderstand)?;
        head.check_frame(body, frame.crc)?;
        let mut at = head.columns_start;
        for entry in &head.columns {
            let end = at + usize::try_from(entry.stored_bytes).map_err(|e| e.to_string())?;
            let crc = body.get(at..end).map(crc32c::crc32c);
            if !crc.is_some_and(|crc| checksum::is_right(crc, entry.crc)) {
                return Err(format!(
                    "the checksum of column {} is {:#010x}, the table says {:#010x}",
                    entry.id,
                    crc.unwrap_or(0),
                    entry.crc
                )
                .into());
            }
            at = end;
        }
        Ok(Self::Records(head))
    }
}

// Sums are saturating: what hostile numbers add up to is wrong in any case, and `verify` says so.
impl SegmentFacts {
    /// Whether no frame is missing in `frames`, so that each one's place there is its number.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.frames.len() as u64 == self.next_number
    }

    /// Whether `frames` can be the index of a file whose frames begin and end at these places: none is missing, and they lie
    /// one behind the other without a gap. Where it does not fit, recovery left a bad frame in its place, or the file has been
    /// changed; and where it names a type that is not known, only the frame says whether it must be understood.
    #[must_use]
    pub fn is_index_of(&self, header_end: u64, frames_end: u64) -> bool {
        let end = self.frames.iter().try_fold(header_end, |at, frame| {
            let fits = frame.offset == at && frame_type::is_known(frame.frame_type);
            at.checked_add(HEAD_BYTES as u64 + u64::from(frame.body_bytes)).filter(|_| fits)
        });
        self.is_complete() && end == Some(frames_end)
    }

    /// Takes in one more frame.
    pub fn absorb(&mut self, offset: u64, head: &FrameHead, body: &Body) {
        let mut entry = FrameEntryV1 { offset, frame_type: head.frame_type, body_bytes: head.body_bytes, block: None };
        match body {
            Body::Records(block) => entry.block = Some(self.block(&block.streams, block.records, block.bytes_raw, block.broker_time())),
            Body::Streams(streams, ancestors) => {
                for stream in streams {
                    self.stream(stream);
                }
                ancestors.iter().for_each(|cluster| self.ancestor(cluster));
            }
            Body::Checkpoint(checkpoint) => self.books.extend(checkpoint.streams.iter().map(|b| (b.id, *b))),
            Body::Gap(gap) => self.gap(gap),
            Body::Attachment(_) | Body::Skipped => {}
        }
        self.frames.push(entry);
        self.next_number = head.number.saturating_add(1);
        self.last_head_crc = head.crc;
    }

    pub(super) fn stream(&mut self, stream: &IntroducedStream) {
        self.books.entry(stream.id).or_insert(StreamBooksV1::at_start(stream.id, stream.start));
        if self.introduced.insert(stream.id) {
            self.streams.push(stream.clone());
        }
    }

    /// Takes in the streams that a footer repeats: where the frame that introduces one is damaged, the footer says who it is.
    pub(super) fn name_streams(&mut self, footer: Self) {
        for stream in footer.streams {
            if self.introduced.insert(stream.id) {
                self.streams.push(stream);
            }
        }
    }

    fn ancestor(&mut self, cluster: &str) {
        if self.descended.insert(cluster.to_owned()) {
            self.ancestors.push(cluster.to_owned());
        }
    }

    fn block(&mut self, rows: &[BlockStream], records: u32, bytes_raw: u64, broker_time: Option<(i64, i64)>) -> BlockEntryV1 {
        for row in rows {
            let totals = self.statistics.entry(row.stream).or_insert(StreamStatisticsV1 {
                id: row.stream,
                records: 0,
                bytes_raw: 0,
                record_bytes_max: 0,
                first: row.first,
                last: row.last,
            });
            totals.records = totals.records.saturating_add(u64::from(row.records));
            totals.bytes_raw = totals.bytes_raw.saturating_add(row.bytes_raw);
            totals.record_bytes_max = totals.record_bytes_max.max(row.record_bytes_max);
            totals.last = row.last;
            let books = self.books.entry(row.stream).or_insert(StreamBooksV1::at_start(row.stream, row.first));
            books.written = books.written.saturating_add(u64::from(row.records));
            // Positions that the block steps over held nothing: what was lost is in gaps, which moved `next`.
            let span = row.last.saturating_add(1).saturating_sub(books.next);
            let holes = u64::try_from(span).unwrap_or(0).saturating_sub(u64::from(row.records));
            books.holes = books.holes.saturating_add(holes);
            books.next = row.last.saturating_add(1);
            books.leader_epoch = row.leader_epoch;
        }
        self.records = self.records.saturating_add(u64::from(records));
        self.bytes_raw = self.bytes_raw.saturating_add(bytes_raw);
        BlockEntryV1 {
            records,
            bytes_raw,
            arrival_min_ns: rows.iter().map(|r| r.arrival_min_ns).min().unwrap_or(0),
            arrival_max_ns: rows.iter().map(|r| r.arrival_max_ns).max().unwrap_or(0),
            broker_time,
            positions: rows.iter().map(|r| (r.stream, r.first, r.last)).collect(),
        }
    }

    fn gap(&mut self, gap: &Gap) {
        if let (Some(stream), Some(from), Some(to)) = (gap.stream, gap.from, gap.to)
            && let Some(books) = self.books.get_mut(&stream)
            && books.next == from
            && to > from
        {
            books.lost = books.lost.saturating_add(to.abs_diff(from));
            books.next = to;
        }
        self.gaps.push(gap.clone());
    }

    /// The metadata of a footer that repeats these facts.
    ///
    /// # Errors
    /// When they are larger than a footer may be, in words.
    pub fn to_footer(&self) -> Result<Vec<u8>, String> {
        let mut list = Vec::new();
        for stream in &self.streams {
            stream.write(&mut list)?;
        }
        for cluster in &self.ancestors {
            meta::write(&mut list, tag::ANCESTOR, MUST_UNDERSTAND, &AncestorV1 { cluster: cluster.clone() })?;
        }
        for gap in &self.gaps {
            meta::write(&mut list, tag::GAP, MUST_UNDERSTAND, &GapV1::from(gap))?;
        }
        meta::write(&mut list, tag::FRAME_INDEX, 0, &FrameIndexV1 { frames: self.frames.clone() })?;
        let statistics = StatisticsV1 {
            frames: self.next_number,
            last_head_crc: self.last_head_crc,
            records: self.records,
            bytes_raw: self.bytes_raw,
            streams: self.statistics.values().copied().collect(),
            books: self.books.values().copied().collect(),
            recovered: self.recovered,
        };
        meta::write(&mut list, tag::STATISTICS, MUST_UNDERSTAND, &statistics)?;
        if list.len() > FOOTER_BYTES_MAX as usize {
            return Err(format!("the footer has {} bytes, the limit is {FOOTER_BYTES_MAX}", list.len()));
        }
        Ok(list)
    }

    /// The facts that a footer's metadata repeats.
    ///
    /// # Errors
    /// [`BodyFault`].
    pub fn from_footer(list: &[u8]) -> Result<Self, BodyFault> {
        let mut facts = Self::default();
        let mut complete = (false, false);
        for entry in meta::entries(list) {
            let entry = entry?;
            if let Some(stream) = IntroducedStream::read(&entry)? {
                if facts.introduced.insert(stream.id) {
                    facts.streams.push(stream);
                }
                continue;
            }
            match entry.tag {
                tag::ANCESTOR => facts.ancestor(&entry.decode::<AncestorV1>()?.cluster),
                tag::GAP => facts.gaps.push(entry.decode::<GapV1>()?.into()),
                tag::FRAME_INDEX if !complete.0 => {
                    facts.frames = entry.decode::<FrameIndexV1>()?.frames;
                    complete.0 = true;
                }
                tag::STATISTICS if !complete.1 => {
                    let statistics = entry.decode::<StatisticsV1>()?;
                    facts.records = statistics.records;
                    facts.bytes_raw = statistics.bytes_raw;
                    facts.next_number = statistics.frames;
                    facts.last_head_crc = statistics.last_head_crc;
                    facts.recovered = statistics.recovered;
                    facts.statistics = statistics.streams.into_iter().map(|s| (s.id, s)).collect();
                    facts.books = statistics.books.into_iter().map(|b| (b.id, b)).collect();
                    complete.1 = true;
                }
                tag::FRAME_INDEX | tag::STATISTICS => {
                    return Err(BodyFault::Damaged(format!("the footer has two entries with tag {}, one is expected", entry.tag)));
                }
                _ => entry.skip_unknown().map_err(BodyFault::MustUnderstand)?,
            }
        }
        if complete == (true, true) { Ok(facts) } else { Err(BodyFault::Damaged("the footer lacks its index or its statistics".into())) }
    }
}
