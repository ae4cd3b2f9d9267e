//! The thread that called: it looks at the clocks, and tells people how the run stands.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use dejaq_shared::clock::{Clock, WallAnchor, wall_now_ns};

use super::Shared;
use crate::cardinality::RuleNames;
use crate::clock_watch::ClockWatch;
use crate::lock::lock;
use crate::measure::recent::RecentLatency;
use crate::observers::{ObservedNow, Observing};

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Time until the start, in nanoseconds, while it is waited for (`--start-at`); then 0.
    pub starts_in_ns: u64,
    /// Time since the start, in nanoseconds; 0 before it.
    pub run_ns: u64,
    /// The intended time of the newest record, nanoseconds after the start.
    pub due_ns: u64,
    /// Records scheduled.
    pub scheduled: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages without an answer yet.
    pub in_flight: usize,
    /// Time held back by the target: by a full client queue, or because its broker asked to.
    pub pushed_back_ns: u64,
    /// The latencies of the last seconds that are whole.
    pub recent: RecentLatency,
    /// The tag of each rule of `--expand`, and how many different values of it were sent so far.
    pub distinct: Vec<(String, u64)>,
    /// What is known of the system under test.
    pub observed: ObservedNow,
    /// Whether all is sent and answered, and only outputs are waited for.
    pub outputs_only: bool,
    /// The client's newest warning.
    pub warning: Option<String>,
}

/// How often the caller's thread looks.
pub(crate) const WATCH: Duration = Duration::from_millis(500);
/// How often it looks whether the last outputs have come.
const OUTPUTS: Duration = Duration::from_millis(50);
/// How much longer than the deadline outputs are waited for, if the probe's reader hangs.
const SPARE_NS: u64 = 2_000_000_000;

/// See the module's words.
pub(super) struct Watching<'a, C> {
    shared: &'a Shared<'a, C>,
    observing: &'a Observing,
    rules: &'a [RuleNames],
    clocks: ClockWatch,
    t0_ns: u64,
    watch: &'a mut dyn FnMut(&Progress),
}

impl<'a, C: Clock> Watching<'a, C> {
    pub(super) fn new(
        shared: &'a Shared<'a, C>,
        observing: &'a Observing,
        rules: &'a [RuleNames],
        anchor: WallAnchor,
        t0_ns: u64,
        watch: &'a mut dyn FnMut(&Progress),
    ) -> Self {
        Self { shared, observing, rules, clocks: ClockWatch::new(anchor.wall_ns, anchor.mono_ns), t0_ns, watch }
    }

    /// Looks until the completing thread is done.
    pub(super) fn until_done(&mut self, warnings: &Receiver<String>) {
        loop {
            match warnings.recv_timeout(WATCH) {
                Ok(warning) => self.look(Some(warning), false),
                Err(RecvTimeoutError::Timeout) => self.look(None, false),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Waits for the outputs of what was sent, no longer than the probe's deadline.
    pub(super) fn until_observed(&mut self, scheduled: u64) {
        self.observing.sending_ended(scheduled);
        let end_ns = self.shared.clock.now_ns().saturating_add(self.observing.deadline_ns()).saturating_add(SPARE_NS);
        let mut told_ns = 0;
        while self.observing.waits() && self.shared.clock.now_ns() < end_ns {
            std::thread::sleep(OUTPUTS);
            let now_ns = self.shared.clock.now_ns();
            if now_ns.saturating_sub(told_ns) >= u64::try_from(WATCH.as_nanos()).unwrap_or(u64::MAX) {
                told_ns = now_ns;
                self.look(None, true);
            }
        }
    }

    /// The largest step of the wall clock.
    pub(super) fn clock_step_ns(&self) -> u64 {
        self.clocks.step_ns()
    }

    fn look(&mut self, warning: Option<String>, outputs_only: bool) {
        let Self { shared, observing, t0_ns, .. } = self;
        let (before_ns, wall_ns, now, live) = (shared.clock.now_ns(), wall_now_ns(), shared.clock.now_ns(), &shared.live);
        self.clocks.look(wall_ns, before_ns, now);
        (self.watch)(&Progress {
            starts_in_ns: t0_ns.saturating_sub(now),
            run_ns: now.saturating_sub(*t0_ns),
            due_ns: live.due_ns.load(Ordering::Relaxed),
            scheduled: live.scheduled.load(Ordering::Relaxed),
            sent: live.sent.load(Ordering::Relaxed),
            in_flight: shared.slots.in_flight(),
            pushed_back_ns: live.pushed_back_ns.load(Ordering::Relaxed),
            recent: lock(&shared.recent).now(),
            distinct: self.rules.iter().map(|rule| rule.tag.clone()).zip(lock(&shared.distinct).iter().copied()).collect(),
            observed: observing.now(),
            outputs_only,
            warning,
        });
    }
}
