//! One capture while it runs: the loop that polls the source, does what the decisions ask for, and watches.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::source::{ReadFrom, Source, StartAt};
use dejaq_shared::clock::{Clock, WallAnchor};
use dejaq_shared::record::StreamIx;

use crate::config::CapturePlan;
use crate::intake::{NewLane, Phase};
use crate::pace::Pace;
use crate::report::{Progress, Report};
use crate::takeup::{Begin, Cluster, known_streams};
use crate::taker::{Taker, Todo};
use crate::throttle::Throttles;
use crate::until::{Standing, StopReason, Until};
use crate::watch::{Change, Watch};

mod attach;

/// How long a request at the start may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a look at the metadata may keep the reader from polling.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Records a poll brings at most: a few milliseconds of work.
const POLL_RECORDS: usize = 10_000;
/// How long a poll waits for the first record, and so how late a signal is seen.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// After so many looks at the metadata a stream that cannot be read no longer holds up `--until end`.
const ATTEMPTS: u32 = 3;

/// Why the loop ended.
pub(crate) enum Ended {
    /// As planned.
    Stopped(StopReason),
    /// The source is broken.
    Broker(BrokerError),
    /// The pipeline is; it knows why.
    Pipeline,
}

impl From<BrokerError> for Ended {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

pub(crate) struct Session<'a, S: Source> {
    pub(crate) source: S,
    pub(crate) taker: Taker,
    plan: &'a CapturePlan,
    clock: Arc<dyn Clock>,
    anchor: WallAnchor,
    observer: &'a mut dyn FnMut(&Report<'_>),
    watch: Watch,
    until: Until,
    throttles: Throttles,
    pace: Pace,
    /// How often a stream was found unreadable.
    attempts: HashMap<StreamIx, (u32, String)>,
    look_at_ns: u64,
}

impl<'a, S: Source> Session<'a, S> {
    pub(crate) fn new(
        source: S,
        taker: Taker,
        plan: &'a CapturePlan,
        clock: Arc<dyn Clock>,
        anchor: WallAnchor,
        observer: &'a mut dyn FnMut(&Report<'_>),
    ) -> Self {
        let now = clock.now_ns();
        let deadline_ns = plan.run_for.map(|d| now.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)));
        Self {
            source,
            taker,
            plan,
            anchor,
            observer,
            watch: Watch::default(),
            until: Until { end: plan.until_end, deadline_ns },
            throttles: Throttles::new(plan.fetch_rate, plan.catch_up_rate, &clock),
            pace: Pace::new(now, plan.compress),
            attempts: HashMap::new(),
            look_at_ns: now.saturating_add(nanos(plan.watch_every)),
            clock,
        }
    }

    /// Begins streams: finds their positions, writes them down, and only then reads. `until_end`: they have an end to reach.
    pub(crate) fn begin(&mut self, begin: &[Begin], cluster: &Cluster, until_end: bool) -> Result<(), Ended> {
        for at in [StartAt::Beginning, self.plan.start] {
            let group: Vec<&Begin> = begin.iter().filter(|b| b.at == at && (at != StartAt::Beginning || b.at == StartAt::Beginning)).collect();
            if group.is_empty() || (at == StartAt::Beginning && self.plan.start == StartAt::Beginning && group.iter().all(|b| self.has(b))) {
                continue;
            }
            let group: Vec<&Begin> = group.into_iter().filter(|b| !self.has(b)).collect();
            let lanes: Vec<(String, i32)> = group.iter().map(|b| (b.stream.topic().to_owned(), b.stream.partition())).collect();
            let starts = self.source.positions(&lanes, at, REQUEST_TIMEOUT)?;
            self.register(&group, &starts, cluster, until_end)?;
        }
        Ok(())
    }
}
