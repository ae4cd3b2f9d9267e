//! Tokens for OAUTHBEARER: where they come from, when they expire, and the thread that renews them.
//!
//! A token is never fetched here: another program (a sidecar, a systemd timer) writes it into a file. The file is looked at once a
//! second, and a new token is used at once; and it is read again when the client asks, after four fifths of a token's life, on a
//! queue that this thread alone polls: so a token is renewed whatever source and sink do. A new one that is not there in time is
//! told as a warning; what is open stays open until the broker ends it.
//!
//! Guarantees: a token is in no text form and in no error. Limits: only the token's expiry and subject are read, nothing is
//! verified (that is the broker's part); a token that is no JSON web token is read again every minute.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::config::{BY_TOKEN, Properties, property_error};
use super::ffi::{Client, Queue, Told};
use crate::broker::BrokerError;
use crate::broker::endpoint::{KafkaEndpoint, Secret, TokenPlace};

/// How long one poll waits: also how long stopping takes at most.
const STEP: Duration = Duration::from_millis(100);
/// The file is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// For how long a token counts that does not say when it expires: it is renewed after four fifths of that.
const LIFE_UNKNOWN: Duration = Duration::from_secs(75);
/// The longest that is read; real ones have a few KiB.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// Where the tokens come from, for a client that signs in by them.
///
/// # Errors
/// [`BrokerError::Property`] when there is no token, or a user beside it.
pub(super) fn place<'a>(endpoint: &'a KafkaEndpoint, properties: &Properties) -> Result<Option<&'a TokenPlace>, BrokerError> {
    let refused = |reason: &str| Err(property_error("sasl.mechanisms", BY_TOKEN, reason));
    match (&endpoint.token, &endpoint.user) {
        _ if !properties.by_token() => Ok(None),
        (_, Some(_)) => refused("a token names its user itself: leave USER@ out of the URL"),
        (Some(place), None) => Ok(Some(place)),
        (None, None) => refused(
            "it needs a token: set DEJAQ_KAFKA_TOKEN_FILE to a file that holds it and is kept up to date, or DEJAQ_KAFKA_TOKEN for a short run",
        ),
    }
}

/// A token and what it says of itself.
pub(super) struct Token {
    value: Secret,
    expires_unix_ms: i64,
    /// Its subject.
    user: Option<String>,
}

