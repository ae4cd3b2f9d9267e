//! Capture of what is published to RabbitMQ's exchanges: mirrored into queues of our own, one a virtual host, by copies of
//! production's bindings.
//!
//! Guarantees: nothing of production's is consumed, made or changed; our queues are bounded and drop their oldest, so that nobody
//! who publishes is ever refused or held up by them. What comes is acknowledged when the engine says that it is on disk. What was
//! lost is told, with its time and, where the broker counts it alone, its number.
//!
//! Limits: RabbitMQ's messages have no identity: what was delivered and not acknowledged comes again after an interruption,
//! flagged. A message that expires in our queue before it is delivered is not noticed. The header table keeps its names, values and
//! types, not their order (lapin keeps tables by name).
//!
//! `ours` our queue · `bonds` its bindings · `check` what is refused · `survey` what stands at the broker · `snapshots` that as a
//! file · `session` connections and questions · `pump` deliveries, acknowledgements, canaries · `beginning`, `line`, `thread` keeping one virtual
//! host up · `canary`, `drops` what was thrown away · `firehose` the broker's trace · `records` what is handed over

mod beginning;
mod bonds;
mod canary;
mod check;
mod drops;
mod firehose;
mod line;
mod ours;
mod pump;
mod records;
mod session;
mod snapshots;
mod survey;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lapin::message::Delivery;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender, channel};

use bonds::Wanted;
use canary::Canaries;
use drops::Drops;
use line::{CONNECT, Line, UNKNOWN};
use ours::OurQueue;
use pump::{Acknowledge, Event, Signal};
use records::{Became, Records};
use session::Site;
use snapshots::Snapshots;

use super::config::Settings;
use super::connect::{Connector, REPLY_SUCCESS, VHOST_DEFAULT};
use super::management::Management;
use super::prometheus::Prometheus;
use crate::broker::BrokerError;
use crate::broker::endpoint::AmqpEndpoint;
use crate::broker::mirror::{ExchangeSelection, Loss, Mirror, MirrorBegin, MirrorBy, MirrorHandler, MirrorNotice, Receipt, Snapshot};
use crate::broker::source::{SourceOptions, TopicSelection};
use crate::clock::wall_now_ns;
use crate::record::GapReason;

/// Batches that wait to be polled. What is in them is bounded by the window.
const EVENTS_MAX: usize = 256;

/// RabbitMQ's exchanges, mirrored.
pub struct AmqpMirror {
    cluster: String,
    connector: Arc<Connector>,
    management: Arc<Management>,
    prometheus: Arc<Prometheus>,
    settings: Settings,
    wanted: Wanted,
    vhosts: Vec<String>,
    /// What deliveries may take that are on their way, of all virtual hosts together.
    budget_bytes: u64,
    records: Records,
    lines: Vec<Attached>,
    events: Option<(Sender<Event>, Receiver<Event>)>,
    current: Option<Current>,
}

/// A line, as the thread that polls sees it.
struct Attached {
    signals: std::sync::mpsc::Sender<Signal>,
    waiting: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<(), BrokerError>>>,
    /// Where acknowledgements of the present connection go.
    acknowledge: Option<(u32, UnboundedSender<Acknowledge>)>,
}

/// A batch that is not handed over to its end.
struct Current {
    link: u32,
    generation: u32,
    deliveries: std::vec::IntoIter<Delivery>,
}

impl AmqpMirror {
    /// Signs in at every virtual host, and asks which cluster it is.
    ///
    /// # Errors
    /// Why the broker does not take us, with what to do; [`BrokerError::Unreachable`] when nobody answered in `timeout`.
    pub fn connect(
        endpoint: &AmqpEndpoint,
        selection: &ExchangeSelection,
        options: &SourceOptions,
        timeout: Duration,
    ) -> Result<Self, BrokerError> {
        let settings = Settings::of(endpoint, &options.user)?;
        let exchanges = TopicSelection::parse(selection.names.iter().map(String::as_str)).map_err(|e| BrokerError::Request {
            request: "reading the list of exchanges".to_owned(),
            reason: e.to_string(),
            retryable: false,
        })?;
        let wanted = Wanted { exchanges, mode: selection.by };
        let vhosts = match selection.vhosts.as_slice() {
            [] => vec![endpoint.vhost.clone().unwrap_or_else(|| VHOST_DEFAULT.to_owned())],
            some => some.to_vec(),
        };
        let connector = Arc::new(Connector::new(endpoint, settings.clone(), session::needs(&wanted))?);
        for vhost in &vhosts {
            let connection = connector.open(vhost, "check", timeout)?;
            connector.wait(timeout, || "closing a connection".to_owned(), connection.close(REPLY_SUCCESS, "".into()))?;
        }
        let cluster = connector.cluster()?;
        Ok(Self {
            management: Arc::new(connector.management()?),
            prometheus: Arc::new(connector.prometheus()?),
            records: Records::new(&cluster, &vhosts, wanted.clone()),
            lines: Vec::new(),
            events: None,
            current: None,
            cluster,
            connector,
            settings,
            wanted,
            vhosts,
            budget_bytes: options.memory_budget_bytes as u64,
        })
    }

