//! What comes out of a system under test at RabbitMQ: from an exchange, or from a queue.
//!
//! Guarantees. Of an exchange: a queue of ours (exclusive to this connection, so that nothing of it is left, whatever happens) gets a
//! copy of what the binding takes; nobody else gets less. It is bounded and drops its oldest, so that no publisher is ever held up;
//! what it drops is dead-lettered into a second queue of ours, and one message there ends the reading with an error: outputs that were
//! thrown away never pass for outputs that did not come. Of a queue: it must have no consumer, and ours is an exclusive one, so that
//! no message is taken from anybody else; what is read is acknowledged, so the queue is emptied.
//!
//! Limits: a connection that is lost ends the reading, since what came meanwhile is not known. A consumer of the system's that comes
//! to a queue while it is read is refused by the broker.

use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongLongInt};
use lapin::{Channel, Connection, Consumer};

use super::asking::{no_such_queue, place, queue_now, short};
use super::config::Settings;
use super::connect::{Connector, REPLY_SUCCESS};
use super::convert;
use super::deliveries::{Ended, take};
use super::guard;
use super::rights::{Needs, exactly};
use super::topology::OWN_PREFIX;
use super::trouble::{code, code_of, failed, words_of};
use super::window::Window;
use crate::amqp::{Properties, TableBuf};
use crate::broker::BrokerError;
use crate::broker::endpoint::AmqpEndpoint;
use crate::broker::source::SourceOptions;
use crate::broker::tap::{Outlet, Output, Tap};
use crate::record::Record;
use crate::units::{format_bytes, format_count};

/// What the connection is called at the broker.
const PURPOSE: &str = "probe";
/// The consumers' tag; each has a channel of its own.
const CONSUMER: &str = "dejaq";
/// How long the broker may take for an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long saying good-bye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Queue(String),
    /// An exchange, and the key and arguments that our queue is bound with.
    Exchange(String, Binding),
}

/// How our queue is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Binding {
    key: String,
    /// Whether arguments decide, of which there are none: everything is taken.
    by_arguments: bool,
}

/// Outputs of a system at RabbitMQ.
pub struct AmqpTap {
    // Dropped before what it runs on.
    reading: Option<Reading>,
    connection: Connection,
    connector: Connector,
    vhost: String,
    what: What,
    settings: Settings,
    budget_bytes: u64,
    /// Memory that is used again.
    table: TableBuf,
    properties: Vec<u8>,
}

/// A consumer, and what it takes to go on.
struct Reading {
    queue: String,
    channel: Channel,
    consumer: Consumer,
    window: Window,
    /// Hears of what our queue threw away, where the queue is ours.
    dropped: Option<Consumer>,
}

impl AmqpTap {
    /// Connects, and looks whether there is something to read. Names are those of the URL's virtual host; where that names none,
    /// `VHOST/NAME` is of another than `/`.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when the user is refused, there is no such queue or
    /// exchange, the queue has consumers, or an exchange of its type cannot be read without harm.
    pub fn connect(endpoint: &AmqpEndpoint, outlet: &Outlet, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        let (named, binding) = match outlet {
            Outlet::Exchange { name, binding } => (name, Some(binding.as_deref())),
            Outlet::Queue(name) | Outlet::Topic(name) => (name, None),
        };
        let (vhost, name) = place(endpoint, named);
        let settings = Settings::of(endpoint, &options.user)?;
        let connector = Connector::new(endpoint, settings.clone(), needs(name, binding.is_some()))?;
        let connection = connector.open(vhost, PURPOSE, timeout)?;
        let what = match binding {
            Some(binding) => What::Exchange(name.to_owned(), bound(&connector, vhost, name, binding)?),
            None => {
                let now = queue_now(&connector, &connection, name, timeout)?.ok_or_else(|| no_such_queue(vhost, name))?;
                unconsumed(name, now.consumers)?;
                What::Queue(name.to_owned())
            }
        };
        let (vhost, budget_bytes) = (vhost.to_owned(), options.memory_budget_bytes as u64);
        let (table, properties) = (TableBuf::default(), Vec::new());
        Ok(Self { reading: None, connection, connector, vhost, what, settings, budget_bytes, table, properties })
    }

