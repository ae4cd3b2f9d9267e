//! A writer, its crashes and the ones that go on after it, held against a model that is a list of what was done.
//!
//! What is in a recording must at any time be what the model held after some action, not before the last one that was
//! acknowledged. After a crash the model goes on from there.

use std::collections::BTreeMap;
use std::path::Path;

use dejaq_shared::ndjson::{Exporter, Line};
use dejaq_shared::record::{Gap, GapReason};
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::recording::{Recording, segment_paths};
use dejaq_shared::segment::recording_writer::RecordingWriter;
use dejaq_shared::segment::verify::verify_recording;
use proptest::prelude::*;

use crate::power::{Loss, Recorded};
use crate::power_loss::scratch;
use crate::words::*;

#[derive(Debug, Clone)]
enum Action {
    /// So many streams more.
    Streams(u8),
    /// A block of records of streams: which, after how many holes, how many.
    Block(Vec<(u8, u8, u8)>),
    /// So many positions of a stream are lost.
    Gap(u8, u8),
    Checkpoint,
    Attachment,
    Ancestor(u8),
    Roll,
    Sync,
    /// The power goes during the action before: after which of its steps (of 1000), how many names are there, what is lost.
    Crash(usize, usize, Loss),
    /// The writer is gone, and another goes on; sealed or not.
    Reopen {
        sealed: bool,
    },
}

fn any_action() -> impl Strategy<Value = Action> {
    let whole = prop_oneof![Just(Loss::Nothing), Just(Loss::All), Just(Loss::AllButLast)];
    let loss = prop_oneof![whole, (0usize..1000).prop_map(Loss::After), any::<u64>().prop_map(Loss::Torn)];
    let rows = prop::collection::vec((any::<u8>(), 0u8..3, 1u8..20), 1..4);
    prop_oneof![
        2 => (1u8..3).prop_map(Action::Streams),
        8 => rows.prop_map(Action::Block),
        2 => (any::<u8>(), 1u8..5).prop_map(|(stream, lost)| Action::Gap(stream, lost)),
        2 => Just(Action::Checkpoint),
        1 => Just(Action::Attachment),
        1 => (0u8..4).prop_map(Action::Ancestor),
        1 => Just(Action::Roll),
        3 => Just(Action::Sync),
        2 => (0usize..1000, 0usize..4, loss).prop_map(|(step, names, loss)| Action::Crash(step, names, loss)),
        1 => any::<bool>().prop_map(|sealed| Action::Reopen { sealed }),
    ]
}

/// All that a recording holds, as far as anybody may rely on it.
#[derive(Debug, Clone, PartialEq, Default)]
struct State {
    /// Of each stream: its records' positions, where it stands, its holes, what it lost.
    streams: Vec<Lane>,
    gaps: usize,
    ancestors: Vec<String>,
    attachments: usize,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Lane {
    records: Vec<i64>,
    next: i64,
    holes: u64,
    lost: u64,
}

/// What a directory holds.
fn observed(dir: &Path) -> State {
    let recording = Recording::open(dir).expect("a recording");
    let mut lines = Vec::new();
    Exporter::new(&recording).write(&mut lines, |e| unreachable!("{e}")).expect("memory");
    let mut records: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let line: Line<'_> = serde_json::from_slice(line).expect("JSON");
        records.entry(line.stream.expect("a name").into_owned()).or_default().push(line.position.expect("a position"));
    }
    let lanes = recording.streams.iter().map(|s| Lane {
        records: records.remove(&s.stream.name()).unwrap_or_default(),
        next: s.books.next,
        holes: s.books.holes,
        lost: s.books.lost,
    });
    State {
        streams: lanes.collect(),
        gaps: recording.gaps.len(),
        ancestors: recording.ancestors.clone(),
        attachments: recording.attachments().expect("readable").len(),
    }
}

struct Subject {
    scratch: tempfile::TempDir,
    /// The directory's number: a crash makes the next.
    number: usize,
    disk: Recorded,
    writer: Option<RecordingWriter<Recorded>>,
    /// The model after each thing done, and which of them is the newest that was acknowledged.
    states: Vec<State>,
    acknowledged: usize,
    /// The same before the last action, and the step at which that began.
    before: (usize, usize),
}

