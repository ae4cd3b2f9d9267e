//! Why a broker does not take us: the client's words, read for what is behind them and what to do about it. Pure.
//!
//! librdkafka tells some of this by a code, some only in its texts; tests/live/security/ holds what is read here against a real
//! broker, for the version that is linked in.

use super::config::Properties;
use super::ffi::Code;
use crate::broker::BrokerError;

/// Who is asked, and how.
pub(super) struct Asked {
    addresses: String,
    tls: bool,
    /// The mechanism; `None`: without SASL.
    mechanism: Option<String>,
    user: Option<String>,
}

impl Asked {
    pub(super) fn of(properties: &Properties) -> Self {
        let protocol = properties.get("security.protocol").unwrap_or("plaintext").to_ascii_lowercase();
        let text = |name: &str| properties.get(name).map(str::to_owned);
        Self {
            addresses: text("bootstrap.servers").unwrap_or_default(),
            tls: protocol.ends_with("ssl"),
            mechanism: if protocol.starts_with("sasl") { text("sasl.mechanisms") } else { None },
            user: text("sasl.username"),
        }
    }

    pub(super) fn addresses(&self) -> &str {
        &self.addresses
    }

    /// An error of the client, or a line of its log, that ends the attempt; `None`: it may still work. `certificate` is what was
    /// said of the broker's certificate.
    pub(super) fn refused(&self, code: Code, text: &str, certificate: Option<&str>) -> Option<BrokerError> {
        match code {
            Code::AUTHENTICATION => Some(self.sign_in(text)),
            Code::SSL => Some(self.tls(text, certificate)),
            _ if !text.contains("Disconnected") => None,
            _ => self.hung_up(text),
        }
    }

    fn sign_in(&self, text: &str) -> BrokerError {
        let mechanism = self.mechanism.as_deref().unwrap_or("SASL");
        let user = self.user.as_ref().map_or(String::new(), |user| format!(" as user {user:?}"));
        let request = format!("signing in at {}{user} by {mechanism}", self.addresses);
        let hint = if text.contains("not valid in current SASL state") {
            "this listener takes no user; leave USER@ out of the URL, or use the port of a listener that does".to_owned()
        } else if text.contains("broker's supported mechanisms") {
            format!("the broker does not offer {mechanism}; choose one that it offers with -X sasl.mechanisms=…")
        } else if mechanism == "OAUTHBEARER" {
            "check the token: issuer, audience and expiry".to_owned()
        } else {
            "the user does not exist at this broker, or the password is another one (brokers do not say which), or the user is one of \
             another mechanism (-X sasl.mechanisms=…)"
                .to_owned()
        };
        BrokerError::Request { request, reason: format!("{}; {hint}", without_state(text)), retryable: false }
    }

    fn tls(&self, text: &str, certificate: Option<&str>) -> BrokerError {
        let reason = match certificate.and_then(|line| line.split_once(" verification callback failed: ")) {
            Some((whose, why)) => {
                let whose = whose.rsplit_once("Certificate ").map_or(whose, |(_, whose)| whose);
                let hint = if why.contains("expired") {
                    "it has to be renewed at the broker (if it is not that old, check this machine's clock)"
                } else if why.contains("not yet valid") {
                    "check this machine's clock"
                } else if why.contains("mismatch") {
                    "it is a certificate for another host: put a host into the URL that the certificate names"
                } else {
                    "the authority that signed it is not known here: name its certificate with -X ssl.ca.location=FILE"
                };
                format!("the broker's certificate {whose} is refused: {why}; {hint}")
            }
            None => format!("{}; check that the listener speaks TLS, and -X ssl.*", without_state(text)),
        };
        BrokerError::Request { request: format!("setting up TLS with {}", self.addresses), reason, retryable: false }
    }

    /// The broker took the connection and ended it before it said anything.
    fn hung_up(&self, text: &str) -> Option<BrokerError> {
        let said = |reason: String| BrokerError::Request { request: format!("talking to {}", self.addresses), reason, retryable: false };
        if text.contains("SSL handshake failed") {
            return Some(said(
                "the broker ended the connection when TLS was begun; if the listener does not speak TLS, use kafka:// instead of \
                 kafkas://, or the port of the one that does"
                    .to_owned(),
            ));
        }
        if !self.tls && text.contains("in state APIVERSION_QUERY") {
            return Some(said(
                "the broker ended the connection at the first request; if the listener speaks TLS, use kafkas:// instead of kafka://"
                    .to_owned(),
            ));
        }
        if self.mechanism.is_none() && text.contains("in state UP") {
            return Some(said(
                "the broker ended the connection at the first question; if the listener expects a user, put USER@ into the URL (or \
                 -X sasl.mechanisms=OAUTHBEARER and a token)"
                    .to_owned(),
            ));
        }
        None
    }
}

/// Without the client's "(after 3ms in state …)".
fn without_state(text: &str) -> &str {
    text.rsplit_once(" (after ").map_or(text, |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tls: bool, mechanism: Option<&str>) -> Asked {
        Asked { addresses: "h:9093".into(), tls, mechanism: mechanism.map(Into::into), user: mechanism.map(|_| "me".into()) }
    }

    fn said(asked: &Asked, code: Code, text: &str, certificate: Option<&str>) -> String {
        asked.refused(code, text, certificate).expect("refused").to_string()
    }

    #[test]
    fn each_fault_of_a_certificate_has_its_remedy() {
        for (why, remedy) in [
            ("certificate has expired", "renewed at the broker"),
            ("certificate is not yet valid", "clock"),
            ("hostname mismatch", "another host"),
            ("IP address mismatch", "another host"),
            ("unable to get local issuer certificate", "ssl.ca.location"),
            ("self-signed certificate in certificate chain", "ssl.ca.location"),
        ] {
            let line = format!("ssl://h/bootstrap: Certificate (subject=/CN=b, issuer=/CN=ca) verification callback failed: {why}");
            let text = said(&asked(true, None), Code::SSL, "SSL handshake failed (after 1ms in state SSL_HANDSHAKE)", Some(&line));
            assert!(text.contains(why) && text.contains(remedy) && text.contains("(subject=/CN=b"), "{text}");
        }
    }

    #[test]
    fn a_connection_that_is_ended_says_which_protocol_to_try() {
        let handshake = "ssl://h/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer (after 1ms in state X)";
        assert!(said(&asked(true, None), Code::TRANSPORT, handshake, None).contains("kafka:// instead of kafkas://"));
        let first = "h/bootstrap: Disconnected: connection closed by peer (after 2ms in state APIVERSION_QUERY)";
        assert!(said(&asked(false, None), Code::TRANSPORT, first, None).contains("kafkas:// instead of kafka://"));
        assert!(said(&asked(false, Some("PLAIN")), Code::TRANSPORT, first, None).contains("kafkas:// instead of kafka://"));
        let up = "h/bootstrap: Disconnected: connection closed by peer (after 0ms in state UP)";
        assert!(said(&asked(false, None), Code::TRANSPORT, up, None).contains("USER@"));
        // One that is away, or was there and has gone, may come back.
        assert!(asked(false, Some("PLAIN")).refused(Code::TRANSPORT, up, None).is_none());
        assert!(asked(false, None).refused(Code::TRANSPORT, "Connect to ipv4#127.0.0.1:1 failed: Connection refused", None).is_none());
    }
}
