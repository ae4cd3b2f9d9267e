//! A recording: a directory of segments, read as one.
//!
//! # What it guarantees
//! - The truth is in the segments; `recording.toml` is for people.
//! - Streams are told apart by identity (cluster, topic, topic id, partition), whatever numbers the segments give them,
//!   and are numbered in a fixed order: that of the segments, then of their first mention. A writer that introduces an
//!   identity again begins another stream: its log was cut back, and positions come again with other records.
//! - A missing segment is seen by the numbers of the others.
//! - A segment that is still being written is read to its last whole frame.
//!
//! Memory grows by about 80 bytes a block (some 4 MiB of records) and by the streams, not by the records.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::SegmentError;
use super::facts::SegmentFacts;
use super::frame::{SegmentHeader, frame_type};
use super::meta::{SegmentV1, StreamBooksV1};
use super::reader::{Place, SegmentReader, SegmentState};
use super::scan::{Damage, read_header};
use crate::record::{Gap, Stream, StreamIx};

/// The file that says, for people, what a directory is.
pub const RECORDING_FILE: &str = "recording.toml";
/// The file that a writer holds a lock on.
pub const LOCK_FILE: &str = "writer.lock";
/// What segments' names end with.
pub const SEGMENT_SUFFIX: &str = ".dejaq";

/// A stream of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedStream {
    /// Who it is.
    pub stream: Stream,
    /// The first position that was asked for.
    pub start: i64,
    /// Its records.
    pub records: u64,
    /// Their key, value and header bytes.
    pub bytes_raw: u64,
    /// The bytes of its largest record.
    pub record_bytes_max: u64,
    /// First and last recorded position.
    pub positions: Option<(i64, i64)>,
    /// Where it stands at the end of the newest segment that knows it.
    pub books: StreamBooksV1,
}

/// A block of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Its segment, as an index.
    pub segment: u32,
    /// Where its frame begins.
    pub offset: u64,
    /// Its frame's number; none where frames before it are missing.
    pub number: Option<u64>,
    /// Its records.
    pub records: u32,
    /// Their key, value and header bytes.
    pub bytes_raw: u64,
    /// The bytes of its body.
    pub bytes_stored: u32,
}

impl From<BlockRef> for Place {
    fn from(block: BlockRef) -> Self {
        Self { offset: block.offset, number: block.number }
    }
}

/// A segment of a recording.
#[derive(Debug)]
pub struct RecordedSegment {
    /// Its file.
    pub path: PathBuf,
    /// Its header.
    pub header: SegmentHeader,
    /// How it was left.
    pub state: SegmentState,
    /// Its bytes.
    pub bytes: u64,
    /// Its stream numbers → the recording's.
    pub streams: HashMap<u32, StreamIx>,
    /// What could not be read while opening it.
    pub damages: Vec<Damage>,
}

/// A recording, opened for reading.
#[derive(Debug)]
pub struct Recording {
    /// Its directory.
    pub dir: PathBuf,
    /// Its identity.
    pub id: [u8; 16],
    /// Its segments, by writer and number.
    pub segments: Vec<RecordedSegment>,
    /// Its streams.
    pub streams: Vec<RecordedStream>,
    /// Its blocks, in the order of the segments.
    pub blocks: Vec<BlockRef>,
    /// What was lost; stream numbers are the recording's.
    pub gaps: Vec<Gap>,
    /// The clusters whose replayed traffic is in it.
    pub ancestors: Vec<String>,
    /// Segments that are not there: `(writer, number)`.
    pub missing: Vec<([u8; 16], u64)>,
    /// Whether a live writer holds it.
    pub live: bool,
}

