//! A disk that can lose its power.
//!
//! Files are written to the real file system, and every step is kept; from the steps each state is made that a crash can
//! leave: what was not synced is gone, or there in part, or torn sector by sector; a name that the directory was not synced
//! after may be there or not, in the order in which names were made.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dejaq_shared::segment::store::{Append, Disk, Files, ReadAt};

const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum Step {
    Create { name: PathBuf },
    Append { file: usize, bytes: Vec<u8> },
    Truncate { file: usize, bytes: usize },
    Sync { file: usize },
    Rename { from: PathBuf, to: PathBuf },
    SyncDirectory,
}

/// What is there when the power comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing is lost: the kernel had written all of it.
    Nothing,
    /// Everything since the last sync of a file.
    All,
    /// Of what a file got since its last sync, the end, from this share (of 1000) on.
    After(usize),
    /// Of what a file got since its last sync, all but the last piece: the disk wrote that one first.
    AllButLast,
    /// Some sectors are as they were: which, the seed says.
    Torn(u64),
}

/// The steps of one writer, and the directory before them, all of it durable.
#[derive(Debug, Default)]
struct Log {
    before: Vec<(PathBuf, Vec<u8>)>,
    steps: Vec<Step>,
    files: usize,
}

/// A disk whose steps are kept.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
pub(crate) struct RecordedFile {
    file: File,
    number: usize,
    log: Arc<Mutex<Log>>,
}

impl Recorded {
    /// For a directory as it is now.
    pub(crate) fn new(dir: &Path) -> Self {
        let mut before = Vec::new();
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == "dejaq" || e == "tmp") {
                before.push((path.clone(), std::fs::read(&path).expect("readable")));
            }
        }
        before.sort();
        let files = before.len();
        Self { log: Arc::new(Mutex::new(Log { before, steps: Vec::new(), files })) }
    }

    /// How many steps there were.
    pub(crate) fn steps(&self) -> usize {
        self.log.lock().expect("one thread").steps.len()
    }

    /// Makes in `into` what a crash after `steps` steps leaves. `names`: how many of the names that were not synced are there.
    pub(crate) fn crash(&self, steps: usize, names: usize, loss: Loss, into: &Path) {
        let log = self.log.lock().expect("one thread");
        let mut world = World::of(&log.before);
        log.steps[..steps].iter().for_each(|step| world.take(step));
        world.leave(names, loss, into);
    }

    /// How many names were made and not synced after `steps` steps.
    pub(crate) fn pending_names(&self, steps: usize) -> usize {
        let log = self.log.lock().expect("one thread");
        let mut world = World::of(&log.before);
        log.steps[..steps].iter().for_each(|step| world.take(step));
        world.pending_names.len()
    }

    fn step(&self, step: Step) {
        self.log.lock().expect("one thread").steps.push(step);
    }
}

impl Files for Recorded {
    type File = RecordedFile;

    fn create(&self, path: &Path) -> io::Result<RecordedFile> {
        let file = Disk.create(path)?;
        let mut log = self.log.lock().expect("one thread");
        log.steps.push(Step::Create { name: path.to_owned() });
        log.files += 1;
        Ok(RecordedFile { file, number: log.files - 1, log: self.log.clone() })
    }

    fn open(&self, path: &Path) -> io::Result<RecordedFile> {
        let file = Disk.open(path)?;
        let log = self.log.lock().expect("one thread");
        let number = log.before.iter().position(|(name, _)| name == path).expect("what is opened was there before");
        Ok(RecordedFile { file, number, log: self.log.clone() })
    }

    fn share(&self, file: &RecordedFile) -> io::Result<RecordedFile> {
        Ok(RecordedFile { file: Disk.share(&file.file)?, number: file.number, log: file.log.clone() })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)?;
        self.step(Step::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.step(Step::SyncDirectory);
        Ok(())
    }
}

impl Append for RecordedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.log.lock().expect("one thread").steps.push(Step::Append { file: self.number, bytes: bytes.to_vec() });
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)?;
        let bytes = usize::try_from(bytes).expect("small");
        self.log.lock().expect("one thread").steps.push(Step::Truncate { file: self.number, bytes });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.log.lock().expect("one thread").steps.push(Step::Sync { file: self.number });
        Ok(())
    }
}

impl ReadAt for RecordedFile {
    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        ReadAt::read_exact_at(&self.file, into, offset)
    }
}

/// A file: what of it is safe, and what was done since.
#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    /// Each step since: cut to so many bytes, then this appended.
    pending: Vec<(usize, Vec<u8>)>,
    now: Vec<u8>,
}

