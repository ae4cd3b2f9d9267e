//! What RabbitMQ and lapin say when they refuse, read for what is behind it and what to do about it. Pure.
//!
//! Most of it is told by AMQP's codes; which right or virtual host is meant stands in the texts only. `tests/live/rabbit` holds
//! what is read here against real nodes.

use std::io;

use lapin::{Error, ErrorKind};

use super::rights::{Needs, Who};
use crate::broker::BrokerError;

/// AMQP's codes.
pub(super) mod code {
    /// The user may not.
    pub(in crate::broker::amqp) const ACCESS_REFUSED: u16 = 403;
    /// It is not there.
    pub(in crate::broker::amqp) const NOT_FOUND: u16 = 404;
    /// The virtual host: it is not there, or the user may not enter it.
    pub(in crate::broker::amqp) const NOT_ALLOWED: u16 = 530;
}

/// The broker's code, where the broker refused; `None`: something else went wrong.
pub(super) fn code_of(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// The broker's words, or lapin's.
pub(super) fn words_of(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::IOError(error) => error.to_string(),
        _ => error.to_string(),
    }
}

/// A question that failed, as an error.
pub(super) fn failed(request: impl Into<String>, error: &Error) -> BrokerError {
    BrokerError::Request { request: request.into(), reason: words_of(error), retryable: code_of(error).is_none() }
}

/// Who asks whom to be let in.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// `HOST:PORT`.
    pub(super) address: String,
    pub(super) tls: bool,
    pub(super) who: Who,
    /// What the user must be allowed.
    pub(super) needs: Needs,
}

impl Asked {
    /// Why no connection to `vhost` came about.
    pub(super) fn refused(&self, vhost: &str, error: &Error) -> BrokerError {
        let words = words_of(error);
        match (code_of(error), error.kind()) {
            (Some(code::ACCESS_REFUSED), _) => self.sign_in(&words),
            (Some(code::NOT_ALLOWED), _) if words.contains("refused") => self.who.lacks_vhost(vhost, &self.needs),
            (Some(code::NOT_ALLOWED), _) if words.contains("not found") => {
                let hint = "it is the part of the URL after the host (a '/' in it is written %2F); to make it: rabbitmqctl add_vhost NAME";
                self.failed(&format!("entering virtual host {vhost:?}"), format!("it does not exist at this broker; {hint}"))
            }
            (Some(_), _) => self.failed(&format!("connecting to virtual host {vhost:?}"), words),
            (None, ErrorKind::IOError(error)) => self.network(error),
            (None, _) => self.failed("connecting", words),
        }
    }

    fn sign_in(&self, words: &str) -> BrokerError {
        let hint = if self.who.user() == "guest" {
            "guest may only sign in from the broker's own machine, unless the broker is told otherwise, and often is no user at all: put \
             another USER:PASSWORD@ into the URL"
        } else {
            "the user does not exist at this broker, or the password is another one (the broker does not say which)"
        };
        self.failed(&format!("signing in as user {:?}", self.who.user()), format!("{words}; {hint}"))
    }

    fn network(&self, error: &io::Error) -> BrokerError {
        let words = error.to_string();
        let hint = if words.contains("UnknownIssuer") || words.contains("CaUsedAsEndEntity") {
            "the authority that signed the broker's certificate is not known here: name its certificate with -X ca=FILE"
        } else if words.contains("NotValidForName") {
            "it is a certificate for another host: put a host into the URL that the certificate names"
        } else if words.contains("Expired") || words.contains("NotValidYet") {
            "the broker's certificate does not hold now: renew it, or check this machine's clock"
        } else if self.tls && (words.contains("InvalidContentType") || words.contains("corrupt message")) {
            "the listener does not speak TLS: use amqp:// instead of amqps://, or the port of the one that does (5671)"
        } else if self.tls && words.contains("certificate") {
            "check the certificate of the listener, and -X ca=FILE"
        } else {
            return self.unreachable(0, &words);
        };
        self.failed("setting up TLS", format!("{words}; {hint}"))
    }

    /// Nobody answered in so many seconds.
    pub(super) fn unreachable(&self, waited_s: u64, words: &str) -> BrokerError {
        let last = if words.is_empty() { String::new() } else { format!(" ({words})") };
        BrokerError::Unreachable { addresses: self.address.clone(), waited_s, last }
    }

    fn failed(&self, what: &str, reason: String) -> BrokerError {
        BrokerError::Request { request: format!("{what} at {}", self.address), reason, retryable: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::protocol::{AMQPError, AMQPHardError, AMQPSoftError};

    fn asked(tls: bool) -> Asked {
        let needs = Needs { write: "^orders$".to_owned(), ..Needs::default() };
        Asked { address: "h:5672".to_owned(), tls, who: Who::new("player"), needs }
    }

    fn protocol(kind: impl Into<lapin::protocol::AMQPErrorKind>, words: &str) -> Error {
        ErrorKind::ProtocolError(AMQPError::new(kind.into(), words.into())).into()
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (error, words) in [
            (
                protocol(AMQPSoftError::ACCESSREFUSED, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN"),
                "the password is another one",
            ),
            (protocol(AMQPHardError::NOTALLOWED, "NOT_ALLOWED - vhost v not found"), "add_vhost"),
            (
                protocol(AMQPHardError::NOTALLOWED, "NOT_ALLOWED - access to vhost 'v' refused for user 'player'"),
                "set_permissions -p v player '' '^orders$' ''",
            ),
            (protocol(AMQPHardError::CONNECTIONFORCED, "CONNECTION_FORCED - node is shutting down"), "node is shutting down"),
        ] {
            let text = asked(false).refused("v", &error).to_string();
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn what_the_network_says_is_read_and_can_be_asked_again() {
        let io = |words: &str| Error::from(io::Error::new(io::ErrorKind::InvalidData, words.to_owned()));
        assert!(asked(true).refused("/", &io("invalid peer certificate: UnknownIssuer")).to_string().contains("-X ca=FILE"));
        assert!(asked(true).refused("/", &io("received corrupt message of type InvalidContentType")).to_string().contains("amqp://"));
        let gone = asked(false).refused("/", &io("Connection refused (os error 111)"));
        assert!(gone.is_retryable() && gone.to_string().contains("h:5672"), "{gone}");
    }
}
