//! Going through a segment frame by frame, and telling damage.
//!
//! # The damage policy
//! - A frame whose body is bad costs that frame; a stretch that holds no frame costs that stretch. Both are reported with
//!   their byte range, and reading goes on at the next whole frame.
//! - A frame that is missing, repeated or out of place is reported by the chain; one that comes a second time is left out.
//! - What follows the last whole frame of a segment without a footer is a *torn tail*: reported as such.
//! - A header that cannot be read, a newer version, and anything unknown that must be understood are errors.

use std::path::{Path, PathBuf};

use super::facts::{Body, BodyFault, SegmentFacts};
use super::frame::{FrameHead, HEAD_BYTES, HeaderFault, PREFIX_BYTES, SegmentHeader, hex};
use super::store::ReadAt;
use super::{SegmentError, VERSION, footer};

/// A stretch of a segment that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Its first byte.
    pub from: u64,
    /// The byte after its last.
    pub to: u64,
    /// What was found and what was expected.
    pub what: String,
}

/// What a scan comes upon.
#[derive(Debug)]
pub enum Event<'a> {
    /// A whole frame.
    Frame {
        /// Where its head begins.
        offset: u64,
        /// Its head.
        head: FrameHead,
        /// Its body, checked.
        body: Body,
        /// Its body's bytes.
        bytes: &'a [u8],
    },
    /// A stretch that cannot be used, or a break in the chain (then `from == to`).
    Damage(Damage),
}

/// How a segment ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// With a footer.
    Sealed(Box<SegmentFacts>),
    /// After a whole frame, without a footer.
    Open,
    /// With a torn tail from this byte on.
    Torn(u64),
}

/// Reads a segment's header.
///
/// # Errors
/// [`SegmentError`].
pub fn read_header(store: &impl ReadAt, path: &Path) -> Result<(SegmentHeader, u32, u64), SegmentError> {
    let bytes = store.bytes().map_err(SegmentError::io("reading", path))?;
    let mut prefix = [0u8; PREFIX_BYTES];
    let there = usize::try_from(bytes).unwrap_or(PREFIX_BYTES).min(PREFIX_BYTES);
    store.read_exact_at(&mut prefix[..there], 0).map_err(SegmentError::io("reading", path))?;
    let fault = |fault| match fault {
        HeaderFault::Magic => {
            SegmentError::NotASegment { path: path.to_owned(), found: format!("\"{}\"", prefix[..there.min(8)].escape_ascii()) }
        }
        HeaderFault::Version(version) => SegmentError::FutureVersion { path: path.to_owned(), version, supported: VERSION },
        HeaderFault::Damaged(what) => SegmentError::Damaged { path: path.to_owned(), offset: 0, what },
        HeaderFault::MustUnderstand(what) => SegmentError::MustUnderstand { path: path.to_owned(), offset: 0, what },
    };
    let cut = |needed: usize| HeaderFault::Damaged(format!("the file has {bytes} bytes, its header needs {needed}"));
    if there < PREFIX_BYTES {
        return Err(fault(if prefix[..there.min(8)] == super::MAGIC[..there.min(8)] { cut(PREFIX_BYTES) } else { HeaderFault::Magic }));
    }
    let length = SegmentHeader::length(&prefix).map_err(fault)?;
    if bytes < length as u64 {
        return Err(fault(cut(length)));
    }
    let mut header = vec![0u8; length];
    store.read_exact_at(&mut header, 0).map_err(SegmentError::io("reading", path))?;
    let (header, crc) = SegmentHeader::decode(&header).map_err(fault)?;
    Ok((header, crc, length as u64))
}

/// A pass over one segment.
pub struct Scanner<'s, S> {
    store: &'s S,
    path: PathBuf,
    /// Its header.
    pub header: SegmentHeader,
    at: u64,
    end: u64,
    footer: Option<Box<SegmentFacts>>,
    pending: Option<Damage>,
    next_number: u64,
    chain: u32,
    ending: Option<Ending>,
    buffer: Vec<u8>,
}

impl<'s, S: ReadAt> Scanner<'s, S> {
    /// Reads the header and looks for a footer.
    ///
    /// # Errors
    /// When the header cannot be read, or header or footer hold what must be understood and is not.
    pub fn new(store: &'s S, path: &Path) -> Result<Self, SegmentError> {
        let (header, chain, at) = read_header(store, path)?;
        let mut end = store.bytes().map_err(SegmentError::io("reading", path))?;
        let mut pending = None;
        let mut found = None;
        if let Some(offset) = footer::locate(store, &header.segment.sync).map_err(SegmentError::io("reading", path))?.filter(|o| *o >= at) {
            match footer::read(store, offset) {
                Ok(facts) => found = Some(Box::new(facts)),
                Err(BodyFault::Damaged(what)) => pending = Some(Damage { from: offset, to: end, what }),
                Err(BodyFault::MustUnderstand(what)) => return Err(SegmentError::MustUnderstand { path: path.to_owned(), offset, what }),
            }
            end = offset;
        }
        Ok(Self {
            store,
            path: path.to_owned(),
            header,
            at,
            end,
            footer: found,
            pending,
            next_number: 0,
            chain,
            ending: None,
            buffer: Vec::new(),
        })
    }

