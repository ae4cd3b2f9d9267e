//! A mirror of any broker: one arm each. To add a broker, add an arm here and its folder.

use std::time::Duration;

use super::BrokerError;
use super::endpoint::Endpoint;
use super::mirror::{ExchangeSelection, Mirror, MirrorBegin, MirrorHandler, Receipt, Snapshot};
use super::source::SourceOptions;

/// A mirror of any broker.
#[non_exhaustive]
pub enum AnyMirror {
    /// RabbitMQ.
    #[cfg(feature = "amqp")]
    Amqp(Box<super::amqp::mirror::AmqpMirror>),
}

impl AnyMirror {
    /// Connects to follow `selection`, and waits for the first answer.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; others at once.
    pub fn connect(
        endpoint: &Endpoint,
        selection: &ExchangeSelection,
        options: &SourceOptions,
        timeout: Duration,
    ) -> Result<Self, BrokerError> {
        match endpoint {
            #[cfg(feature = "amqp")]
            Endpoint::Amqp(endpoint) => {
                super::amqp::mirror::AmqpMirror::connect(endpoint, selection, options, timeout).map(|mirror| Self::Amqp(Box::new(mirror)))
            }
            #[cfg(not(feature = "amqp"))]
            Endpoint::Amqp(_) => Err(BrokerError::Unsupported {
                endpoint: endpoint.to_string(),
                reason: "this build of dejaq has no RabbitMQ (cargo feature amqp)",
            }),
            Endpoint::Kafka(_) => Err(BrokerError::Unsupported {
                endpoint: endpoint.to_string(),
                reason: "Kafka has no exchanges: give an amqp:// or amqps:// URL",
            }),
        }
    }
}

impl Mirror for AnyMirror {
    fn cluster(&self) -> &str {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mirror) => mirror.cluster(),
        }
    }

    fn filters(&self) -> Vec<String> {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mirror) => mirror.filters(),
        }
    }

    fn describe(&self) -> Vec<(String, String)> {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mirror) => mirror.describe(),
        }
    }

    fn window(&self) -> u32 {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mirror) => mirror.window(),
        }
    }

    fn check(&mut self, timeout: Duration) -> Result<Vec<String>, BrokerError> {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mut mirror) => mirror.check(timeout),
        }
    }

    fn begin(&mut self, begin: &MirrorBegin, timeout: Duration) -> Result<Vec<Snapshot>, BrokerError> {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mut mirror) => mirror.begin(begin, timeout),
        }
    }

    fn poll<H: MirrorHandler>(
        &mut self,
        records_max: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mut mirror) => mirror.poll(records_max, timeout, clock, handler),
        }
    }

    fn acknowledge(&mut self, receipts: &[Receipt]) {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mut mirror) => mirror.acknowledge(receipts),
        }
    }

    fn lag(&mut self) -> Option<u64> {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mut mirror) => mirror.lag(),
        }
    }

    fn settle<H: MirrorHandler>(&mut self, timeout: Duration, clock: &mut dyn FnMut() -> i64, handler: &mut H) -> Result<(), BrokerError> {
        match *self {
            #[cfg(feature = "amqp")]
            Self::Amqp(ref mut mirror) => mirror.settle(timeout, clock, handler),
        }
    }
}
