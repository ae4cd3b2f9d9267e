//! What fitting takes from messages, counted by message.

use dejaq_shared::units::format_count;
use serde::{Deserialize, Serialize};

/// Something that a message lost on its way to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    UserId,
    BrokerHeaders,
    ReplyTo,
    Expiration,
    BadExpiration,
    BadRoutes,
    NestedHeaders,
    KeyPart,
    NullValue,
    TimeStamp,
    HeaderNames,
    ReservedHeaders,
    LongRoutingKey,
}

impl Loss {
    const ALL: [Self; 13] = [
        Self::UserId,
        Self::BrokerHeaders,
        Self::ReplyTo,
        Self::Expiration,
        Self::BadExpiration,
        Self::BadRoutes,
        Self::NestedHeaders,
        Self::KeyPart,
        Self::NullValue,
        Self::TimeStamp,
        Self::HeaderNames,
        Self::ReservedHeaders,
        Self::LongRoutingKey,
    ];

    /// A short stable name, as in `plan --json` and `run.json`.
    fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::BrokerHeaders => "broker headers",
            Self::ReplyTo => "reply_to",
            Self::Expiration => "expiration",
            Self::BadExpiration => "malformed expiration",
            Self::BadRoutes => "malformed CC or BCC",
            Self::NestedHeaders => "nested headers",
            Self::KeyPart => "key",
            Self::NullValue => "null value",
            Self::TimeStamp => "time stamp",
            Self::HeaderNames => "header names",
            Self::ReservedHeaders => "reserved headers",
            Self::LongRoutingKey => "routing key",
        }
    }

    /// What happens to it, and why.
    fn words(self) -> &'static str {
        match self {
            Self::UserId => "is stripped: RabbitMQ takes only that of the user who publishes",
            Self::BrokerHeaders => {
                "are stripped: brokers write them (x-death, x-first-death-*, x-last-death-*, x-received-from, x-stream-offset, x-delivery-count)"
            }
            Self::ReplyTo => "is stripped (--strip-reply-to)",
            Self::Expiration => "is stripped (--expiration strip)",
            Self::BadExpiration => "is stripped: RabbitMQ takes whole milliseconds and closes the channel on anything else",
            Self::BadRoutes => "is stripped: RabbitMQ takes a list of strings and closes the channel on anything else",
            Self::NestedHeaders => "are not carried: tables and lists have no form as a Kafka header",
            Self::KeyPart => "is not carried: RabbitMQ's messages have none, and --routing-key does not name it",
            Self::NullValue => "becomes an empty body: RabbitMQ's messages always have one",
            Self::TimeStamp => "is not carried: RabbitMQ's are the publisher's, in seconds",
            Self::HeaderNames => {
                "are not carried where they have more than 255 bytes, are no UTF-8, or come again (the last one of a name holds)"
            }
            Self::ReservedHeaders => "are not carried: RabbitMQ gives their names (CC, BCC, x-death, …) a meaning of its own",
            Self::LongRoutingKey => {
                "has more than 255 bytes or is no UTF-8: the client refuses such messages, and they are counted as skipped"
            }
        }
    }

    /// Whether the target could have it and must not, rather than has no place for it.
    fn is_stripped(self) -> bool {
        matches!(self, Self::UserId | Self::BrokerHeaders | Self::ReplyTo | Self::Expiration | Self::BadExpiration | Self::BadRoutes)
    }
}

/// What one message lost: a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Losses(u16);

impl Losses {
    pub(crate) fn add(&mut self, loss: Loss) {
        self.0 |= 1 << loss as u16;
    }

    pub(crate) fn has(self, loss: Loss) -> bool {
        self.0 & 1 << loss as u16 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// How many messages lost what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FitCounts([u64; Loss::ALL.len()]);

impl FitCounts {
    pub(crate) fn add(&mut self, losses: Losses) {
        if losses.is_empty() {
            return;
        }
        for (count, loss) in self.0.iter_mut().zip(Loss::ALL) {
            *count += u64::from(losses.has(loss));
        }
    }

    fn found(&self) -> impl Iterator<Item = (Loss, u64)> {
        Loss::ALL.into_iter().zip(self.0).filter(|(_, messages)| *messages > 0)
    }

    /// For `plan --json` and `run.json`.
    #[must_use]
    pub fn report(&self) -> FitReport {
        let of = |stripped: bool| {
            let some = self.found().filter(|(loss, _)| loss.is_stripped() == stripped);
            some.map(|(loss, messages)| Lost { what: loss.name().to_owned(), messages }).collect()
        };
        FitReport { stripped: of(true), not_carried: of(false) }
    }

    /// For people, a line each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.found().map(|(loss, messages)| format!("{} of {} messages {}", loss.name(), format_count(messages), loss.words())).collect()
    }
}

/// What messages lose on their way to the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FitReport {
    /// What the target could have, and must not.
    #[serde(default)]
    pub stripped: Vec<Lost>,
    /// What it has no place for.
    #[serde(default)]
    pub not_carried: Vec<Lost>,
}

/// One thing that messages lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lost {
    /// A short stable name.
    pub what: String,
    /// How many messages.
    pub messages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_has_its_place_and_is_told_once() {
        let mut counts = FitCounts::default();
        for (number, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, number);
            let mut losses = Losses::default();
            losses.add(loss);
            losses.add(loss);
            counts.add(losses);
        }
        let report = counts.report();
        assert_eq!((report.stripped.len(), report.not_carried.len()), (6, 7));
        assert!(report.stripped.iter().chain(&report.not_carried).all(|lost| lost.messages == 1));
        assert_eq!(counts.notes().len(), Loss::ALL.len());
        assert_eq!(FitCounts::default().report(), FitReport::default());
    }
}
