//! Files that grow, one for each hour of the run: so that a crash on the second day keeps the first.
//!
//! The file of the first hour has the plain name (`intervals.csv`), that of a later hour bears its number before the dot
//! (`intervals-0001.csv` is the second hour, counted by intended time). Each is a whole file of its kind, with the same head.
//! It is synced and gets its name when its hour is over, which shows in the first row of a later one; until then it is
//! called `NAME.part`. An hour without a row has no file; the first hour always has one. One file is open at a time: rows
//! never go back to an hour that is over.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use super::dir::{RunDir, RunDirError};

/// The seconds of one file.
pub const HOUR_S: u64 = 3_600;

/// A growing file that is begun anew every hour. Writing takes `&Rolled`, as with [`File`].
#[derive(Debug)]
pub struct Rolled<'a> {
    dir: &'a RunDir,
    name: &'static str,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    /// The hour of the open file; `None` while only its head is written.
    hour: Option<u64>,
    /// What each file begins with.
    head: Vec<u8>,
    out: BufWriter<File>,
}

impl<'a> Rolled<'a> {
    /// Opens the file of the first hour. What is written before the first [`Rolled::reach`] is the head of all files.
    ///
    /// # Errors
    /// [`RunDirError`].
    pub fn open(dir: &'a RunDir, name: &'static str) -> Result<Self, RunDirError> {
        let out = BufWriter::new(dir.grow(name)?);
        Ok(Self { dir, name, state: RefCell::new(State { hour: None, head: Vec::new(), out }) })
    }

    /// What is written from now on belongs to this second of the run, or to a later one. Completes the file of an hour that
    /// is over; a second of an hour before the open one stays with the open one.
    ///
    /// # Errors
    /// [`RunDirError`].
    pub fn reach(&self, second: u64) -> Result<(), RunDirError> {
        let mut state = self.state.borrow_mut();
        let (now, next) = (state.hour.unwrap_or(0), second / HOUR_S);
        state.hour = Some(now.max(next));
        if next <= now {
            return Ok(());
        }
        let out = BufWriter::new(self.dir.grow(&name_of(self.name, next))?);
        let over = std::mem::replace(&mut state.out, out);
        complete(self.dir, &name_of(self.name, now), over)?;
        let State { head, out, .. } = &mut *state;
        out.write_all(head).map_err(|source| RunDirError::Io { what: "write", path: self.dir.path().join(self.name), source })
    }

    /// Completes the open file: the run is over.
    ///
    /// # Errors
    /// [`RunDirError`].
    pub fn complete(self) -> Result<(), RunDirError> {
        let State { hour, out, .. } = self.state.into_inner();
        complete(self.dir, &name_of(self.name, hour.unwrap_or(0)), out)
    }
}

fn complete(dir: &RunDir, name: &str, out: BufWriter<File>) -> Result<(), RunDirError> {
    let file = out.into_inner().map_err(IntoInnerError::into_error);
    let file = file.map_err(|source| RunDirError::Io { what: "write", path: dir.path().join(name), source })?;
    dir.complete(&file, name)
}

impl Write for &Rolled<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let written = state.out.write(bytes)?;
        if state.hour.is_none() {
            state.head.extend_from_slice(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.state.borrow_mut().out.flush()
    }
}

/// The name of the file of an hour, from 0.
fn name_of(name: &str, hour: u64) -> String {
    match name.split_once('.') {
        Some((stem, kind)) if hour > 0 => format!("{stem}-{hour:04}.{kind}"),
        _ => name.to_owned(),
    }
}

/// The files of a kind (such as `intervals.csv`) in a run directory, by hour; and, called `….part`, the one that grows, or grew
/// when the run was killed: its last line may be torn.
///
/// # Errors
/// When the directory cannot be read.
pub fn files(run: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
    let (stem, kind) = name.split_once('.').unwrap_or((name, ""));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(run)? {
        let entry = entry?;
        let Some(called) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let text = called.strip_suffix(".part").unwrap_or(&called);
        let hour = if text == name {
            Some(0)
        } else {
            let number = text.strip_prefix(stem).and_then(|t| t.strip_prefix('-')).and_then(|t| t.strip_suffix(kind)?.strip_suffix('.'));
            number.and_then(|n| n.parse::<u64>().ok()).filter(|hour| name_of(name, *hour) == text)
        };
        found.extend(hour.map(|hour| (hour, entry.path())));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(dir).expect("there").map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn an_hour_that_is_over_is_whole_while_the_next_one_grows() {
        let tmp = tempfile::tempdir().expect("tmp");
        let dir = RunDir::create(tmp.path()).expect("empty");
        let rolled = Rolled::open(&dir, "intervals.csv").expect("open");
        writeln!(&rolled, "head").expect("write");
        for second in [0, 3_599, 3_600, 2, 3 * HOUR_S] {
            rolled.reach(second).expect("reach");
            writeln!(&rolled, "{second}").expect("write");
        }
        assert_eq!(names(tmp.path()), ["intervals-0001.csv", "intervals-0003.csv.part", "intervals.csv"], "the third hour is still open");
        assert_eq!(read(&tmp.path().join("intervals.csv")), "head\n0\n3599\n");
        assert_eq!(read(&tmp.path().join("intervals-0001.csv")), "head\n3600\n2\n", "a late row stays with the open hour");
        rolled.complete().expect("complete");
        let found: Vec<String> = files(tmp.path(), "intervals.csv").expect("there").iter().map(|p| read(p)).collect();
        assert_eq!(found, ["head\n0\n3599\n", "head\n3600\n2\n", "head\n10800\n"]);
    }

    #[test]
    fn files_come_by_hour_and_without_strangers() {
        let tmp = tempfile::tempdir().expect("tmp");
        for name in
            ["counts-10000.csv", "counts-0002.csv", "counts.csv", "counts-2.csv", "counts-x.csv", "counts-0003.csv.part", "run.json"]
        {
            std::fs::write(tmp.path().join(name), "").expect("write");
        }
        let found = files(tmp.path(), "counts.csv").expect("there");
        let found: Vec<_> = found.iter().map(|p| p.file_name().expect("a name").to_string_lossy()).collect();
        assert_eq!(found, ["counts.csv", "counts-0002.csv", "counts-0003.csv.part", "counts-10000.csv"]);
    }

    #[test]
    fn a_run_without_a_row_has_the_head_alone() {
        let tmp = tempfile::tempdir().expect("tmp");
        let dir = RunDir::create(tmp.path()).expect("empty");
        let rolled = Rolled::open(&dir, "counts.csv").expect("open");
        writeln!(&rolled, "head").expect("write");
        rolled.complete().expect("complete");
        assert_eq!((names(tmp.path()), read(&tmp.path().join("counts.csv"))), (vec!["counts.csv".to_owned()], "head\n".to_owned()));
    }
}
