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

    /// What is to be written of an answer; `None`: it was none.
    fn take(&mut self, answer: Answer) -> Option<Rows> {
        let Answer { source, at_ns, answered_ns, said } = answer;
        let source = self.0.get_mut(source)?;
        let sample = said.map_err(|why| source.silence.failed(answered_ns, why)).ok()?;
        source.silence.answered(answered_ns);
        let (second, name) = (at_ns / SECOND_NS, csv_text(&source.name));
        let mut text = String::new();
        let of_backlog = match (&mut source.about, sample) {
            (About::Backlog(meter, now), Sample::Waiting(waiting, membership)) => {
                if let Some(membership) = membership {
                    source.rebalances.look(membership, at_ns);
                }
                let (lines, total) = meter.look(&waiting, at_ns);
                for line in &lines {
                    let depth = line.depth;
                    let place = format!("{},{},{},{}", csv_text(&depth.topic), depth.partition, depth.committed, line.end);
                    text.push_str(&format!("{second},{name},{place},{}\n", lag_cells(&line.lag)));
                }
                if let Some(total) = total {
                    text.push_str(&format!("{second},{name},,,,,{}\n", lag_cells(&total)));
                }
                *now = total;
                true
            }
            (About::Signals(series), Sample::Readings(readings)) => {
                for reading in readings {
                    if series.add(&reading) {
                        text.push_str(&format!("{second},{name},{},{}\n", csv_text(&reading.metric), reading.value));
                    }
                }
                false
            }
            // A source says what it was made for.
            _ => return None,
        };
        Some(Rows { of_backlog, second, text })
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

/// Lines of one of the files.
struct Rows {
    /// Of `lag.csv`, else of `watch.csv`.
    of_backlog: bool,
    second: u64,
    text: String,
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
        // Not written under the lock: a disk that hangs stops nobody who asks how the run stands.
        let rows = lock(&self.sampled).take(answer);
        let Some(Rows { of_backlog, second, text }) = rows else { return Ok(()) };
        let Some(mut file) = (if of_backlog { &files.lag } else { &files.watch }).as_ref() else { return Ok(()) };
        file.reach(second).map_err(|e| e.to_string())?;
        file.write_all(text.as_bytes()).map_err(|e| format!("cannot write to the run directory: {e}"))
    }
}

/// Messages, time, and whether that is the least; no time, nothing said of it.
fn lag_cells(lag: &Lag) -> String {
    let at_least = lag.time_ns.map_or(String::new(), |_| lag.at_least.to_string());
    format!("{},{},{at_least}", lag.messages, csv_cell(lag.time_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_takes_nearly_two_seconds_each_time_is_not_silent() {
        let mut sampled = Sampled::default();
        sampled.source("slow");
        for asked_s in [0, 2, 4] {
            let (at_ns, answered_ns) = (asked_s * SECOND_NS, asked_s * SECOND_NS + 1_900_000_000);
            sampled.0[0].silence.look(answered_ns - 1);
            assert!(sampled.take(Answer { source: 0, at_ns, answered_ns, said: Ok(Sample::Readings(Vec::new())) }).is_some());
        }
        let (_, watch) = sampled.report(None);
        assert_eq!((watch[0].answers.answers, &watch[0].answers.silent[..]), (3, &[][..]));
    }
}