    fn our_queue(&self, recording: &str) -> OurQueue {
        OurQueue {
            name: OurQueue::name_of(recording),
            messages_max: self.settings.queue_messages,
            bytes_max: self.settings.queue_bytes,
            expires: self.settings.queue_expires,
        }
    }

    fn line(&self, link: u32, vhost: &str, begin: &MirrorBegin, events: &Sender<Event>, snapshots: &Arc<Snapshots>) -> Line {
        let site = Site {
            link,
            vhost: vhost.to_owned(),
            vhosts: self.vhosts.clone(),
            wanted: self.wanted.clone(),
            ours: self.our_queue(&begin.recording),
            prefetch: self.settings.prefetch,
            budget_bytes: self.budget_bytes / self.vhosts.len().max(1) as u64,
            resync: self.settings.resync,
            connector: Arc::clone(&self.connector),
            management: Arc::clone(&self.management),
            prometheus: Arc::clone(&self.prometheus),
            clock: wall_now_ns,
        };
        let (sender, signals) = std::sync::mpsc::channel();
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let good_ns = begin.resumed_from_ns.unwrap_or(begin.now_ns);
        Line {
            canaries: Canaries::new(nonce.clone()),
            drops: Drops::new(vhost),
            site: Arc::new(site),
            events: events.clone(),
            signals,
            sender,
            waiting: Arc::new(AtomicU64::new(UNKNOWN)),
            snapshots: Arc::clone(snapshots),
            nonce,
            generation: 0,
            series: 0,
            sent: Arc::default(),
            doubt: None,
            bound: Default::default(),
            looked_ns: good_ns,
            good_ns,
            governed: false,
            alone: false,
            nodes: None,
            session: None,
            canary: None,
        }
    }

    /// Opens a line and begins to consume.
    fn begin_line(&self, line: &mut Line, begin: &MirrorBegin) -> Result<(), BrokerError> {
        let opened = line.open()?;
        line.bears_policies()?;
        if begin.resumed_from_ns.is_some() {
            line.tell(opened, "between this capture and the one before");
            line.tell_if_full(opened);
        }
        line.consume()
    }

    /// Takes the next event into its place; what is to be told is told. `false`: nothing came.
    fn next<H: MirrorHandler>(&mut self, timeout: Option<Duration>, handler: &mut H) -> bool {
        let Some((_, events)) = &mut self.events else { return false };
        let event = match timeout {
            None => events.try_recv().ok(),
            Some(timeout) => {
                let next = async { Ok(events.recv().await) };
                self.connector.try_wait(timeout, &String::new, next).ok().and_then(Result::ok).flatten()
            }
        };
        match event {
            None => return false,
            Some(Event::Notice(notice)) => handler.notice(notice),
            Some(Event::Batch { link, generation, deliveries }) => {
                self.current = Some(Current { link, generation, deliveries: deliveries.into_iter() });
            }
            Some(Event::Up { link, generation, acknowledge }) => {
                if let Some(line) = self.lines.get_mut(link as usize) {
                    line.acknowledge = Some((generation, acknowledge));
                }
            }
        }
        true
    }

    /// Hands over what is left of the present batch, at most so many.
    fn hand_over<H: MirrorHandler>(&mut self, records_max: usize, arrival_ns: i64, handler: &mut H) -> usize {
        let mut count = 0;
        while count < records_max {
            let Some(current) = &mut self.current else { break };
            let Some(delivered) = current.deliveries.next() else {
                self.current = None;
                break;
            };
            let receipt = Receipt { link: current.link, generation: current.generation, tag: delivered.delivery_tag };
            match self.records.hand_over(receipt, &delivered, arrival_ns, handler) {
                Became::Record => count += 1,
                Became::Nothing => self.send(receipt.link, receipt.generation, Acknowledge::One(receipt.tag)),
                Became::Unreadable(exchange, why) => {
                    self.send(receipt.link, receipt.generation, Acknowledge::One(receipt.tag));
                    handler.notice(MirrorNotice::Loss(unreadable(exchange, why, arrival_ns)));
                }
            }
        }
        count
    }

    /// Sends an acknowledgement, unless its connection is gone: then the message comes again.
    fn send(&self, link: u32, generation: u32, tags: Acknowledge) {
        let line = self.lines.get(link as usize).and_then(|line| line.acknowledge.as_ref());
        if let Some((_, acknowledge)) = line.filter(|(present, _)| *present == generation) {
            let _ = acknowledge.send(tags);
        }
    }

    fn stop(&self, remove: bool) {
        for line in &self.lines {
            let _ = line.signals.send(Signal::Stop { remove }); // One that has ended does not listen.
        }
    }
}

