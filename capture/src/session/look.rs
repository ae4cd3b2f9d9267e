//! The look at the cluster's topics, and what follows from it.

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::source::{Source, StartAt};
use dejaq_shared::record::{Lane, Stream, StreamIx};

use super::{ATTEMPTS, Ended, LOOK_TIMEOUT, Session};
use crate::gauge::nanos;
use crate::intake::Phase;
use crate::taker::Todo;
use crate::takeup::{Begin, Cluster, Seen, known_streams, topics_there};
use crate::watch::Change;

/// After a look that failed the next comes this soon.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

impl<S: Source> Session<'_, S> {
    /// Compares the cluster's topics with the streams. A cluster that does not answer is a warning, and asked again soon;
    /// the answer is false then.
    pub(super) fn look(&mut self) -> Result<bool, Ended> {
        let now = self.clock.now_ns();
        self.look_at_ns = now.saturating_add(nanos(self.plan.watch_every));
        // Positions are noted before the question: what the answer proves is what was read before it.
        let asked: Vec<(StreamIx, i64)> =
            self.taker.intake.in_phase(Phase::Reading).filter_map(|ix| Some((ix, self.taker.intake.books(ix)?.next))).collect();
        let topics = match topics_there(&mut self.source, self.topics, LOOK_TIMEOUT) {
            Ok(topics) => topics,
            Err(error) => return self.try_again(error),
        };
        let seen = known_streams(&self.taker.intake, self.topics);
        let changes = self.watch.diff(seen.iter().map(Seen::as_known), &topics, false);
        for (ix, next) in asked {
            if changes.contains(&Change::Same(ix)) {
                self.taker.intake.prove(ix, next);
            }
        }
        let news = changes.iter().any(|c| matches!(c, Change::New { .. } | Change::Back(_)));
        let cluster = match news.then(|| Cluster::ask(&mut self.source, self.topics, false, LOOK_TIMEOUT)).transpose() {
            Ok(cluster) => cluster,
            Err(error) => return self.try_again(error),
        };
        let mut begin = Vec::new();
        for change in &changes {
            self.follow(change, cluster.as_ref(), &mut begin)?;
        }
        if let Some(cluster) = &cluster {
            match self.begin(&begin, cluster, false) {
                Err(Ended::Broker(error)) => return self.try_again(error),
                other => other?,
            }
        }
        if changes.iter().any(|c| !matches!(c, Change::Same(_))) {
            self.attach_topics(&topics);
        }
        Ok(true)
    }

    fn try_again(&mut self, error: BrokerError) -> Result<bool, Ended> {
        // A right may be given back; but what is to end shall not wait for that.
        let over = self.gauge.until.end && matches!(error, BrokerError::MissingRight { .. });
        if over || matches!(error, BrokerError::Fatal(_)) {
            return Err(error.into());
        }
        self.taker.warnings.push(format!("the cluster's topics could not be looked at: {error}"));
        self.look_at_ns = self.clock.now_ns().saturating_add(nanos(self.plan.watch_every.min(RETRY)));
        Ok(false)
    }

    fn follow(&mut self, change: &Change, cluster: Option<&Cluster>, begin: &mut Vec<Begin>) -> Result<(), Ended> {
        let now = self.taker.wall_now();
        match change {
            Change::Same(ix) => self.try_parked(*ix),
            Change::Recreated(ix) => {
                self.source.stop(&[*ix])?;
                if let Some(gap) = self.taker.intake.recreated(*ix, now) {
                    self.taker.gap(*gap);
                }
            }
            Change::Deleted(ix) => {
                self.source.stop(&[*ix])?;
                let name = self.taker.intake.stream(*ix).map_or_else(String::new, Stream::name);
                self.taker
                    .warnings
                    .push(format!("{name} is not at the source any more (deleted, or this user may not see it now): its stream ends"));
                if let Some(gap) = self.taker.intake.deleted(*ix, false, now) {
                    self.taker.gap(*gap);
                }
            }
            Change::Back(ix) => {
                let end = self.taker.intake.stream(*ix).and_then(|s| cluster?.end(s)).unwrap_or(0);
                self.taker.intake.reopen(*ix, end);
                self.taker.todo.push(Todo::Restart(*ix));
            }
            Change::New { topic, id, partition } => {
                let lane = Lane::Kafka { topic: topic.clone(), topic_id: *id, partition: *partition };
                let stream = Stream { cluster: self.source.cluster().to_owned(), lane };
                self.taker.warnings.push(format!("{} is new: it is recorded from its beginning", stream.name()));
                begin.push(Begin { stream, at: StartAt::Beginning, newly_selected: false });
            }
        }
        Ok(())
    }

    /// A stream that could not be read and is still there is tried again; one that `--until end` waits for, not for ever.
    fn try_parked(&mut self, ix: StreamIx) {
        if self.taker.intake.phase(ix) != Some(Phase::Parked) {
            return;
        }
        let (attempts, detail) = self.attempts.get(&ix).cloned().unwrap_or_default();
        if self.gauge.until.end && attempts >= ATTEMPTS {
            if let Some(gap) = self.taker.intake.give_up(ix, &detail, self.taker.wall_now()) {
                self.taker.gap(*gap);
            }
            return;
        }
        self.taker.intake.unpark(ix);
        self.taker.todo.push(Todo::Restart(ix));
    }
}
