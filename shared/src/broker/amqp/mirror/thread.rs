//! What the thread of a line does: it serves, and gets over whatever ends that.

use std::time::{Duration, Instant};

use lapin::options::{BasicCancelOptions, BasicGetOptions};

use super::line::{CONNECT, Line, Served};
use super::pump::{self, End, Signal};
use super::session::{CONSUMER, REPLY_SUCCESS, Session, Step};
use super::trouble::{Trouble, trouble};
use crate::broker::BrokerError;
use crate::broker::amqp::backoff::Backoff;
use crate::broker::amqp::trouble::failed;
use crate::broker::mirror::{Loss, MirrorNotice};
use crate::record::GapReason;

/// How long a message may take that the client can read.
const READABLE: Duration = Duration::from_secs(5);
/// How often is looked whether the connection still stands.
const GLANCE: Duration = Duration::from_millis(20);

impl Line {
    /// Runs until told to stop. The consumer has begun.
    ///
    /// # Errors
    /// When our queue could not be removed; how to do it by hand.
    pub(super) fn run(mut self) -> Result<(), BrokerError> {
        let mut served = self.serve();
        loop {
            served = match served {
                Served::Stop { remove } => return self.end(remove),
                Served::Ended(End::Unwanted) => return self.end(false),
                Served::Ended(end) => match trouble(&end) {
                    Trouble::Poison => self.step_over(),
                    Trouble::Other(why) => self.again(&why),
                },
            };
        }
    }

    /// Connects again and serves.
    fn again(&mut self, why: &str) -> Served {
        let mut backoff = Backoff::new();
        loop {
            if let Err(stop) = self.reopen(why) {
                return stop;
            }
            match self.consume(None) {
                Ok(_) => return self.serve(),
                Err(_) => {
                    if let Some(Signal::Stop { remove }) = self.signal(backoff.wait()) {
                        return Served::Stop { remove };
                    }
                }
            }
        }
    }

    /// A message came that the client cannot read, which ended the connection. What came before it and is not acknowledged stands
    /// before it in the queue again: that is taken and acknowledged first, so that the bad one is the first, and then it is taken
    /// alone. Everything keeps its order.
    fn step_over(&mut self) -> Served {
        let mut before = self.tally.unacknowledged();
        let mut backoff = Backoff::new();
        loop {
            if let Err(stop) = self.reopen("a message came that the client cannot read") {
                return stop;
            }
            let first = match self.take(before) {
                Ok(Taken::All) => self.take_the_bad_one(),
                // The count was too large, and the bad one came: so many stand before it.
                Ok(Taken::Bad) => {
                    before = self.tally.delivered();
                    continue;
                }
                Ok(Taken::Fewer) => Ok(()),
                Ok(Taken::Stop(stop)) => return stop,
                Err(error) => Err(error),
            };
            match first {
                Ok(()) => return self.again("the message that the client cannot read is stepped over"),
                Err(error) => self.warn(format!("stepping over a message that the client cannot read: {error}")),
            }
            before = self.tally.unacknowledged();
            if let Some(Signal::Stop { remove }) = self.signal(backoff.wait()) {
                return Served::Stop { remove };
            }
        }
    }

    /// Takes so many deliveries, and waits until they are acknowledged.
    fn take(&mut self, count: u64) -> Result<Taken, BrokerError> {
        if count == 0 {
            return Ok(Taken::All);
        }
        let limit = u16::try_from(count).unwrap_or(u16::MAX);
        let wanted = self.consume(Some(limit))?;
        let mut came = 0;
        // As long as some come.
        loop {
            match self.signal(READABLE) {
                Some(Signal::Ended { end: End::Enough, .. }) => break,
                Some(Signal::Ended { end, .. }) if matches!(trouble(&end), Trouble::Poison) => return Ok(Taken::Bad),
                Some(Signal::Ended { end, .. }) => return Err(BrokerError::Fatal(format!("the connection ended: {end:?}"))),
                Some(Signal::Stop { remove }) => return Ok(Taken::Stop(Served::Stop { remove })),
                Some(Signal::Canary(_)) => {}
                None if self.tally.delivered() == came => return Ok(Taken::Fewer),
                None => came = self.tally.delivered(),
            }
        }
        let Some(session) = &self.session else { return Ok(Taken::Fewer) };
        self.site.wait(Step::Consume, session.channel.basic_cancel(CONSUMER.into(), BasicCancelOptions::default()))?;
        if let Some(wanted) = wanted {
            let acknowledging = pump::acknowledge(session.channel.clone(), wanted, self.tally.clone());
            self.site.connector.opener().spawn(acknowledging);
        }
        while self.tally.unacknowledged() > 0 {
            let channel = self.session.as_ref().map(|session| session.channel.clone());
            if !channel.is_some_and(|channel| channel.status().connected()) {
                return Err(BrokerError::Fatal("the connection ended while acknowledgements were awaited".to_owned()));
            }
            if let Some(Signal::Stop { remove }) = self.signal(Duration::from_millis(100)) {
                return Ok(Taken::Stop(Served::Stop { remove }));
            }
        }
        Ok(Taken::All)
    }

