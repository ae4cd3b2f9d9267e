//! Connections to a broker: opened on a small runtime of their own, under a time limit, with words for what goes wrong.
//!
//! Guarantees: a connection that dies stays dead: lapin's own recovery is off, since it would hide what was lost. Each one says its
//! purpose in its name, which the broker's operators see. No message ends one (see `guard`). Dropping the [`Connector`] ends everything that runs on it.

use std::future::Future;
use std::time::{Duration, Instant};

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::config::Settings;
use super::greeting;
use super::guard;
use super::http::Http;
use super::identity::identify;
use super::management::Management;
use super::prometheus::Prometheus;
use super::rights::{Needs, Who};
use super::trouble::{Asked, failed};
use crate::broker::BrokerError;
use crate::broker::endpoint::{AmqpEndpoint, Secret};

/// The user whom a URL without one means, and its password.
const GUEST: &str = "guest";
/// RabbitMQ's first virtual host: what a URL without one means, where one is needed.
pub(super) const VHOST_DEFAULT: &str = "/";

/// The code of a connection or channel that is closed because it is not needed any more.
#[cfg(feature = "source")]
pub(super) const REPLY_SUCCESS: u16 = 200;

/// Opens connections, and waits for what they answer.
pub(super) struct Connector {
    /// `None` while it is dropped.
    runtime: Option<Runtime>,
    opener: Opener,
    endpoint: AmqpEndpoint,
    settings: Settings,
}

/// What it takes to open a connection: it goes where they are kept up.
#[derive(Clone)]
pub(super) struct Opener {
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    asked: Asked,
    handle: Handle,
}

