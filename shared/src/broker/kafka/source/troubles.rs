//! What a source does about errors: of a partition, of the consumer, and those that stand in a log line only.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::{KafkaSource, OFFSET_BEGINNING, OFFSET_END};
use crate::broker::BrokerError;
use crate::broker::kafka::ffi::Code;
use crate::broker::kafka::ffi::consumer::Message;
use crate::broker::kafka::ffi::partitions::PartitionList;
use crate::broker::kafka::housekeeping::News;
use crate::broker::kafka::lanes::Unreadable;
use crate::broker::kafka::rights::Right;
use crate::broker::source::{Notice, SourceHandler};
use crate::record::{EPOCH_UNKNOWN, StreamIx};

/// How long one question for where logs begin or end may take.
const WATERMARKS_TIMEOUT: Duration = Duration::from_secs(2);

/// Errors after which a partition is not to be had.
const GONE: [Code; 6] = [
    Code::UNKNOWN_TOPIC_OR_PARTITION,
    Code::UNKNOWN_TOPIC,
    Code::UNKNOWN_PARTITION,
    Code::UNKNOWN_TOPIC_ID,
    Code::INVALID_TOPIC,
    Code::TOPIC_AUTHORIZATION_FAILED,
];

/// An error about a partition, or about the consumer as a whole.
pub(super) struct Trouble {
    stream: Option<StreamIx>,
    topic: Option<String>,
    code: Code,
    offset: i64,
    text: String,
}

