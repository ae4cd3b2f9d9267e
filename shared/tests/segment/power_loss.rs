//! Power loss after every step of a writer, and of the one that goes on after it: what was acknowledged is there once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::recording::{Recording, segment_paths};
use dejaq_shared::segment::recording_writer::{RecordingWriter, StreamState};
use dejaq_shared::segment::store::{Disk, Files};
use dejaq_shared::segment::verify::verify_recording;

use crate::power::{Loss, Recorded};
use crate::words::*;

/// What the source holds of each stream: positions from the first to before the second.
const SOURCE: [(u32, i64, i64); 3] = [(0, 0, 60), (1, 100, 130), (2, 7, 20)];

/// A directory in memory where there is one: thousands are made.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("temporary directory")
}

/// Where each stream stood, at a step of the writer: acknowledged up to there.
type Acknowledged = BTreeMap<u32, i64>;

struct Capture<F: Files> {
    writer: RecordingWriter<F>,
    next: BTreeMap<u32, i64>,
}

impl<F: Files> Capture<F> {
    fn add(&mut self, numbers: &[u32]) {
        let streams: Vec<_> = numbers.iter().map(|n| (stream("t", n.cast_signed()), SOURCE[*n as usize].1)).collect();
        assert_eq!(self.writer.add_streams(&streams).expect("streams"), numbers, "streams are numbered as they come");
        self.next.extend(streams.iter().zip(numbers).map(|((_, start), n)| (*n, *start)));
    }

    /// A block with the next `count` records of a stream.
    fn block(&mut self, number: u32, count: i64) {
        let from = self.next[&number];
        // Incompressible, and some sectors long.
        let records: Vec<Owned> = (from..from + count)
            .map(|n| Owned { value: Some((0..400).map(|i| ((i * 31) ^ (n * 17)).to_le_bytes()[0]).collect()), ..Owned::at(number, n) })
            .collect();
        self.writer.block(&encode(&records, Compression::None)).expect("block");
        self.next.insert(number, from + count);
    }

    fn sync(&mut self) {
        let ticket = self.writer.sync_ticket().expect("ticket").expect("something to sync");
        ticket.sync().expect("sync");
        self.writer.note_synced(&ticket);
    }

    fn checkpoint(&mut self) {
        let books = self.writer.books();
        self.writer.checkpoint(&books).expect("checkpoint");
    }
}

/// Writes a recording step by step. `told` is called with what is acknowledged from here on.
fn write(disk: &Recorded, dir: &Path, mut told: impl FnMut(Acknowledged)) {
    let writer = RecordingWriter::create_on(disk.clone(), dir, new_recording()).expect("new");
    let mut capture = Capture { writer, next: BTreeMap::new() };
    capture.add(&[0, 1]);
    told(capture.next.clone());
    capture.block(0, 3);
    capture.block(1, 2);
    capture.sync();
    told(capture.next.clone());
    capture.block(0, 4);
    capture.writer.attachment("plan", "text/plain", vec![7; 700]).expect("attachment");
    capture.block(1, 1);
    capture.checkpoint();
    capture.block(0, 2);
    capture.writer.roll().expect("roll");
    told(capture.next.clone());
    capture.block(1, 3);
    capture.add(&[2]);
    told(capture.next.clone());
    capture.block(2, 5);
    capture.block(0, 1);
    // A ticket that is synced while more is written.
    let ticket = capture.writer.sync_ticket().expect("ticket").expect("something");
    let then = capture.next.clone();
    capture.block(0, 6);
    ticket.sync().expect("sync");
    capture.writer.note_synced(&ticket);
    told(then);
    capture.block(0, 2);
    capture.checkpoint();
    let next = capture.next.clone();
    capture.writer.seal().expect("seal");
    told(next);
}

/// Each way in which a crash after `steps` steps can leave the directory.
fn crashes(disk: &Recorded, steps: usize) -> Vec<(usize, Loss)> {
    let seed = steps as u64;
    let losses = [Loss::Nothing, Loss::All, Loss::AllButLast, Loss::After(500), Loss::After(970), Loss::Torn(seed), Loss::Torn(!seed)];
    (0..=disk.pending_names(steps)).flat_map(|names| losses.map(|loss| (names, loss))).collect()
}

/// Goes on after a crash, as capture does, with the records of the source from where each stream stands.
fn go_on<F: Files>(files: F, dir: &Path, acknowledged: &Acknowledged, what: &str) {
    if segment_paths(dir).expect("listing").is_empty() {
        assert!(acknowledged.is_empty(), "{what}: a stream was acknowledged, and no segment is there");
        RecordingWriter::create(dir, new_recording()).expect(what).seal().expect(what);
        return;
    }
    let (writer, states): (_, Vec<StreamState>) = RecordingWriter::resume_on(files, dir, new_recording()).expect(what);
    let mut capture = Capture { writer, next: states.iter().map(|s| (s.ix, s.books.next)).collect() };
    for (number, next) in acknowledged {
        let found = capture.next.get(number).copied();
        assert!(found.is_some_and(|found| found >= *next), "{what}: stream {number} stands at {found:?}, {next} was acknowledged");
    }
    for (number, _, end) in SOURCE {
        if !capture.next.contains_key(&number) {
            capture.add(&[number]);
        }
        let left = end - capture.next[&number];
        if left > 0 {
            capture.block(number, left);
        }
    }
    capture.writer.seal().expect(what);
}

