//! Who looks at the system under test while a run goes on: probes at its output, the lag of its consumers, its own signals.
//!
//! Guarantees: each looks from a thread of its own, none of them the pacer's; the run waits for none of them but, at its end,
//! for the outputs of what was sent, and that no longer than the probe's deadline. What they found is in [`ObservedReport`], and
//! second by second in `probe.csv`, `freshness.csv`, `lag.csv` and `watch.csv`.

mod recording;

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use dejaq_shared::broker::backlog::Backlog;
use dejaq_shared::broker::tap::Tap;
use dejaq_shared::clock::Clock;

use crate::batch::Batch;
use crate::lock::lock;
use crate::measure::end_to_end::END_TO_END_BYTES_MAX;
use crate::measure::lag::Lag;
use crate::measure::latency::{Latency, LatencySummary};
use crate::measure::probe::expecting::Expecting;
use crate::measure::probe::reader::{ProbeReader, ProbeState};
use crate::measure::probe::spec::{Matching, ProbeKind, ProbeSpec};
use crate::measure::probe::table::{EXPECTED_BYTES_MAX, Table};
use crate::measure::sampling::{self, Answer, Sampler};
use crate::measure::watch::spec::WatchSpec;
use crate::pacer::Live;
use crate::run::dir::RunDir;
use crate::run::observed::{MatchReport, ObservedReport, ProbeReport};
use recording::{Recording, Sampled};

/// How long a probe's reader may take to end when the run is over.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A run as observers see it.
pub struct RunView {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) t0_ns: u64,
    pub(crate) dir: RunDir,
    pub(crate) live: Arc<Live>,
    /// Disconnected when the run is over.
    pub(crate) over: Receiver<Infallible>,
}

impl RunView {
    /// Now, in nanoseconds after the start; 0 before it.
    pub(crate) fn run_ns(&self) -> u64 {
        self.clock.now_ns().saturating_sub(self.t0_ns)
    }

    /// How many of the planned messages were sent or skipped.
    pub(crate) fn dealt_with(&self) -> u64 {
        self.live.scheduled.load(Ordering::Relaxed)
    }

    /// Whether the run is over.
    pub(crate) fn is_over(&self) -> bool {
        self.over.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Returns at `run_ns` after the start, or when the run is over.
    pub(crate) fn wait_until(&self, run_ns: u64) {
        let wait = Duration::from_nanos(run_ns.saturating_sub(self.run_ns()));
        // Nothing is ever sent: both outcomes mean to go on.
        let _ = self.over.recv_timeout(wait);
    }
}

/// A probe before the run.
struct Probe {
    spec: ProbeSpec,
    table: Option<Arc<Mutex<Table>>>,
    state: Arc<Mutex<ProbeState>>,
    read: Box<dyn FnOnce(&RunView) + Send>,
}

/// What will be looked at.
#[derive(Default)]
pub struct Observers {
    probes: Vec<Probe>,
    samplers: Vec<Sampler>,
    /// Which of the samplers are of backlogs.
    backlogs: Vec<usize>,
    /// What was found before the start.
    before: Vec<Answer>,
    sampled: Sampled,
    expecting: Vec<Expecting>,
}

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let probes: Vec<String> = self.probes.iter().map(|probe| probe.spec.to_string()).collect();
        f.debug_struct("Observers").field("probes", &probes).field("sampled", &self.sampled).finish_non_exhaustive()
    }
}

