//! What a run left behind, read row by row: complete files and those that were growing when the run was killed.
//!
//! A growing file may end in the middle of a line: what follows its last line break is left out. One hour's file is in memory
//! at a time.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::run::dir::RunDirError;
use crate::run::rolled;

/// The largest file that is read: an hour of the busiest run is a tenth of it.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The run directory or its `run.json`.
    #[error(transparent)]
    Dir(#[from] RunDirError),
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{}: {what}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

/// A file of a run, whole lines only.
pub(super) struct RunFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl RunFile {
    /// An error about it.
    pub(super) fn malformed(&self, what: impl std::fmt::Display) -> ReportError {
        ReportError::Malformed { path: self.path.clone(), what: what.to_string() }
    }
}

/// The files of a kind by hour, each read when it is asked for.
pub(super) fn files(run: &Path, name: &str) -> Result<impl Iterator<Item = Result<RunFile, ReportError>>, ReportError> {
    let paths = rolled::files_so_far(run, name).map_err(|source| ReportError::Io { path: run.to_owned(), source })?;
    Ok(paths.into_iter().map(read))
}

fn read(path: PathBuf) -> Result<RunFile, ReportError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(&path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let mut bytes: Vec<u8> = read().map_err(|source| ReportError::Io { path: path.clone(), source })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ReportError::Malformed { path, what: format!("is larger than {FILE_BYTES_MAX} bytes: no run writes that") });
    }
    bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1));
    Ok(RunFile { path, bytes })
}

/// Gives each row of the tables of a kind to `each`; columns are found by the names in the head.
pub(super) fn rows<T: DeserializeOwned>(run: &Path, name: &str, mut each: impl FnMut(T)) -> Result<(), ReportError> {
    for file in files(run, name)? {
        let file = file?;
        let mut reader = csv::Reader::from_reader(&file.bytes[..]);
        for row in reader.deserialize() {
            each(row.map_err(|e| file.malformed(e))?);
        }
    }
    Ok(())
}
