//! The lines of a run's growing files, hour by hour: of complete files, and of those that grow or grew when the run was killed.
//!
//! A file that grows may end in the middle of a line: what follows its last whole one is left out. In a complete file that is
//! an error. Memory is that of one line, which has a limit; an error names file and line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::dir::RunDirError;
use super::rolled::files;

/// The longest line, or row of a table whose quoted cells have line breaks.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// What a line ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// A line break.
    Line,
    /// A line break outside quotes.
    Row,
}

/// The lines of one file, which come whole or not at all. Read as bytes they are the file without a torn end.
struct Lines {
    reader: BufReader<File>,
    path: PathBuf,
    growing: bool,
    ends: Ends,
    line: Vec<u8>,
    /// How much of the line has been read as bytes.
    given: usize,
    /// Line breaks so far.
    breaks: u64,
}

impl Lines {
    fn open(path: PathBuf, ends: Ends) -> Result<Self, RunDirError> {
        let file = File::open(&path).map_err(|source| RunDirError::Io { what: "read", path: path.clone(), source })?;
        let growing = path.extension().is_some_and(|extension| extension == "part");
        Ok(Self { reader: BufReader::new(file), path, growing, ends, line: Vec::new(), given: 0, breaks: 0 })
    }

    /// Goes to the next line; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.given = 0;
        let begin = self.breaks + 1;
        let mut quotes = 0;
        loop {
            let before = self.line.len();
            let left = LINE_BYTES_MAX.saturating_sub(before as u64);
            (&mut self.reader).take(left).read_until(b'\n', &mut self.line)?;
            let new = &self.line[before..];
            if !new.ends_with(b"\n") {
                break;
            }
            self.breaks += 1;
            quotes += new.iter().filter(|byte| **byte == b'"').count();
            if self.ends == Ends::Line || quotes % 2 == 0 {
                return Ok(true);
            }
        }
        let cut_off = !self.line.is_empty();
        let too_long = self.line.len() as u64 >= LINE_BYTES_MAX;
        self.line.clear();
        match (too_long, cut_off && !self.growing) {
            (true, _) => Err(invalid(format!("line {begin}: longer than {LINE_BYTES_MAX} bytes"))),
            (_, true) => Err(invalid(format!("line {begin}: cut off"))),
            _ => Ok(false),
        }
    }

    fn malformed(&self, line: u64, reason: impl std::fmt::Display) -> RunDirError {
        RunDirError::Malformed { path: self.path.clone(), reason: format!("line {line}: {reason}") }
    }
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.line.len() && !self.advance()? {
            return Ok(0);
        }
        let read = (&self.line[self.given..]).read(into)?;
        self.given += read;
        Ok(read)
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// An error of a file: of what stands in it, or of the system.
fn failed(path: &Path, error: io::Error) -> RunDirError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::InvalidData => RunDirError::Malformed { path, reason: error.to_string() },
        _ => RunDirError::Io { what: "read", path, source: error },
    }
}

/// The files of a kind by hour.
fn hours(run: &Path, name: &str) -> Result<Vec<PathBuf>, RunDirError> {
    files(run, name).map_err(|source| RunDirError::Io { what: "read", path: run.to_owned(), source })
}

/// The error for a file that every run has.
pub(super) fn missing(run: &Path, name: &str) -> RunDirError {
    RunDirError::Io { what: "read", path: run.join(name), source: io::ErrorKind::NotFound.into() }
}