impl Connector {
    /// Reads what it needs; nothing is opened yet. `needs` is what a user must be allowed, for the words of a refusal.
    ///
    /// # Errors
    /// When the authorities' file cannot be read, or no thread can be started.
    pub(super) fn new(endpoint: &AmqpEndpoint, settings: Settings, needs: Needs) -> Result<Self, BrokerError> {
        let ca = settings.ca.as_ref().map(std::fs::read_to_string).transpose().map_err(|e| BrokerError::Property {
            property: "ca".to_owned(),
            value: settings.ca.as_ref().map_or(String::new(), |path| path.display().to_string()),
            reason: e.to_string(),
        })?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("dejaq-amqp")
            .enable_all()
            .build()
            .map_err(|e| BrokerError::Fatal(format!("no thread for RabbitMQ can be started: {e}")))?;
        let (user, password) = credentials(endpoint);
        let uri = AMQPUri {
            scheme: if endpoint.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: user.to_owned(), password: password.to_owned() },
                host: endpoint.address.host.clone(),
                port: endpoint.address.port,
            },
            vhost: VHOST_DEFAULT.to_owned(),
            query: AMQPQueryString { heartbeat: u16::try_from(settings.heartbeat.as_secs()).ok(), ..AMQPQueryString::default() },
        };
        let asked = Asked { address: endpoint.address.to_string(), tls: endpoint.tls, who: Who::new(user), needs };
        let opener = Opener { uri, tls: OwnedTLSConfig { identity: None, cert_chain: ca }, asked, handle: runtime.handle().clone() };
        Ok(Self { runtime: Some(runtime), opener, endpoint: endpoint.clone(), settings })
    }

    /// What opens connections, for whoever keeps them up.
    pub(super) fn opener(&self) -> &Opener {
        &self.opener
    }

    /// What holds of the client.
    #[cfg(feature = "sink")]
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where to go, as it was given.
    #[cfg(feature = "sink")]
    pub(super) fn endpoint(&self) -> &AmqpEndpoint {
        &self.endpoint
    }

    /// Opens a connection, named for its purpose.
    ///
    /// # Errors
    /// Why not, with what to do; [`BrokerError::Unreachable`] when nobody answered in `timeout`.
    pub(super) fn open(&self, vhost: &str, purpose: &str, timeout: Duration) -> Result<Connection, BrokerError> {
        self.opener.handle.block_on(self.opener.open(vhost, purpose, timeout))
    }

    /// Waits at most `timeout` for an answer to `request`, which says in words what was asked.
    ///
    /// # Errors
    /// The broker's own words; when there was no answer.
    pub(super) fn wait<T>(
        &self,
        timeout: Duration,
        request: impl Fn() -> String,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, BrokerError> {
        match self.try_wait(timeout, &request, answer)? {
            Ok(answer) => Ok(answer),
            Err(error) => Err(failed(request(), &error)),
        }
    }

    /// As [`Connector::wait`], with the broker's refusal as it came.
    ///
    /// # Errors
    /// When there was no answer.
    pub(super) fn try_wait<T>(
        &self,
        timeout: Duration,
        request: &impl Fn() -> String,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<lapin::Result<T>, BrokerError> {
        self.within(timeout, answer).ok_or_else(|| BrokerError::Request {
            request: request(),
            reason: format!("no answer within {} s", timeout.as_secs()),
            retryable: true,
        })
    }

    /// Waits for something, at most `timeout`; `None`: it did not come.
    pub(super) fn within<T>(&self, timeout: Duration, something: impl Future<Output = T>) -> Option<T> {
        self.opener.handle.block_on(async { tokio::time::timeout(timeout, something).await }).ok()
    }

    /// A channel for one question: a refusal closes it, and it is no loss.
    ///
    /// # Errors
    /// As [`Connector::wait`].
    pub(super) fn channel(&self, connection: &Connection, timeout: Duration) -> Result<Channel, BrokerError> {
        self.wait(timeout, || "opening a channel".to_owned(), connection.create_channel())
    }

    /// The management API, asked as the same user unless its URL names another one.
    ///
    /// # Errors
    /// When its URL's user cannot be read, or the authorities' file.
    pub(super) fn management(&self) -> Result<Management, BrokerError> {
        let user = credentials(&self.endpoint);
        let http = Http::new(&self.settings.management, Some(user), self.settings.ca.as_deref())?;
        Ok(Management::new(http, self.opener.asked.who.clone()))
    }

    /// The Prometheus plugin.
    ///
    /// # Errors
    /// As [`Connector::management`].
    pub(super) fn prometheus(&self) -> Result<Prometheus, BrokerError> {
        Http::new(&self.settings.prometheus, None, self.settings.ca.as_deref()).map(Prometheus::new)
    }

    /// The cluster's persistent id.
    ///
    /// # Errors
    /// When it cannot be read: what each said that was asked, and what is needed.
    pub(super) fn cluster(&self) -> Result<String, BrokerError> {
        identify(&self.prometheus()?, &self.management()?, greeting::cluster_name(&self.endpoint).as_deref())
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        // Without waiting: whatever still runs there is of connections that nobody has any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Opener {
    /// Opens a connection, named for its purpose.
    ///
    /// # Errors
    /// As [`Connector::open`].
    pub(super) async fn open(&self, vhost: &str, purpose: &str, timeout: Duration) -> Result<Connection, BrokerError> {
        let uri = AMQPUri { vhost: vhost.to_owned(), ..self.uri.clone() };
        let properties = ConnectionProperties::default().with_connection_name(format!("dejaq {purpose}").into());
        let began = Instant::now();
        let tls = self.tls.clone();
        let connect = async move |uri: AMQPUri, _| guard::connect(&uri, &tls).await;
        match tokio::time::timeout(timeout, Connection::connector(uri, guard::runtime(), connect, properties)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.asked.refused(vhost, &error)),
            Err(_) => Err(self.asked.unreachable(began.elapsed().as_secs(), "no answer")),
        }
    }

    /// Runs something beside, until the connector is dropped.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(task)
    }

    /// Who asks, and what it takes.
    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }
}

fn credentials(endpoint: &AmqpEndpoint) -> (&str, &str) {
    match &endpoint.user {
        Some(user) => (user, endpoint.password.as_ref().map_or("", Secret::reveal)),
        None => (GUEST, GUEST),
    }
}