    /// What is read, for people.
    fn words(&self) -> String {
        match &self.what {
            What::Queue(name) => format!("queue {name:?} of virtual host {:?}", self.vhost),
            What::Exchange(name, _) => format!("exchange {name:?} of virtual host {:?}", self.vhost),
        }
    }

    /// Makes our two queues, and binds the first; gives its name, and the consumer of the second.
    fn make(&self, exchange: &str, binding: &Binding) -> Result<(String, Consumer), BrokerError> {
        let queue = format!("{OWN_PREFIX}probe.{}", uuid::Uuid::new_v4().simple());
        let dropped = format!("{queue}.dropped");
        let channel = self.connector.channel(&self.connection, ANSWER)?;
        // Not auto-delete: changing the window ends the only consumer for a moment.
        let ours = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        self.wait(channel.queue_declare(short(&dropped)?, ours, bounds(1, None)))?;
        let mut arguments = bounds(self.settings.queue_messages, Some(self.settings.queue_bytes));
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(&dropped));
        self.wait(channel.queue_declare(short(&queue)?, ours, arguments))?;
        let mut all = FieldTable::default();
        if binding.by_arguments {
            all.insert("x-match".into(), text("all"));
        }
        self.wait(channel.queue_bind(short(&queue)?, short(exchange)?, short(&binding.key)?, QueueBindOptions::default(), all))?;
        let heard = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let dropped = self.wait(channel.basic_consume(short(&dropped)?, CONSUMER.into(), heard, FieldTable::default()))?;
        Ok((queue, dropped))
    }

    /// Begins to consume, on a channel of its own.
    fn consume(&self, queue: &str, prefetch: u16) -> Result<(Channel, Consumer), BrokerError> {
        let channel = self.connector.channel(&self.connection, ANSWER)?;
        self.wait(channel.basic_qos(prefetch, BasicQosOptions::default()))?;
        // Nobody else can consume then, so that nobody's messages are taken.
        let alone = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let consumer = self.wait(channel.basic_consume(short(queue)?, CONSUMER.into(), alone, FieldTable::default()))?;
        Ok((channel, consumer))
    }

    fn wait<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
        let request = || format!("reading {}", self.words());
        match self.connector.try_wait(ANSWER, &request, answer)? {
            Ok(answer) => Ok(answer),
            Err(error) if code_of(&error) == Some(code::ACCESS_REFUSED) && !words_of(&error).contains("exclusive") => {
                let asked = self.connector.opener().asked();
                Err(asked.who.lacks("read", self.words(), &self.vhost, &asked.needs))
            }
            Err(error) => Err(failed(request(), &error)),
        }
    }

    fn hand_over(&mut self, from: &Delivery, arrival_ns: i64, take: &mut dyn FnMut(Output<'_>)) {
        self.properties.clear();
        let readable = guard::unreadable(&from.properties).is_none();
        if !readable || convert::read(&from.properties, None, &mut self.table, &mut self.properties).is_err() {
            take(Output::Unreadable);
            return;
        }
        take(Output::Message(&Record {
            arrival_ns,
            value: Some(&from.data),
            routing_key: Some(from.routing_key.as_str().as_bytes()),
            properties: Properties::from_checked(&self.properties),
            ..Record::EMPTY
        }));
    }

    /// These are done with: more may come.
    fn credit(&self, reading: &mut Reading, done: &[Delivery]) -> Result<(), BrokerError> {
        let Some(newest) = done.last() else { return Ok(()) };
        self.wait(reading.channel.basic_ack(newest.delivery_tag, BasicAckOptions { multiple: true }))?;
        if reading.window.came(done.len(), done.iter().map(|delivery| delivery.data.len()).sum()).is_some() {
            // A consumer keeps the window with which it was begun. What is on its way to this one goes back and comes again, in order.
            self.wait(reading.channel.close(REPLY_SUCCESS, "".into()))?;
            (reading.channel, reading.consumer) = self.consume(&reading.queue, reading.window.present())?;
        }
        Ok(())
    }

    /// Something that came out was thrown away.
    fn overflowed(&self) -> BrokerError {
        let (messages, bytes) = (format_count(self.settings.queue_messages), format_bytes(self.settings.queue_bytes));
        BrokerError::Request {
            request: format!("reading {}", self.words()),
            reason: format!(
                "the probe is too small: our queue there, of {messages} messages and {bytes}, threw outputs away before they were read. Make it \
                 larger (-X queue.messages=…, -X queue.bytes=…), read less (binding=KEY), or keep policies off names that begin with {OWN_PREFIX}"
            ),
            retryable: false,
        }
    }

    fn ended(&self, ended: &Ended) -> BrokerError {
        let reason = match ended {
            Ended::Cancelled => "the broker ended our consumer: the queue was removed, or has moved".to_owned(),
            Ended::Broken(error) => format!("the connection ended ({}), and what came out meanwhile is not known", words_of(error)),
        };
        BrokerError::Request { request: format!("reading {}", self.words()), reason, retryable: false }
    }
}

