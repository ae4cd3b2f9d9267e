//! One connection and its publishing channel, kept up.
//!
//! # What it guarantees
//! - A connection that is lost is opened again after 0.1 s, then twice as long each time, up to 10 s; a channel that the broker
//!   closed is opened again at once. What was in flight is answered as unknown by then: nothing is sent twice.
//! - A channel closed because an exchange is not there means that exchange alone: messages to it are refused, and about once a second
//!   it is asked for again, on a channel of its own.
//! - A size that the broker finds too large is remembered, so that it closes the channel once and not for each such message.
//!
//! Whoever publishes looks at atomics only; a lock is taken where the channel is a new one.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_core::Stream;
use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Event, ExchangeKind};
use tokio::sync::Notify;

use super::backoff::Backoff;
use super::bell::Bell;
use super::connect::Opener;
use super::trouble::{code, code_of, words_of};

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often exchanges that are missing are asked for, and how late a dead connection is noticed that said nothing.
const LOOK: Duration = Duration::from_secs(1);
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// What RabbitMQ says before the largest size that it takes.
const SIZE_WORDS: &str = "larger than configured max size ";

/// Something for people: its kind, and the text.
pub(super) type Told = (&'static str, String);

/// What publishing and keeping up share.
pub(super) struct Link {
    vhost: String,
    purpose: String,
    /// Which exchanges go through it and can be missing: their destination's number, and their name.
    exchanges: Vec<(usize, ShortString)>,
    channel: Mutex<Option<Arc<Channel>>>,
    /// Counts the channels.
    generation: AtomicU32,
    blocked: AtomicBool,
    /// By destination.
    missing: Box<[AtomicBool]>,
    /// The largest body that the broker takes, as far as it said.
    body_bytes_max: AtomicUsize,
    end: Notify,
    told: Sender<Told>,
    bell: Arc<Bell>,
}

/// What a link is for.
pub(super) struct LinkPlan {
    /// Its virtual host.
    pub(super) vhost: String,
    /// What operators of the broker see.
    pub(super) purpose: String,
    /// Which exchanges go through it: their destination's number, and their name.
    pub(super) exchanges: Vec<(usize, ShortString)>,
    /// How many destinations there are in all.
    pub(super) destinations: usize,
}

impl Link {
    pub(super) fn new(plan: LinkPlan, told: Sender<Told>, bell: Arc<Bell>) -> Self {
        // RabbitMQ's own exchanges cannot be deleted.
        let exchanges =
            plan.exchanges.into_iter().filter(|(_, name)| !name.as_str().is_empty() && !name.as_str().starts_with("amq.")).collect();
        Self {
            vhost: plan.vhost,
            purpose: plan.purpose,
            exchanges,
            channel: Mutex::new(None),
            generation: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            missing: (0..plan.destinations).map(|_| AtomicBool::new(false)).collect(),
            body_bytes_max: AtomicUsize::new(usize::MAX),
            end: Notify::new(),
            told,
            bell,
        }
    }

    /// Its virtual host.
    pub(super) fn vhost(&self) -> &str {
        &self.vhost
    }

    /// What operators of the broker see.
    pub(super) fn purpose(&self) -> &str {
        &self.purpose
    }

    /// Which channel it is on, counted.
    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// The channel, if one is open.
    pub(super) fn channel(&self) -> Option<Arc<Channel>> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the broker has asked to hold.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Whether a destination's exchange is known not to be there.
    pub(super) fn is_missing(&self, destination: usize) -> bool {
        self.missing.get(destination).is_some_and(|missing| missing.load(Ordering::Relaxed))
    }

    /// The largest body that the broker takes, as far as it said.
    pub(super) fn body_bytes_max(&self) -> usize {
        self.body_bytes_max.load(Ordering::Relaxed)
    }

    /// Ends keeping it up.
    pub(super) fn end(&self) {
        self.end.notify_one();
    }

    fn put(&self, channel: Option<Channel>) {
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = channel.map(Arc::new);
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn tell(&self, kind: &'static str, text: String) {
        // Nobody listens: then nobody is told.
        let _ = self.told.send((kind, text));
        self.bell.ring();
    }

    fn hold(&self, reason: Option<String>) {
        self.blocked.store(reason.is_some(), Ordering::Relaxed);
        match reason {
            Some(reason) => self.tell(
                "blocked",
                format!("the broker asks to hold ({reason}): nothing is published to {:?} until it takes that back", self.vhost),
            ),
            None => self.tell("unblocked", format!("the broker takes messages for {:?} again", self.vhost)),
        }
    }

    /// Opens the publishing channel.
    ///
    /// # Errors
    /// As lapin says.
    pub(super) async fn open_channel(&self, connection: &Connection) -> lapin::Result<()> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        self.put(Some(channel));
        Ok(())
    }

    /// Asks which exchanges are there. `known` asks for those only that are missing.
    async fn look(&self, connection: &Connection, known: bool) {
        let mut asking = None;
        for (ix, name) in &self.exchanges {
            let missing = &self.missing[*ix];
            let before = missing.load(Ordering::Relaxed);
            if known && !before {
                continue;
            }
            let channel = match asking.take() {
                Some(channel) => channel,
                None => match connection.create_channel().await {
                    Ok(channel) => channel,
                    Err(_) => return,
                },
            };
            let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            let now = match channel.exchange_declare(name.clone(), ExchangeKind::Direct, options, FieldTable::default()).await {
                Ok(()) => {
                    asking = Some(channel);
                    false
                }
                Err(error) => code_of(&error) == Some(code::NOT_FOUND) || before,
            };
            missing.store(now, Ordering::Relaxed);
            match (before, now) {
                (false, true) => {
                    self.tell(
                        "missing",
                        format!("exchange {:?} is not at the target any more: messages to it are left out", name.as_str()),
                    );
                }
                (true, false) => self.tell("found", format!("exchange {:?} is at the target again", name.as_str())),
                _ => {}
            }
        }
    }

    /// What the broker said when it closed something.
    fn said(&self, words: &str) {
        if let Some(bytes) = size_in(words) {
            self.body_bytes_max.fetch_min(bytes, Ordering::Relaxed);
        }
    }

    /// Whether all is well, or could be made so; else the connection is lost. `last` is what the broker said last.
    async fn mend(&self, connection: &Connection, last: &str) -> bool {
        if !connection.status().connected() {
            return false;
        }
        if self.channel().is_some_and(|channel| channel.status().connected()) {
            return true;
        }
        self.put(None);
        self.tell("channel", format!("the broker closed the channel ({last}): what was in flight is not known"));
        self.look(connection, false).await;
        self.open_channel(connection).await.is_ok()
    }

    /// Keeps the channel up until it is ended.
    ///
    /// # Errors
    /// The last words of a connection that is lost.
    async fn serve(&self, connection: &Connection) -> Result<(), String> {
        let mut events = pin!(connection.events_listener());
        let mut last = String::new();
        loop {
            tokio::select! {
                () = self.end.notified() => return Ok(()),
                () = tokio::time::sleep(LOOK) => self.look(connection, true).await,
                event = std::future::poll_fn(|cx| events.as_mut().poll_next(cx)) => match event {
                    Some(Event::ConnectionBlocked(reason)) => self.hold(Some(reason)),
                    Some(Event::ConnectionUnblocked) => self.hold(None),
                    Some(Event::Error(error)) => {
                        last = words_of(&error);
                        self.said(&last);
                    }
                    Some(_) => {}
                    None => return Err(last),
                },
            }
            if !self.mend(connection, &last).await {
                return Err(last);
            }
        }
    }

    /// Opens the connection again; `None`: it was ended meanwhile.
    async fn connect_again(&self, opener: &Opener) -> Option<Connection> {
        let mut backoff = Backoff::new();
        loop {
            tokio::select! {
                () = self.end.notified() => return None,
                () = tokio::time::sleep(backoff.wait()) => {}
            }
            match opener.open(&self.vhost, &self.purpose, CONNECT_TIMEOUT).await {
                Ok(connection) if self.open_channel(&connection).await.is_ok() => {
                    self.tell("connected", format!("connected to {:?} again", self.vhost));
                    return Some(connection);
                }
                Ok(_) => {}
                Err(error) => self.tell("away", error.to_string()),
            }
        }
    }
}

/// Keeps a link up until it is ended.
pub(super) async fn keep(link: Arc<Link>, opener: Opener, mut connection: Connection) {
    loop {
        let served = link.serve(&connection).await;
        link.put(None);
        let Err(last) = served else {
            // It is over: whether the broker answers does not matter any more.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection.close(200, "done".into())).await;
            return;
        };
        link.blocked.store(false, Ordering::Relaxed);
        let words = if last.is_empty() { String::new() } else { format!(" ({last})") };
        link.tell("lost", format!("the connection to {:?} is lost{words}: what was in flight is not known; connecting again", link.vhost));
        match link.connect_again(&opener).await {
            Some(again) => connection = again,
            None => return,
        }
    }
}

/// The largest size that the broker takes, from its words about a message that was larger.
pub(super) fn size_in(words: &str) -> Option<usize> {
    let (_, after) = words.split_once(SIZE_WORDS)?;
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::size_in;

    #[test]
    fn the_largest_size_is_read_from_the_broker_s_words() {
        let words = "PRECONDITION_FAILED - message size 16777217 is larger than configured max size 16777216";
        assert_eq!(size_in(words), Some(16_777_216));
        assert_eq!(size_in("PRECONDITION_FAILED - invalid expiration"), None);
        assert_eq!(size_in("larger than configured max size "), None);
    }
}
