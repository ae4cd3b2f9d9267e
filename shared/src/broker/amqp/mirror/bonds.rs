//! Which bindings our queue gets: copies of those that production has. Pure.
//!
//! A copy of a binding takes what somebody takes already, so it changes nothing for publishers: a message that nobody wanted is
//! still returned to who published it as mandatory, and still goes to the alternate exchange. Catch-all gives that up.
//!
//! Limits: a message that is published to an exchange and that no binding takes is not recorded, unless by catch-all (which a
//! direct exchange has not) or by the firehose. What an exchange hands on to another one and nobody takes there is recorded.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::broker::amqp::topology::{Exchange, OWN_PREFIX, VirtualHost, canonical};
use crate::broker::mirror::MirrorBy;
use crate::broker::source::TopicSelection;

/// The exchange to which the firehose publishes.
pub(super) const TRACE_EXCHANGE: &str = "amq.rabbitmq.trace";
/// What of the firehose is wanted: each message once, as it was published.
const TRACE_KEY: &str = "publish.#";

/// What is recorded of a virtual host.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) exchanges: TopicSelection,
    pub(super) mode: MirrorBy,
}

/// A binding of our queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bond {
    pub(super) source: String,
    pub(super) routing_key: String,
    /// As JSON, the same text for equal ones.
    arguments: String,
}

impl Bond {
    fn new(source: &str, routing_key: &str, arguments: &Map<String, Value>) -> Self {
        Self { source: source.to_owned(), routing_key: routing_key.to_owned(), arguments: canonical(arguments) }
    }

    pub(super) fn arguments(&self) -> Map<String, Value> {
        serde_json::from_str(&self.arguments).unwrap_or_default()
    }

    /// Whether one of these takes all that this one takes, as far as that is plain to see.
    fn is_covered_by(&self, others: &BTreeSet<Self>, vhost: &VirtualHost) -> bool {
        let topic = vhost.exchange(&self.source).is_some_and(|exchange| exchange.kind == "topic");
        topic && others.contains(&Self { routing_key: "#".to_owned(), ..self.clone() })
    }
}

/// The types of exchanges that a queue may be bound to without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Direct,
    Topic,
    Fanout,
    Headers,
}

impl Kind {
    /// # Errors
    /// Why a queue of ours must not be bound to an exchange of this type.
    pub(super) fn of(exchange: &Exchange) -> Result<Self, &'static str> {
        Ok(match exchange.kind.as_str() {
            _ if exchange.name.is_empty() => {
                return Err("nothing can be bound to the default exchange; only --firehose sees what is published to it");
            }
            "direct" => Self::Direct,
            "topic" => Self::Topic,
            "fanout" => Self::Fanout,
            "headers" => Self::Headers,
            "x-consistent-hash" | "x-modulus-hash" => {
                return Err(
                    "it shares messages out among its queues: one more would take production's share of them; record the exchange before it, or use --firehose",
                );
            }
            "x-random" => {
                return Err(
                    "it gives each message to one of its queues: ours would take messages from production; record the exchange before it, or use --firehose",
                );
            }
            "x-delayed-message" => {
                return Err("what its plugin does with one more queue is not known here; record the exchange before it, or use --firehose");
            }
            _ => return Err("its type comes from a plugin, and what one more queue does to production is not known here; use --firehose"),
        })
    }
}

/// Whether this exchange is asked for: by its name, or by a pattern, which takes none that RabbitMQ makes itself.
pub(super) fn asked_for(wanted: &Wanted, exchange: &Exchange) -> bool {
    let by_name = wanted.exchanges.names().contains(&exchange.name);
    by_name || (!exchange.is_predeclared() && wanted.exchanges.accepts(&exchange.name))
}

/// The bindings that our queue should have.
pub(super) fn wanted_bonds(wanted: &Wanted, vhost: &VirtualHost) -> BTreeSet<Bond> {
    if wanted.mode == MirrorBy::Firehose {
        return BTreeSet::from([Bond::new(TRACE_EXCHANGE, TRACE_KEY, &Map::new())]);
    }
    let of_exchange = |exchange: &Exchange| {
        let kind = Kind::of(exchange).ok()?;
        Some(match (wanted.mode, kind) {
            (MirrorBy::CatchAll, Kind::Topic) => vec![Bond::new(&exchange.name, "#", &Map::new())],
            (MirrorBy::CatchAll, Kind::Fanout) => vec![Bond::new(&exchange.name, "", &Map::new())],
            (MirrorBy::CatchAll, Kind::Headers) => {
                let everything = Map::from_iter([("x-match".to_owned(), json!("all"))]);
                vec![Bond::new(&exchange.name, "", &everything)]
            }
            _ => copies(exchange, kind, vhost).collect(),
        })
    };
    vhost.exchanges.iter().filter(|exchange| asked_for(wanted, exchange)).filter_map(of_exchange).flatten().collect()
}

