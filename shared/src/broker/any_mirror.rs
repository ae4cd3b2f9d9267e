//! A mirror of any broker: one arm each. To add a broker, add an arm here and its folder.

use std::time::Duration;

use super::BrokerError;
use super::endpoint::Endpoint;
use super::mirror::{ExchangeSelection, Mirror, MirrorBegin, MirrorHandler, Receipt, Snapshot};
use super::source::SourceOptions;

/// A mirror of any broker.
#[non_exhaustive]
pub enum AnyMirror {}

impl AnyMirror {
    /// Connects to follow `selection`, and waits for the first answer.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; others at once.
    pub fn connect(endpoint: &Endpoint, _: &ExchangeSelection, _: &SourceOptions, _: Duration) -> Result<Self, BrokerError> {
        match endpoint {
            Endpoint::Kafka(_) => Err(BrokerError::Fatal("Kafka has no exchanges: give an amqp:// or amqps:// URL".to_owned())),
        }
    }
}

impl Mirror for AnyMirror {
    fn cluster(&self) -> &str {
        match *self {}
    }

    fn filters(&self) -> Vec<String> {
        match *self {}
    }

    fn describe(&self) -> Vec<(String, String)> {
        match *self {}
    }

    fn window(&self) -> u32 {
        match *self {}
    }

    fn check(&mut self, _: Duration) -> Result<Vec<String>, BrokerError> {
        match *self {}
    }

    fn begin(&mut self, _: &MirrorBegin, _: Duration) -> Result<Vec<Snapshot>, BrokerError> {
        match *self {}
    }

    fn poll<H: MirrorHandler>(&mut self, _: usize, _: Duration, _: &mut dyn FnMut() -> i64, _: &mut H) -> Result<usize, BrokerError> {
        match *self {}
    }

    fn acknowledge(&mut self, _: &[Receipt]) {
        match *self {}
    }

    fn lag(&mut self) -> Option<u64> {
        match *self {}
    }

    fn settle<H: MirrorHandler>(&mut self, _: Duration, _: &mut dyn FnMut() -> i64, _: &mut H) -> Result<(), BrokerError> {
        match *self {}
    }
}
