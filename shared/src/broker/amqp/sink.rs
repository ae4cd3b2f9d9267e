//! Publishing to RabbitMQ, with confirms.
//!
//! # What it guarantees
//! - [`AmqpSink::submit`](Sink::submit) never waits, and never for a confirm: the message's frames are with the connection when it
//!   returns. Every message that it took is answered by exactly one [`Completion`], as long as somebody polls [`AmqpCompletions`].
//! - Order within a connection is the order of submission: one channel, one thread (semantics: P5).
//! - Each message is mandatory: one that no queue wanted failed, even though RabbitMQ confirms it.
//! - A broker that asks to hold, and one that is away, take nothing: [`Refusal::Blocked`].
//!
//! # How
//! lapin queues a message's frames when its future is polled first. The submitting thread does that, and hands the future on. The
//! completing thread polls it once more, with a waker that says which message it is, and then when it was woken: nothing is searched,
//! and a message costs three polls. Between the first poll and the hand-over a confirm can have come that wakes nobody: so that thread
//! also looks every millisecond while something is in flight, and what came back is decided only when all that was begun was handed over.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};

use super::bell::{Bell, Wakers};
use super::convert;
use super::link::{Link, Told, size_in};
use super::publishing::Publishing;
use super::returns::{Fingerprint, Returns, fingerprint};
pub use super::target::AmqpTarget;
use super::trouble::words_of;
use crate::broker::BrokerError;
use crate::broker::sink::{Completion, Completions, Fate, Outgoing, QueueLimits, Refusal, Sink};
use crate::broker::warnings::Limiter;

/// How often is looked for answers that woke nobody.
const LOOK: Duration = Duration::from_millis(1);
const OPTIONS: BasicPublishOptions = BasicPublishOptions { mandatory: true, immediate: false };

type Answer = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// A message on its way.
pub(super) struct Pending {
    tag: usize,
    print: Fingerprint,
    bytes: usize,
    link: usize,
    generation: u32,
    answer: Answer,
}

/// Where messages to a destination go.
pub(super) struct Route {
    pub(super) exchange: ShortString,
    /// The first link of its virtual host; those of the other connections follow.
    pub(super) first_link: usize,
}

/// What the halves count together.
#[derive(Default)]
pub(super) struct Counts {
    /// Messages that the submitting half has begun, in all.
    begun: AtomicU64,
    /// Messages that were answered, in all.
    completed: AtomicU64,
    /// Bytes of bodies in flight.
    bytes: AtomicUsize,
    given_up: AtomicBool,
}

/// A link, as the submitting thread sees it.
struct Line {
    link: Arc<Link>,
    generation: u32,
    channel: Option<Arc<Channel>>,
}

/// The submitting half.
pub struct AmqpSink {
    routes: Vec<Route>,
    lines: Vec<Line>,
    connections: usize,
    limits: QueueLimits,
    counts: Arc<Counts>,
    bell: Arc<Bell>,
    doorbell: Waker,
    handed: Sender<Pending>,
    // Dropped last: it keeps the links up.
    _publishing: Arc<Publishing>,
}

/// The completing half.
pub struct AmqpCompletions {
    handed: Receiver<Pending>,
    taken: u64,
    slots: Vec<Option<Pending>>,
    free: Vec<usize>,
    wakers: Wakers,
    /// By link, and the generation of its channel.
    returns: Vec<(u32, Returns)>,
    counts: Arc<Counts>,
    bell: Arc<Bell>,
    batch: Vec<Completion>,
    told: Receiver<Told>,
    limiter: Limiter,
    warning: Option<String>,
    // Dropped last: it keeps the links up.
    _publishing: Arc<Publishing>,
}

/// What the halves are made of.
pub(super) struct Parts {
    pub(super) publishing: Publishing,
    pub(super) routes: Vec<Route>,
    pub(super) connections: usize,
    pub(super) limits: QueueLimits,
    pub(super) bell: Arc<Bell>,
    pub(super) told: Receiver<Told>,
}