impl KafkaSource {
    /// Takes a partition out of the client and the tables.
    pub(super) fn end_lane(&mut self, stream: StreamIx) -> Result<(), BrokerError> {
        let Some(lane) = self.lanes.remove(stream) else { return Ok(()) };
        let mut list = PartitionList::with_capacity(1)?;
        list.add(&lane.topic, lane.partition, OFFSET_END, -1)?;
        self.client.unassign(&list)?;
        if !self.lanes.has_topic(&lane.topic) {
            self.topics.remove(&lane.topic);
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, stream: StreamIx, position: i64) -> Result<(), BrokerError> {
        let Some(lane) = self.lanes.by_stream(stream) else { return Ok(()) };
        let (topic, partition) = (lane.topic.clone(), lane.partition);
        let mut list = PartitionList::with_capacity(1)?;
        list.add(&topic, partition, position, EPOCH_UNKNOWN)?;
        self.client.unassign(&list)?;
        self.client.assign(&list)
    }

    /// One error, after its batch.
    pub(super) fn settle<H: SourceHandler>(&mut self, trouble: Trouble, handler: &mut H) -> Result<(), BrokerError> {
        let Trouble { stream, topic, code, offset, text } = trouble;
        if code == Code::FATAL {
            return Err(BrokerError::Fatal(self.client.fatal_error().map_or(text, |(_, text)| text)));
        }
        let Some(stream) = stream else {
            // No right to describe our own group, which is never used: expected, and told once by the client.
            if code != Code::GROUP_AUTHORIZATION_FAILED {
                let about = topic.map_or(String::new(), |topic| format!("{topic}: "));
                self.house.warn(&format!("error {}", code.0), format!("{about}{text}"));
            }
            return Ok(());
        };
        match code {
            Code::AUTO_OFFSET_RESET | Code::OFFSET_OUT_OF_RANGE | Code::LOG_TRUNCATION => {
                if code == Code::LOG_TRUNCATION || text.contains(&Code::LOG_TRUNCATION.text()) {
                    self.end_lane(stream)?;
                    handler.notice(Notice::Truncated { stream, position: end_in(&text), detail: text });
                } else if !self.out_of_range.contains(&stream) {
                    self.out_of_range.push_back(stream);
                }
            }
            code if is_gone(code) => {
                self.end_lane(stream)?;
                let detail = match topic {
                    Some(topic) if code == Code::TOPIC_AUTHORIZATION_FAILED => self.may_not_read(&topic),
                    _ => text,
                };
                handler.notice(Notice::Gone { stream, detail });
            }
            Code::BAD_MESSAGE | Code::BAD_COMPRESSION | Code::CORRUPT_MESSAGE | Code::NOT_IMPLEMENTED | Code::MESSAGE_TOO_LARGE => {
                let Some(lane) = self.lanes.by_stream(stream) else { return Ok(()) };
                if let Unreadable::StepOver(range) = lane.cannot_read(offset) {
                    let next = range.end;
                    report_unreadable(handler, stream, range, &text);
                    self.restart(stream, next)?;
                }
            }
            code => {
                let name = self.lanes.by_stream(stream).map_or(String::new(), |lane| format!("{}/{}: ", lane.topic, lane.partition));
                self.house.warn(&format!("error {}", code.0), format!("{name}{text}"));
            }
        }
        Ok(())
    }

    /// From which position to which next one each of these partitions' logs goes; `None`: not all of them were told.
    pub(super) fn logs(&self, partitions: &[(&str, i32)]) -> Option<Vec<RangeInclusive<i64>>> {
        let ask = |what| {
            let wanted: Vec<_> = partitions.iter().map(|(topic, partition)| (*topic, *partition, what)).collect();
            self.checked(&wanted, self.client.list_offsets(&wanted, WATERMARKS_TIMEOUT)?)
        };
        let (lows, highs) = (ask(OFFSET_BEGINNING).ok()?, ask(OFFSET_END).ok()?);
        Some(lows.into_iter().zip(highs).map(|(low, high)| low..=high).collect())
    }

    /// Asks for the log of one partition whose position is said not to be in it.
    pub(super) fn settle_out_of_range<H: SourceHandler>(&mut self, handler: &mut H) -> Result<(), BrokerError> {
        let Some(stream) = self.out_of_range.pop_front() else { return Ok(()) };
        let Some(lane) = self.lanes.by_stream(stream) else { return Ok(()) };
        let (topic, partition, next) = (lane.topic.clone(), lane.partition, lane.next);
        let Some(log) = self.logs(&[(topic.as_str(), partition)]).and_then(|logs| logs.into_iter().next()) else {
            // No answer: ask again at the next poll.
            self.out_of_range.push_back(stream);
            return Ok(());
        };
        if log.contains(&next) {
            // A leader that was behind for a moment.
            self.house.warn("in range", format!("{topic}/{partition}: position {next} was out of range for a moment; reading on from it"));
            return self.restart(stream, next);
        }
        self.end_lane(stream)?;
        handler.notice(Notice::OutOfRange { stream, low: *log.start(), high: *log.end() });
        Ok(())
    }

    fn may_not_read(&self, topic: &str) -> String {
        self.who.lacks(Right::Read, &[topic], Right::Read).to_string()
    }

    pub(super) fn settle_news<H: SourceHandler>(&mut self, news: News, handler: &mut H) -> Result<(), BrokerError> {
        if let Some(fatal) = news.fatal {
            return Err(BrokerError::Fatal(fatal));
        }
        for line in news.partition_errors {
            let concerned = self.lanes.iter().find(|lane| line.contains(&format!(": {} [{}]: ", lane.topic, lane.partition)));
            let code = GONE.iter().find(|code| line.contains(&code.text()));
            match concerned.map(|lane| (lane.stream, lane.topic.clone())).zip(code) {
                Some(((stream, topic), code)) => {
                    self.end_lane(stream)?;
                    let detail = if *code == Code::TOPIC_AUTHORIZATION_FAILED { self.may_not_read(&topic) } else { line };
                    handler.notice(Notice::Gone { stream, detail });
                }
                _ => self.house.warn("client", line),
            }
        }
        for warning in news.warnings {
            handler.notice(Notice::Warning(warning));
        }
        Ok(())
    }
}

#[cold]
pub(super) fn trouble(message: Message<'_>, code: Code, stream: Option<StreamIx>) -> Trouble {
    Trouble { stream, topic: message.topic_name(), code, offset: message.offset(), text: message.error_text() }
}

pub(super) fn report_unreadable<H: SourceHandler>(handler: &mut H, stream: StreamIx, positions: Range<i64>, detail: &str) {
    for position in positions {
        handler.notice(Notice::Unparseable { stream, position, detail: detail.to_owned() });
    }
}

pub(super) fn is_gone(code: Code) -> bool {
    GONE.contains(&code)
}

/// Where the logs part, from the client's words "broker end offset is N".
fn end_in(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("broker end offset is ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}
