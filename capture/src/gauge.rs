//! How a capture stands: measured once a second, told to the observer, and what follows from it: the compression of the blocks
//! to come, the flags of records, the end at a bound of time or disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dejaq_shared::clock::Clock;
use dejaq_shared::segment::codec::Compression;

use crate::config::CapturePlan;
use crate::intake::Phase;
use crate::pace::Pace;
use crate::pipeline::Figures;
use crate::report::{Progress, Report};
use crate::taker::Taker;
use crate::throttle::Throttles;
use crate::until::{Standing, StopReason, Until};

pub(crate) struct Gauge<'a> {
    pub(crate) until: Until,
    throttles: Throttles,
    plan: &'a CapturePlan,
    clock: Arc<dyn Clock>,
    pace: Pace,
    disk_bound: bool,
    began_ns: u64,
    stored_before: u64,
}

impl<'a> Gauge<'a> {
    pub(crate) fn new(plan: &'a CapturePlan, taker: &Taker, clock: &Arc<dyn Clock>) -> Self {
        let now = clock.now_ns();
        Self {
            until: Until { end: plan.until_end, deadline_ns: plan.run_for.map(|d| now.saturating_add(nanos(d))) },
            throttles: Throttles::new(plan.fetch_rate, plan.catch_up_rate, clock),
            plan,
            clock: Arc::clone(clock),
            pace: Pace::new(now, plan.compress),
            disk_bound: false,
            began_ns: now,
            stored_before: Figures::get(&taker.pipeline.figures.bytes_stored),
        }
    }

    /// Whether it is time to [`Gauge::measure`].
    pub(crate) fn is_due(&self) -> bool {
        self.pace.is_due(self.clock.now_ns())
    }

    /// Once a second: lag, compression, disk, progress.
    pub(crate) fn measure(&mut self, taker: &mut Taker, lag: Option<u64>, observer: &mut dyn FnMut(&Report<'_>)) {
        let now = self.clock.now_ns();
        let (records, bytes_raw) = (taker.records, taker.bytes_raw());
        let rates = self.pace.measure(now, records, bytes_raw, lag, taker.intake.any_catching_up());
        self.adapt(taker, now);
        let figures = Arc::clone(&taker.pipeline.figures);
        let disk_free = disk_free(&self.plan.out);
        let stored = Figures::get(&figures.bytes_stored);
        self.disk_bound = self.plan.disk_max.is_some_and(|max| stored >= max)
            || self.plan.disk_free_min.zip(disk_free).is_some_and(|(min, free)| free <= min);
        observer(&Report::Progress(&Progress {
            elapsed: Duration::from_nanos(now.saturating_sub(self.began_ns)),
            records,
            bytes_raw,
            records_per_s: rates.records_per_s,
            bytes_per_s: rates.bytes_per_s,
            lag,
            behind: self.pace.is_behind(),
            gaps: Figures::get(&figures.gaps),
            streams: taker.intake.in_phase(Phase::Reading).count(),
            bytes_stored: stored.saturating_sub(self.stored_before),
            disk_free,
            records_synced: Figures::get(&figures.records_synced),
        }));
    }

    /// Takes the pace for the first time, before anything is read: a resumed capture is behind from its first record on.
    pub(crate) fn first_pace(&mut self, taker: &mut Taker) {
        let now = self.clock.now_ns();
        let _ = self.pace.measure(now, 0, 0, None, taker.intake.any_catching_up());
        self.adapt(taker, now);
    }

    /// Fits flags and compression to the pace.
    fn adapt(&mut self, taker: &mut Taker, now_ns: u64) {
        taker.intake.set_behind(self.pace.is_lagging());
        if let Some(level) = self.pace.change_level(now_ns) {
            taker.compression = Compression::Zstd(level);
            taker.attach_level(level, self.pace.is_behind());
        }
    }

    /// Whether, and why, it is time to stop. `asked`: somebody said so.
    pub(crate) fn reached(&self, taker: &Taker, asked: bool) -> Option<StopReason> {
        self.until.reached(Standing {
            now_ns: self.clock.now_ns(),
            unfinished: taker.intake.unfinished(),
            records_left: taker.intake.records_left(),
            asked,
            disk_bound: self.disk_bound,
        })
    }

    /// How long to wait for the source, no longer than `patience`; `None` when a cap on what is fetched took that time already.
    pub(crate) fn wait_if_held(&mut self, patience: Duration) -> Option<Duration> {
        let now = self.clock.now_ns();
        let patience = nanos(patience).min(self.until.deadline_ns.map_or(u64::MAX, |at| at.saturating_sub(now)));
        let held = nanos(self.throttles.wait());
        if held == 0 {
            return Some(Duration::from_nanos(patience));
        }
        self.clock.sleep_until(now.saturating_add(held.min(patience)));
        None
    }

    /// So many bytes were taken, which counts against the caps.
    pub(crate) fn took(&mut self, bytes: u64) {
        self.throttles.took(bytes, self.pace.is_behind());
    }
}

/// How many records a poll may bring, `most` of them at most.
pub(crate) fn room(taker: &Taker, most: usize) -> usize {
    let left = taker.intake.records_left().and_then(|n| usize::try_from(n).ok());
    left.map_or(most, |left| left.min(most))
}

/// Nanoseconds of a duration; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn disk_free(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}
