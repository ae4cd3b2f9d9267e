//! What a person may set of the RabbitMQ client by `-X key=value`, and what holds otherwise.
//!
//! One list for capture and replay, so that one configuration fits both; what only the other one uses is read and left alone.
//! Anything else is refused with the list. Passwords in URLs are never shown.

use std::path::PathBuf;
use std::time::Duration;

use crate::broker::BrokerError;
use crate::broker::endpoint::{AmqpEndpoint, redact};
use crate::units::{duration_ns, format_duration_ns, parse_duration, parse_size};

const MANAGEMENT_PORT: u16 = 15672;
const MANAGEMENT_TLS_PORT: u16 = 15671;
const PROMETHEUS_PORT: u16 = 15692;
/// The longest heartbeat that AMQP can say, in seconds.
const HEARTBEAT_MAX: Duration = Duration::from_secs(u16::MAX as u64);

/// What may be set, and what it is.
const KEYS: [(&str, &str); 9] = [
    ("management", "URL of the management API"),
    ("prometheus", "URL of the Prometheus plugin"),
    ("ca", "PEM file of the authorities that sign the broker's certificates"),
    ("heartbeat", "a dead connection is noticed after two of them"),
    ("prefetch", "deliveries on their way to a capture, at most 65535"),
    ("queue.messages", "the most messages that wait in a capture's queue"),
    ("queue.bytes", "the most bytes of bodies that wait there"),
    ("queue.expires", "how long the queue outlives a capture that died"),
    ("resync", "how often a capture looks for new bindings"),
];

/// What holds of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The management API's URL; it may name a user and a password of its own.
    pub management: String,
    /// The Prometheus plugin's URL, without `/metrics`.
    pub prometheus: String,
    /// Authorities beside the system's, for TLS: a PEM file.
    pub ca: Option<PathBuf>,
    /// The heartbeat that is asked for.
    pub heartbeat: Duration,
    /// Deliveries that may be unacknowledged.
    pub prefetch: u16,
    /// A capture's queue: the most messages that wait.
    pub queue_messages: u64,
    /// A capture's queue: the most bytes of bodies that wait.
    pub queue_bytes: u64,
    /// A capture's queue: how long it outlives its consumer.
    pub queue_expires: Duration,
    /// How often a capture looks for new bindings.
    pub resync: Duration,
}

impl Settings {
    /// The defaults for an endpoint, and what a person set over them, in order; a later one wins.
    ///
    /// # Errors
    /// [`BrokerError::Property`] for a name that is not known, and a value that cannot be.
    pub fn of(endpoint: &AmqpEndpoint, user: &[(String, String)]) -> Result<Self, BrokerError> {
        let host = endpoint.address.url_host();
        let (scheme, port) = if endpoint.tls { ("https", MANAGEMENT_TLS_PORT) } else { ("http", MANAGEMENT_PORT) };
        let mut settings = Self {
            management: format!("{scheme}://{host}:{port}"),
            prometheus: format!("http://{host}:{PROMETHEUS_PORT}"),
            ca: None,
            heartbeat: Duration::from_secs(10),
            prefetch: 20_000,
            queue_messages: 1_000_000,
            queue_bytes: 1 << 30,
            queue_expires: Duration::from_secs(30 * 60),
            resync: Duration::from_secs(30),
        };
        for (name, value) in user {
            settings.set(name, value).map_err(|reason| BrokerError::Property { property: name.clone(), value: redact(value), reason })?;
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "management" => self.management = url(value)?,
            "prometheus" => self.prometheus = url(value)?.trim_end_matches("/metrics").to_owned(),
            "ca" => self.ca = Some(PathBuf::from(value)),
            "heartbeat" => self.heartbeat = duration(value, HEARTBEAT_MAX)?,
            "prefetch" => {
                self.prefetch = value
                    .parse()
                    .ok()
                    .filter(|n| *n > 0)
                    .ok_or("expected a number from 1 to 65535: without a bound it would eat memory")?;
            }
            "queue.messages" => {
                self.queue_messages = value.parse().ok().filter(|n| *n > 0).ok_or("expected a number of messages, at least 1")?;
            }
            "queue.bytes" => self.queue_bytes = parse_size(value).ok().filter(|n| *n > 0).ok_or("expected a size, 1GiB")?,
            "queue.expires" => self.queue_expires = duration(value, Duration::from_millis(u32::MAX.into()))?,
            "resync" => self.resync = duration(value, Duration::from_secs(24 * 3_600))?,
            _ => {
                let known: Vec<String> = KEYS.iter().map(|(name, what)| format!("{name} ({what})")).collect();
                return Err(format!("it is not known for RabbitMQ; there are {}", known.join(", ")));
            }
        }
        Ok(())
    }

