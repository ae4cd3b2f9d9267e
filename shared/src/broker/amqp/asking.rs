//! Questions about one queue that RabbitMQ answers as of now, unlike its statistics. They need no right, and change nothing.

use std::time::Duration;

use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};

use super::connect::{Connector, REPLY_SUCCESS, VHOST_DEFAULT};
use super::trouble::{code, code_of, failed};
use crate::broker::BrokerError;
use crate::broker::endpoint::AmqpEndpoint;

/// A queue, as of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueNow {
    /// Messages that no consumer has been given.
    pub(super) ready: u32,
    pub(super) consumers: u32,
}

/// The virtual host and the name of something that a person names: in the URL's virtual host, where that names one; else
/// `VHOST/NAME`, or the name alone in `/`.
pub(super) fn place<'a>(endpoint: &'a AmqpEndpoint, named: &'a str) -> (&'a str, &'a str) {
    match &endpoint.vhost {
        Some(vhost) => (vhost, named),
        None => named.split_once('/').unwrap_or((VHOST_DEFAULT, named)),
    }
}

/// A name as lapin carries it.
///
/// # Errors
/// When it is longer than AMQP's names are.
pub(super) fn short(name: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(name).map_err(|e| BrokerError::Request {
        request: format!("naming {name:?}"),
        reason: e.to_string(),
        retryable: false,
    })
}

/// How a queue stands; `None`: there is none of that name.
///
/// # Errors
/// When nobody answers, or the queue is another connection's alone.
pub(super) fn queue_now(
    connector: &Connector,
    connection: &Connection,
    name: &str,
    timeout: Duration,
) -> Result<Option<QueueNow>, BrokerError> {
    let channel = connector.channel(connection, timeout)?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let request = || format!("looking at queue {name:?}");
    let asked = channel.queue_declare(short(name)?, passive, FieldTable::default());
    let queue = match connector.try_wait(timeout, &request, asked)? {
        Ok(queue) => queue,
        // The refusal has closed the channel.
        Err(error) if code_of(&error) == Some(code::NOT_FOUND) => return Ok(None),
        Err(error) => return Err(failed(request(), &error)),
    };
    connector.wait(timeout, || "closing a channel".to_owned(), channel.close(REPLY_SUCCESS, "".into()))?;
    Ok(Some(QueueNow { ready: queue.message_count(), consumers: queue.consumer_count() }))
}

/// A queue that is not there, with what to do.
pub(super) fn no_such_queue(vhost: &str, name: &str) -> BrokerError {
    BrokerError::Request {
        request: format!("looking at queue {name:?} of virtual host {vhost:?}"),
        reason: "it does not exist; the virtual host is that of the URL (without one in it, VHOST/NAME names a queue of another than /): \
                 rabbitmqctl list_queues shows what there is"
            .to_owned(),
        retryable: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::endpoint::Endpoint;

    #[test]
    fn a_name_is_within_the_url_s_virtual_host_or_says_which() {
        for (url, named, expected) in [
            ("amqp://h/shop", "a/b", ("shop", "a/b")),
            ("amqp://h/%2F", "a/b", ("/", "a/b")),
            ("amqp://h", "billing", ("/", "billing")),
            ("amqp://h", "shop/a/b", ("shop", "a/b")),
        ] {
            let Endpoint::Amqp(endpoint) = Endpoint::parse(url).expect(url) else { panic!("{url} is not RabbitMQ's") };
            assert_eq!(place(&endpoint, named), expected, "{url} {named}");
        }
    }
}