impl Subject {
    fn new() -> Self {
        let scratch = scratch();
        let dir = scratch.path().join("0");
        let disk = Recorded::new(&dir);
        let writer = RecordingWriter::create_on(disk.clone(), &dir, new_recording()).expect("new");
        let first = State { ancestors: vec!["elder".into()], ..State::default() };
        Self { scratch, number: 0, disk, writer: Some(writer), states: vec![first], acknowledged: 0, before: (0, 0) }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.scratch.path().join(self.number.to_string())
    }

    fn writer(&mut self) -> &mut RecordingWriter<Recorded> {
        self.writer.as_mut().expect("between actions there is one")
    }

    fn now(&self) -> State {
        self.states.last().expect("the first").clone()
    }

    /// One more thing is done: the model is so.
    fn done(&mut self, state: State) {
        self.states.push(state);
    }

    /// All that was done is safe.
    fn acknowledge(&mut self) {
        self.acknowledged = self.states.len() - 1;
    }

    fn act(&mut self, action: &Action) {
        if let Action::Crash(step, names, loss) = action {
            return self.crash(*step, *names, *loss);
        }
        self.before = (self.acknowledged, self.disk.steps());
        match action {
            Action::Streams(count) => self.add_streams(i32::from(*count)),
            Action::Block(rows) => self.block(rows),
            Action::Gap(stream, lost) => self.gap(*stream, *lost),
            Action::Checkpoint => {
                let books = self.writer().books();
                self.writer().checkpoint(&books).expect("checkpoint");
            }
            Action::Attachment => {
                self.writer().attachment("a", "text/plain", vec![1; 600]).expect("attachment");
                let state = self.now();
                self.done(State { attachments: state.attachments + 1, ..state });
            }
            Action::Ancestor(which) => {
                let name = format!("cluster-{which}");
                self.writer().ancestor(&name).expect("ancestor");
                let mut state = self.now();
                if !state.ancestors.contains(&name) {
                    state.ancestors.push(name);
                }
                self.done(state);
            }
            Action::Roll => {
                self.writer().roll().expect("roll");
                self.acknowledge();
            }
            Action::Sync => {
                if let Some(ticket) = self.writer().sync_ticket().expect("ticket") {
                    ticket.sync().expect("sync");
                    self.writer().note_synced(&ticket);
                }
                self.acknowledge();
            }
            Action::Reopen { sealed } => {
                let writer = self.writer.take().expect("between actions there is one");
                if *sealed {
                    writer.seal().expect("seal");
                } else {
                    drop(writer);
                }
                // The machine is up: what was written is there.
                self.go_on();
            }
            Action::Crash(..) => unreachable!("above"),
        }
    }

    fn add_streams(&mut self, count: i32) {
        let mut state = self.now();
        let first = i32::try_from(state.streams.len()).expect("few");
        let new: Vec<_> = (first..first + count).map(|n| (any_lane(n), i64::from(n) * 100)).collect();
        self.writer().add_streams(&new).expect("streams");
        state.streams.extend(new.iter().map(|(_, start)| Lane { next: *start, ..Lane::default() }));
        self.done(state);
        self.acknowledge();
    }

    fn block(&mut self, rows: &[(u8, u8, u8)]) {
        let mut state = self.now();
        let streams = state.streams.len();
        let mut records = Vec::new();
        for (which, holes, count) in rows.iter().filter(|_| streams > 0) {
            let number = usize::from(*which) % streams;
            let lane = &mut state.streams[number];
            lane.next += i64::from(*holes);
            lane.holes += u64::from(*holes);
            for _ in 0..*count {
                lane.records.push(lane.next);
                let value = Some(lane.next.to_le_bytes().repeat(20));
                // Of a RabbitMQ lane, too, what a Kafka lane has not: the columns do not ask whose they are.
                let rabbit = !number.is_multiple_of(3);
                let routing_key = rabbit.then(|| format!("k{}", lane.next).into_bytes());
                let properties = if rabbit { b"\x10\x00\x07".to_vec() } else { Vec::new() };
                records.push(Owned { value, routing_key, properties, ..Owned::at(u32::try_from(number).expect("few"), lane.next) });
                lane.next += 1;
            }
        }
        if !records.is_empty() {
            self.writer().block(&encode(&records, Compression::None)).expect("block");
            self.done(state);
        }
    }

