//! The first answer of a cluster: its id, or a clear reason why there is none, within a stated time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ffi::{Client, Code, Queue, Told};
use crate::broker::BrokerError;
use crate::broker::endpoint::KafkaEndpoint;

/// How long one question may take before the client's own errors are looked at again.
const STEP: Duration = Duration::from_millis(200);

/// Waits until the cluster has told its id.
///
/// # Errors
/// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when a broker refuses the user or TLS fails.
pub(super) fn await_cluster(
    client: &Arc<Client>,
    queue: &Queue,
    endpoint: &KafkaEndpoint,
    timeout: Duration,
) -> Result<String, BrokerError> {
    let deadline = Instant::now() + timeout;
    let mut last_words = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let asked = Instant::now();
        if let Some(cluster) = client.cluster_id(left.min(STEP)) {
            return Ok(cluster);
        }
        if left > STEP && asked.elapsed() < STEP / 2 {
            // Metadata has come, and no id in it.
            return Err(BrokerError::Request {
                request: format!("asking {} for its cluster's id", endpoint.addresses()),
                reason: "the broker tells none; Kafka 0.10.1 or later is needed".to_owned(),
                retryable: false,
            });
        }
        while let Some(event) = queue.poll(Duration::ZERO) {
            match event.told() {
                Told::Error { code: code @ (Code::AUTHENTICATION | Code::SSL), text } => return Err(refused(endpoint, code, &text)),
                // "1/1 brokers are down" says less than what came before.
                Told::Error { code: Code::ALL_BROKERS_DOWN, .. } => {}
                Told::Error { text, .. } => last_words = text,
                // A connection that is closed at once (another protocol) stands in the log only.
                Told::Log { facility, text, .. } if facility == "FAIL" => last_words = text,
                _ => {}
            }
        }
        if left.is_zero() {
            let last = if last_words.is_empty() { String::new() } else { format!(" ({last_words})") };
            return Err(BrokerError::Unreachable { addresses: endpoint.addresses(), waited_s: timeout.as_secs(), last });
        }
    }
}

fn refused(endpoint: &KafkaEndpoint, code: Code, text: &str) -> BrokerError {
    let (request, hint) = if code == Code::AUTHENTICATION {
        ("signing in at", "check user, password and -X sasl.mechanisms=… (default SCRAM-SHA-512)")
    } else {
        ("setting up TLS with", "check -X ssl.ca.location=…, the certificate's host name, and that the listener speaks TLS")
    };
    BrokerError::Request { request: format!("{request} {}", endpoint.addresses()), reason: format!("{text}; {hint}"), retryable: false }
}
