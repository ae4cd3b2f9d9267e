//! A line: one virtual host's queue, kept up by a thread of its own.
//!
//! Guarantees: it ends only when told to. Whatever interrupts it (a node that stops, a queue that is removed) it connects again, with a back-off, and tells what can have been missed meanwhile: nothing where the queue
//! stayed and its node was not started anew; else everything since the last canary that came.
//!
//! It looks at the queue every five seconds (every second while drops go on) and at production's bindings every `resync`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, Sender};

use super::bonds::{self, Bond};
use super::canary::{Canaries, Seen};
use super::drops::{Drops, Look, Reading};
use super::pump::{self, End, Event, Pump, Series, Signal};
use super::session::{Session, Site, Step};
use super::snapshots::Snapshots;
use super::survey::{self, Nodes};
use crate::broker::BrokerError;
use crate::broker::amqp::backoff::Backoff;
use crate::broker::amqp::connect::REPLY_SUCCESS;
use crate::broker::amqp::window::Window;
use crate::broker::mirror::{Loss, MirrorNotice};
use crate::record::GapReason;

/// How often the queue is looked at, and how often while something is thrown away.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_WHILE_DROPPING: Duration = Duration::from_secs(1);
/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// So many canaries may be on their way when the queue is caught up with.
const ON_THEIR_WAY_MAX: u64 = 3;
/// Nothing is known of how many wait.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// See the module's words.
pub(super) struct Line {
    pub(super) site: Arc<Site>,
    pub(super) events: Sender<Event>,
    pub(super) signals: Receiver<Signal>,
    pub(super) sender: std::sync::mpsc::Sender<Signal>,
    /// How many messages wait, for who asks.
    pub(super) waiting: Arc<AtomicU64>,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) nonce: String,
    pub(super) generation: u32,
    pub(super) canaries: Canaries,
    pub(super) drops: Drops,
    /// The series of canaries, and how many of it are sent.
    pub(super) series: u64,
    pub(super) sent: Arc<AtomicU64>,
    /// What was missed if the next canary is a new one: then the node was started anew.
    pub(super) doubt: Option<Loss>,
    pub(super) bound: BTreeSet<Bond>,
    /// When production's bindings were looked at last.
    pub(super) looked_ns: i64,
    /// Up to when nothing can have been missed, where no canary tells.
    pub(super) good_ns: i64,
    /// Whether there are policies at all.
    pub(super) governed: bool,
    /// Whether only our queue can have thrown something away.
    pub(super) alone: bool,
    pub(super) nodes: Option<Nodes>,
    pub(super) session: Option<Session>,
    pub(super) canary: Option<Session>,
}

/// How a session was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    /// How many messages waited; `None`: there was no queue.
    pub(super) found: Option<u32>,
    /// The other connection stood all the time, so the node was not started anew.
    pub(super) ran_on: bool,
    /// When the node was started that was started last; `None`: not told.
    pub(super) started_ns: Option<i64>,
}

/// Why serving ended.
pub(super) enum Served {
    Stop { remove: bool },
    Ended(End),
}

impl Line {
    /// Connects, makes the queue and binds it. The consumer is not begun yet.
    pub(super) fn open(&mut self) -> Result<Opened, BrokerError> {
        let site = Arc::clone(&self.site);
        let session = site.connect("capture", CONNECT)?;
        let found = site.waiting(&session.connection)?;
        let channel = site.channel(&session.connection)?;
        site.declare(&channel)?;
        if found.is_none() {
            self.bound.clear();
        }
        self.session = Some(session);
        let nodes = survey::nodes(&site.management, site.now_ns()).ok();
        self.nodes = nodes;
        self.resync(found.is_some())?;
        if let Some(canary) = self.canary.take_if(|_| found.is_none()) {
            // What it sent while there was no queue went nowhere, and is not to be missed.
            let _ = site.wait(Step::Channel, canary.connection.close(REPLY_SUCCESS, "".into()));
        }
        let ran_on = self.canary_stands();
        self.keep_canary()?;
        Ok(Opened { found, ran_on, started_ns: nodes.and_then(|nodes| nodes.started_ns) })
    }