/// Gives each line of a kind of file to `take`, which may say what is wrong with it. Whether there is such a file.
pub(super) fn lines(run: &Path, name: &str, take: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<bool, RunDirError> {
    let hours = hours(run, name)?;
    let found = !hours.is_empty();
    for path in hours {
        let mut lines = Lines::open(path, Ends::Line)?;
        while lines.advance().map_err(|error| failed(&lines.path, error))? {
            take(&lines.line).map_err(|reason| lines.malformed(lines.breaks, reason))?;
        }
    }
    Ok(found)
}

/// Gives the cells of the named columns of each row of a kind of table to `take`, which may say what is wrong with them. Whether
/// there is such a table.
pub(super) fn rows(
    run: &Path,
    name: &str,
    columns: &[&str],
    take: &mut dyn FnMut(&[&str]) -> Result<(), String>,
) -> Result<bool, RunDirError> {
    let hours = hours(run, name)?;
    let found = !hours.is_empty();
    for path in hours {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Lines::open(path, Ends::Row)?);
        let mut row = csv::StringRecord::new();
        let mut places: Option<Vec<usize>> = None;
        while reader.read_record(&mut row).map_err(|error| table_failed(reader.get_ref(), error))? {
            let line = row.position().map_or(0, csv::Position::line);
            let taken = match &places {
                None => {
                    let place = |name: &&str| row.iter().position(|cell| cell == *name).ok_or_else(|| format!("no column {name}"));
                    columns.iter().map(place).collect::<Result<Vec<usize>, String>>().map(|found| places = Some(found))
                }
                Some(places) => {
                    let cells = places.iter().map(|place| row.get(*place).ok_or_else(|| "too few cells".to_owned()));
                    cells.collect::<Result<Vec<&str>, String>>().and_then(|cells| take(&cells))
                }
            };
            taken.map_err(|reason| reader.get_ref().malformed(line, reason))?;
        }
    }
    Ok(found)
}

fn table_failed(lines: &Lines, error: csv::Error) -> RunDirError {
    let line = error.position().map_or(lines.breaks, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => failed(&lines.path, error),
        csv::ErrorKind::Utf8 { err, .. } => lines.malformed(line, err),
        other => lines.malformed(line, format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dir: &Path, columns: &[&str]) -> Result<Vec<Vec<String>>, String> {
        let mut found = Vec::new();
        let mut take = |cells: &[&str]| {
            found.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
            Ok(())
        };
        rows(dir, "t.csv", columns, &mut take).map(|_| found).map_err(|error| error.to_string())
    }

    #[test]
    fn a_table_is_read_to_its_last_whole_row_while_it_grows_and_must_be_whole_when_it_is_complete() {
        let text = "a,name,b\n1,\"x,\ny \"\"z\"\"\",2\n3,w,4\n";
        let whole = [vec!["2".to_owned(), "x,\ny \"z\"".to_owned()], vec!["4".to_owned(), "w".to_owned()]];
        let (head, second) = (text.find('1').expect("there"), text.find('3').expect("there"));
        for end in 0..=text.len() {
            let dir = tempfile::tempdir().expect("tmp");
            let whole_rows = [text.len(), second].iter().filter(|at| **at <= end).count();
            std::fs::write(dir.path().join("t.csv.part"), &text[..end]).expect("written");
            assert_eq!(read(dir.path(), &["b", "name"]).expect("grows"), whole[..whole_rows], "{end}");
            std::fs::rename(dir.path().join("t.csv.part"), dir.path().join("t.csv")).expect("complete");
            let found = read(dir.path(), &["b", "name"]);
            if [0, head, second, text.len()].contains(&end) {
                assert_eq!(found.expect("whole rows"), whole[..whole_rows], "{end}");
            } else {
                let error = found.expect_err("cut off");
                assert!(error.contains("t.csv") && error.contains("cut off"), "{end}: {error}");
            }
        }
    }

    #[test]
    fn all_hours_are_read_and_no_line_is_without_an_end() {
        let dir = tempfile::tempdir().expect("tmp");
        let write = |name: &str, text: &[u8]| std::fs::write(dir.path().join(name), text).expect("written");
        write("t.csv", b"a\n1\n");
        write("t-0002.csv.part", b"a\n3\n4");
        assert_eq!(read(dir.path(), &["a"]), Ok(vec![vec!["1".to_owned()], vec!["3".to_owned()]]));
        assert!(!rows(dir.path(), "u.csv", &["a"], &mut |_| Ok(())).expect("nothing to read"), "there is none");
        write("t-0001.csv", b"a\n\xff\n");
        assert!(read(dir.path(), &["a"]).expect_err("not UTF-8").contains("t-0001.csv: line 2: "));
        let long = usize::try_from(LINE_BYTES_MAX).expect("small") + 1;
        for text in [vec![b'x'; long], vec![b'\n'; long]] {
            // In quotes a line break ends no row.
            write("t-0001.csv", &[&b"a\n\""[..], &text].concat());
            let error = read(dir.path(), &["a"]).expect_err("too long");
            assert!(error.contains("t-0001.csv: line 2: longer than"), "{error}");
        }
    }
}
