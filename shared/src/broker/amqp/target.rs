//! A RabbitMQ cluster that is about to be published to: who it is, which exchanges it has, and whether we may publish there.
//!
//! Guarantees: nothing is published before [`AmqpTarget::open`] returns. Whether the user may publish is tried by a message to a
//! routing key that nobody has, in a transaction that is rolled back. Each question that can be refused has a channel of its own.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Connection, ExchangeKind};

use super::bell::Bell;
use super::config::Settings;
use super::connect::{Connector, VHOST_DEFAULT};
use super::making::{Making, make};
use super::publishing::Publishing;
use super::rights::{Needs, exactly};
use super::sink::{AmqpCompletions, AmqpSink, Parts, halves};
use super::topology::Topology;
use super::trouble::{code, code_of, failed, words_of};
use crate::broker::BrokerError;
use crate::broker::endpoint::AmqpEndpoint;
use crate::broker::sink::{Destination, SinkOptions, TargetTopic, TopicTimes};

/// A routing key that nobody binds.
const NOWHERE: &str = "dejaq.may-i-publish-here";
/// The most connections of a run to one virtual host.
const CONNECTIONS_MAX: u32 = 64;

/// A connected cluster, before the first message.
pub struct AmqpTarget {
    connector: Connector,
    cluster: String,
    options: SinkOptions,
    /// The connections that questions are asked on, by virtual host.
    asking: Mutex<BTreeMap<String, Arc<Connection>>>,
}

impl AmqpTarget {
    /// Connects to the URL's virtual host (else `/`), and asks for the cluster's id. Nothing is published.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when the user is refused, TLS fails, the cluster's id
    /// cannot be read, or a setting is refused.
    pub fn connect(endpoint: &AmqpEndpoint, options: &SinkOptions, timeout: Duration) -> Result<Self, BrokerError> {
        if !(1..=CONNECTIONS_MAX).contains(&options.connections) {
            return Err(BrokerError::Property {
                property: "connections".to_owned(),
                value: options.connections.to_string(),
                reason: format!("expected 1 to {CONNECTIONS_MAX}"),
            });
        }
        let settings = Settings::of(endpoint, &options.user)?;
        let needs = Needs { write: ".*".to_owned(), ..Needs::default() };
        let connector = Connector::new(endpoint, settings, needs)?;
        let vhost = endpoint.vhost.as_deref().unwrap_or(VHOST_DEFAULT);
        let connection = connector.open(vhost, "replay, asking", timeout)?;
        let cluster = connector.cluster()?;
        let asking = Mutex::new(BTreeMap::from([(vhost.to_owned(), Arc::new(connection))]));
        Ok(Self { connector, cluster, options: options.clone(), asking })
    }