    /// Binds what production bound, and tells what was missed until then. `told`: the queue was bound before, so that a binding
    /// more is one that was missed.
    fn resync(&mut self, told: bool) -> Result<(), BrokerError> {
        let site = Arc::clone(&self.site);
        let Some(session) = &self.session else { return Ok(()) };
        let looked_ns = site.now_ns();
        let standing = survey::standing(&site.management, &site.vhost)?;
        if self.bound.is_empty() {
            self.bound = bonds::present_bonds(&site.ours.name, &standing.vhost);
        }
        let change = bonds::change(&self.bound, &bonds::wanted_bonds(&site.wanted, &standing.vhost), &standing.vhost);
        let channel = site.channel(&session.connection)?;
        site.rebind(&channel, &change.bind, &change.unbind, &mut self.bound)?;
        let bound_ns = site.now_ns();
        for exchange in change.missed.iter().filter(|_| told) {
            let detail = "a binding was added, and ours came later".to_owned();
            self.lost(exchange.clone(), self.looked_ns, bound_ns, GapReason::FilterChange, detail);
        }
        self.looked_ns = looked_ns;
        self.governed = !standing.policies_shown || !standing.vhost.policies.is_empty() || !standing.operator_policies.is_empty();
        if let Some(snapshot) = self.snapshots.seen(standing.vhost) {
            self.notice(MirrorNotice::Snapshot(snapshot));
        }
        self.alone = self.nodes.is_some_and(|nodes| survey::alone(&site.management, &site.ours.name, &site.vhosts, nodes).unwrap_or(false));
        Ok(())
    }

    /// Begins to consume.
    pub(super) fn consume(&mut self) -> Result<(), BrokerError> {
        let site = Arc::clone(&self.site);
        let Some(session) = &self.session else { return Ok(()) };
        let window = Window::new(site.budget_bytes, site.prefetch);
        let consumer = site.consume(&session.channel, window.present())?;
        self.generation += 1;
        let (acknowledge, wanted) = mpsc::unbounded_channel();
        let (link, generation) = (site.link, self.generation);
        let _ = self.events.blocking_send(Event::Up { link, generation, acknowledge: acknowledge.clone() });
        let pump = Pump {
            link,
            generation,
            queue: site.ours.name.clone(),
            consumer,
            channel: session.channel.clone(),
            window,
            acknowledge,
            events: self.events.clone(),
            signals: self.sender.clone(),
            turning: false,
        };
        site.connector.opener().spawn(pump.run());
        site.connector.opener().spawn(pump::acknowledge(session.channel.clone(), wanted));
        Ok(())
    }

    fn canary_stands(&self) -> bool {
        self.canary.as_ref().is_some_and(|session| session.channel.status().connected())
    }

    /// Sees to it that canaries are sent.
    fn keep_canary(&mut self) -> Result<(), BrokerError> {
        if self.canary_stands() {
            return Ok(());
        }
        let site = Arc::clone(&self.site);
        let session = site.connect("canary", CONNECT)?;
        self.series += 1;
        self.sent = Arc::default();
        let series = Series {
            channel: session.channel.clone(),
            queue: site.ours.name.clone(),
            nonce: self.nonce.clone(),
            series: self.series,
            sent: Arc::clone(&self.sent),
            clock: site.clock,
        };
        // The first one is confirmed: a right that is missing shows now. Under a memory alarm there is no answer.
        match site.wait(Step::Canary, series.first()) {
            Err(error) if !error.is_retryable() => return Err(error),
            _ => {}
        }
        site.connector.opener().spawn(series.run());
        self.canary = Some(session);
        Ok(())
    }