    /// What holds: `(name, value)`, passwords as `***`.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        let time = |duration: Duration| format_duration_ns(duration_ns(duration));
        let values = [
            redact(&self.management),
            redact(&self.prometheus),
            self.ca.as_ref().map_or("the system's".to_owned(), |path| path.display().to_string()),
            time(self.heartbeat),
            self.prefetch.to_string(),
            self.queue_messages.to_string(),
            self.queue_bytes.to_string(),
            time(self.queue_expires),
            time(self.resync),
        ];
        KEYS.iter().map(|(name, _)| (*name).to_owned()).zip(values).collect()
    }
}

fn url(text: &str) -> Result<String, String> {
    let known = ["http://", "https://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if !known || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("expected http://HOST:PORT or https://HOST:PORT".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A time from a second up to `max`.
fn duration(text: &str, max: Duration) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(1) && duration <= max => Ok(duration),
        Ok(_) => Err(format!("expected a time from 1s to {}s", max.as_secs())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::endpoint::Endpoint;

    fn settings(url: &str, user: &[(&str, &str)]) -> Result<Settings, String> {
        let Endpoint::Amqp(endpoint) = Endpoint::parse(url).expect(url) else { panic!("{url} is not RabbitMQ's") };
        let user: Vec<_> = user.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::of(&endpoint, &user).map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_follow_the_endpoint() {
        let plain = settings("amqp://[::1]:9/v", &[]).expect("defaults");
        assert_eq!((plain.management.as_str(), plain.prometheus.as_str()), ("http://[::1]:15672", "http://[::1]:15692"));
        assert_eq!(settings("amqps://h", &[]).expect("defaults").management, "https://h:15671");
        assert_eq!(plain.heartbeat, Duration::from_secs(10));
    }

    #[test]
    fn what_is_set_holds_and_is_shown_without_passwords() {
        let set =
            [("management", "http://me:hunter2@h:1/"), ("prometheus", "http://h:2/metrics"), ("prefetch", "7"), ("queue.bytes", "1MiB")];
        let settings = settings("amqp://h", &set).expect("good values");
        assert_eq!((settings.management.as_str(), settings.prometheus.as_str()), ("http://me:hunter2@h:1", "http://h:2"));
        assert_eq!((settings.prefetch, settings.queue_bytes), (7, 1 << 20));
        let shown = settings.describe();
        assert!(shown.contains(&("management".to_owned(), "http://me:***@h:1".to_owned())), "{shown:?}");
        assert_eq!(shown.len(), KEYS.len());
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_is_not_known_with_the_list() {
        for (name, value, words) in [
            ("prefetch", "0", "65535"),
            ("prefetch", "70000", "65535"),
            ("heartbeat", "100ms", "from 1s"),
            ("management", "h:15672", "http://HOST"),
            ("management", "ftp://u:hunter2@h", "http://HOST"),
            ("linger.ms", "5", "queue.messages"),
        ] {
            let error = settings("amqp://h", &[(name, value)]).expect_err(value);
            assert!(error.contains(words) && error.contains(name) && !error.contains("hunter2"), "{error}");
        }
    }
}
