//! What ended a session, and what to do about it. Pure.

use lapin::ErrorKind;

use super::pump::End;
use crate::broker::amqp::trouble::words_of;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A message that the client cannot read: step over it.
    Poison,
    /// Connect again; why, in words.
    Other(String),
}

pub(super) fn trouble(end: &End) -> Trouble {
    match end {
        End::Broken(error) => match error.kind() {
            ErrorKind::ParsingError(_) => Trouble::Poison,
            _ => Trouble::Other(format!("the connection ended: {}", words_of(error))),
        },
        End::Cancelled => Trouble::Other("the broker ended our consumer: the queue was removed, or has moved".to_owned()),
        End::Enough | End::Unwanted => Trouble::Other("the consumer was ended".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_not_a_message_that_cannot_be_read() {
        let lost = End::Broken(ErrorKind::MissingHeartbeatError.into());
        assert!(matches!(trouble(&lost), Trouble::Other(why) if why.starts_with("the connection ended")));
        assert!(matches!(trouble(&End::Cancelled), Trouble::Other(why) if why.contains("removed")));
    }
}