pub(super) fn halves(parts: Parts) -> (AmqpSink, AmqpCompletions) {
    let Parts { publishing, routes, connections, limits, bell, told } = parts;
    let (sender, handed) = std::sync::mpsc::channel();
    let counts = Arc::new(Counts::default());
    let line = |link: &Arc<Link>| Line { link: Arc::clone(link), generation: 0, channel: None };
    let lines: Vec<Line> = publishing.links().iter().map(line).collect();
    let returns = lines.iter().map(|_| (0, Returns::default())).collect();
    let publishing = Arc::new(publishing);
    let sink = AmqpSink {
        routes,
        lines,
        connections,
        limits,
        counts: Arc::clone(&counts),
        bell: Arc::clone(&bell),
        doorbell: Waker::from(Arc::clone(&bell)),
        handed: sender,
        _publishing: Arc::clone(&publishing),
    };
    let completions = AmqpCompletions {
        handed,
        taken: 0,
        slots: Vec::new(),
        free: Vec::new(),
        wakers: Wakers::new(Arc::clone(&bell)),
        returns,
        counts,
        bell,
        batch: Vec::new(),
        told,
        limiter: Limiter::default(),
        warning: None,
        _publishing: publishing,
    };
    (sink, completions)
}

impl Line {
    /// The channel to publish on, and which it is.
    fn channel(&mut self) -> Result<(&Arc<Channel>, u32), Refusal> {
        let generation = self.link.generation();
        if generation != self.generation {
            self.generation = generation;
            self.channel = self.link.channel();
        }
        match &self.channel {
            Some(channel) if channel.status().connected() && !self.link.is_blocked() => Ok((channel, generation)),
            _ => Err(Refusal::Blocked),
        }
    }
}

/// The message's frames go out with the first poll; what it gives is the broker's answer.
async fn publish(
    channel: Arc<Channel>,
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    body: Box<[u8]>,
) -> lapin::Result<Confirmation> {
    let confirm = channel.basic_publish(exchange, routing_key, OPTIONS, &body, properties).await?;
    drop(body);
    confirm.await
}

impl AmqpSink {
    /// Waits at most `timeout` until all is answered; nothing is held back. The other half must be polled meanwhile.
    pub fn flush(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while self.in_flight() > 0 && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
    }

    /// Gives up on every message that is not answered yet: their completions come at once, as unknown.
    pub fn give_up(&self) {
        self.counts.given_up.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl Sink for AmqpSink {
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        let target = message.target as usize;
        let route = self.routes.get(target).ok_or(Refusal::Final("unknown exchange"))?;
        let body = message.value.unwrap_or_default();
        if self.in_flight() >= self.limits.messages_max || self.counts.bytes.load(Ordering::Relaxed) >= self.limits.bytes_max {
            return Err(Refusal::QueueFull);
        }
        let connection = message.connection as usize;
        let link = route.first_link + connection;
        let line = self.lines.get_mut(link).filter(|_| connection < self.connections).ok_or(Refusal::Final("unknown connection"))?;
        if line.link.is_missing(target) {
            return Err(Refusal::Final("exchange missing"));
        }
        if body.len() > line.link.body_bytes_max() {
            return Err(Refusal::Final("too large"));
        }
        let routing_key = convert::short(message.routing_key.unwrap_or_default())?;
        let properties = convert::write(message.properties, message.mark)?;
        let print = fingerprint(route.exchange.as_str(), routing_key.as_str(), &properties, body);
        let (channel, generation) = line.channel()?;
        let mut answer: Answer = Box::pin(publish(Arc::clone(channel), route.exchange.clone(), routing_key, properties, body.into()));
        self.counts.begun.fetch_add(1, Ordering::AcqRel);
        // An answer before the other half has looked: it polls a future that tells it again. An error is one, too: the frames were with
        // the connection, which may have written them before it ended, so to send the message again could be to send it twice.
        if let Poll::Ready(early) = answer.as_mut().poll(&mut Context::from_waker(&self.doorbell)) {
            answer = Box::pin(std::future::ready(early));
        }
        self.counts.bytes.fetch_add(body.len(), Ordering::Relaxed);
        // The other half is gone: then nobody waits for an answer.
        let _ = self.handed.send(Pending { tag: message.tag, print, bytes: body.len(), link, generation, answer });
        Ok(())
    }

    fn in_flight(&self) -> usize {
        // Only this half begins any: what it counted last is what there is.
        let begun = self.counts.begun.load(Ordering::Relaxed);
        usize::try_from(begun.saturating_sub(self.counts.completed.load(Ordering::Acquire))).unwrap_or(usize::MAX)
    }
}

impl AmqpCompletions {
    /// Polls a message that is new, or was woken.
    fn look_at(&mut self, slot: usize) {
        let waker = self.wakers.of(slot);
        let Some(pending) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        if let Poll::Ready(answer) = pending.answer.as_mut().poll(&mut Context::from_waker(waker))
            && let Some(pending) = self.slots[slot].take()
        {
            self.free.push(slot);
            self.answered(&pending, answer);
        }
    }