impl Recording {
    /// Opens a directory.
    ///
    /// # Errors
    /// [`SegmentError::NotARecording`] when it is none; [`SegmentError`] when a segment cannot be read.
    pub fn open(dir: &Path) -> Result<Self, SegmentError> {
        let paths = segment_paths(dir)?;
        if paths.is_empty() {
            return Err(SegmentError::NotARecording { path: dir.to_owned(), why: format!("it holds no segment (*{SEGMENT_SUFFIX})") });
        }
        // Asked before the segments are read: a writer that ends meanwhile leaves more, not less.
        let live = is_held(dir)?;
        // Headers first: what the segments say in full is held for one of them at a time.
        let mut segments = paths.into_iter().map(|p| Ok((header(&p)?, p))).collect::<Result<Vec<_>, SegmentError>>()?;
        segments.sort_by_key(|(header, _)| (header.writer_id, header.number));
        refuse_twice(&segments)?;
        let id = segments[0].0.recording_id;
        if let Some((_, other)) = segments.iter().find(|(header, _)| header.recording_id != id) {
            return Err(SegmentError::Conflict {
                path: other.clone(),
                why: format!("it belongs to another recording than {}", segments[0].1.display()),
            });
        }
        let mut recording = Self {
            dir: dir.to_owned(),
            id,
            segments: Vec::with_capacity(segments.len()),
            streams: Vec::new(),
            blocks: Vec::new(),
            gaps: Vec::new(),
            ancestors: Vec::new(),
            missing: missing_numbers(segments.iter().map(|(header, _)| header)),
            live,
        };
        let mut known = Known::default();
        for (_, path) in segments {
            recording.add(SegmentReader::open(&path)?, &mut known)?;
        }
        Ok(recording)
    }

    fn add(&mut self, reader: SegmentReader, known: &mut Known) -> Result<(), SegmentError> {
        let SegmentReader { path, header, facts, state, mut damages } = reader;
        let index = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
        let mut numbers = HashMap::new();
        let mut mentions: HashMap<Stream, u32> = HashMap::new();
        for row in &facts.streams {
            let stream = row.stream.clone();
            // Each segment mentions all streams, in the same order.
            let mention = mentions.entry(stream.clone()).and_modify(|n| *n += 1).or_default();
            let ix = *known.streams.entry((stream.clone(), *mention)).or_insert_with(|| {
                let books = StreamBooksV1::at_start(row.id, row.start);
                self.streams.push(RecordedStream {
                    stream,
                    start: row.start,
                    records: 0,
                    bytes_raw: 0,
                    record_bytes_max: 0,
                    positions: None,
                    books,
                });
                StreamIx::try_from(self.streams.len() - 1).unwrap_or(StreamIx::MAX)
            });
            numbers.insert(row.id, ix);
            known.numbers.insert((header.segment.writer_id, row.id), ix);
        }
        // A streams frame that is damaged costs no block: a writer's numbers mean the same in all its segments.
        for id in facts.statistics.keys().chain(facts.books.keys()) {
            if let Some(ix) = known.numbers.get(&(header.segment.writer_id, *id)) {
                numbers.entry(*id).or_insert(*ix);
            }
        }
        damages.extend(self.add_totals(&facts, &numbers));
        for (number, frame) in (0..).zip(&facts.frames) {
            if let Some(block) = frame.block.as_ref().filter(|_| frame.frame_type == frame_type::RECORDS) {
                self.blocks.push(BlockRef {
                    segment: index,
                    offset: frame.offset,
                    number: facts.is_complete().then_some(number),
                    records: block.records,
                    bytes_raw: block.bytes_raw,
                    bytes_stored: frame.body_bytes,
                });
            }
        }
        for gap in facts.gaps {
            let stream = gap.stream.and_then(|s| numbers.get(&s).copied());
            self.gaps.push(Gap { stream, ..gap });
        }
        for ancestor in header.source.ancestors.iter().chain(&facts.ancestors) {
            if known.ancestors.insert(ancestor.clone()) {
                self.ancestors.push(ancestor.clone());
            }
        }
        let bytes = std::fs::metadata(&path).map_err(SegmentError::io("reading", &path))?.len();
        self.segments.push(RecordedSegment { path, header, state, bytes, streams: numbers, damages });
        Ok(())
    }