/// A copy of each binding of the exchange, with what its type looks at and no more.
fn copies<'a>(exchange: &'a Exchange, kind: Kind, vhost: &'a VirtualHost) -> impl Iterator<Item = Bond> + 'a {
    let none = Map::new();
    let theirs = vhost.bindings.iter().filter(|binding| binding.source == exchange.name && !binding.destination.starts_with(OWN_PREFIX));
    theirs.map(move |binding| match kind {
        Kind::Direct | Kind::Topic => Bond::new(&exchange.name, &binding.routing_key, &none),
        Kind::Fanout => Bond::new(&exchange.name, "", &none),
        Kind::Headers => Bond::new(&exchange.name, "", &binding.arguments),
    })
}

/// The bindings that our queue has, as the broker lists them.
pub(super) fn present_bonds(queue: &str, vhost: &VirtualHost) -> BTreeSet<Bond> {
    let ours = vhost.bindings.iter().filter(|binding| binding.destination == queue && !binding.source.is_empty());
    ours.map(|binding| Bond::new(&binding.source, &binding.routing_key, &binding.arguments)).collect()
}

/// What is to be done so that our queue has the bindings that it should have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) bind: Vec<Bond>,
    pub(super) unbind: Vec<Bond>,
    /// The exchanges of which something passed that was not recorded, until `bind` is done.
    pub(super) missed: BTreeSet<String>,
}