/// Every record of the source once, in order, and nothing wrong.
fn assert_whole(dir: &Path, what: &str) {
    let report = verify_recording(dir, |_| ()).expect(what);
    assert!(report.is_clean(), "{what}: {report:?}");
    let recording = Recording::open(dir).expect(what);
    let mut found: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    let mut lines = Vec::new();
    dejaq_shared::ndjson::Exporter::new(&recording).write(&mut lines, |e| unreachable!("{what}: {e}")).expect(what);
    for line in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let line: dejaq_shared::ndjson::Line<'_> = serde_json::from_slice(line).expect("JSON");
        found.entry(line.partition.expect("of Kafka")).or_default().push(line.position.expect("a position"));
    }
    let expected = SOURCE.map(|(number, from, to)| (number.cast_signed(), (from..to).collect::<Vec<_>>()));
    assert_eq!(found, BTreeMap::from(expected), "{what}");
}

fn written() -> (tempfile::TempDir, PathBuf, Recorded, Vec<(usize, Acknowledged)>) {
    let scratch = scratch();
    let dir = scratch.path().join("r");
    let disk = Recorded::new(&dir);
    let mut told = vec![(0, Acknowledged::new())];
    write(&disk, &dir, |acknowledged| told.push((disk.steps(), acknowledged)));
    (scratch, dir, disk, told)
}

fn acknowledged_at(told: &[(usize, Acknowledged)], steps: usize) -> &Acknowledged {
    &told.iter().rev().find(|(at, _)| *at <= steps).expect("the first is at 0").1
}

#[test]
fn after_every_step_what_was_acknowledged_is_there_once() {
    let (_scratch, _, disk, told) = written();
    assert!(disk.steps() > 40 && told.len() == 7, "{} steps", disk.steps());
    for steps in 0..=disk.steps() {
        for (names, loss) in crashes(&disk, steps) {
            let scratch = scratch();
            let what = format!("after step {steps}, {names} names, {loss:?} lost");
            disk.crash(steps, names, loss, scratch.path());
            let there = !segment_paths(scratch.path()).expect("listing").is_empty();
            go_on(Disk, scratch.path(), acknowledged_at(&told, steps), &what);
            if there {
                assert_whole(scratch.path(), &what);
            }
        }
    }
}

#[test]
fn after_every_step_of_going_on_too() {
    let (_scratch, _, disk, told) = written();
    let (mut crashed, mut recovered) = (0, 0);
    for steps in (0..=disk.steps()).step_by(7) {
        let first = scratch();
        let loss = [Loss::Nothing, Loss::After(600), Loss::Torn(steps as u64)][steps % 3];
        disk.crash(steps, disk.pending_names(steps), loss, first.path());
        if segment_paths(first.path()).expect("listing").is_empty() {
            continue;
        }
        let acknowledged = acknowledged_at(&told, steps);
        let again = Recorded::new(first.path());
        go_on(again.clone(), first.path(), acknowledged, "the first time");
        for second in 0..=again.steps() {
            for (names, loss) in crashes(&again, second) {
                let scratch = scratch();
                let what = format!("after step {steps}, and step {second} of going on, {names} names, {loss:?} lost");
                again.crash(second, names, loss, scratch.path());
                go_on(Disk, scratch.path(), acknowledged, &what);
                assert_whole(scratch.path(), &what);
                crashed += 1;
            }
        }
        recovered += 1;
    }
    assert!(recovered > 4 && crashed > 500, "{recovered} and {crashed} crashes were tried");
}

#[test]
fn a_footer_is_there_only_when_all_that_it_vouches_for_is() {
    let (_scratch, _, disk, told) = written();
    for steps in 0..=disk.steps() {
        let scratch = scratch();
        disk.crash(steps, disk.pending_names(steps), Loss::AllButLast, scratch.path());
        let paths = segment_paths(scratch.path()).expect("listing");
        if paths.is_empty() {
            continue;
        }
        for path in paths {
            let bytes = std::fs::read(&path).expect("readable");
            let report = dejaq_shared::segment::verify::verify_segment(&bytes, &path).expect("its header is safe");
            assert!(!report.sealed || report.damages.is_empty(), "after step {steps}: {report:?}");
        }
        go_on(Disk, scratch.path(), acknowledged_at(&told, steps), "going on");
        assert_whole(scratch.path(), "going on");
    }
}
