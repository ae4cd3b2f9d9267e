//! Making at a target what a recording's topology has: exchanges, queues and bindings.
//!
//! Guarantees: what is there is left as it is, whatever it looks like; nothing is removed. Queues that belonged to a connection, or
//! whose names RabbitMQ chose, and what RabbitMQ makes itself, are not made. Policies are not either: they may name hosts and limits of
//! the source, and it is said.

use std::time::Duration;

use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};

use super::arguments;
use super::connect::Connector;
use super::rights::Needs;
use super::topology::{Binding, DestinationType, Exchange, Queue, VirtualHost};
use super::trouble::{code, code_of, failed};
use crate::broker::BrokerError;

/// Where something is made.
pub(super) struct Making<'a> {
    pub(super) connector: &'a Connector,
    pub(super) connection: &'a Connection,
    pub(super) vhost: &'a str,
    pub(super) timeout: Duration,
}

/// Makes what is missing of a virtual host; says what was made, and what was left out.
///
/// # Errors
/// When the user may not, an exchange is of a type that the target has not, or the broker does not answer.
pub(super) fn make(making: &Making<'_>, vhost: &VirtualHost) -> Result<Vec<String>, BrokerError> {
    let (mut exchanges, mut queues, mut bindings) = (0, 0, 0);
    for exchange in vhost.exchanges.iter().filter(|exchange| !exchange.is_predeclared()) {
        exchanges += u32::from(making.exchange(exchange)?);
    }
    let lasting: Vec<&Queue> = vhost.queues.iter().filter(|queue| queue.is_lasting()).collect();
    for queue in &lasting {
        queues += u32::from(making.queue(queue)?);
    }
    for binding in &vhost.bindings {
        let to_queue = binding.destination_type == DestinationType::Queue;
        if !to_queue || lasting.iter().any(|queue| queue.name == binding.destination) {
            making.bind(binding)?;
            bindings += 1;
        }
    }
    let mut said = vec![format!(
        "virtual host {:?}: {exchanges} exchanges and {queues} queues were made, {bindings} bindings are there (what was there already was left as it is)",
        making.vhost
    )];
    if lasting.len() < vhost.queues.len() {
        said.push(format!(
            "virtual host {:?}: {} queues of single connections are left out",
            making.vhost,
            vhost.queues.len() - lasting.len()
        ));
    }
    if !vhost.policies.is_empty() {
        said.push(format!("virtual host {:?}: {} policies of the source are not made at the target", making.vhost, vhost.policies.len()));
    }
    Ok(said)
}

impl Making<'_> {
    /// Whether it was made; `false`: it was there.
    fn exchange(&self, exchange: &Exchange) -> Result<bool, BrokerError> {
        let name = short(&exchange.name)?;
        let what = || format!("exchange {:?}", exchange.name);
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let (asked, named) = (self.channel()?, name.clone());
        let found = async move { asked.exchange_declare(named, ExchangeKind::Direct, passive, FieldTable::default()).await };
        if self.is_there(what, found)? {
            return Ok(false);
        }
        let options = ExchangeDeclareOptions {
            durable: exchange.durable,
            auto_delete: exchange.auto_delete,
            internal: exchange.internal,
            ..ExchangeDeclareOptions::default()
        };
        let channel = self.channel()?;
        let with = arguments::table(&exchange.arguments);
        self.done(what, channel.exchange_declare(name, ExchangeKind::Custom(exchange.kind.clone()), options, with)).map(|()| true)
    }

    fn queue(&self, queue: &Queue) -> Result<bool, BrokerError> {
        let name = short(&queue.name)?;
        let what = || format!("queue {:?}", queue.name);
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let (asked, named) = (self.channel()?, name.clone());
        if self.is_there(what, async move { asked.queue_declare(named, passive, FieldTable::default()).await.map(|_| ()) })? {
            return Ok(false);
        }
        let options = QueueDeclareOptions { durable: queue.durable, auto_delete: queue.auto_delete, ..QueueDeclareOptions::default() };
        let channel = self.channel()?;
        let with = arguments::table(&queue.arguments);
        self.done(what, async { channel.queue_declare(name, options, with).await.map(|_| ()) }).map(|()| true)
    }

    /// Binding twice is binding once.
    fn bind(&self, binding: &Binding) -> Result<(), BrokerError> {
        let (to, from, key) = (short(&binding.destination)?, short(&binding.source)?, short(&binding.routing_key)?);
        let what = || format!("the binding of {:?} to exchange {:?}", binding.destination, binding.source);
        let channel = self.channel()?;
        let with = arguments::table(&binding.arguments);
        match binding.destination_type {
            DestinationType::Queue => self.done(what, channel.queue_bind(to, from, key, QueueBindOptions::default(), with)),
            DestinationType::Exchange => self.done(what, channel.exchange_bind(to, from, key, ExchangeBindOptions::default(), with)),
        }
    }

    fn channel(&self) -> Result<Channel, BrokerError> {
        self.connector.channel(self.connection, self.timeout)
    }

    fn is_there(&self, what: impl Fn() -> String, asked: impl Future<Output = lapin::Result<()>>) -> Result<bool, BrokerError> {
        let request = || format!("asking for {}", what());
        match self.connector.try_wait(self.timeout, &request, asked)? {
            Ok(()) => Ok(true),
            Err(error) if code_of(&error) == Some(code::NOT_FOUND) => Ok(false),
            Err(error) => Err(failed(request(), &error)),
        }
    }

    fn done(&self, what: impl Fn() -> String, asked: impl Future<Output = lapin::Result<()>>) -> Result<(), BrokerError> {
        let request = || format!("making {} in virtual host {:?}", what(), self.vhost);
        match self.connector.try_wait(self.timeout, &request, asked)? {
            Ok(()) => Ok(()),
            Err(error) if code_of(&error) == Some(code::ACCESS_REFUSED) => {
                // Binding is writing to the one end and reading from the other.
                let all = || ".*".to_owned();
                let needs = Needs { configure: all(), write: all(), read: all() };
                Err(self.connector.opener().asked().who.lacks(
                    "make",
                    format!("{} in virtual host {:?}", what(), self.vhost),
                    self.vhost,
                    &needs,
                ))
            }
            Err(error) => Err(failed(request(), &error)),
        }
    }
}

fn short(text: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(text).map_err(|e| BrokerError::Request {
        request: format!("making {text:?} of the recording's topology"),
        reason: e.to_string(),
        retryable: false,
    })
}