impl Observers {
    /// Adds a probe that reads from `tap`, which has begun unless there will be no run.
    ///
    /// # Errors
    /// When what is looked for makes no sense, in words.
    pub fn probe<T: Tap + 'static>(&mut self, spec: &ProbeSpec, tap: T) -> Result<(), String> {
        let state = Arc::<Mutex<ProbeState>>::default();
        let mut table = None;
        if let ProbeKind::EndToEnd(Matching { from, deadline_ns, sample, .. }) = &spec.kind {
            let made = Arc::new(Mutex::new(Table::new(*deadline_ns)));
            let reader = from.reader()?;
            self.expecting.push(Expecting::new(reader, spec.broker(), *sample, Arc::clone(&made)));
            table = Some(made);
        }
        let reader = ProbeReader::new(tap, spec, table.clone(), Arc::clone(&state))?;
        let read = Box::new(move |view: &RunView| reader.run(view));
        self.probes.push(Probe { spec: spec.clone(), table, state, read });
        Ok(())
    }

    /// Adds a consumer group, or a queue.
    pub fn lag(&mut self, name: &str, backlog: Box<dyn Backlog>) {
        self.sampled.backlog(name);
        self.backlogs.push(self.samplers.len());
        self.samplers.push(sampling::backlog(backlog));
    }

    /// Adds a source of signals.
    pub fn watch(&mut self, spec: &WatchSpec) {
        self.sampled.source(&spec.name());
        self.samplers.push(sampling::watched(spec));
    }

    /// The most memory that they take for what they wait for, in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.probes.iter().filter(|probe| probe.table.is_some()).map(|_| EXPECTED_BYTES_MAX + END_TO_END_BYTES_MAX).sum()
    }

    /// What must see each batch before it is sent.
    pub(crate) fn take_expecting(&mut self) -> impl FnMut(&Batch) + Send + use<> {
        let mut expecting = std::mem::take(&mut self.expecting);
        move |batch| expecting.iter_mut().for_each(|one| one.enter(batch))
    }

    /// Looks at backlogs before anything is sent: without that nobody could say how old what the run finds there is. One that does not
    /// answer is asked again in the run.
    pub(crate) fn look_before(&mut self) {
        for &source in &self.backlogs {
            let said = self.samplers.get_mut(source).and_then(|sampler| sampler(0).ok());
            self.before.extend(said.map(|sample| Answer { source, at_ns: 0, answered_ns: 0, said: Ok(sample) }));
        }
    }

    /// Begins to look: the run starts at `t0_ns` on the clock.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn begin(self, clock: Arc<dyn Clock>, t0_ns: u64, dir: RunDir, live: Arc<Live>) -> std::io::Result<Observing> {
        let (run, over) = bounded(0);
        let view = Arc::new(RunView { clock, t0_ns, dir, live, over });
        let (ended, readers) = bounded(0);
        let mut probes = Vec::new();
        for Probe { spec, table, state, read } in self.probes {
            let (view, ended) = (Arc::clone(&view), ended.clone());
            let reading = move || {
                let _ended: Sender<Infallible> = ended;
                read(&view);
            };
            std::thread::Builder::new().name("probe".into()).spawn(reading)?;
            probes.push(Following { spec, table, state });
        }
        let sampled = Arc::new(Mutex::new(self.sampled));
        let mut recording = None;
        if !self.samplers.is_empty() {
            let (answers, incoming) = bounded(recording::ANSWERS_MAX);
            // There is room: what does not fit is asked for again at once.
            self.before.into_iter().for_each(|answer| drop(answers.try_send(answer)));
            for (source, sampler) in self.samplers.into_iter().enumerate() {
                sampling::spawn(source, sampler, &view, answers.clone())?;
            }
            let thread = Recording { view: Arc::clone(&view), incoming, sampled: Arc::clone(&sampled) };
            recording = Some(std::thread::Builder::new().name("observing".into()).spawn(move || thread.run())?);
        }
        Ok(Observing { view, seen: Arc::new(Seen { probes, sampled }), recording, run: Some(run), readers })
    }
}

/// A probe during the run.
struct Following {
    spec: ProbeSpec,
    table: Option<Arc<Mutex<Table>>>,
    state: Arc<Mutex<ProbeState>>,
}

/// What is known just now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedNow {
    /// Observed − intended of the last whole second; `None` without such a probe.
    pub end_to_end: Option<LatencySummary>,
    /// Messages whose output is waited for.
    pub outputs_open: u64,
    /// The lag of each group or queue; `None`: not known yet.
    pub lag: Vec<(String, Option<Lag>)>,
    /// Sources that do not answer.
    pub silent: Vec<String>,
}

/// What has been seen so far, for whoever asks.
#[derive(Default)]
pub(crate) struct Seen {
    probes: Vec<Following>,
    sampled: Arc<Mutex<Sampled>>,
}

/// Those who look, at work.
pub(crate) struct Observing {
    view: Arc<RunView>,
    seen: Arc<Seen>,
    recording: Option<JoinHandle<Result<(), String>>>,
    /// Dropped when the run is over.
    run: Option<Sender<Infallible>>,
    /// Disconnected when all probes have ended.
    readers: Receiver<Infallible>,
}

impl Seen {
    /// What is known just now.
    fn now(&self) -> ObservedNow {
        let matching = self.probes.iter().find_map(|probe| Some((probe.table.as_ref()?, &probe.state)));
        let (lag, silent) = lock(&self.sampled).now();
        ObservedNow {
            end_to_end: matching.map(|(_, state)| lock(state).last_second),
            outputs_open: matching.map_or(0, |(table, _)| lock(table).open()),
            lag,
            silent,
        }
    }