impl Tap for AmqpTap {
    fn begin(&mut self, _timeout: Duration) -> Result<(), BrokerError> {
        let (queue, dropped) = match &self.what {
            What::Queue(name) => (name.clone(), None),
            What::Exchange(name, binding) => {
                let (queue, dropped) = self.make(name, binding)?;
                (queue, Some(dropped))
            }
        };
        let window = Window::new(self.budget_bytes, self.settings.prefetch);
        let (channel, consumer) = self.consume(&queue, window.present())?;
        self.reading = Some(Reading { queue, channel, consumer, window, dropped });
        Ok(())
    }

    fn poll(
        &mut self,
        most: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        take_output: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), BrokerError> {
        let Some(mut reading) = self.reading.take() else {
            let reason = "it was not begun, or has failed before".to_owned();
            return Err(BrokerError::Request { request: format!("reading {}", self.words()), reason, retryable: false });
        };
        if let Some((deliveries, ended)) = self.connector.within(timeout, take(&mut reading.consumer, most)) {
            let arrival_ns = clock();
            deliveries.iter().for_each(|delivery| self.hand_over(delivery, arrival_ns, take_output));
            if let Some(ended) = ended {
                return Err(self.ended(&ended));
            }
            self.credit(&mut reading, &deliveries)?;
        }
        if let Some(dropped) = &mut reading.dropped
            && let Some((_, ended)) = self.connector.within(Duration::ZERO, take(dropped, 1))
        {
            return Err(ended.map_or_else(|| self.overflowed(), |ended| self.ended(&ended)));
        }
        self.reading = Some(reading);
        Ok(())
    }

    /// What went elsewhere than to the queue that is read did not come out here.
    fn end(&mut self, _timeout: Duration) -> Result<(), BrokerError> {
        Ok(())
    }
}

impl Drop for AmqpTap {
    fn drop(&mut self) {
        self.reading = None;
        if self.connection.status().connected() {
            // One that is gone already is closed, too. With it go the queues that are ours.
            let _ = self.connector.within(CLOSE_TIMEOUT, self.connection.close(REPLY_SUCCESS, "".into()));
        }
    }
}

/// What a user must be allowed.
fn needs(name: &str, is_exchange: bool) -> Needs {
    if !is_exchange {
        return Needs { read: exactly([name]), ..Needs::default() };
    }
    let own = r"dejaq\..*";
    // To dead-letter into a queue takes the right to write where that goes through.
    Needs { configure: format!("^{own}$"), write: format!("^({own}|amq\\.default)$"), read: format!("^{own}$|{}", exactly([name])) }
}

/// How our queue is bound to an exchange, which is looked at.
fn bound(connector: &Connector, vhost: &str, name: &str, given: Option<&str>) -> Result<Binding, BrokerError> {
    let refused = |reason: String| BrokerError::Request {
        request: format!("reading exchange {name:?} of virtual host {vhost:?}"),
        reason,
        retryable: false,
    };
    if name.is_empty() {
        return Err(refused(
            "nothing can be bound to the default exchange; read the queue behind it, if nobody consumes it (queue=NAME)".to_owned(),
        ));
    }
    let exchange = connector.management()?.exchange(vhost, name)?;
    let exchange = exchange.ok_or_else(|| {
        refused(
            "it does not exist; the virtual host is that of the URL (without one in it, VHOST/NAME names an exchange of another than /)"
                .to_owned(),
        )
    })?;
    binding(&exchange.kind, given).map_err(refused)
}

