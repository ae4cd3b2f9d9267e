//! The smallest seam to the file system: what a segment is read from and appended to, and where segments get their names. A
//! `Vec<u8>` is the twin of a file, so that a corruption test is "flip byte 8"; the twin of the disk is one that loses its power
//! (`tests/segment/power.rs`).

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Bytes that can be read at any place.
pub trait ReadAt {
    /// How many there are now.
    ///
    /// # Errors
    /// The operating system's.
    fn bytes(&self) -> io::Result<u64>;

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when there are fewer; else the operating system's.
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;
}

/// Bytes that grow at their end.
pub trait Append {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// The operating system's; some of the bytes may have been appended.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts back to `bytes` bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Returns when all that was appended is on stable storage.
    ///
    /// # Errors
    /// The operating system's.
    fn sync(&self) -> io::Result<()>;
}

/// Where segments are: what a recording's writer does to names and files, step by step.
pub trait Files: Debug {
    /// A segment's file.
    type File: Append + ReadAt + Debug;

    /// Makes a file that is not there, for its owner alone.
    ///
    /// # Errors
    /// The operating system's, as for every step.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file that is there, to be read and cut and appended to.
    ///
    /// # Errors
    /// The operating system's.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// The same file, to be synced from another thread.
    ///
    /// # Errors
    /// The operating system's.
    fn share(&self, file: &Self::File) -> io::Result<Self::File>;

    /// Gives a file another name.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Returns when the names in a directory are on stable storage.
    ///
    /// # Errors
    /// The operating system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        super::files::private().create_new(true).read(true).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    fn share(&self, file: &File) -> io::Result<File> {
        file.try_clone()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir).and_then(|dir| dir.sync_all())
    }
}

impl ReadAt for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, into, offset)
    }
}

impl Append for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)?;
        io::Seek::seek(self, io::SeekFrom::Start(bytes)).map(drop)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

impl ReadAt for Vec<u8> {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let range = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(into.len())?));
        let from = range.and_then(|range| self.get(range)).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(from);
        Ok(())
    }
}

impl Append for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        Self::truncate(self, usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