    fn take(&mut self, pending: Pending) {
        self.taken += 1;
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(pending);
        self.look_at(slot);
    }

    fn answered(&mut self, pending: &Pending, answer: lapin::Result<Confirmation>) {
        let Pending { tag, print, bytes, link, generation, .. } = *pending;
        self.counts.bytes.fetch_sub(bytes, Ordering::Relaxed);
        let (known, returns) = &mut self.returns[link];
        if *known != generation {
            *known = generation;
            returns.end(&mut self.batch);
        }
        let came_with = |message: Option<lapin::message::BasicReturnMessage>| {
            message.map(|m| fingerprint(m.exchange.as_str(), m.routing_key.as_str(), &m.properties, &m.data))
        };
        let fate = match answer {
            Ok(Confirmation::Ack(message)) => return returns.confirmed(tag, print, came_with(message), Instant::now()),
            Ok(Confirmation::Nack(message)) => {
                returns.refused(came_with(message));
                Fate::Failed("refused by the broker")
            }
            Ok(Confirmation::NotRequested) => Fate::Unknown("not confirmed"),
            // The broker closed the channel for this one; what was behind it is not known.
            Err(error) if size_in(&words_of(&error)).is_some_and(|max| bytes > max) => Fate::Failed("too large"),
            Err(error) if error.is_amqp_soft_error() => Fate::Unknown("channel closed by the broker"),
            Err(_) => Fate::Unknown("connection lost"),
        };
        self.batch.push(Completion { tag, fate });
    }

    /// Everything that was woken or is new; whether all that was begun by then was handed over.
    fn look(&mut self) -> bool {
        while let Some(slot) = self.wakers.next() {
            self.look_at(slot);
        }
        let begun = self.counts.begun.load(Ordering::Acquire);
        while let Ok(handed) = self.handed.try_recv() {
            self.take(handed);
        }
        // One is between its first poll and the hand-over, some instructions long.
        while self.taken < begun {
            let Ok(handed) = self.handed.recv_timeout(LOOK) else { return false };
            self.take(handed);
        }
        true
    }

    fn decide(&mut self) {
        let now = Instant::now();
        for (_, returns) in self.returns.iter_mut().filter(|(_, returns)| returns.is_undecided()) {
            returns.decide(now, &mut self.batch);
        }
    }

    fn give_up(&mut self) {
        for pending in self.slots.iter_mut().filter_map(Option::take) {
            self.counts.bytes.fetch_sub(pending.bytes, Ordering::Relaxed);
            self.batch.push(Completion { tag: pending.tag, fate: Fate::Unknown("given up") });
        }
        self.free = (0..self.slots.len()).collect();
        for (_, returns) in &mut self.returns {
            returns.end(&mut self.batch);
        }
    }

    fn hear(&mut self) {
        while let Ok((kind, text)) = self.told.try_recv() {
            if let Some(text) = self.limiter.pass(kind, text, Instant::now()) {
                self.warning = Some(text);
            }
        }
    }

    fn is_waiting(&self) -> bool {
        self.free.len() < self.slots.len() || self.returns.iter().any(|(_, returns)| returns.is_undecided())
    }
}

impl Completions for AmqpCompletions {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError> {
        let deadline = Instant::now() + timeout;
        loop {
            self.hear();
            if self.look() {
                self.decide();
            }
            if self.counts.given_up.load(Ordering::Acquire) {
                self.give_up();
            }
            if !self.batch.is_empty() {
                handler(&self.batch);
                self.counts.completed.fetch_add(self.batch.len() as u64, Ordering::AcqRel);
                self.batch.clear();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if self.returns.iter().any(|(_, returns)| returns.wants_a_look()) {
                continue;
            }
            let left = if self.is_waiting() { left.min(LOOK) } else { left };
            let (wakers, counts, taken) = (&mut self.wakers, &self.counts, self.taken);
            self.bell.wait(left, || wakers.any() || counts.begun.load(Ordering::Acquire) != taken);
        }
    }

    fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }
}