impl Token {
    /// Reads the token that is there now.
    ///
    /// # Errors
    /// [`BrokerError::Request`]: no token, none that can be one, or one that has expired.
    pub(super) fn read(place: &TokenPlace) -> Result<Self, BrokerError> {
        read(place, SystemTime::now()).map_err(|reason| BrokerError::Request {
            request: "reading the token for OAUTHBEARER".to_owned(),
            reason,
            retryable: false,
        })
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    fn hand_over(&self, client: &Client) -> Result<(), String> {
        let user = self.user.as_deref().unwrap_or("the token's user");
        let said = client.set_token(self.value.reveal(), self.expires_unix_ms, user);
        said.map_err(|text| {
            format!("the client does not take the token: {}", text.replace(self.value.reveal(), crate::broker::secret::HIDDEN))
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_unix_ms", &self.expires_unix_ms).field("user", &self.user).finish_non_exhaustive()
    }
}

fn read(place: &TokenPlace, now: SystemTime) -> Result<Token, String> {
    let (text, what) = match place {
        TokenPlace::Given(token) => (token.reveal().to_owned(), place.to_string()),
        TokenPlace::File(path) => {
            let what = place.to_string();
            let size = std::fs::metadata(path).map_err(|e| format!("{what} cannot be read: {e}"))?.len();
            if size > TOKEN_BYTES_MAX {
                return Err(format!("{what} has {size} bytes, which is no token"));
            }
            (std::fs::read_to_string(path).map_err(|e| format!("{what} cannot be read: {e}"))?, what)
        }
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    // RFC 6750: b64token.
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b)) {
        return Err(format!("{what} holds something else than one token (letters, digits and -._~+/= only)"));
    }
    let claims = claims(text);
    let now_ms = now.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    let expires_unix_ms = match claims.as_ref().and_then(|c| c["exp"].as_f64()) {
        Some(seconds) => unix_ms(seconds),
        None => now_ms.saturating_add(i64::try_from(LIFE_UNKNOWN.as_millis()).unwrap_or(i64::MAX)),
    };
    if expires_unix_ms <= now_ms {
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(expires_unix_ms).unwrap_or(0));
        return Err(format!("the token in {what} expired at {}: a new one is needed", humantime::format_rfc3339_seconds(at)));
    }
    let user = claims.and_then(|c| c["sub"].as_str().map(str::to_owned));
    Ok(Token { value: Secret::new(text.to_owned()), expires_unix_ms, user })
}

/// The claims of a JSON web token; `None`: it is something else, which only the broker understands.
fn claims(token: &str) -> Option<serde_json::Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to what any clock will show")]
fn unix_ms(seconds: f64) -> i64 {
    (seconds.clamp(0.0, 9e9) * 1000.0) as i64
}

/// The thread that renews a client's token; dropping it stops the thread and waits for that.
pub(super) struct TokenKeeper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TokenKeeper {
    /// Hands over the first token, and renews it from then on.
    pub(super) fn start(client: &Arc<Client>, first: &Token, place: &TokenPlace) -> Result<Self, BrokerError> {
        let queue = client.sasl_queue()?;
        first.hand_over(client).map_err(BrokerError::Fatal)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, client, place) = (Arc::clone(&stop), Arc::clone(client), place.clone());
        let thread = std::thread::Builder::new().name("kafka-token".to_owned()).spawn(move || keep(&client, &queue, &place, &theirs));
        let thread = thread.map_err(|e| BrokerError::Fatal(format!("no thread to renew tokens: {e}")))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for TokenKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn keep(client: &Client, queue: &Queue, place: &TokenPlace, stop: &AtomicBool) {
    let mut seen = None;
    let mut looked_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        let mut wanted = queue.poll(STEP).is_some_and(|event| matches!(event.told(), Told::TokenWanted));
        if looked_at.elapsed() >= LOOK {
            looked_at = Instant::now();
            let now = version(place);
            wanted |= now.is_some() && now != seen;
            seen = now;
        }
        if wanted && let Err(reason) = read(place, SystemTime::now()).and_then(|token| token.hand_over(client)) {
            client.set_token_failure(&reason);
        }
    }
}

/// Tells one state of the file from another.
fn version(place: &TokenPlace) -> Option<(u64, SystemTime)> {
    match place {
        TokenPlace::File(path) => std::fs::metadata(path).ok().and_then(|file| Some((file.ino(), file.modified().ok()?))),
        TokenPlace::Given(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
    }

    fn given(text: &str, now_s: u64) -> Result<Token, String> {
        read(&TokenPlace::Given(Secret::new(text.to_owned())), UNIX_EPOCH + Duration::from_secs(now_s))
    }

    #[test]
    fn expiry_and_user_are_read_from_the_token() {
        let token = given(&format!("  {}\n", jwt(r#"{"sub":"recorder","exp":1000.5}"#)), 900).expect("valid");
        assert_eq!((token.expires_unix_ms, token.user()), (1_000_500, Some("recorder")));
        // Something else, or without an expiry: looked at again soon.
        for text in ["opaque-token".to_owned(), jwt(r#"{"sub":5}"#), "a.!!.b".replace('!', "-")] {
            let token = given(&text, 900).expect("valid");
            assert_eq!((token.expires_unix_ms, token.user()), (975_000, None));
        }
    }

    #[cfg(feature = "source")]
    #[test]
    fn a_token_is_wanted_where_the_mechanism_says_so_and_nowhere_else() {
        use crate::broker::endpoint::Endpoint;
        use crate::broker::kafka::config::source_properties;
        use crate::broker::source::SourceOptions;

        let endpoint = |url: &str| {
            let Endpoint::Kafka(kafka) = Endpoint::parse(url).expect(url) else { panic!("{url} is not Kafka's") };
            kafka
        };
        let properties = |url: &str, user: &[(&str, &str)]| {
            let user = user.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            source_properties(&endpoint(url), &SourceOptions { user, ..SourceOptions::default() })
        };
        let mut without = endpoint("kafkas://h");
        let p = properties("kafkas://h", &[("sasl.mechanism", "OAUTHBEARER")]).expect("properties");
        assert_eq!(p.get("security.protocol"), Some("sasl_ssl"));
        let error = place(&without, &p).expect_err("none").to_string();
        assert!(error.contains("DEJAQ_KAFKA_TOKEN_FILE"), "{error}");
        without.token = Some(TokenPlace::File("token".into()));
        assert_eq!(place(&without, &p).expect("given"), without.token.as_ref());
        let error = place(&endpoint("kafkas://me:hunter2@h"), &p).expect_err("a user").to_string();
        assert!(error.contains("leave USER@ out") && !error.contains("hunter2"), "{error}");
        // A token in the environment says nothing about a cluster that is asked without SASL.
        assert_eq!(place(&without, &properties("kafka://h", &[]).expect("plain")).expect("none"), None);
        assert!(properties("kafkas://h", &[("sasl.oauthbearer.method", "oidc")]).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        for (text, why) in [
            (jwt(r#"{"exp":900}"#), "expired at 1970-01-01T00:15:00Z"),
            (jwt(r#"{"exp":-1e300}"#), "expired at 1970-01-01T00:00:00Z"),
            ("hunter2 hunter2".to_owned(), "something else than one token"),
            ("{\"hunter2\"}".to_owned(), "something else than one token"),
            (" \n".to_owned(), "is empty"),
        ] {
            let error = given(&text, 900).expect_err(why);
            assert!(error.contains(why) && error.contains("DEJAQ_KAFKA_TOKEN") && !error.contains("hunter2"), "{error}");
        }
        let error = read(&TokenPlace::File("/nowhere/at/all".into()), UNIX_EPOCH).expect_err("no file");
        assert!(error.contains("/nowhere/at/all") && error.contains("cannot be read"), "{error}");
        assert!(!format!("{:?}", given("hunter2", 0).expect("valid")).contains("hunter2"));
    }
}
