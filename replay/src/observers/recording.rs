//! The thread that writes down what samplers find: `lag.csv` and `watch.csv`. It obeys [`LagMeter`], [`Series`] and [`Silence`].

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::RunView;
use crate::lock::lock;
use crate::measure::lag::rebalances::Rebalances;
use crate::measure::lag::{Lag, LagMeter};
use crate::measure::sampling::{Answer, Sample};
use crate::measure::silence::Silence;
use crate::measure::watch::Series;
use crate::run::dir::{LAG_CSV, WATCH_CSV};
use crate::run::observed::{AnswersReport, GroupReport, WatchReport};
use crate::run::rolled::Rolled;
use crate::run::saver::{csv_cell, csv_text};

/// Answers on their way to be written.
pub(super) const ANSWERS_MAX: usize = 256;
/// How often it looks who has fallen silent, and whether the run is over.
const LOOK: Duration = Duration::from_millis(250);
const SECOND_NS: u64 = 1_000_000_000;

/// What a source is about.
#[derive(Debug)]
enum About {
    Backlog(Box<LagMeter>, Option<Lag>),
    Signals(Series),
}

#[derive(Debug)]
struct Source {
    name: String,
    about: About,
    silence: Silence,
    /// Of a group.
    rebalances: Rebalances,
}

/// All that was sampled so far.
#[derive(Debug, Default)]
pub(super) struct Sampled(Vec<Source>);

impl Sampled {
    pub(super) fn backlog(&mut self, name: &str) {
        let about = About::Backlog(Box::new(LagMeter::new(name)), None);
        self.0.push(Source { name: name.to_owned(), about, silence: Silence::default(), rebalances: Rebalances::default() });
    }

    pub(super) fn source(&mut self, name: &str) {
        self.0.push(Source {
            name: name.to_owned(),
            about: About::Signals(Series::default()),
            silence: Silence::default(),
            rebalances: Rebalances::default(),
        });
    }

    /// Each group's or queue's lag, and who is silent.
    pub(super) fn now(&self) -> (Vec<(String, Option<Lag>)>, Vec<String>) {
        let lag = self.0.iter().filter_map(|source| match &source.about {
            About::Backlog(_, lag) => Some((source.name.clone(), *lag)),
            About::Signals(_) => None,
        });
        let silent = self.0.iter().filter(|source| source.silence.is_silent()).map(|source| source.name.clone());
        (lag.collect(), silent.collect())
    }

    /// What was found; `unwritten` says why not all of it is in the files.
    pub(super) fn report(&self, unwritten: Option<&String>) -> (Vec<GroupReport>, Vec<WatchReport>) {
        let (mut groups, mut sources) = (Vec::new(), Vec::new());
        for Source { name, about, silence, rebalances } in &self.0 {
            let (silent, silent_more) = silence.found();
            let answers = AnswersReport { answers: silence.samples(), silent: silent.to_vec(), silent_more, unwritten: unwritten.cloned() };
            match about {
                About::Backlog(meter, _) => {
                    let (rebalances, rebalances_more) = rebalances.found();
                    groups.push(GroupReport { lag: meter.report().clone(), rebalances, rebalances_more, answers });
                }
                About::Signals(series) => sources.push(WatchReport {
                    source: name.clone(),
                    metrics: series.summaries(),
                    metrics_left_out: series.left_out(),
                    answers,
                }),
            }
        }
        (groups, sources)
    }
}

/// The files of a kind of source, if there is one.
struct Files<'a> {
    lag: Option<Rolled<'a>>,
    watch: Option<Rolled<'a>>,
}

pub(super) struct Recording {
    pub(super) view: Arc<RunView>,
    pub(super) incoming: Receiver<Answer>,
    pub(super) sampled: Arc<Mutex<Sampled>>,
}