pub(super) fn change(present: &BTreeSet<Bond>, should: &BTreeSet<Bond>, vhost: &VirtualHost) -> Change {
    let bind: Vec<Bond> = should.difference(present).cloned().collect();
    Change {
        missed: bind.iter().filter(|bond| !bond.is_covered_by(present, vhost)).map(|bond| bond.source.clone()).collect(),
        unbind: present.difference(should).cloned().collect(),
        bind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::amqp::topology::{Binding, DestinationType};

    fn exchange(name: &str, kind: &str) -> Exchange {
        Exchange { name: name.into(), kind: kind.into(), durable: true, ..Exchange::default() }
    }

    fn binding(source: &str, destination: &str, key: &str, arguments: &Value) -> Binding {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let (source, destination, routing_key) = (source.into(), destination.into(), key.into());
        Binding { source, destination, destination_type: DestinationType::Queue, routing_key, arguments }
    }

    fn production() -> VirtualHost {
        let exchanges = ["d direct", "t topic", "f fanout", "h headers", "c x-consistent-hash", "amq.topic topic"];
        let of = |text: &str| text.split_once(' ').map(|(name, kind)| exchange(name, kind)).expect("name and type");
        VirtualHost {
            name: "/".into(),
            exchanges: exchanges.map(of).into(),
            bindings: vec![
                binding("d", "q1", "eu", &json!({"looked-at-by": "nobody"})),
                binding("d", "q2", "eu", &Value::Null),
                binding("d", "q2", "us", &Value::Null),
                binding("t", "q1", "orders.*", &Value::Null),
                binding("t", "dejaq.other", "#", &Value::Null),
                binding("f", "q1", "whatever", &Value::Null),
                binding("f", "q2", "", &Value::Null),
                binding("h", "q1", "", &json!({"x-match": "any", "kind": "a"})),
                binding("c", "q1", "1", &Value::Null),
                binding("amq.topic", "q1", "#", &Value::Null),
            ],
            ..VirtualHost::default()
        }
    }

    fn wanted(list: &[&str], mode: MirrorBy) -> Wanted {
        Wanted { exchanges: TopicSelection::parse(list.iter().copied()).expect("patterns"), mode }
    }

    fn bonds(list: &[&str], mode: MirrorBy) -> Vec<(String, String, Value)> {
        let found = wanted_bonds(&wanted(list, mode), &production());
        found.into_iter().map(|b| (b.source.clone(), b.routing_key.clone(), Value::Object(b.arguments()))).collect()
    }

    fn expected(list: &[(&str, &str, Value)]) -> Vec<(String, String, Value)> {
        list.iter().map(|(source, key, arguments)| ((*source).to_owned(), (*key).to_owned(), arguments.clone())).collect()
    }

    #[test]
    fn each_binding_of_production_is_copied_once_and_those_of_other_captures_are_not() {
        let all = [
            ("d", "eu", json!({})),
            ("d", "us", json!({})),
            ("f", "", json!({})),
            ("h", "", json!({"kind": "a", "x-match": "any"})),
            ("t", "orders.*", json!({})),
        ];
        assert_eq!(
            bonds(&["^."], MirrorBy::Bindings),
            expected(&all),
            "a pattern takes neither amq.* nor a type that must not be bound to"
        );
        assert_eq!(bonds(&["amq.topic"], MirrorBy::Bindings), expected(&[("amq.topic", "#", json!({}))]));
        assert_eq!(bonds(&["f"], MirrorBy::Bindings), expected(&[("f", "", json!({}))]));
    }

    #[test]
    fn catch_all_takes_everything_that_can_be_taken_and_the_firehose_its_own() {
        let all = [("d", "eu", json!({})), ("d", "us", json!({})), ("h", "", json!({"x-match": "all"})), ("t", "#", json!({}))];
        assert_eq!(bonds(&["d", "h", "t"], MirrorBy::CatchAll), expected(&all));
        assert_eq!(bonds(&["d"], MirrorBy::Firehose), expected(&[("amq.rabbitmq.trace", "publish.#", json!({}))]));
    }

    #[test]
    fn what_came_is_bound_what_went_is_unbound_and_what_was_covered_was_not_missed() {
        let set = |bonds: &[(&str, &str)]| bonds.iter().map(|(source, key)| Bond::new(source, key, &Map::new())).collect::<BTreeSet<_>>();
        let vhost = VirtualHost {
            exchanges: vec![exchange("t", "topic"), exchange("u", "topic"), exchange("d", "direct")],
            ..VirtualHost::default()
        };
        let found = change(&set(&[("t", "a"), ("u", "#"), ("d", "x")]), &set(&[("t", "a"), ("t", "b"), ("u", "#"), ("u", "c")]), &vhost);
        assert_eq!(found.bind, set(&[("t", "b"), ("u", "c")]).into_iter().collect::<Vec<_>>());
        assert_eq!(found.unbind, set(&[("d", "x")]).into_iter().collect::<Vec<_>>());
        assert_eq!(found.missed, BTreeSet::from(["t".to_owned()]));
        assert_eq!(change(&set(&[("t", "a")]), &set(&[("t", "a")]), &vhost), Change::default());
        let literal = change(&set(&[("d", "#")]), &set(&[("d", "#"), ("d", "y")]), &vhost);
        assert_eq!(literal.missed.len(), 1, "a direct exchange knows no wildcard");
    }

    #[test]
    fn our_own_bindings_are_read_back_as_they_were_made() {
        let mut vhost = production();
        let should = wanted_bonds(&wanted(&["h", "t"], MirrorBy::Bindings), &vhost);
        let ours = |bond: &Bond| binding(&bond.source, "dejaq.1", &bond.routing_key, &Value::Object(bond.arguments()));
        vhost.bindings.extend(should.iter().map(ours).collect::<Vec<_>>());
        vhost.bindings.push(binding("", "dejaq.1", "dejaq.1", &Value::Null));
        assert_eq!(change(&present_bonds("dejaq.1", &vhost), &should, &vhost), Change::default());
    }

    #[test]
    fn a_type_that_shares_messages_out_is_refused_with_the_reason() {
        let refused = |name: &str, kind: &str| Kind::of(&exchange(name, kind)).expect_err("refused");
        assert!(refused("c", "x-consistent-hash").contains("share"));
        assert!(refused("r", "x-random").contains("take messages from production"));
        assert!(refused("", "direct").contains("--firehose"));
        assert!(refused("p", "x-some-plugin").contains("plugin"));
        assert_eq!(Kind::of(&exchange("d", "direct")), Ok(Kind::Direct));
    }
}
