//! Endpoints: where a broker is, as people write it: a URL.
//!
//! `kafka://host:9092` · `kafka://h1:9092,h2:9092` · `kafkas://…` (TLS) · `kafka[s]://user:password@host` (SASL; the
//! mechanism is SCRAM-SHA-512 unless `-X sasl.mechanisms=…` says otherwise). The port defaults to 9092. An IPv6 address
//! stands in brackets. User and password are percent-decoded, so that any byte but NUL can be in them.
//!
//! A password may stand in the URL, for a laptop; better is the environment variable [`PASSWORD_VARIABLE`] or a file
//! named by [`PASSWORD_FILE_VARIABLE`] (one trailing newline is cut). Where no user is named, [`TOKEN_FILE_VARIABLE`] or
//! [`TOKEN_VARIABLE`] say where a token is, for the mechanism that signs in by one. No password and no token is ever shown:
//! `Display`, `Debug` and every error write `***`.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The environment variable that holds the Kafka password.
pub const PASSWORD_VARIABLE: &str = "DEJAQ_KAFKA_PASSWORD";
/// The environment variable that names a file with the Kafka password.
pub const PASSWORD_FILE_VARIABLE: &str = "DEJAQ_KAFKA_PASSWORD_FILE";
/// The environment variable that holds a token for SASL OAUTHBEARER. It cannot be renewed.
pub const TOKEN_VARIABLE: &str = "DEJAQ_KAFKA_TOKEN";
/// The environment variable that names a file with a token, which is read again before the token expires.
pub const TOKEN_FILE_VARIABLE: &str = "DEJAQ_KAFKA_TOKEN_FILE";

const PORT_DEFAULT: u16 = 9092;
const EXPECTED: &str =
    "expected kafka://HOST:PORT[,HOST:PORT]… or kafkas://… for TLS, with USER@ or USER:PASSWORD@ before the hosts for SASL";

/// An endpoint that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {url:?}: {problem}")]
pub struct EndpointError {
    /// The URL, without its password.
    pub url: String,
    /// What was found where, and what was expected.
    pub problem: String,
}

/// A secret: it has no text form.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for the client only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(super::secret::HIDDEN)
    }
}

/// Where the tokens for SASL OAUTHBEARER come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// A file, which another program keeps up to date.
    File(PathBuf),
    /// The environment.
    Given(Secret),
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{} ({TOKEN_FILE_VARIABLE})", path.display()),
            Self::Given(_) => f.write_str(TOKEN_VARIABLE),
        }
    }
}

/// One broker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
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
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// A Kafka cluster.
    Kafka(KafkaEndpoint),
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`EndpointError`], which names the URL (redacted), what was found and what was expected.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let fail = |problem: String| EndpointError { url: redact(url), problem };
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(fail(format!("no \"://\" in it; {EXPECTED}")));
        };
        let tls = match scheme {
            "kafka" => false,
            "kafkas" => true,
            "amqp" | "amqps" => {
                return Err(fail("this build of dejaq cannot speak to RabbitMQ yet; only kafka:// and kafkas://".to_owned()));
            }
            other => return Err(fail(format!("scheme {other:?} is not known; {EXPECTED}"))),
        };
        let (userinfo, hosts) = match rest.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, rest),
        };
        let (user, password) = match userinfo {
            None => (None, None),
            Some(info) => parse_userinfo(info).map_err(fail)?,
        };
        let hosts = hosts.strip_suffix('/').unwrap_or(hosts);
        if let Some(found) = hosts.find(['/', '?', '#']) {
            return Err(fail(format!("{:?} after the hosts is not understood; options go into -X key=value", &hosts[found..])));
        }
        let addresses = hosts.split(',').map(parse_address).collect::<Result<Vec<_>, _>>().map_err(fail)?;
        Ok(Self::Kafka(KafkaEndpoint { addresses, tls, user, password, token: None }))
    }

    /// Reads a URL and looks in the environment for the password, where it names a user without one, or for where a token is,
    /// where it names no user.
    ///
    /// # Errors
    /// As [`Endpoint::parse`], and when the password's file cannot be read or both variables are set.
    pub fn from_url_and_environment(url: &str) -> Result<Self, EndpointError> {
        let mut endpoint = Self::parse(url)?;
        endpoint.fill_secrets(&|name| std::env::var_os(name)).map_err(|problem| EndpointError { url: redact(url), problem })?;
        Ok(endpoint)
    }

    /// Takes what is not in the URL from `environment`.
    fn fill_secrets(&mut self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<(), String> {
        let Self::Kafka(kafka) = self;
        if kafka.user.is_none() {
            kafka.token = token_place(environment)?;
            return Ok(());
        }
        if kafka.password.is_some() {
            return Ok(());
        }
        let password = match (environment(PASSWORD_VARIABLE), environment(PASSWORD_FILE_VARIABLE)) {
            (Some(_), Some(_)) => return Err(format!("{PASSWORD_VARIABLE} and {PASSWORD_FILE_VARIABLE} are both set; set one of them")),
            (Some(password), None) => password.into_string().map_err(|_| format!("{PASSWORD_VARIABLE} is not UTF-8"))?,
            (None, Some(path)) => read_password(Path::new(&path))?,
            (None, None) => {
                return Err(format!(
                    "it names a user and no password; set {PASSWORD_VARIABLE}, or {PASSWORD_FILE_VARIABLE} to a file that holds it \
                     (a token, for OAUTHBEARER, names its user itself: leave USER@ out)"
                ));
            }
        };
        kafka.password = Some(Secret(no_nul(password, PASSWORD_VARIABLE)?));
        Ok(())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Kafka(kafka) = self;
        f.write_str(if kafka.tls { "kafkas://" } else { "kafka://" })?;
        if let Some(user) = &kafka.user {
            f.write_str(&percent_encode(user))?;
            f.write_str(if kafka.password.is_some() { ":***@" } else { "@" })?;
        }
        f.write_str(&kafka.addresses())
    }
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Self, EndpointError> {
        Self::parse(url)
    }
}