impl Recording {
    /// Writes until the run is over.
    ///
    /// # Errors
    /// Why not all of it is written, in words.
    pub(super) fn run(self) -> Result<(), String> {
        let files = self.open()?;
        loop {
            // Asked before the last answers are taken, so that none is left behind.
            let over = self.view.is_over();
            match self.incoming.recv_timeout(LOOK) {
                Ok(answer) => self.take(answer, &files)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.view.wait_until(self.view.run_ns() + SECOND_NS),
            }
            for answer in self.incoming.try_iter() {
                self.take(answer, &files)?;
            }
            let now_ns = self.view.run_ns();
            for source in &mut lock(&self.sampled).0 {
                source.silence.look(now_ns);
            }
            if over {
                return [files.lag, files.watch].into_iter().flatten().try_for_each(|file| file.complete().map_err(|e| e.to_string()));
            }
        }
    }

    fn open(&self) -> Result<Files<'_>, String> {
        let sampled = lock(&self.sampled);
        let (groups, signals): (Vec<&Source>, Vec<&Source>) =
            sampled.0.iter().partition(|source| matches!(source.about, About::Backlog(..)));
        let open = |sources: &[&Source], name, head: &str| -> Result<Option<Rolled<'_>>, String> {
            if sources.is_empty() {
                return Ok(None);
            }
            let file = Rolled::open(&self.view.dir, name).map_err(|e| e.to_string())?;
            writeln!(&file, "{head}").map_err(|e| e.to_string())?;
            Ok(Some(file))
        };
        let lag = open(&groups, LAG_CSV, "second,group,topic,partition,committed,end,lag_messages,lag_ns,at_least")?;
        Ok(Files { lag, watch: open(&signals, WATCH_CSV, "second,source,metric,value")? })
    }

    fn take(&self, answer: Answer, files: &Files<'_>) -> Result<(), String> {
        let Answer { source, at_ns, said } = answer;
        let mut sampled = lock(&self.sampled);
        let Some(source) = sampled.0.get_mut(source) else { return Ok(()) };
        let sample = match said {
            Ok(sample) => sample,
            Err(why) => {
                source.silence.failed(at_ns, why);
                return Ok(());
            }
        };
        source.silence.answered(at_ns);
        let (second, name) = (at_ns / SECOND_NS, csv_text(&source.name));
        let mut rows = String::new();
        let file = match (&mut source.about, sample) {
            (About::Backlog(meter, now), Sample::Waiting(waiting, membership)) => {
                if let Some(membership) = membership {
                    source.rebalances.look(membership, at_ns);
                }
                let (lines, total) = meter.look(&waiting, at_ns);
                for line in &lines {
                    let depth = line.depth;
                    let place = format!("{},{},{},{}", csv_text(&depth.topic), depth.partition, depth.committed, depth.end);
                    rows.push_str(&format!("{second},{name},{place},{}\n", lag_cells(&line.lag)));
                }
                if let Some(total) = total {
                    rows.push_str(&format!("{second},{name},,,,,{}\n", lag_cells(&total)));
                    *now = Some(total);
                }
                &files.lag
            }
            (About::Signals(series), Sample::Readings(readings)) => {
                for reading in readings {
                    if series.add(&reading) {
                        rows.push_str(&format!("{second},{name},{},{}\n", csv_text(&reading.metric), reading.value));
                    }
                }
                &files.watch
            }
            // A source says what it was made for.
            _ => &None,
        };
        let Some(file) = file else { return Ok(()) };
        file.reach(second).map_err(|e| e.to_string())?;
        let mut out = file;
        out.write_all(rows.as_bytes()).map_err(|e| format!("cannot write to the run directory: {e}"))
    }
}

/// Messages, time, and whether that is the least; no time, nothing said of it.
fn lag_cells(lag: &Lag) -> String {
    let at_least = lag.time_ns.map_or(String::new(), |_| lag.at_least.to_string());
    format!("{},{},{at_least}", lag.messages, csv_cell(lag.time_ns))
}
