//! Message brokers: what capture and replay need of one, and one folder per broker.
//!
//! To add a broker: one folder with the same file names, an arm in [`AnySource`] and [`AnySink`], a column in the
//! contract tests. Source, sink and their conversions live together, since the conversions must be inverses.

#[cfg(feature = "amqp")]
pub mod amqp;
#[cfg(feature = "source")]
pub mod backlog;
pub mod endpoint;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod mark;
pub mod secret;
#[cfg(all(any(feature = "source", feature = "sink"), any(feature = "kafka", feature = "amqp")))]
mod shell;
#[cfg(any(all(feature = "source", feature = "kafka"), all(feature = "sink", any(feature = "kafka", feature = "amqp"))))]
mod warnings;

// Without any broker there is nothing to choose from.
#[cfg(all(feature = "source", any(feature = "kafka", feature = "amqp")))]
mod any_backlog;
#[cfg(feature = "source")]
#[cfg_attr(not(feature = "amqp"), expect(unused_variables, reason = "without a broker that is mirrored nothing is asked of one"))]
mod any_mirror;
#[cfg(all(feature = "sink", any(feature = "kafka", feature = "amqp")))]
mod any_sink;
#[cfg(all(feature = "source", any(feature = "kafka", feature = "amqp")))]
mod any_source;
#[cfg(all(feature = "source", any(feature = "kafka", feature = "amqp")))]
mod any_tap;
#[cfg(feature = "source")]
pub mod mirror;
#[cfg(feature = "sink")]
pub mod sink;
#[cfg(feature = "source")]
pub mod source;
#[cfg(feature = "source")]
pub mod tap;
#[cfg(feature = "sink")]
pub mod topic_settings;

#[cfg(all(feature = "source", any(feature = "kafka", feature = "amqp")))]
pub use any_backlog::AnyBacklog;
#[cfg(feature = "source")]
pub use any_mirror::AnyMirror;
#[cfg(all(feature = "sink", any(feature = "kafka", feature = "amqp")))]
pub use any_sink::{AnyCompletions, AnySink, AnyTarget};
#[cfg(all(feature = "source", any(feature = "kafka", feature = "amqp")))]
pub use any_source::AnySource;
#[cfg(all(feature = "source", any(feature = "kafka", feature = "amqp")))]
pub use any_tap::AnyTap;

/// Why a broker could not do what it was asked for. The text names the address and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address cannot be understood.
    #[error("{0}")]
    Endpoint(#[from] endpoint::EndpointError),
    /// The address is understood, and this is not to be had there.
    #[error("{endpoint}: {reason}")]
    Unsupported {
        /// The URL, without its password.
        endpoint: String,
        /// What is not to be had, and what is.
        reason: &'static str,
    },
    /// A property that the client refuses.
    #[error("the client refuses {property}={value}: {reason}")]
    Property {
        /// Its name.
        property: String,
        /// Its value; secrets are shown as `***`.
        value: String,
        /// The client's words.
        reason: String,
    },
    /// Nobody answered.
    #[error(
        "no broker answered at {addresses} within {waited_s} s{last}: check the address, whether the listener wants TLS (kafkas://, amqps://) and the network"
    )]
    Unreachable {
        /// The addresses that were tried.
        addresses: String,
        /// How long, in seconds.
        waited_s: u64,
        /// The client's last words, as `" (…)"`, or empty.
        last: String,
    },
    /// The topic is not there.
    #[error("topic {topic:?} does not exist at {cluster}{hint}")]
    UnknownTopic {
        /// Its name.
        topic: String,
        /// The cluster.
        cluster: String,
        /// What to do, as `": …"`, or empty.
        hint: String,
    },
    /// A request was answered with an error.
    #[error("{request} failed: {reason}")]
    Request {
        /// What was asked.
        request: String,
        /// The answer, with what to do where that is known.
        reason: String,
        /// Whether asking again can help.
        retryable: bool,
    },
    /// The user lacks a right at the broker.
    #[error("{who} may not {operation} {resource}; to allow it: {command}")]
    MissingRight {
        /// Who, in words.
        who: String,
        /// The operation, as Kafka names it: `READ`.
        operation: &'static str,
        /// On what: `topic "orders"`.
        resource: String,
        /// The command that grants it.
        command: String,
    },
    /// The client is broken and must be made anew.
    #[error("the client gave up: {0}")]
    Fatal(String),
}

impl BrokerError {
    /// Whether asking again can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Request { retryable: true, .. })
    }
}