    /// The seconds of end to end that were closed since the last call.
    pub(crate) fn take_end_to_end(&self) -> impl Iterator<Item = (u64, Latency<u32>)> {
        self.probes.iter().flat_map(|probe| lock(&probe.state).by_second.take_closed())
    }

    /// Seconds of end to end that nobody took in time.
    fn end_to_end_lost(&self) -> u64 {
        self.probes.iter().map(|probe| lock(&probe.state).by_second.lost()).sum()
    }

    /// What was found so far; `None`: nothing is looked at. What is still waited for is in no figure.
    pub(crate) fn report(&self) -> Option<ObservedReport> {
        self.report_as(false, None)
    }

    /// `ended`: nothing more will come. `unwritten` says why not all that was sampled is in the files.
    fn report_as(&self, ended: bool, unwritten: Option<&String>) -> Option<ObservedReport> {
        let (lag, watch) = lock(&self.sampled).report(unwritten);
        let report = ObservedReport { probes: self.probes.iter().map(|probe| probe.report(ended)).collect(), lag, watch };
        (report != ObservedReport::default()).then_some(report)
    }
}

impl Observing {
    /// What has been seen so far.
    pub(crate) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }

    /// What is known just now.
    pub(crate) fn now(&self) -> ObservedNow {
        self.seen.now()
    }

    /// Nothing more is sent: what was planned beyond `scheduled` messages is not waited for.
    pub(crate) fn sending_ended(&self, scheduled: u64) {
        for table in self.seen.probes.iter().filter_map(|probe| probe.table.as_ref()) {
            lock(table).end(scheduled, self.view.run_ns());
        }
    }

    /// Whether an output may still come that a probe waits for.
    pub(crate) fn waits(&self) -> bool {
        self.seen.probes.iter().any(|probe| {
            let open = probe.table.as_ref().is_some_and(|table| lock(table).open() > 0);
            open && lock(&probe.state).failed.is_none()
        })
    }

    /// The longest that a probe waits for an output, in nanoseconds.
    pub(crate) fn deadline_ns(&self) -> u64 {
        let deadline = |probe: &Following| if let ProbeKind::EndToEnd(matching) = &probe.spec.kind { matching.deadline_ns } else { 0 };
        self.seen.probes.iter().map(deadline).max().unwrap_or(0)
    }

    /// Ends all looking, and says what was found (`None`: nothing was looked at), and how many seconds of end to end nobody took in time to
    /// write them.
    pub(crate) fn end(mut self) -> (Option<ObservedReport>, u64) {
        drop(self.run.take());
        if self.readers.recv_timeout(END_WITHIN) == Err(RecvTimeoutError::Timeout) {
            for probe in &self.seen.probes {
                lock(&probe.state).failed.get_or_insert_with(|| "its reader did not end with the run".to_owned());
            }
        }
        self.seen.probes.iter().for_each(|probe| lock(&probe.state).by_second.finish());
        let written = self.recording.take().map(|thread| thread.join().unwrap_or_else(|_| Err("its thread ended unexpectedly".to_owned())));
        (self.seen.report_as(true, written.and_then(Result::err).as_ref()), self.seen.end_to_end_lost())
    }
}

impl Following {
    /// What it found; `ended`: what has not come by now is lost.
    fn report(&self, ended: bool) -> ProbeReport {
        let state = lock(&self.state);
        let matched = self.table.as_ref().map(|table| {
            let (counts, open) = {
                let table = lock(table);
                (table.counts(), table.open())
            };
            let expected = if ended { counts.expected } else { counts.expected.saturating_sub(open) };
            MatchReport {
                expected,
                answered: counts.answered,
                lost: expected.saturating_sub(counts.answered + counts.crowded_out),
                crowded_out: counts.crowded_out,
                without_value: counts.without_value,
                duplicates: counts.duplicates,
                unmatched: counts.unmatched,
                outputs_without_value: state.without_value,
                latency: state.latency.summary(expected.saturating_sub(counts.answered)),
            }
        });
        let freshness = self.table.is_none().then(|| state.freshness.report());
        ProbeReport { spec: self.spec.to_string(), outputs: state.outputs, failed: state.failed.clone(), matched, freshness }
    }
}