#[derive(Debug)]
struct World {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    /// Names that were made since the directory was synced: from, to, file.
    pending_names: Vec<(Option<PathBuf>, PathBuf, usize)>,
}

impl World {
    fn of(before: &[(PathBuf, Vec<u8>)]) -> Self {
        let content = |bytes: &Vec<u8>| Content { durable: bytes.clone(), pending: Vec::new(), now: bytes.clone() };
        Self {
            files: before.iter().map(|(_, bytes)| content(bytes)).collect(),
            names: before.iter().enumerate().map(|(number, (name, _))| (name.clone(), number)).collect(),
            pending_names: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Create { name } => {
                self.files.push(Content::default());
                self.pending_names.push((None, name.clone(), self.files.len() - 1));
            }
            Step::Append { file, bytes } => {
                let content = &mut self.files[*file];
                content.pending.push((content.now.len(), bytes.clone()));
                content.now.extend_from_slice(bytes);
            }
            Step::Truncate { file, bytes } => {
                self.files[*file].now.truncate(*bytes);
                self.files[*file].pending.push((*bytes, Vec::new()));
            }
            Step::Sync { file } => {
                let content = &mut self.files[*file];
                content.durable.clone_from(&content.now);
                content.pending.clear();
            }
            Step::Rename { from, to } => {
                let made = self.pending_names.iter().rev().find(|(_, name, _)| name == from).map(|(_, _, file)| *file);
                let file = made.unwrap_or_else(|| self.names[from]);
                self.pending_names.push((Some(from.clone()), to.clone(), file));
            }
            Step::SyncDirectory => {
                let pending = std::mem::take(&mut self.pending_names);
                self.name(pending);
            }
        }
    }

    fn name(&mut self, made: Vec<(Option<PathBuf>, PathBuf, usize)>) {
        for (from, to, file) in made {
            if let Some(from) = from {
                self.names.remove(&from);
            }
            self.names.insert(to, file);
        }
    }

    fn leave(mut self, names: usize, loss: Loss, into: &Path) {
        let made = self.pending_names.drain(..).take(names).collect();
        self.name(made);
        for (name, file) in &self.names {
            let path = into.join(name.file_name().expect("a name"));
            std::fs::write(path, self.files[*file].after(loss)).expect("a file");
        }
    }
}

impl Content {
    fn after(&self, loss: Loss) -> Vec<u8> {
        match loss {
            Loss::Nothing => self.now.clone(),
            Loss::All => self.durable.clone(),
            Loss::After(share) => {
                let all: usize = self.pending.iter().map(|(_, bytes)| bytes.len()).sum();
                let mut left = all * share / 1000;
                let mut bytes = self.durable.clone();
                for (cut, added) in &self.pending {
                    bytes.truncate(*cut);
                    let part = left.min(added.len());
                    bytes.extend_from_slice(&added[..part]);
                    left -= part;
                    if part < added.len() {
                        break;
                    }
                }
                bytes
            }
            Loss::AllButLast => {
                let (mut bytes, first) = (self.now.clone(), self.first_pending());
                let last = self.pending.last().map_or(bytes.len(), |(at, _)| *at);
                // Zeros, as a file system gives where it wrote nothing, or what was there before.
                let end = last.min(bytes.len());
                self.undo(&mut bytes, first.min(end)..end);
                bytes
            }
            Loss::Torn(seed) => self.torn(seed),
        }
    }

    /// The first byte that is not safe.
    fn first_pending(&self) -> usize {
        self.pending.iter().map(|(cut, _)| *cut).min().unwrap_or(self.now.len())
    }

    /// Bytes as they were before: those of the last sync, or the zeros of a new sector.
    fn undo(&self, bytes: &mut [u8], range: std::ops::Range<usize>) {
        for at in range {
            bytes[at] = self.durable.get(at).copied().unwrap_or(0);
        }
    }

    fn torn(&self, mut seed: u64) -> Vec<u8> {
        let mut chance = |of: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % of
        };
        let first = self.first_pending();
        let mut bytes = self.now.clone();
        for start in (first / SECTOR * SECTOR..bytes.len()).step_by(SECTOR) {
            if chance(2) == 0 {
                let end = (start + SECTOR).min(bytes.len());
                self.undo(&mut bytes, start.max(first)..end);
            }
        }
        // The length is one more thing that may be of before, or of some moment in between.
        match chance(4) {
            0 => bytes.truncate(first.max(bytes.len() / SECTOR * SECTOR)),
            1 if self.durable.len() > bytes.len() => bytes.extend_from_slice(&self.durable[bytes.len()..]),
            _ => {}
        }
        bytes
    }
}
