//! What became of a message, in a few stable words for the ledger.

use super::ffi::Code;
use super::ffi::producer::Persisted;
use crate::broker::sink::{Fate, Refusal};

/// Reads a delivery report. The client's word on whether the message may be in the log decides between failed and
/// unknown; refusals that no broker gives after appending are failures whatever it says.
pub(super) fn fate(code: Code, persisted: Persisted) -> Fate {
    if code == Code::NONE || persisted == Persisted::Yes {
        return Fate::Acked;
    }
    let reason = reason(code);
    if persisted == Persisted::No || is_definite(code) { Fate::Failed(reason) } else { Fate::Unknown(reason) }
}

/// Reads the client's refusal to take a message.
pub(super) fn refusal(code: Code) -> Refusal {
    if code == Code::QUEUE_FULL { Refusal::QueueFull } else { Refusal::Final(reason(code)) }
}

fn is_definite(code: Code) -> bool {
    matches!(
        code,
        Code::MESSAGE_TOO_LARGE
            | Code::CORRUPT_MESSAGE
            | Code::INVALID_TOPIC
            | Code::RECORD_LIST_TOO_LARGE
            | Code::TOPIC_AUTHORIZATION_FAILED
            | Code::INVALID_TIMESTAMP
            | Code::POLICY_VIOLATION
            | Code::INVALID_RECORD
            | Code::UNKNOWN_TOPIC
            | Code::UNKNOWN_PARTITION
            | Code::PURGE_QUEUE
    )
}

fn reason(code: Code) -> &'static str {
    match code {
        Code::MESSAGE_TOO_LARGE | Code::RECORD_LIST_TOO_LARGE => "too large",
        Code::INVALID_TIMESTAMP => "invalid time stamp",
        Code::TOPIC_AUTHORIZATION_FAILED | Code::CLUSTER_AUTHORIZATION_FAILED => "not authorized",
        Code::UNKNOWN_TOPIC | Code::UNKNOWN_TOPIC_OR_PARTITION => "unknown topic",
        Code::UNKNOWN_PARTITION => "unknown partition",
        Code::MESSAGE_TIMED_OUT | Code::TIMED_OUT | Code::TIMED_OUT_QUEUE | Code::REQUEST_TIMED_OUT => "timed out",
        Code::PURGE_QUEUE => "given up unsent",
        Code::PURGE_IN_FLIGHT => "given up in flight",
        Code::TRANSPORT => "connection lost",
        Code::FATAL => "client broken",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_is_unknown_and_certainty_is_not() {
        assert_eq!(fate(Code::NONE, Persisted::Yes), Fate::Acked);
        assert_eq!(fate(Code::MESSAGE_TIMED_OUT, Persisted::Possibly), Fate::Unknown("timed out"));
        assert_eq!(fate(Code::MESSAGE_TIMED_OUT, Persisted::No), Fate::Failed("timed out"));
        assert_eq!(fate(Code::MESSAGE_TOO_LARGE, Persisted::Possibly), Fate::Failed("too large"));
        assert_eq!(fate(Code::PURGE_QUEUE, Persisted::No), Fate::Failed("given up unsent"));
        assert_eq!(fate(Code::PURGE_IN_FLIGHT, Persisted::Possibly), Fate::Unknown("given up in flight"));
        assert_eq!(fate(Code(12_345), Persisted::No), Fate::Failed("unknown error"));
        assert_eq!(refusal(Code::QUEUE_FULL), Refusal::QueueFull);
        assert_eq!(refusal(Code::UNKNOWN_PARTITION), Refusal::Final("unknown partition"));
    }
}
