//! From the client's deliveries to records, and the lanes that they come in.

use std::collections::HashMap;

use lapin::message::Delivery as Delivered;

use super::bonds::Wanted;
use super::firehose::{self, Published};
use crate::amqp::{Properties, TableBuf};
use crate::broker::amqp::{convert, guard};
use crate::broker::mirror::{Delivery, LaneIx, MirrorBy, MirrorHandler, Receipt};
use crate::record::{Lane, Record, RecordFlags, Stream};

/// The lanes that were met, by link and exchange.
#[derive(Debug, Default)]
struct Lanes {
    by_link: Vec<HashMap<String, LaneIx>>,
    count: LaneIx,
}

/// What becomes of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Became {
    /// It was handed over.
    Record,
    /// It is not wanted.
    Nothing,
    /// It cannot be read; the exchange, and why.
    Unreadable(String, String),
}

/// Makes records.
pub(super) struct Records {
    cluster: String,
    vhosts: Vec<String>,
    wanted: Wanted,
    lanes: Lanes,
    /// Memory that is used again.
    table: TableBuf,
    bytes: Vec<u8>,
}

impl Records {
    pub(super) fn new(cluster: &str, vhosts: &[String], wanted: Wanted) -> Self {
        let lanes = Lanes { by_link: vec![HashMap::new(); vhosts.len()], count: 0 };
        Self { cluster: cluster.to_owned(), vhosts: vhosts.to_vec(), wanted, lanes, table: TableBuf::default(), bytes: Vec::new() }
    }

    /// Hands a delivery over as a record.
    pub(super) fn hand_over<H: MirrorHandler>(&mut self, receipt: Receipt, from: &Delivered, arrival_ns: i64, handler: &mut H) -> Became {
        if let Some(why) = guard::unreadable(&from.properties) {
            return self.unreadable(from, why);
        }
        match self.wanted.mode {
            MirrorBy::Firehose => match firehose::published(&from.properties) {
                Some(published) if !firehose::is_ours(&published) && self.accepts(&published.exchange) => {
                    self.record(receipt, from, &(&published).into(), arrival_ns, handler)
                }
                _ => Became::Nothing,
            },
            _ => self.record(receipt, from, &from.into(), arrival_ns, handler),
        }
    }

    /// Whether the firehose is asked for this exchange.
    fn accepts(&self, exchange: &str) -> bool {
        let all = self.wanted.exchanges.names().is_empty() && !self.wanted.exchanges.has_patterns();
        all || self.wanted.exchanges.accepts(exchange)
    }

    fn unreadable(&self, from: &Delivered, why: String) -> Became {
        let delivered_by = from.exchange.as_str();
        let exchange = match self.wanted.mode {
            MirrorBy::Firehose => firehose::exchange_of(from.routing_key.as_str()).unwrap_or(delivered_by),
            _ => delivered_by,
        };
        if self.wanted.mode == MirrorBy::Firehose && !self.accepts(exchange) {
            return Became::Nothing;
        }
        Became::Unreadable(exchange.to_owned(), why)
    }

    fn record<H: MirrorHandler>(
        &mut self,
        receipt: Receipt,
        from: &Delivered,
        message: &Message<'_>,
        arrival_ns: i64,
        handler: &mut H,
    ) -> Became {
        self.bytes.clear();
        if let Err(malformed) = convert::read(message.properties, None, &mut self.table, &mut self.bytes) {
            return Became::Unreadable(message.exchange.to_owned(), malformed.to_string());
        }
        let Some(lane) = self.lane(receipt.link, message.exchange, handler) else { return Became::Nothing };
        let record = Record {
            arrival_ns,
            value: Some(&from.data),
            flags: if from.redelivered { RecordFlags::REDELIVERED } else { RecordFlags::default() },
            routing_key: Some(message.routing_key),
            properties: Properties::from_checked(&self.bytes),
            ..Record::EMPTY
        };
        handler.delivery(&Delivery { lane, receipt, record });
        Became::Record
    }

    /// The lane of an exchange; it is told when it is new.
    fn lane<H: MirrorHandler>(&mut self, link: u32, exchange: &str, handler: &mut H) -> Option<LaneIx> {
        let link = link as usize;
        let known = self.lanes.by_link.get_mut(link)?;
        if let Some(lane) = known.get(exchange) {
            return Some(*lane);
        }
        let lane = self.lanes.count;
        self.lanes.count += 1;
        known.insert(exchange.to_owned(), lane);
        let at = Lane::RabbitExchange { vhost: self.vhosts.get(link)?.clone(), exchange: exchange.to_owned() };
        handler.lane(lane, &Stream { cluster: self.cluster.clone(), lane: at });
        Some(lane)
    }
}

/// The parts of a message that a trace has elsewhere.
struct Message<'a> {
    exchange: &'a str,
    routing_key: &'a [u8],
    properties: &'a lapin::BasicProperties,
}

impl<'a> From<&'a Delivered> for Message<'a> {
    fn from(from: &'a Delivered) -> Self {
        Self { exchange: from.exchange.as_str(), routing_key: from.routing_key.as_str().as_bytes(), properties: &from.properties }
    }
}

impl<'a> From<&'a Published> for Message<'a> {
    fn from(from: &'a Published) -> Self {
        Self { exchange: &from.exchange, routing_key: &from.routing_key, properties: &from.properties }
    }
}
