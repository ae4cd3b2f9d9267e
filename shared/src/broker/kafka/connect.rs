//! The first answer of a cluster: its id, or a clear reason why there is none, within a stated time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::Properties;
use super::ffi::{Client, Code, Queue, Role, Told};
use super::refusal::Asked;
use super::rights::Who;
use super::token::{self, Token, TokenKeeper};
use crate::broker::BrokerError;
use crate::broker::endpoint::KafkaEndpoint;

/// How long one question may take before the client's own errors are looked at again.
const STEP: Duration = Duration::from_millis(200);

/// A client that has been answered.
pub(super) struct Connected {
    /// Renews the client's token, if it signs in by one. To be dropped before the client.
    pub(super) keeper: Option<TokenKeeper>,
    pub(super) events: Queue,
    pub(super) client: Arc<Client>,
    pub(super) cluster: String,
    pub(super) who: Who,
}

/// Makes a client and waits until the cluster has told its id.
///
/// # Errors
/// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when there is no valid token, a broker refuses the user,
/// TLS fails, or the listener speaks another protocol.
pub(super) fn connect(role: Role, endpoint: &KafkaEndpoint, properties: &Properties, timeout: Duration) -> Result<Connected, BrokerError> {
    let place = token::place(endpoint, properties)?;
    let token = place.map(Token::read).transpose()?;
    let client = Client::new(role, properties)?;
    let events = client.main_queue()?;
    let keeper = place.zip(token.as_ref()).map(|(place, token)| TokenKeeper::start(&client, token, place)).transpose()?;
    let cluster = await_cluster(&client, &events, &Asked::of(properties), timeout)?;
    let who = Who::of(properties, token.as_ref().and_then(Token::user));
    Ok(Connected { keeper, events, client, cluster, who })
}

fn await_cluster(client: &Client, queue: &Queue, asked: &Asked, timeout: Duration) -> Result<String, BrokerError> {
    let deadline = Instant::now() + timeout;
    let (mut last_words, mut certificate) = (String::new(), None);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let asked_at = Instant::now();
        if let Some(cluster) = client.cluster_id(left.min(STEP)) {
            return Ok(cluster);
        }
        if left > STEP && asked_at.elapsed() < STEP / 2 {
            // Metadata has come, and no id in it.
            return Err(BrokerError::Request {
                request: format!("asking {} for its cluster's id", asked.addresses()),
                reason: "the broker tells none; Kafka 0.10.1 or later is needed".to_owned(),
                retryable: false,
            });
        }
        while let Some(event) = queue.poll(Duration::ZERO) {
            let (code, text) = match event.told() {
                // "1/1 brokers are down" says less than what came before.
                Told::Error { code: Code::ALL_BROKERS_DOWN, .. } => continue,
                Told::Error { code, text } => (code, text),
                // A connection that is closed at once (another protocol) stands in the log only.
                Told::Log { facility, text, .. } if facility == "FAIL" => (Code::TRANSPORT, text),
                // Said before the error that it explains.
                Told::Log { facility, text, .. } if facility == "SSLCERTVRFY" => {
                    certificate = Some(text);
                    continue;
                }
                _ => continue,
            };
            if let Some(refused) = asked.refused(code, &text, certificate.as_deref()) {
                return Err(refused);
            }
            last_words = text;
        }
        if left.is_zero() {
            let last = if last_words.is_empty() { String::new() } else { format!(" ({last_words})") };
            return Err(BrokerError::Unreachable { addresses: asked.addresses().to_owned(), waited_s: timeout.as_secs(), last });
        }
    }
}
