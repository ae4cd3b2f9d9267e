//! Threads that ask a source about the system under test once a second, one thread each, so that one that hangs delays no other
//! and nothing of the run. A source answers with a timeout of its own; what comes after the run is over is not waited for.

use std::sync::Arc;

use crossbeam_channel::Sender;
use dejaq_shared::broker::backlog::{Backlog, Membership, Waiting};

use super::watch::Reading;
use super::watch::exposition::Page;
use super::watch::process::{Processes, Which};
use super::watch::spec::WatchSpec;
use crate::observers::RunView;

/// The time from one look to the next.
pub const EVERY_NS: u64 = 1_000_000_000;
/// How long a broker may take to tell what waits.
const BACKLOG_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
/// How long it may take to tell who is in the group: less, so that a group whose positions are known is not silent for it.
const MEMBERS_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(500);

/// What a source was asked for.
#[derive(Debug)]
pub enum Sample {
    /// What waits for a group, or in a queue; and who is in the group, where that is told.
    Waiting(Waiting, Option<Membership>),
    /// Values.
    Readings(Vec<Reading>),
}

/// An answer on its way to be written.
#[derive(Debug)]
pub struct Answer {
    /// Which source.
    pub source: usize,
    /// When it was asked, nanoseconds after the start.
    pub at_ns: u64,
    /// When it answered: a source may take longer than the time between two questions, and is not silent for it.
    pub answered_ns: u64,
    /// What it said, or why it said nothing.
    pub said: Result<Sample, String>,
}

/// Something that is asked once a second; the time is in nanoseconds on a steady clock.
pub type Sampler = Box<dyn FnMut(u64) -> Result<Sample, String> + Send>;

/// Asks what waits, and who is in the group that it waits for. That a cluster does not tell the latter is no silence.
#[must_use]
pub fn backlog(mut backlog: Box<dyn Backlog>) -> Sampler {
    Box::new(move |_| {
        let waiting = backlog.waiting(BACKLOG_TIMEOUT).map_err(|error| error.to_string())?;
        Ok(Sample::Waiting(waiting, backlog.membership(MEMBERS_TIMEOUT).ok().flatten()))
    })
}

/// Looks at what `--watch` names.
#[must_use]
pub fn watched(spec: &WatchSpec) -> Sampler {
    let processes = |which| {
        let mut processes = Processes::new(which);
        Box::new(move |now_ns| processes.read(now_ns).map(Sample::Readings)) as Sampler
    };
    match spec {
        WatchSpec::Page { url, metrics } => {
            let mut page = Page::new(url, metrics);
            Box::new(move |_| page.read().map(Sample::Readings))
        }
        WatchSpec::Pid(pid) => processes(Which::Pid(*pid)),
        WatchSpec::Name(name) => processes(Which::Name(name.clone())),
    }
}

/// Asks on a thread of its own until the run is over or nobody listens.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn spawn(source: usize, mut sampler: Sampler, view: &Arc<RunView>, answers: Sender<Answer>) -> std::io::Result<()> {
    let view = Arc::clone(view);
    let asking = move || {
        while !view.is_over() {
            let at_ns = view.run_ns();
            // The clock's own time: the time of the run stands still before the start, and differences are taken.
            let said = sampler(view.clock.now_ns());
            let answer = Answer { source, at_ns, answered_ns: view.run_ns(), said };
            // Where answers pile up the newest is the one that can be spared: the next comes in a second.
            if answers.try_send(answer).is_err_and(|error| error.is_disconnected()) {
                return;
            }
            view.wait_until((view.run_ns() / EVERY_NS + 1) * EVERY_NS);
        }
    };
    std::thread::Builder::new().name("sampling".into()).spawn(asking).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::dir::RunDir;
    use crossbeam_channel::bounded;
    use dejaq_shared::clock::ManualClock;

    #[test]
    fn a_sampler_is_given_a_clock_that_goes_on_before_the_start() {
        let clock = Arc::new(ManualClock::at(400_000_000));
        let (run, over) = bounded(0);
        let dir = RunDir::open(std::path::Path::new("unused"));
        let view = Arc::new(RunView { clock: clock.clone(), t0_ns: EVERY_NS, dir, live: Arc::default(), over });
        let (answers, incoming) = bounded(1);
        let sampler = move |now_ns: u64| {
            clock.advance(1_600_000_000);
            Err(now_ns.to_string())
        };
        spawn(0, Box::new(sampler), &view, answers).expect("a thread");
        let answer = incoming.recv().expect("asked");
        drop(run);
        assert_eq!(answer.said.expect_err("as asked"), "400000000");
        assert_eq!((answer.at_ns, answer.answered_ns), (0, EVERY_NS), "after the start");
    }
}
