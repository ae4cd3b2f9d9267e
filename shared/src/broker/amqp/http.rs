//! Small questions over HTTP, to RabbitMQ's management API and Prometheus plugin.
//!
//! Guarantees: an answer takes at most [`TIMEOUT`] (or what was asked for) and so many bytes; no redirect is followed with the password; no password is
//! in an error. One `-X ca=FILE` holds for AMQP and for HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::broker::BrokerError;
use crate::broker::endpoint::{Secret, redact, split_userinfo};

/// How long a question may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes that are read of a refusal.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;

/// A server, and who asks it.
pub(super) struct Http {
    agent: ureq::Agent,
    /// Without user and password.
    base: String,
    authorization: Option<String>,
    timeout: Duration,
}

/// What a server answered.
pub(super) enum Answer {
    /// What was asked for.
    Body(String),
    /// Not that: the status, and what was said about it.
    Refused(u16, String),
}

impl Http {
    /// A server by its URL; a user in the URL goes before `user`.
    ///
    /// # Errors
    /// When the URL's user cannot be read, or the authorities' file.
    pub(super) fn new(url: &str, user: Option<(&str, &str)>, ca: Option<&Path>) -> Result<Self, BrokerError> {
        let (base, own) = split_userinfo(url)?;
        let own = own.as_ref().map(|(user, password)| (user.as_str(), password.as_ref().map_or("", Secret::reveal)));
        let authorization = own.or(user).map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).unversioned_rustls_crypto_provider(provider).root_certs(roots(ca)?);
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).user_agent("dejaq").tls_config(tls.build()).build();
        Ok(Self { agent: config.new_agent(), base, authorization, timeout: TIMEOUT })
    }

    /// The same, asked for no longer than this a question.
    #[cfg(feature = "source")]
    pub(super) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The server, for people.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Asks for `path`, and reads at most `bytes_max` of the answer.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answers; when the answer is too long or no text.
    pub(super) fn get(&self, path: &str, bytes_max: u64) -> Result<Answer, BrokerError> {
        let url = format!("{}{path}", self.base);
        let mut request = self.agent.get(&url).config().timeout_global(Some(self.timeout)).build();
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut response = request.call().map_err(|e| self.failed(path, &e))?;
        let status = response.status().as_u16();
        let limit = if status == 200 { bytes_max } else { REFUSAL_BYTES_MAX };
        let body = response.body_mut().with_config().limit(limit).read_to_string().map_err(|e| self.failed(path, &e))?;
        Ok(if status == 200 { Answer::Body(body) } else { Answer::Refused(status, body) })
    }

    /// As [`Http::get`], where anything but the thing asked for is an error.
    pub(super) fn text(&self, path: &str, bytes_max: u64) -> Result<String, BrokerError> {
        match self.get(path, bytes_max)? {
            Answer::Body(body) => Ok(body),
            Answer::Refused(status, _) => Err(self.unexpected(path, &format!("it answered with status {status}"))),
        }
    }

    /// An answer that is not what was asked for.
    pub(super) fn unexpected(&self, path: &str, reason: &str) -> BrokerError {
        BrokerError::Request { request: format!("asking {}{path}", self.base), reason: reason.to_owned(), retryable: false }
    }

    fn failed(&self, path: &str, error: &ureq::Error) -> BrokerError {
        let unreachable = |last: String| BrokerError::Unreachable {
            addresses: self.base.clone(),
            waited_s: self.timeout.as_secs(),
            last: format!(" ({last})"),
        };
        match error {
            ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => {
                unreachable(error.to_string())
            }
            ureq::Error::Rustls(_) => {
                self.unexpected(path, &format!("{error}; name the authority that signed the certificate with -X ca=FILE"))
            }
            _ => self.unexpected(path, &error.to_string()),
        }
    }
}

/// Whom to believe.
fn roots(ca: Option<&Path>) -> Result<RootCerts, BrokerError> {
    let Some(path) = ca else { return Ok(RootCerts::PlatformVerifier) };
    let refused = |reason: String| BrokerError::Property { property: "ca".to_owned(), value: redact(&path.display().to_string()), reason };
    let bytes = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
    let certificates: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(e) => Some(Err(refused(e.to_string()))),
        })
        .collect::<Result<_, _>>()?;
    if certificates.is_empty() { Err(refused("there is no certificate in it (expected PEM)".to_owned())) } else { Ok(certificates.into()) }
}