    /// The next signal that is not of an earlier session; canaries are dealt with on the way. `None`: nothing in `timeout`.
    pub(super) fn signal(&mut self, timeout: Duration) -> Option<Signal> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.signals.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Signal::Canary(id)) => self.canary_came(&id),
                Ok(Signal::Ended { generation, .. }) if generation != self.generation => {}
                Ok(signal) => return Some(signal),
                Err(RecvTimeoutError::Timeout) => return None,
                // Not while this line has a sender itself.
                Err(RecvTimeoutError::Disconnected) => return Some(Signal::Stop { remove: false }),
            }
        }
    }

    fn canary_came(&mut self, message_id: &str) {
        let seen = self.canaries.seen(message_id);
        let doubt = self.doubt.take_if(|_| seen != Seen::Nothing);
        let losses = match seen {
            Seen::Nothing | Seen::Kept => [None, None],
            Seen::Next => [doubt, None],
            Seen::After(missing) => [doubt, self.drops.missing(missing)],
        };
        losses.into_iter().flatten().for_each(|loss| self.notice(MirrorNotice::Loss(loss)));
    }

    /// Serves until the session ends.
    pub(super) fn serve(&mut self) -> Served {
        let (mut look, mut resync) = (Instant::now(), Instant::now() + self.site.resync);
        loop {
            let now = Instant::now();
            if now >= look {
                self.look(false);
                look = now + if self.drops.is_open() { LOOK_WHILE_DROPPING } else { LOOK };
            }
            if now >= resync {
                // Where the connection is gone its end is told soon, and another one looks.
                let stands = self.session.as_ref().is_some_and(|session| session.connection.status().connected());
                if stands && let Err(error) = self.resync(true) {
                    self.warn(format!("looking for new bindings: {error}"));
                }
                resync = Instant::now() + self.site.resync;
            }
            let wait = look.min(resync).saturating_duration_since(Instant::now());
            // A span that was opened just now is looked at soon.
            let wait = if self.drops.is_open() { wait.min(LOOK_WHILE_DROPPING) } else { wait };
            match self.signal(wait) {
                Some(Signal::Stop { remove }) => return Served::Stop { remove },
                Some(Signal::Ended { end, .. }) => return Served::Ended(end),
                Some(Signal::Canary(_)) => {}
                None if self.drops.is_open() => look = Instant::now(),
                None => {}
            }
        }
    }

    /// Looks at our queue and at the counter. `last`: nothing more will show.
    pub(super) fn look(&mut self, last: bool) {
        let site = Arc::clone(&self.site);
        let waiting = self.session.as_ref().and_then(|session| site.waiting(&session.connection).ok().flatten()).map(u64::from);
        self.waiting.store(waiting.unwrap_or(UNKNOWN), Ordering::Release);
        let now_ns = site.now_ns();
        let outstanding = self.canaries.outstanding(self.series, self.sent.load(Ordering::Acquire));
        let caught_up = last || (outstanding <= ON_THEIR_WAY_MAX && !self.canaries.is_stale(now_ns));
        let thrown_away = site.prometheus.dropped().ok().flatten();
        let look = Look {
            now_ns,
            reading: thrown_away.map(|thrown_away| Reading { thrown_away, ours_alone: self.alone }),
            caught_up,
            nearly_full: waiting.is_some_and(|waiting| waiting >= site.ours.messages_max / 20 * 19),
            blind: caught_up && self.canaries.take_blind(now_ns),
        };
        let over = self.drops.look(look);
        over.into_iter().for_each(|loss| self.notice(MirrorNotice::Loss(loss)));
        if let Err(error) = self.keep_canary() {
            self.warn(format!("the canary cannot be sent, so that drops are not noticed: {error}"));
        }
    }

    /// Connects again until it succeeds, and tells what can have been missed. `None`: told to stop meanwhile.
    pub(super) fn reopen(&mut self, why: &str) -> Result<(), Served> {
        let mut backoff = Backoff::new();
        let site = Arc::clone(&self.site);
        self.session = None;
        self.drops.taken_back();
        self.waiting.store(UNKNOWN, Ordering::Release);
        self.warn(format!("virtual host {:?}: {why}; connecting again", site.vhost));
        let mut said = Instant::now();
        let opened = loop {
            if let Some(Signal::Stop { remove }) = self.signal(backoff.wait()) {
                return Err(Served::Stop { remove });
            }
            match self.open() {
                Ok(opened) => break opened,
                Err(error) if said.elapsed() > Duration::from_secs(10) => {
                    self.warn(format!("virtual host {:?}: still not connected: {error}", site.vhost));
                    said = Instant::now();
                }
                Err(_) => {}
            }
        };
        self.tell(opened, why);
        Ok(())
    }

    /// What can have been missed while no session stood.
    pub(super) fn tell(&mut self, opened: Opened, why: &str) {
        let from_ns = self.canaries.last_ns().unwrap_or(self.good_ns).max(self.good_ns);
        let restarted = opened.started_ns.is_some_and(|started| started > from_ns);
        let detail = match opened.found {
            None => format!("our queue was gone, with what waited in it ({why})"),
            Some(_) => format!("the node was started anew, and with that transient messages went ({why})"),
        };
        let scope = format!("virtual host {}", self.site.vhost);
        let loss = loss(scope, from_ns, self.site.now_ns(), GapReason::Disconnect, detail);
        if opened.found.is_none() || restarted {
            self.good_ns = loss.to_time_ns.unwrap_or(self.good_ns);
            self.notice(MirrorNotice::Loss(loss));
        } else if !opened.ran_on {
            self.doubt = Some(loss);
        }
    }

    /// The capture ends while no session stands.
    pub(super) fn tell_away(&mut self) {
        self.doubt = None;
        let from_ns = self.canaries.last_ns().unwrap_or(self.good_ns).max(self.good_ns);
        let detail = "the capture ended while it was not connected".to_owned();
        self.lost(format!("virtual host {}", self.site.vhost), from_ns, self.site.now_ns(), GapReason::Disconnect, detail);
    }

    pub(super) fn lost(&self, scope: String, from_ns: i64, to_ns: i64, reason: GapReason, detail: String) {
        self.notice(MirrorNotice::Loss(loss(scope, from_ns, to_ns, reason, detail)));
    }

    pub(super) fn warn(&self, text: String) {
        self.notice(MirrorNotice::Warning(text));
    }

    pub(super) fn notice(&self, notice: MirrorNotice) {
        // Nobody listens any more: then nobody records either.
        let _ = self.events.blocking_send(Event::Notice(notice));
    }
}

fn loss(scope: String, from_ns: i64, to_ns: i64, reason: GapReason, detail: String) -> Loss {
    let (from_time_ns, to_time_ns) = (Some(from_ns), Some(to_ns));
    Loss { lane: None, scope, from_time_ns, to_time_ns, count: None, exact: false, reason, detail }
}
