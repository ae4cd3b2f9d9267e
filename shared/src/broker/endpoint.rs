//! Endpoints: where a broker is, as people write it: a URL.
//!
//! `kafka://host:9092` · `kafka://h1:9092,h2:9092` · `kafkas://…` (TLS) · `kafka[s]://user:password@host` (SASL; the
//! mechanism is SCRAM-SHA-512 unless `-X sasl.mechanisms=…` says otherwise). The port defaults to 9092.
//!
//! `amqp://host` · `amqp://user:password@host:5672/vhost` · `amqps://…` (TLS). The ports default to 5672 and 5671; without a
//! user it is RabbitMQ's guest. A virtual host is percent-decoded: `/` is `%2F`. Without a path, or with a bare `/`, no virtual
//! host is named.
//!
//! An IPv6 address stands in brackets. User and password are percent-decoded, so that any byte but NUL can be in them.
//!
//! A password may stand in the URL, for a laptop; better is the environment variable `DEJAQ_KAFKA_PASSWORD` or
//! `DEJAQ_AMQP_PASSWORD`, or a file named by the same with `_FILE` (one trailing newline is cut). For Kafka, where no user is
//! named, [`TOKEN_FILE_VARIABLE`] or [`TOKEN_VARIABLE`] say where a token is, for the mechanism that signs in by one. No password
//! and no token is ever shown: `Display`, `Debug` and every error write `***`.

use std::fmt;

mod secrets;
mod text;

use secrets::{AMQP_PASSWORD, Environment, KAFKA_PASSWORD, token_place};
pub use secrets::{Secret, TOKEN_FILE_VARIABLE, TOKEN_VARIABLE, TokenPlace};
#[cfg(feature = "amqp")]
pub(crate) use text::split_userinfo;
use text::{decode, parse_address, parse_userinfo};
pub use text::{percent_encode, redact};

const KAFKA_PORT: u16 = 9092;
const AMQP_PORT: u16 = 5672;
const AMQPS_PORT: u16 = 5671;
/// The longest name of a virtual host, a short string of AMQP, in bytes.
const VHOST_BYTES_MAX: usize = 255;

const EXPECTED: &str = "expected kafka://HOST:PORT[,HOST:PORT]… or amqp://HOST[:PORT][/VHOST] (kafkas:// and amqps:// for TLS), with USER@ \
                        or USER:PASSWORD@ before the hosts to sign in";
const EXPECTED_KAFKA: &str =
    "expected kafka://HOST:PORT[,HOST:PORT]… or kafkas://… for TLS, with USER@ or USER:PASSWORD@ before the hosts for SASL";
const EXPECTED_AMQP: &str = "expected amqp://HOST[:PORT][/VHOST] or amqps://… for TLS, with USER@ or USER:PASSWORD@ before the host";

/// An endpoint that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {url:?}: {problem}")]
pub struct EndpointError {
    /// The URL, without its password.
    pub url: String,
    /// What was found where, and what was expected.
    pub problem: String,
}

/// One broker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// The host as it stands in a URL: an IPv6 address in brackets.
    #[must_use]
    pub fn url_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.url_host(), self.port)
    }
}

/// A Kafka cluster's endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaEndpoint {
    /// The brokers to ask first; at least one.
    pub addresses: Vec<Address>,
    /// Whether the connection is by TLS.
    pub tls: bool,
    /// The SASL user.
    pub user: Option<String>,
    /// The SASL password.
    pub password: Option<Secret>,
    /// Where a token is, if the environment says so and no user is named.
    pub token: Option<TokenPlace>,
}

impl KafkaEndpoint {
    /// The addresses as the client and people write them: `h1:9092,h2:9092`.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",")
    }

    fn parse(rest: &str, tls: bool) -> Result<Self, String> {
        let (userinfo, hosts) = match rest.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, rest),
        };
        let (user, password) = userinfo.map(|info| parse_userinfo(info, EXPECTED_KAFKA)).transpose()?.unzip();
        let hosts = hosts.strip_suffix('/').unwrap_or(hosts);
        if let Some(found) = hosts.find(['/', '?', '#']) {
            return Err(format!("{:?} after the hosts is not understood; options go into -X key=value", &hosts[found..]));
        }
        let addresses = hosts.split(',').map(|host| parse_address(host, KAFKA_PORT, EXPECTED_KAFKA)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { addresses, tls, user, password: password.flatten(), token: None })
    }

    fn fill_secrets(&mut self, environment: Environment<'_>) -> Result<(), String> {
        if self.user.is_none() {
            self.token = token_place(environment)?;
        } else if self.password.is_none() {
            self.password = Some(KAFKA_PASSWORD.read(environment)?);
        }
        Ok(())
    }
}