    fn gap(&mut self, which: u8, lost: u8) {
        let mut state = self.now();
        let streams = state.streams.len();
        if streams == 0 {
            return;
        }
        let number = usize::from(which) % streams;
        let lane = &mut state.streams[number];
        let gap = Gap {
            stream: Some(u32::try_from(number).expect("few")),
            scope: "t".into(),
            from: Some(lane.next),
            to: Some(lane.next + i64::from(lost)),
            from_time_ns: None,
            to_time_ns: None,
            count: Some(u64::from(lost)),
            exact: true,
            reason: GapReason::Retention,
            detail: String::new(),
        };
        lane.next += i64::from(lost);
        lane.lost += u64::from(lost);
        state.gaps += 1;
        self.writer().gap(&gap).expect("gap");
        self.done(state);
    }

    /// The power goes after some step of the last action.
    fn crash(&mut self, share: usize, names: usize, loss: Loss) {
        let (acknowledged, from) = self.before;
        let steps = from + (self.disk.steps() - from) * share / 999;
        if steps < self.disk.steps() {
            self.acknowledged = acknowledged;
        }
        self.writer = None;
        self.number += 1;
        std::fs::create_dir(self.dir()).expect("a directory");
        self.disk.crash(steps, names.min(self.disk.pending_names(steps)), loss, &self.dir());
        self.go_on();
    }

    /// Another writer goes on; the model too, from what is there.
    fn go_on(&mut self) {
        let dir = self.dir();
        self.disk = Recorded::new(&dir);
        self.before = (0, 0);
        if segment_paths(&dir).expect("listing").is_empty() {
            assert_eq!(self.acknowledged, 0, "something was acknowledged and no segment is there");
            self.states.truncate(1);
            self.writer = Some(RecordingWriter::create_on(self.disk.clone(), &dir, new_recording()).expect("begins"));
        } else {
            let (writer, states) = RecordingWriter::resume_on(self.disk.clone(), &dir, new_recording()).expect("goes on");
            let found = observed(&dir);
            assert_eq!(states.iter().map(|s| s.books.next).collect::<Vec<_>>(), found.streams.iter().map(|l| l.next).collect::<Vec<_>>());
            let at = self.states.iter().rposition(|state| *state == found);
            let at = at.filter(|at| *at >= self.acknowledged);
            assert!(at.is_some(), "{found:?} is not what was there at any time since {:?}", self.states[self.acknowledged]);
            self.states.truncate(at.map_or(0, |at| at + 1));
            self.writer = Some(writer);
        }
        // Going on has sealed and synced what is there.
        self.acknowledge();
        self.before = (self.acknowledged, self.disk.steps());
    }

    fn end(mut self) {
        self.writer.take().expect("between actions there is one").seal().expect("seal");
        assert_eq!(observed(&self.dir()), self.now());
        let report = verify_recording(&self.dir(), |_| ()).expect("a recording");
        assert!(report.segments.iter().all(|s| s.sealed && s.damages.is_empty() && s.torn_at.is_none()), "{report:?}");
        assert!(report.missing.is_empty() && report.unbalanced.is_empty(), "{report:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_and_whenever_the_power_goes_a_recording_is_what_the_model_was(actions in prop::collection::vec(any_action(), 1..40)) {
        let mut subject = Subject::new();
        for action in &actions {
            subject.act(action);
        }
        subject.end();
    }
}

/// Lanes of all kinds, one after the other.
fn any_lane(n: i32) -> dejaq_shared::record::Stream {
    match n % 3 {
        0 => stream("t", n),
        1 => exchange(&format!("e{n}")),
        _ => queue(&format!("q{n}")),
    }
}
