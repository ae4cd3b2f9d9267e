//! The completing thread: the client's answers into the recorder, closed intervals to the saver, the drain at the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::sink::Completions;
use dejaq_shared::clock::Clock;

use crate::engine::{OnDrop, Shared};
use crate::measure::counts::SecondRow;
use crate::measure::recorder::{Recorder, RecorderBooks};
use crate::run::saver::ToSave;

/// How long it waits for answers before it looks around.
const POLL: Duration = Duration::from_millis(20);

/// The completing thread.
pub(crate) struct Completing<'a, C> {
    pub(crate) shared: &'a Shared<'a, C>,
    pub(crate) recorder: Recorder,
    pub(crate) rows: Receiver<SecondRow>,
    pub(crate) saver: Sender<ToSave>,
    pub(crate) drain_ns: u64,
    pub(crate) warn: Sender<String>,
}

impl<C: Clock> Completing<'_, C> {
    /// Polls until everything is answered, the drain deadline has passed, or the client is broken.
    pub(crate) fn run<D: Completions>(mut self, completions: &mut D) -> (RecorderBooks, Option<String>) {
        let shared = self.shared;
        let _panic = OnDrop(|| {
            if std::thread::panicking() {
                shared.stop.store(true, Ordering::Relaxed);
            }
        });
        let mut client_error = None;
        let reason = loop {
            // Read before polling: what is in flight then was all sent.
            let ended_ns = self.shared.pacer_ended_ns.load(Ordering::Acquire);
            if client_error.is_none()
                && let Err(error) = self.poll(completions)
            {
                client_error = Some(error.to_string());
                self.shared.stop.store(true, Ordering::Relaxed);
            }
            if let Some(warning) = completions.take_warning() {
                // Nobody listens: then nobody is told.
                let _ = self.warn.try_send(warning);
            }
            self.save_closed();
            if ended_ns == 0 {
                if client_error.is_some() {
                    std::thread::sleep(POLL);
                    self.shared.room.freed();
                }
                continue;
            }
            if self.shared.slots.in_flight() == 0 {
                break "";
            }
            if client_error.is_some() {
                break "the client failed";
            }
            if self.shared.clock.now_ns() >= ended_ns.saturating_add(self.drain_ns) {
                break "no answer by the drain deadline";
            }
        };
        self.take_rows();
        self.recorder.give_up(reason, self.shared.clock.now_ns());
        let books = self.recorder.finish();
        self.save_closed();
        (books, client_error)
    }

    fn poll<D: Completions>(&mut self, completions: &mut D) -> Result<(), BrokerError> {
        let Self { shared, recorder, rows, .. } = self;
        completions.poll(POLL, &mut |answers| {
            let now = shared.clock.now_ns();
            for row in rows.try_iter() {
                recorder.left_behind(row);
            }
            recorder.completed(answers, now);
            shared.room.freed();
        })?;
        self.take_rows();
        Ok(())
    }

    fn take_rows(&mut self) {
        for row in self.rows.try_iter() {
            self.recorder.left_behind(row);
        }
    }

    fn save_closed(&mut self) {
        let Self { saver, shared, recorder, .. } = self;
        let send = |row| {
            if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = saver.try_send(row) {
                shared.rows_lost.fetch_add(1, Ordering::Relaxed);
            }
        };
        recorder.take_closed().map(ToSave::Closed).for_each(send);
        recorder.take_buckets().map(ToSave::Bucket).for_each(send);
    }
}