    /// The next thing; `None` at the end (then see [`Scanner::ending`]).
    ///
    /// # Errors
    /// I/O, or something that must be understood and is not.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, SegmentError> {
        loop {
            if self.ending.is_some() {
                return Ok(None);
            }
            if self.at == self.end {
                let damage = self.finish(None);
                return Ok(damage.map(Event::Damage));
            }
            let offset = self.at;
            let head = match self.read_head(offset)? {
                Ok(head) => head,
                Err(what) => match self.resync(offset, what)? {
                    Some(damage) => return Ok(Some(Event::Damage(damage))),
                    None => continue,
                },
            };
            let body_start = offset + HEAD_BYTES as u64;
            let after = body_start + u64::from(head.body_bytes);
            if after > self.end {
                let what = format!("a frame's body of {} bytes is cut after {}", head.body_bytes, self.end - body_start);
                match self.resync(offset, what)? {
                    Some(damage) => return Ok(Some(Event::Damage(damage))),
                    None => continue,
                }
            }
            if head.number < self.next_number {
                self.at = after;
                let what = format!("frame {} comes again after frame {}", head.number, self.next_number - 1);
                return Ok(Some(Event::Damage(Damage { from: offset, to: after, what })));
            }
            if let Some(damage) = self.check_chain(offset, &head) {
                return Ok(Some(Event::Damage(damage)));
            }
            self.buffer.resize(head.body_bytes as usize, 0);
            self.store.read_exact_at(&mut self.buffer, body_start).map_err(SegmentError::io("reading", &self.path))?;
            self.at = after;
            self.next_number = head.number.saturating_add(1);
            self.chain = head.crc;
            return match Body::read(&head, &self.buffer) {
                Ok(body) => Ok(Some(Event::Frame { offset, head, body, bytes: &self.buffer })),
                Err(BodyFault::Damaged(what)) => Ok(Some(Event::Damage(Damage { from: offset, to: after, what }))),
                Err(BodyFault::MustUnderstand(what)) => Err(SegmentError::MustUnderstand { path: self.path.clone(), offset, what }),
            };
        }
    }

    /// How the segment ends, once [`Scanner::next_event`] has given `None`.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_ending(self) -> Option<Ending> {
        self.ending
    }

    fn check_chain(&mut self, offset: u64, head: &FrameHead) -> Option<Damage> {
        if head.number == self.next_number && head.previous == self.chain {
            return None;
        }
        let what = if head.number == self.next_number {
            format!("frame {} does not follow from the frame before it: that one was replaced", head.number)
        } else {
            format!("frame {} follows, frame {} was expected", head.number, self.next_number)
        };
        // Told once; the frame itself is whole and is read next.
        self.next_number = head.number;
        self.chain = head.previous;
        Some(Damage { from: offset, to: offset, what })
    }

    fn read_head(&self, offset: u64) -> Result<Result<FrameHead, String>, SegmentError> {
        if self.end - offset < HEAD_BYTES as u64 {
            return Ok(Err(format!("{} bytes are left, a frame's head has {HEAD_BYTES}", self.end - offset)));
        }
        let mut head = [0u8; HEAD_BYTES];
        self.store.read_exact_at(&mut head, offset).map_err(SegmentError::io("reading", &self.path))?;
        Ok(FrameHead::decode(&head, &self.header.segment.sync))
    }

    /// Looks for the next frame after `from`. `None`: nothing to report but the ending, which is set.
    fn resync(&mut self, from: u64, what: String) -> Result<Option<Damage>, SegmentError> {
        match self.find_frame(from + 1)? {
            Some(to) => {
                self.at = to;
                Ok(Some(Damage { from, to, what }))
            }
            None => Ok(self.finish(Some((from, what)))),
        }
    }

    fn find_frame(&self, from: u64) -> Result<Option<u64>, SegmentError> {
        // The first chunk is small and the next ones grow: many small stretches must not cost a large read each.
        const CHUNK_MAX: u64 = 1 << 20;
        let mut chunk_bytes = 4 << 10;
        let sync = self.header.segment.sync;
        let mut start = from;
        let mut chunk = Vec::new();
        while start + HEAD_BYTES as u64 <= self.end {
            let length = chunk_bytes.min(self.end - start);
            chunk.resize(usize::try_from(length).unwrap_or(0), 0);
            self.store.read_exact_at(&mut chunk, start).map_err(SegmentError::io("reading", &self.path))?;
            for at in (0..chunk.len().saturating_sub(15)).filter(|at| chunk[*at..].starts_with(&sync)) {
                let offset = start + at as u64;
                if let Ok(head) = self.read_head(offset)?
                    && offset + HEAD_BYTES as u64 + u64::from(head.body_bytes) <= self.end
                {
                    return Ok(Some(offset));
                }
            }
            if length < chunk_bytes {
                break;
            }
            start += length - 15;
            chunk_bytes = (chunk_bytes * 2).min(CHUNK_MAX);
        }
        Ok(None)
    }

    /// Sets the ending; gives what is to be reported before it.
    fn finish(&mut self, tail: Option<(u64, String)>) -> Option<Damage> {
        if let Some(damage) = self.pending.take() {
            return Some(damage);
        }
        let at = self.at;
        self.at = self.end;
        let Some(facts) = self.footer.take() else {
            self.ending = Some(tail.map_or(Ending::Open, |(from, _)| Ending::Torn(from)));
            return None;
        };
        let (frames, chain) = (facts.next_number, facts.last_head_crc);
        self.ending = Some(Ending::Sealed(facts));
        if let Some((from, what)) = tail {
            return Some(Damage { from, to: self.end, what });
        }
        (frames != self.next_number || chain != self.chain).then(|| Damage {
            from: at,
            to: at,
            what: format!(
                "the segment ends after {} frames with head checksum {}, its footer says {frames} and {}",
                self.next_number,
                hex(&self.chain.to_le_bytes()),
                hex(&chain.to_le_bytes())
            ),
        })
    }
}
