//! A recording's directory: its lock, its private files, and what a writer that died leaves in it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::SegmentError;
use super::recording::{LOCK_FILE, RECORDING_FILE, SEGMENT_SUFFIX};
use super::store::{Disk, Files as _};

/// The file that keeps room for sealing on a full disk.
pub(super) const RESERVE_FILE: &str = ".reserve";

/// Options for a file that its owner alone may read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// What a writer leaves that died before its first segment had its name does not count.
pub(super) fn check_empty(dir: &Path) -> Result<(), SegmentError> {
    let entries = std::fs::read_dir(dir).map_err(SegmentError::io("reading", dir))?.filter_map(Result::ok);
    let mut others = entries.filter(|e| e.file_name() != LOCK_FILE && e.file_name() != RESERVE_FILE && !is_leftover(e));
    match others.next() {
        None => Ok(()),
        Some(other) => Err(SegmentError::Conflict {
            path: dir.to_owned(),
            why: format!("the directory is not empty (it holds {}): choose another", other.file_name().display()),
        }),
    }
}

/// Whether it is a file of ours that never got its name: other people's temporary files are not touched.
fn is_leftover(entry: &std::fs::DirEntry) -> bool {
    let name = entry.file_name();
    name.to_str().and_then(|n| n.strip_suffix(".tmp")).is_some_and(|n| n == RECORDING_FILE || n.ends_with(SEGMENT_SUFFIX))
}

/// Writes a file so that it is there whole or not at all: temporary name, write, sync, rename, sync the directory.
///
/// # Errors
/// I/O.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), SegmentError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = private().create(true).truncate(true).open(&temporary).map_err(SegmentError::io("creating", &temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(SegmentError::io("writing to", &temporary))?;
    std::fs::rename(&temporary, path).map_err(SegmentError::io("renaming", &temporary))?;
    path.parent().map_or(Ok(()), |dir| Disk.sync_dir(dir).map_err(SegmentError::io("syncing", dir)))
}

pub(super) fn lock(dir: &Path) -> Result<File, SegmentError> {
    let path = dir.join(LOCK_FILE);
    let mut file = private().create(true).truncate(false).read(true).open(&path).map_err(SegmentError::io("creating", &path))?;
    let patience = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(std::fs::TryLockError::Error(e)) => return Err(SegmentError::io("locking", path)(e)),
            // A reader that looks whether somebody writes holds the lock for an instant.
            Err(std::fs::TryLockError::WouldBlock) if patience.elapsed() < Duration::from_millis(500) => std::thread::yield_now(),
            Err(std::fs::TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                return Err(SegmentError::Locked { path: dir.to_owned(), holder: format!("process {}", holder.trim()) });
            }
        }
    }
    // For the message above only; a full disk must not stop a resume here.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Removes what a writer that died left half made: segments that never got their name.
pub(super) fn remove_leftovers(dir: &Path) -> Result<(), SegmentError> {
    for entry in std::fs::read_dir(dir).map_err(SegmentError::io("reading", dir))?.filter_map(Result::ok) {
        if is_leftover(&entry) {
            std::fs::remove_file(entry.path()).map_err(SegmentError::io("removing", entry.path()))?;
        }
    }
    Ok(())
}