    /// Adds a segment's totals; gives the streams that nothing introduces, whose records are lost with their names.
    fn add_totals(&mut self, facts: &SegmentFacts, numbers: &HashMap<u32, StreamIx>) -> Vec<Damage> {
        let mut nameless = Vec::new();
        for totals in facts.statistics.values() {
            let Some(ix) = numbers.get(&totals.id) else {
                let what = format!("stream {} has {} records and nothing that can be read introduces it", totals.id, totals.records);
                nameless.push(Damage { from: 0, to: 0, what });
                continue;
            };
            let stream = &mut self.streams[*ix as usize];
            // Saturating: what hostile numbers add up to is wrong in any case, and `verify` says so.
            stream.records = stream.records.saturating_add(totals.records);
            stream.bytes_raw = stream.bytes_raw.saturating_add(totals.bytes_raw);
            stream.record_bytes_max = stream.record_bytes_max.max(totals.record_bytes_max);
            stream.positions = Some(stream.positions.map_or((totals.first, totals.last), |(first, _)| (first, totals.last)));
        }
        for books in facts.books.values() {
            if let Some(ix) = numbers.get(&books.id) {
                self.streams[*ix as usize].books = *books;
            }
        }
        nameless
    }

    /// Its records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.streams.iter().fold(0, |sum, s| sum.saturating_add(s.records))
    }

    /// Their key, value and header bytes.
    #[must_use]
    pub fn bytes_raw(&self) -> u64 {
        self.streams.iter().fold(0, |sum, s| sum.saturating_add(s.bytes_raw))
    }

    /// The bytes of its segments.
    #[must_use]
    pub fn bytes_stored(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    /// Its identity as people see it.
    #[must_use]
    pub fn id_text(&self) -> String {
        uuid::Uuid::from_bytes(self.id).to_string()
    }

    /// The broker it comes from: "kafka" or "rabbitmq".
    #[must_use]
    pub fn broker(&self) -> &str {
        &self.segments[0].header.source.broker
    }

    /// Every cluster that its records come from, in order of mention; an empty text stands for an unknown one.
    #[must_use]
    pub fn clusters(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let named = self.segments.iter().map(|s| &s.header.source.cluster).chain(self.streams.iter().map(|s| &s.stream.cluster));
        named.filter(|cluster| seen.insert(*cluster)).cloned().collect()
    }

    /// How records of transactions were read, by the broker's own name; `None` when no segment states it.
    #[must_use]
    pub fn isolation(&self) -> Option<&String> {
        self.segments.iter().find_map(|s| s.header.isolation.as_ref())
    }

    /// What is missing or cannot be read, as far as opening showed it, in words: stretches of bytes, whole segments. Blocks
    /// of sealed segments are not read for this: `verify` does.
    #[must_use]
    pub fn damages(&self) -> Vec<String> {
        let of = |segment: &RecordedSegment| {
            let words = |d: &Damage| format!("{}: bytes {} to {}: {}", segment.path.display(), d.from, d.to, d.what);
            segment.damages.iter().map(words).collect::<Vec<_>>()
        };
        let missing =
            |(writer, number): &([u8; 16], u64)| format!("segment {number} of writer {} is missing", uuid::Uuid::from_bytes(*writer));
        self.segments.iter().flat_map(of).chain(self.missing.iter().map(missing)).collect()
    }

    /// Segments that no footer seals and that nobody writes, in words: their writer died, or their end was cut off, and
    /// nothing in them tells which.
    #[must_use]
    pub fn unsealed(&self) -> Vec<String> {
        let open = || self.segments.iter().filter(|s| s.state != SegmentState::Sealed);
        // A live writer has one open segment, its newest.
        let abandoned = open().count().saturating_sub(usize::from(self.live));
        let words = |s: &RecordedSegment| {
            let path = s.path.display();
            format!("{path} is not sealed and nobody writes it: its end may be missing; resume the capture with the same --out to seal it")
        };
        open().take(abandoned).map(words).collect()
    }

    /// Reads every attachment, oldest first.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn attachments(&self) -> Result<Vec<super::meta::AttachmentV1>, SegmentError> {
        let mut found = Vec::new();
        for segment in &self.segments {
            let file = File::open(&segment.path).map_err(SegmentError::io("opening", &segment.path))?;
            let mut scanner = super::scan::Scanner::new(&file, &segment.path)?;
            while let Some(event) = scanner.next_event()? {
                if let super::scan::Event::Frame { body: super::facts::Body::Attachment(attachment), .. } = event {
                    found.push(attachment);
                }
            }
        }
        Ok(found)
    }
}