fn unreadable(exchange: String, detail: String, at_ns: i64) -> Loss {
    Loss {
        lane: None,
        scope: exchange,
        from_time_ns: Some(at_ns),
        to_time_ns: Some(at_ns),
        count: Some(1),
        exact: true,
        reason: GapReason::Unparseable,
        detail,
    }
}

impl Mirror for AmqpMirror {
    fn cluster(&self) -> &str {
        &self.cluster
    }

    fn filters(&self) -> Vec<String> {
        let how = match self.wanted.mode {
            MirrorBy::Bindings => "exchange",
            MirrorBy::CatchAll => "catch-all of exchange",
            MirrorBy::Firehose => "firehose of exchange",
        };
        let exchanges = match self.wanted.exchanges.as_typed() {
            all if all.is_empty() => vec!["*".to_owned()],
            some => some,
        };
        let of_vhost =
            |vhost: &String| exchanges.iter().map(move |exchange| format!("{how} {exchange} of virtual host {vhost}")).collect::<Vec<_>>();
        self.vhosts.iter().flat_map(of_vhost).collect()
    }

    fn describe(&self) -> Vec<(String, String)> {
        self.settings.describe()
    }

    fn check(&mut self, _timeout: Duration) -> Result<Vec<String>, BrokerError> {
        let standing = self.vhosts.iter().map(|vhost| survey::standing(&self.management, vhost)).collect::<Result<Vec<_>, _>>()?;
        check::check(&self.wanted, &self.our_queue("…"), &standing)
    }

    fn begin(&mut self, begin: &MirrorBegin, _timeout: Duration) -> Result<Vec<Snapshot>, BrokerError> {
        let (sender, receiver) = channel(EVENTS_MAX);
        let snapshots = Arc::new(Snapshots::default());
        for (link, vhost) in (0..).zip(&self.vhosts) {
            let mut line = self.line(link, vhost, begin, &sender, &snapshots);
            if let Err(error) = self.begin_line(&mut line, begin) {
                line.undo(begin.resumed_from_ns.is_none());
                self.stop(begin.resumed_from_ns.is_none());
                return Err(error);
            }
            let (signals, waiting) = (line.sender.clone(), Arc::clone(&line.waiting));
            let thread = std::thread::Builder::new().name(format!("dejaq-mirror-{link}")).spawn(move || line.run());
            let thread = thread.map_err(|e| BrokerError::Fatal(format!("no thread can be started: {e}")))?;
            self.lines.push(Attached { signals, waiting, thread: Some(thread), acknowledge: None });
        }
        self.events = Some((sender, receiver));
        Ok(snapshots.all().into_iter().collect())
    }

    fn window(&self) -> u32 {
        self.settings.prefetch.into()
    }

    fn poll<H: MirrorHandler>(
        &mut self,
        records_max: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        let deadline = Instant::now() + timeout;
        while self.current.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.next(Some(left), handler) {
                return Ok(0);
            }
        }
        let arrival_ns = clock();
        let mut count = 0;
        while count < records_max {
            count += self.hand_over(records_max - count, arrival_ns, handler);
            if self.current.is_none() && !self.next(None, handler) {
                break;
            }
        }
        Ok(count)
    }

    fn acknowledge(&mut self, receipts: &[Receipt]) {
        for receipt in receipts {
            self.send(receipt.link, receipt.generation, Acknowledge::UpTo(receipt.tag));
        }
    }

    fn lag(&mut self) -> Option<u64> {
        let waiting = |line: &Attached| Some(line.waiting.load(Ordering::Acquire)).filter(|waiting| *waiting != UNKNOWN);
        self.lines.iter().map(waiting).sum()
    }

    fn settle<H: MirrorHandler>(&mut self, timeout: Duration, _clock: &mut dyn FnMut() -> i64, handler: &mut H) -> Result<(), BrokerError> {
        self.stop(true);
        let deadline = Instant::now() + timeout.max(CONNECT);
        let mut result = Ok(());
        for link in 0..self.lines.len() {
            // Lines may wait to tell something; what is delivered by now belongs to no recording.
            while self.lines[link].thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < deadline {
                self.next(Some(Duration::from_millis(50)), handler);
                self.current = None;
            }
            let ended = self.lines[link].thread.take_if(|thread| thread.is_finished()).map(JoinHandle::join);
            let removed = match ended {
                Some(Ok(removed)) => removed,
                Some(Err(_)) => Err(BrokerError::Fatal("a thread of the mirror broke".to_owned())),
                None => Err(BrokerError::Fatal(format!("virtual host {:?}: our queue was not removed in time", self.vhosts[link]))),
            };
            result = result.and(removed);
        }
        while self.next(None, handler) {
            self.current = None;
        }
        result
    }
}

impl Drop for AmqpMirror {
    fn drop(&mut self) {
        // Without `settle` the queues stay for the next capture.
        self.stop(false);
    }
}
