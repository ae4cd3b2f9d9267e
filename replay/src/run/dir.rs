//! The directory and its files.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::report::RunReport;

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// There is something in it.
    #[error("run directory {} is not empty: give a new one with --run", .0.display())]
    NotEmpty(PathBuf),
    /// There is no `run.json`.
    #[error("{} has no run.json: it is no run directory, or the run was killed within its first second", .0.display())]
    NoReport(PathBuf),
    /// The system refused.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Not a `run.json` that this build reads.
    #[error("{}: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What is read of a file of JSON at most; dejaq's own are far smaller.
const JSON_BYTES_MAX: u64 = 64 << 20;

/// The name of the report in a run directory.
pub const RUN_JSON: &str = "run.json";
/// The interval log.
pub const LATENCY_HLOG: &str = "latency.hlog";
/// Planned and sent per 100 ms.
pub const COUNTS_CSV: &str = "counts.csv";
/// Per second of intended time.
pub const INTERVALS_CSV: &str = "intervals.csv";
/// Per stream.
pub const STREAMS_CSV: &str = "streams.csv";

/// What a probe saw of the outputs, per second of observation.
pub const PROBE_CSV: &str = "probe.csv";
/// The newest event time that outputs cover, per second.
pub const FRESHNESS_CSV: &str = "freshness.csv";
/// The lag of consumer groups, per partition and in total, each second.
pub const LAG_CSV: &str = "lag.csv";
/// The signals of the system under test, each second.
pub const WATCH_CSV: &str = "watch.csv";

/// A run directory of one's own.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes the directory (and those above it), or takes an empty one.
    ///
    /// # Errors
    /// [`RunDirError`] when it has something in it or cannot be made or written.
    pub fn create(path: &Path) -> Result<Self, RunDirError> {
        let io = |what: &'static str| move |source| RunDirError::Io { what, path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io("make the run directory"))?;
        if fs::read_dir(path).map_err(io("read the run directory"))?.next().is_some() {
            return Err(RunDirError::NotEmpty(path.to_owned()));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The directory of a run that has been, or goes on elsewhere: to add a file to it.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file that grows: it is called `NAME.part` until [`RunDir::complete`].
    ///
    /// # Errors
    /// [`RunDirError`].
    pub fn grow(&self, name: &str) -> Result<File, RunDirError> {
        let path = self.path.join(part(name));
        private(&path).map_err(|source| RunDirError::Io { what: "make", path, source })
    }

    /// Syncs a grown file and gives it its name.
    ///
    /// # Errors
    /// [`RunDirError`].
    pub fn complete(&self, file: &File, name: &str) -> Result<(), RunDirError> {
        let (from, to) = (self.path.join(part(name)), self.path.join(name));
        file.sync_all().and_then(|()| fs::rename(&from, &to)).and_then(|()| self.sync()).map_err(|source| RunDirError::Io {
            what: "complete",
            path: to,
            source,
        })
    }

    /// Writes a file as a whole.
    ///
    /// # Errors
    /// [`RunDirError`].
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RunDirError> {
        write_whole(&self.path.join(name), bytes)
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`RunDirError`].
    pub fn write_report(&self, report: &RunReport) -> Result<(), RunDirError> {
        self.write_json(RUN_JSON, report)
    }

    /// Writes a file of JSON as a whole.
    ///
    /// # Errors
    /// [`RunDirError`].
    pub fn write_json(&self, name: &str, content: &impl serde::Serialize) -> Result<(), RunDirError> {
        let mut json =
            serde_json::to_vec_pretty(content).map_err(|e| RunDirError::Malformed { path: self.path.join(name), reason: e.to_string() })?;
        json.push(b'\n');
        self.replace(name, &json)
    }

    fn sync(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }
}

/// Reads a run's `run.json`.
///
/// # Errors
/// [`RunDirError`].
pub fn read_report(run: &Path) -> Result<RunReport, RunDirError> {
    read_json(run, RUN_JSON)?.ok_or_else(|| RunDirError::NoReport(run.to_owned()))
}

/// Reads a file of JSON in a run directory; `None` when there is none.
///
/// # Errors
/// [`RunDirError`].
pub fn read_json<T: serde::de::DeserializeOwned>(run: &Path, name: &str) -> Result<Option<T>, RunDirError> {
    let path = run.join(name);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(JSON_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RunDirError::Io { what: "read", path, source }),
    }
    let found = serde_json::from_slice(&bytes);
    found.map(Some).map_err(|e| RunDirError::Malformed { path, reason: format!("not a {name} that this build reads: {e}") })
}

/// Writes a file as a whole, readable by its owner only: beside it under a temporary name, synced, renamed.
///
/// # Errors
/// [`RunDirError`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    let write = || {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = path.with_file_name([OsStr::new("."), name, OsStr::new(".new")].join(OsStr::new("")));
        let mut file = private(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // A name alone is one in the directory where we are.
        sync_directory(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    };
    write().map_err(|source| RunDirError::Io { what: "write", path: path.to_owned(), source })
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// What a file that grows is called.
fn part(name: &str) -> String {
    format!("{name}.part")
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let dir = tempfile::tempdir().expect("tmp");
        let run = RunDir::create(&dir.path().join("a/b")).expect("new");
        run.replace("x", b"1").expect("write");
        assert!(matches!(RunDir::create(run.path()), Err(RunDirError::NotEmpty(_))));
    }

    #[test]
    fn a_file_that_grows_is_a_part_until_it_is_complete_and_all_are_private() {
        let dir = tempfile::tempdir().expect("tmp");
        let run = RunDir::create(dir.path()).expect("empty");
        let mut file = run.grow("counts.csv").expect("make");
        file.write_all(b"a\n").expect("write");
        assert!(!run.path().join("counts.csv").exists());
        run.complete(&file, "counts.csv").expect("complete");
        run.replace("run.json", b"{}").expect("write");
        let names: Vec<_> = fs::read_dir(dir.path()).expect("read").map(|e| e.expect("entry").path()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        for name in names {
            assert_eq!(fs::metadata(&name).expect("there").permissions().mode() & 0o777, 0o600, "{name:?}");
        }
        assert!(matches!(read_report(dir.path()), Err(RunDirError::Malformed { .. })));
    }
}