/// What the segments so far have introduced.
#[derive(Default)]
struct Known {
    /// Each identity's n-th mention in a segment.
    streams: HashMap<(Stream, u32), StreamIx>,
    /// Each writer's numbers.
    numbers: HashMap<([u8; 16], u32), StreamIx>,
    ancestors: HashSet<String>,
}

/// A segment that is there twice (a copy under another name) would give its records twice. The segments are in order.
fn refuse_twice(segments: &[(SegmentV1, PathBuf)]) -> Result<(), SegmentError> {
    let twice = segments.windows(2).find(|pair| (pair[0].0.writer_id, pair[0].0.number) == (pair[1].0.writer_id, pair[1].0.number));
    match twice {
        None => Ok(()),
        Some([(_, first), (_, second)]) => Err(SegmentError::Conflict {
            path: second.clone(),
            why: format!("it is the same segment as {}: move one of the two away", first.display()),
        }),
        Some(_) => Ok(()),
    }
}

fn header(path: &Path) -> Result<SegmentV1, SegmentError> {
    let file = File::open(path).map_err(SegmentError::io("opening", path))?;
    Ok(read_header(&file, path)?.0.segment)
}

fn missing_numbers<'a>(segments: impl Iterator<Item = &'a SegmentV1>) -> Vec<([u8; 16], u64)> {
    let mut missing = Vec::new();
    let mut expected: HashMap<[u8; 16], u64> = HashMap::new();
    for segment in segments {
        let next = expected.entry(segment.writer_id).or_insert(0);
        // A hostile number must not fill memory: the first few are enough to say what is missing.
        missing.extend((*next..segment.number).take(1000).map(|number| (segment.writer_id, number)));
        *next = segment.number.saturating_add(1);
    }
    missing
}

/// The segment files of a directory, by name.
///
/// # Errors
/// [`SegmentError::NotARecording`] when it is no directory; else I/O.
pub fn segment_paths(dir: &Path) -> Result<Vec<PathBuf>, SegmentError> {
    let listing = std::fs::read_dir(dir).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => SegmentError::NotARecording { path: dir.to_owned(), why: "there is no such directory".into() },
        std::io::ErrorKind::NotADirectory => {
            SegmentError::NotARecording { path: dir.to_owned(), why: "it is a file, a recording is a directory".into() }
        }
        _ => SegmentError::Io { action: "reading", path: dir.to_owned(), source },
    })?;
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry.map_err(SegmentError::io("reading", dir))?.path();
        if path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.ends_with(SEGMENT_SUFFIX)) {
            // Opening something else might wait for ever (a pipe).
            if !std::fs::metadata(&path).map_err(SegmentError::io("reading", &path))?.is_file() {
                return Err(SegmentError::Conflict { path, why: "it has a segment's name and is no file: move it away".into() });
            }
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a live writer holds the recording.
fn is_held(dir: &Path) -> Result<bool, SegmentError> {
    let path = dir.join(LOCK_FILE);
    match File::open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(SegmentError::io("opening", path)(e)),
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(std::fs::TryLockError::WouldBlock) => Ok(true),
            Err(std::fs::TryLockError::Error(e)) => Err(SegmentError::io("locking", path)(e)),
        },
    }
}