/// A RabbitMQ node's endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpEndpoint {
    /// The node.
    pub address: Address,
    /// Whether the connection is by TLS.
    pub tls: bool,
    /// The user; `None` is guest with the password guest.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The virtual host that the URL names. Without one capture means `/`, and replay keeps the recorded virtual hosts.
    pub vhost: Option<String>,
}

impl AmqpEndpoint {
    fn parse(rest: &str, tls: bool) -> Result<Self, String> {
        if rest.contains(['?', '#']) {
            return Err("options after a '?' or '#' are not understood; they go into -X key=value".to_owned());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains(['/', '@']) {
            return Err("a '/' or '@' after the first '/': in a user, a password or a virtual host it is written %2F or %40".to_owned());
        }
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        if host.contains(',') {
            return Err(
                "one host only: the nodes of a RabbitMQ cluster are one broker, name one of them (or what balances them)".to_owned()
            );
        }
        let (user, password) = userinfo.map(|info| parse_userinfo(info, EXPECTED_AMQP)).transpose()?.unzip();
        let address = parse_address(host, if tls { AMQPS_PORT } else { AMQP_PORT }, EXPECTED_AMQP)?;
        let vhost = if path.is_empty() { None } else { Some(decode(path, "the virtual host")?) };
        if vhost.as_ref().is_some_and(|vhost| vhost.len() > VHOST_BYTES_MAX) {
            return Err(format!("the virtual host's name has more than {VHOST_BYTES_MAX} bytes"));
        }
        Ok(Self { address, tls, user, password: password.flatten(), vhost })
    }

    fn fill_secrets(&mut self, environment: Environment<'_>) -> Result<(), String> {
        if self.user.is_some() && self.password.is_none() {
            self.password = Some(AMQP_PASSWORD.read(environment)?);
        }
        Ok(())
    }
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// A Kafka cluster.
    Kafka(KafkaEndpoint),
    /// A RabbitMQ node, and through it its cluster.
    Amqp(AmqpEndpoint),
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`EndpointError`], which names the URL (redacted), what was found and what was expected.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let parsed = match url.split_once("://") {
            Some((scheme @ ("kafka" | "kafkas"), rest)) => KafkaEndpoint::parse(rest, scheme == "kafkas").map(Self::Kafka),
            Some((scheme @ ("amqp" | "amqps"), rest)) => AmqpEndpoint::parse(rest, scheme == "amqps").map(Self::Amqp),
            Some((other, _)) => Err(format!("scheme {other:?} is not known; {EXPECTED}")),
            None => Err(format!("no \"://\" in it; {EXPECTED}")),
        };
        parsed.map_err(|problem| EndpointError { url: redact(url), problem })
    }

    /// Reads a URL and looks in the environment for the password, where it names a user without one, or (Kafka) for where a
    /// token is, where it names no user.
    ///
    /// # Errors
    /// As [`Endpoint::parse`], and when the password's file cannot be read or both variables are set.
    pub fn from_url_and_environment(url: &str) -> Result<Self, EndpointError> {
        let mut endpoint = Self::parse(url)?;
        endpoint.fill_secrets(&|name| std::env::var_os(name)).map_err(|problem| EndpointError { url: redact(url), problem })?;
        Ok(endpoint)
    }

    /// Takes what is not in the URL from `environment`.
    fn fill_secrets(&mut self, environment: Environment<'_>) -> Result<(), String> {
        match self {
            Self::Kafka(kafka) => kafka.fill_secrets(environment),
            Self::Amqp(amqp) => amqp.fill_secrets(environment),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, user, password) = match self {
            Self::Kafka(kafka) => (if kafka.tls { "kafkas" } else { "kafka" }, &kafka.user, &kafka.password),
            Self::Amqp(amqp) => (if amqp.tls { "amqps" } else { "amqp" }, &amqp.user, &amqp.password),
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            f.write_str(&percent_encode(user))?;
            f.write_str(if password.is_some() { ":***@" } else { "@" })?;
        }
        match self {
            Self::Kafka(kafka) => f.write_str(&kafka.addresses()),
            Self::Amqp(amqp) => {
                write!(f, "{}", amqp.address)?;
                amqp.vhost.as_ref().map_or(Ok(()), |vhost| write!(f, "/{}", percent_encode(vhost)))
            }
        }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Self, EndpointError> {
        Self::parse(url)
    }
}

#[cfg(test)]
mod tests;