/// A URL without its password, whatever else is wrong with it.
#[must_use]
pub fn redact(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let Some(end) = url[start..].rfind('@').map(|at| start + at) else { return url.to_owned() };
    match url[start..end].find(':') {
        Some(colon) => format!("{}:***{}", &url[..start + colon], &url[end..]),
        None => url.to_owned(),
    }
}

fn token_place(environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<TokenPlace>, String> {
    match (environment(TOKEN_VARIABLE), environment(TOKEN_FILE_VARIABLE)) {
        (Some(_), Some(_)) => Err(format!("{TOKEN_VARIABLE} and {TOKEN_FILE_VARIABLE} are both set; set one of them")),
        (Some(token), None) => {
            let token = token.into_string().map_err(|_| format!("{TOKEN_VARIABLE} is not UTF-8"))?;
            Ok(Some(TokenPlace::Given(Secret(token))))
        }
        (None, path) => Ok(path.map(|path| TokenPlace::File(path.into()))),
    }
}

fn read_password(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("the password file {} cannot be read: {e}", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn no_nul(text: String, what: &str) -> Result<String, String> {
    if text.contains('\0') { Err(format!("{what} has a NUL byte in it, which the client cannot take")) } else { Ok(text) }
}

fn parse_userinfo(info: &str) -> Result<(Option<String>, Option<Secret>), String> {
    let (user, password) = match info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (info, None),
    };
    let user = no_nul(percent_decode(user).ok_or("the user's percent-encoding is broken (expected %XX of UTF-8)")?, "the user")?;
    if user.is_empty() {
        return Err(format!("there is an '@' and no user before it; {EXPECTED}"));
    }
    let password = password
        .map(|p| percent_decode(p).ok_or("the password's percent-encoding is broken (expected %XX of UTF-8)".to_owned()))
        .transpose()?
        .map(|p| no_nul(p, "the password"))
        .transpose()?;
    Ok((Some(user), password.map(Secret)))
}

fn parse_address(text: &str) -> Result<Address, String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| format!("no ']' in the address {text:?}"))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("{host:?} in brackets is not an IPv6 address"));
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(format!("{after:?} after the address {text:?}; expected :PORT")),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err(format!("a host is empty; {EXPECTED}"));
    }
    if let Some(bad) = host.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '%')) {
        return Err(format!("{bad:?} in the host {host:?}"));
    }
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("port {port:?} of host {host:?} is not a number from 1 to 65535")),
        },
    };
    Ok(Address { host: host.to_owned(), port })
}

fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let (hex, after) = after.split_at_checked(2)?;
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            out.push(digit(hex[0])? << 4 | digit(hex[1])?);
            rest = after;
        } else {
            out.push(first);
            rest = after;
        }
    }
    String::from_utf8(out).ok()
}

fn percent_encode(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests;