/// How a queue gets everything from an exchange of this type, or what a key takes.
fn binding(kind: &str, given: Option<&str>) -> Result<Binding, String> {
    let by_key = |key: &str| Ok(Binding { key: key.to_owned(), by_arguments: false });
    match (kind, given) {
        ("topic", None) => by_key("#"),
        ("fanout", None) => by_key(""),
        ("headers", None) => Ok(Binding { key: String::new(), by_arguments: true }),
        ("topic" | "direct", Some(key)) => by_key(key),
        ("direct", None) => Err("it is a direct exchange, of which one key at a time can be read: say which (binding=KEY)".to_owned()),
        ("fanout" | "headers", Some(_)) => Err(format!("it is a {kind} exchange, which looks at no key: leave binding= out")),
        _ => Err(format!(
            "it is an exchange of type {kind}, and such share their messages out among the queues that are bound, or do what is not known \
             here: one more might take some away; read an exchange before or behind it, or a queue that nobody consumes (queue=NAME)"
        )),
    }
}

/// Refuses a queue whose messages go to somebody.
fn unconsumed(name: &str, consumers: u32) -> Result<(), BrokerError> {
    if consumers == 0 {
        return Ok(());
    }
    Err(BrokerError::Request {
        request: format!("reading queue {name:?}"),
        reason: format!(
            "it has {consumers} consumers, and reading it would take messages from them: read the exchange that it is bound to, which gives a \
             copy (exchange=NAME,binding=KEY)"
        ),
        retryable: false,
    })
}

/// The arguments of a classic queue that holds so much and drops its oldest.
fn bounds(messages: u64, bytes: Option<u64>) -> FieldTable {
    let number = |n: u64| AMQPValue::LongLongInt(LongLongInt::try_from(n).unwrap_or(LongLongInt::MAX));
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("classic"));
    table.insert("x-overflow".into(), text("drop-head"));
    table.insert("x-max-length".into(), number(messages));
    if let Some(bytes) = bytes {
        table.insert("x-max-length-bytes".into(), number(bytes));
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_or_one_key_is_read_as_the_type_allows() {
        let key = |key: &str| Ok(Binding { key: key.to_owned(), by_arguments: false });
        assert_eq!(binding("topic", None), key("#"));
        assert_eq!(binding("topic", Some("eu.*")), key("eu.*"));
        assert_eq!(binding("fanout", None), key(""));
        assert_eq!(binding("direct", Some("")), key(""));
        assert_eq!(binding("headers", None), Ok(Binding { key: String::new(), by_arguments: true }));
        for (kind, given, words) in [
            ("direct", None, "binding=KEY"),
            ("fanout", Some("a"), "looks at no key"),
            ("headers", Some("a"), "looks at no key"),
            ("x-consistent-hash", Some("1"), "might take some away"),
            ("x-random", None, "might take some away"),
        ] {
            let error = binding(kind, given).expect_err(kind);
            assert!(error.contains(words), "{kind}: {error}");
        }
    }

    #[test]
    fn a_queue_that_somebody_consumes_is_refused() {
        assert!(unconsumed("out", 0).is_ok());
        let error = unconsumed("out", 2).expect_err("two").to_string();
        assert!(error.contains("2 consumers") && error.contains("exchange=NAME"), "{error}");
    }

    #[test]
    fn what_a_user_needs_is_named() {
        assert_eq!(needs("out", false), Needs { read: "^out$".to_owned(), ..Needs::default() });
        let of_exchange = needs("results", true);
        assert_eq!(of_exchange.read, r"^dejaq\..*$|^results$");
        assert!(regex::Regex::new(&of_exchange.write).expect("a pattern").is_match("amq.default"));
    }
}
