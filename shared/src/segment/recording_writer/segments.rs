//! Where one segment ends and the next begins, and the files beside them.

use std::path::Path;
use std::time::Instant;

use super::RecordingWriter;
use crate::clock::wall_now_ns;
use crate::segment::SegmentError;
use crate::segment::files::{RESERVE_FILE, private, write_whole};
use crate::segment::frame::SegmentHeader;
use crate::segment::meta::{SegmentV1, SourceV1};
use crate::segment::recording::{RECORDING_FILE, SEGMENT_SUFFIX};
use crate::segment::recovery::recover;
use crate::segment::store::Files;
use crate::segment::writer::SegmentWriter;

/// What is kept free for sealing on a full disk.
const RESERVE_BYTES: u64 = 2 << 20;

impl<F: Files> RecordingWriter<F> {
    pub(super) fn seal_current(&mut self) -> Result<(), SegmentError> {
        let books = self.books();
        if let Some(segment) = self.segment.take() {
            let (records, bytes) = (segment.facts().records, segment.bytes());
            segment.seal(false)?;
            self.written_before += records;
            self.bytes_before += bytes;
        }
        self.books = books;
        Ok(())
    }

    pub(super) fn begin_segment(&mut self) -> Result<(), SegmentError> {
        let number = self.next_segment;
        let name = format!("{}-{number:08}{SEGMENT_SUFFIX}", uuid::Uuid::from_bytes(self.writer_id).simple().to_string().split_at(8).0);
        let (path, temporary) = (self.dir.join(&name), self.dir.join(format!("{name}.tmp")));
        let header = SegmentHeader {
            segment: SegmentV1 {
                recording_id: self.recording_id,
                writer_id: self.writer_id,
                number,
                sync: uuid::Uuid::new_v4().into_bytes(),
                created_wall_ns: wall_now_ns(),
                created_mono_ns: u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX),
                software: concat!("dejaq ", env!("CARGO_PKG_VERSION")).into(),
            },
            source: SourceV1 { ancestors: self.ancestors.clone(), ..self.new.source.clone() },
            filters: self.new.filters.clone(),
            isolation: self.new.isolation.clone(),
        };
        let file = self.files.create(&temporary).map_err(SegmentError::io("creating", &temporary))?;
        let mut segment = SegmentWriter::begin(file, &path, &header)?;
        segment.streams(&self.streams, &[])?;
        segment.checkpoint(&self.books)?;
        segment.sync()?;
        self.files.rename(&temporary, &path).map_err(SegmentError::io("renaming", &temporary))?;
        self.files.sync_dir(&self.dir).map_err(SegmentError::io("syncing", &self.dir))?;
        self.next_segment = number + 1;
        self.segment = Some(segment);
        self.began = Instant::now();
        Ok(())
    }

    pub(super) fn keep_reserve(&self) -> Result<(), SegmentError> {
        let path = self.dir.join(RESERVE_FILE);
        let file = private().create(true).truncate(true).open(&path).map_err(SegmentError::io("creating", &path))?;
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES) {
            // A file system that cannot keep room ahead: sealing on a full disk may fail there, resuming still works.
            Ok(()) | Err(rustix::io::Errno::NOTSUP) => Ok(()),
            Err(e) => Err(SegmentError::io("keeping 2 MiB for sealing in", &self.dir)(e.into())),
        }
    }

    pub(super) fn write_description(&self) -> Result<(), SegmentError> {
        #[derive(serde::Serialize)]
        struct Description<'a> {
            id: String,
            created: String,
            software: &'a str,
            broker: &'a str,
            cluster: &'a str,
            topics: &'a [String],
        }
        let description = Description {
            id: uuid::Uuid::from_bytes(self.recording_id).to_string(),
            created: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
            software: concat!("dejaq ", env!("CARGO_PKG_VERSION")),
            broker: &self.new.source.broker,
            cluster: &self.new.source.cluster,
            topics: &self.new.filters.topics,
        };
        let path = self.dir.join(RECORDING_FILE);
        let text = toml::to_string(&description).map_err(|e| SegmentError::Conflict { path: path.clone(), why: e.to_string() })?;
        let text = format!("# A dejaq recording. The segments beside this file hold all of it; this is for people.\n{text}");
        write_whole(&path, text.as_bytes())
    }
}

/// Seals a segment that its writer left open, cut to what is whole.
pub(super) fn seal_left_open(files: &impl Files, path: &Path) -> Result<(), SegmentError> {
    let file = files.open(path).map_err(SegmentError::io("opening", path))?;
    let recovered = recover(&file, path)?;
    if recovered.sealed {
        return Ok(());
    }
    SegmentWriter::go_on(file, path, &recovered.header, recovered.facts, recovered.keep_bytes)?.seal(true).map(drop)
}