    /// The cluster's persistent id.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What holds of the client: `(name, value)`, secrets as `***`.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        let mut all = self.connector.settings().describe();
        // A capture's alone.
        all.retain(|(name, _)| !name.starts_with("queue.") && name != "prefetch" && name != "resync");
        let own = |name: &str, value: String| (name.to_owned(), value);
        all.push(own("confirms", "on".to_owned()));
        all.push(own("connections", self.options.connections.to_string()));
        all.push(own("mandatory", "on".to_owned()));
        all.sort_unstable();
        all
    }

    /// What is known of these exchanges, in the order asked; one that is not there has no partitions, one that is has one.
    ///
    /// # Errors
    /// When the broker does not answer in `timeout`, and when the user may not publish to one that is there.
    pub fn exchanges(&self, destinations: &[Destination], timeout: Duration) -> Result<Vec<TargetTopic>, BrokerError> {
        let found = |destination: &Destination| {
            let is_there = self.is_there(destination, timeout)?;
            if is_there {
                self.may_publish(destination, destinations, timeout)?;
            }
            Ok(TargetTopic {
                name: destination.name.clone(),
                partitions: is_there.then_some(1),
                message_bytes_max: None,
                times: TopicTimes::default(),
            })
        };
        destinations.iter().map(found).collect()
    }

    /// Makes what a recording's topology has and the target has not; says what was made, and what could not be.
    ///
    /// # Errors
    /// When `snapshot` is no topology, the user may not make something, or the broker does not answer in `timeout`.
    pub fn create_topology(&self, snapshot: &[u8], timeout: Duration) -> Result<Vec<String>, BrokerError> {
        let topology = Topology::parse(snapshot).map_err(|e| BrokerError::Request {
            request: "reading the recording's topology".to_owned(),
            reason: e.to_string(),
            retryable: false,
        })?;
        let mut said = Vec::new();
        for vhost in &topology.vhosts {
            let name = self.connector.endpoint().vhost.as_deref().unwrap_or(&vhost.name);
            let making = Making { connector: &self.connector, connection: &*self.asking_in(name, timeout)?, vhost: name, timeout };
            said.extend(make(&making, vhost)?);
        }
        Ok(said)
    }

    /// Begins to publish to these exchanges.
    ///
    /// # Errors
    /// When one of them is not there, or the broker does not answer in `timeout`.
    pub fn open(self, destinations: &[Destination], timeout: Duration) -> Result<(AmqpSink, AmqpCompletions), BrokerError> {
        for destination in destinations {
            if !self.is_there(destination, timeout)? {
                return Err(BrokerError::Request {
                    request: format!("publishing to exchange {:?} in virtual host {:?}", destination.name, self.vhost_of(destination)),
                    reason: "it does not exist; make it, replay to another one (--map), or make what the recording has (--create-topology)"
                        .to_owned(),
                    retryable: false,
                });
            }
        }
        let place = |destination: &Destination| Ok((self.vhost_of(destination).to_owned(), name_of(destination)?));
        let exchanges: Vec<(String, ShortString)> = destinations.iter().map(place).collect::<Result<_, BrokerError>>()?;
        let Self { connector, options, asking, .. } = self;
        drop(asking);
        let (told, hears) = mpsc::channel();
        let bell = Arc::new(Bell::default());
        let connections = options.connections as usize;
        let (publishing, routes) = Publishing::open(connector, &exchanges, connections, &told, &bell, timeout)?;
        Ok(halves(Parts { publishing, routes, connections, limits: options.queue, bell, told: hears }))
    }

    fn vhost_of<'a>(&'a self, destination: &'a Destination) -> &'a str {
        destination.vhost.as_deref().or(self.connector.endpoint().vhost.as_deref()).unwrap_or(VHOST_DEFAULT)
    }

    /// The connection to ask on in a virtual host.
    fn asking_in(&self, vhost: &str, timeout: Duration) -> Result<Arc<Connection>, BrokerError> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = asking.get(vhost).filter(|connection| connection.status().connected()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(self.connector.open(vhost, "replay, asking", timeout)?);
        asking.insert(vhost.to_owned(), Arc::clone(&connection));
        Ok(connection)
    }

    fn is_there(&self, destination: &Destination, timeout: Duration) -> Result<bool, BrokerError> {
        // The default exchange always is, and may not be asked for.
        if destination.name.is_empty() {
            return Ok(true);
        }
        let connection = self.asking_in(self.vhost_of(destination), timeout)?;
        let channel = self.connector.channel(&connection, timeout)?;
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let asked = channel.exchange_declare(name_of(destination)?, ExchangeKind::Direct, options, FieldTable::default());
        let request = || format!("asking for exchange {:?}", destination.name);
        match self.connector.try_wait(timeout, &request, asked)? {
            Ok(()) => Ok(true),
            Err(error) if code_of(&error) == Some(code::NOT_FOUND) => Ok(false),
            Err(error) => Err(failed(request(), &error)),
        }
    }

    /// Tries whether the user may publish; `all` is what the command that would grant it names.
    fn may_publish(&self, destination: &Destination, all: &[Destination], timeout: Duration) -> Result<(), BrokerError> {
        let vhost = self.vhost_of(destination);
        let connection = self.asking_in(vhost, timeout)?;
        let channel = self.connector.channel(&connection, timeout)?;
        let exchange = name_of(destination)?;
        let tried = async {
            channel.tx_select().await?;
            let options = BasicPublishOptions { mandatory: false, immediate: false };
            // What it gives is lapin's confirm, which a transaction has not.
            drop(channel.basic_publish(exchange, NOWHERE.into(), options, b"", BasicProperties::default()).await?);
            channel.tx_rollback().await
        };
        let request = || format!("trying to publish to exchange {:?}", destination.name);
        match self.connector.try_wait(timeout, &request, tried)? {
            Ok(()) => Ok(()),
            // No right helps: clients never publish there.
            Err(error) if words_of(&error).contains("internal exchange") => Err(failed(request(), &error)),
            Err(error) if code_of(&error) == Some(code::ACCESS_REFUSED) => {
                let names = all.iter().filter(|other| self.vhost_of(other) == vhost).map(|other| other.name.as_str());
                let needs = Needs { write: exactly(names), ..Needs::default() };
                let who = &self.connector.opener().asked().who;
                Err(who.lacks("write", format!("exchange {:?} in virtual host {vhost:?}", destination.name), vhost, &needs))
            }
            Err(error) => Err(failed(request(), &error)),
        }
    }
}

/// An exchange's name as lapin carries it.
fn name_of(destination: &Destination) -> Result<ShortString, BrokerError> {
    ShortString::try_new(destination.name.as_str()).map_err(|e| BrokerError::Request {
        request: format!("naming exchange {:?}", destination.name),
        reason: e.to_string(),
        retryable: false,
    })
}