    /// The first message of the queue is the bad one. That is made sure of before it is taken for good.
    fn take_the_bad_one(&mut self) -> Result<(), BrokerError> {
        self.session = None;
        if self.get(false)? == Got::Bad {
            let got = self.get(true)?;
            let now_ns = self.site.now_ns();
            self.notice(MirrorNotice::Loss(Loss {
                lane: None,
                scope: format!("virtual host {}", self.site.vhost),
                from_time_ns: Some(self.canaries.last_ns().unwrap_or(self.good_ns)),
                to_time_ns: Some(now_ns),
                count: Some(1),
                exact: got == Got::Bad,
                reason: GapReason::Unparseable,
                detail:
                    "a short string in it is not UTF-8, or its header table is malformed; RabbitMQ takes such bytes, the client does not"
                        .to_owned(),
            }));
        }
        Ok(())
    }

    /// Takes the first message by itself, on a connection of its own: one that cannot be read ends it, and no answer comes.
    fn get(&self, for_good: bool) -> Result<Got, BrokerError> {
        let Session { connection, channel } = self.site.connect("stepping over", CONNECT)?;
        let name = self.site.ours.name.as_str().into();
        let mut answer = Box::pin(channel.basic_get(name, BasicGetOptions { no_ack: for_good }));
        let began = Instant::now();
        loop {
            match self.site.connector.try_wait(GLANCE, &|| "taking one message".to_owned(), answer.as_mut()) {
                Ok(Ok(Some(_))) => {
                    // What was not taken for good goes back to its place.
                    let _ = self.site.wait(Step::Channel, connection.close(REPLY_SUCCESS, "".into()));
                    return Ok(Got::Good);
                }
                Ok(Ok(None)) => return Ok(Got::Nothing),
                Ok(Err(error)) if matches!(error.kind(), lapin::ErrorKind::ParsingError(_)) => return Ok(Got::Bad),
                Ok(Err(error)) => return Err(failed("taking one message", &error)),
                Err(_) if connection.status().errored() => return Ok(Got::Bad),
                Err(error) if began.elapsed() > READABLE => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Ends; what the counter says last is told.
    fn end(mut self, remove: bool) -> Result<(), BrokerError> {
        if !remove {
            return Ok(());
        }
        let began = Instant::now();
        let away = |line: &Self| line.session.as_ref().is_none_or(|session| !session.connection.status().connected());
        if away(&self) {
            self.tell_away();
        }
        while away(&self) {
            match self.site.connect("capture", CONNECT) {
                Ok(session) => self.session = Some(session),
                Err(error) if began.elapsed() > CONNECT => return Err(self.site.not_removed(&error)),
                Err(_) => {
                    let _ = self.signal(Duration::from_millis(200));
                }
            }
        }
        self.look(true);
        // No canary came that could have cleared it.
        self.doubt.take().into_iter().for_each(|loss| self.notice(MirrorNotice::Loss(loss)));
        let Some(session) = self.session.take() else { return Ok(()) };
        self.site.remove(&session.connection)?;
        let _ = self.site.wait(Step::Channel, session.connection.close(REPLY_SUCCESS, "".into()));
        Ok(())
    }
}

/// What came of taking deliveries one by one.
enum Taken {
    /// All of them, and they are acknowledged.
    All,
    /// The bad one came before.
    Bad,
    /// No more came, and none was bad.
    Fewer,
    Stop(Served),
}

/// What the queue's first message is.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Good,
    Bad,
    Nothing,
}
