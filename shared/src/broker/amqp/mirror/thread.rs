//! What the thread of a line does: it serves, and gets over whatever ends that.

use std::time::{Duration, Instant};

use super::line::{CONNECT, Line, Served};
use super::pump::{End, Signal};
use super::session::Step;
use crate::broker::BrokerError;
use crate::broker::amqp::backoff::Backoff;
use crate::broker::amqp::connect::REPLY_SUCCESS;
use crate::broker::mirror::MirrorNotice;

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
                Served::Ended(end) => self.again(&end.to_string()),
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
            match self.consume() {
                Ok(()) => return self.serve(),
                Err(_) => {
                    if let Some(Signal::Stop { remove }) = self.signal(backoff.wait()) {
                        return Served::Stop { remove };
                    }
                }
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
