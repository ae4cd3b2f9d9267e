//! What is wrong, or worth knowing, before a recording of RabbitMQ begins. Pure: it looks at what stands at the broker.
//!
//! Refused: an exchange that is not there, one whose type shares messages out, the firehose where tracing is off, a policy that
//! our queue cannot live with. Said: what the capture changes for production, and what it cannot see.

use super::bonds::{Kind, Wanted, asked_for, wanted_bonds};
use super::ours::OurQueue;
use crate::broker::BrokerError;
use crate::broker::amqp::topology::{Exchange, Policy, VirtualHost};
use crate::broker::mirror::MirrorBy;

/// The most names that one text lists.
const NAMED_MAX: usize = 20;

/// What stands at a virtual host, as far as a capture depends on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) vhost: VirtualHost,
    /// Whether all policies are shown to the user.
    pub(super) policies_shown: bool,
    /// Policies that only an operator may set; they hold beside the others.
    pub(super) operator_policies: Vec<Policy>,
    /// Whether the firehose is on; `None`: not told.
    pub(super) tracing: Option<bool>,
}

/// Everything together.
///
/// # Errors
/// The first thing that is refused, with what to do.
pub(super) fn check(wanted: &Wanted, ours: &OurQueue, standing: &[Standing]) -> Result<Vec<String>, BrokerError> {
    let mut warnings = Vec::new();
    exchanges(wanted, standing, &mut warnings)?;
    for there in standing {
        let name = &there.vhost.name;
        for policies in [&there.vhost.policies, &there.operator_policies] {
            let (policy, unread) = ours.policy_for(policies);
            if let Some(policy) = policy {
                warnings.extend(ours.bears(name, &policy.name, policy.priority, &policy.definition)?);
            }
            warnings.extend(unread.iter().map(|policy| {
                format!("virtual host {name:?}: whether policy {policy:?} holds for our queue is only seen once it is made: its pattern is not understood here")
            }));
        }
        match wanted.mode {
            MirrorBy::Firehose => firehose(there, &mut warnings)?,
            MirrorBy::CatchAll => catch_all(wanted, there, &mut warnings),
            MirrorBy::Bindings => {}
        }
        if wanted.mode != MirrorBy::Firehose {
            particulars(wanted, there, &mut warnings);
        }
    }
    Ok(warnings)
}

/// Every exchange that is named is there, and may be bound to.
fn exchanges(wanted: &Wanted, standing: &[Standing], warnings: &mut Vec<String>) -> Result<(), BrokerError> {
    for name in wanted.exchanges.names() {
        let mut found = standing.iter().filter_map(|there| there.vhost.exchange(name)).peekable();
        if found.peek().is_none() && !name.is_empty() {
            return Err(refused(format!("finding exchange {name:?}"), format!("there is none of that name{}", there_are(standing))));
        }
        if wanted.mode == MirrorBy::Firehose {
            continue;
        }
        if name.is_empty() {
            let default = Exchange::default();
            return Err(refused("recording the default exchange".to_owned(), Kind::of(&default).err().unwrap_or_default().to_owned()));
        }
        for exchange in found {
            Kind::of(exchange)
                .map_err(|why| refused(format!("recording exchange {name:?} of type {:?}", exchange.kind), why.to_owned()))?;
        }
    }
    let asked = standing.iter().flat_map(|there| there.vhost.exchanges.iter().map(move |exchange| (&there.vhost.name, exchange)));
    let mut taken = 0;
    for (vhost, exchange) in asked.filter(|(_, exchange)| asked_for(wanted, exchange)) {
        match Kind::of(exchange) {
            Err(why) if wanted.mode != MirrorBy::Firehose => {
                warnings.push(format!("virtual host {vhost:?}: exchange {:?} is left out: {why}", exchange.name));
            }
            _ => taken += 1,
        }
    }
    if taken == 0 && wanted.mode != MirrorBy::Firehose {
        return Err(refused(
            "finding the exchanges".to_owned(),
            format!("no pattern takes one that can be recorded{}", there_are(standing)),
        ));
    }
    Ok(())
}

/// The broker's trace is on, and what it costs.
fn firehose(there: &Standing, warnings: &mut Vec<String>) -> Result<(), BrokerError> {
    let name = &there.vhost.name;
    if there.tracing == Some(false) {
        return Err(refused(
            format!("recording the firehose of virtual host {name:?}"),
            format!("tracing is off there; to turn it on: rabbitmqctl trace_on -p '{name}' (and trace_off when you are done)"),
        ));
    }
    warnings.push(format!(
        "virtual host {name:?}: the firehose makes the broker publish every message of this virtual host, and every delivery of it, once more: \
         it costs CPU as long as tracing is on, and dejaq does not turn it off (rabbitmqctl trace_off -p '{name}')"
    ));
    Ok(())
}

/// What a binding that takes everything changes for those who publish.
fn catch_all(wanted: &Wanted, there: &Standing, warnings: &mut Vec<String>) {
    let name = &there.vhost.name;
    for exchange in there.vhost.exchanges.iter().filter(|exchange| asked_for(wanted, exchange)) {
        match Kind::of(exchange) {
            Ok(Kind::Direct) => warnings.push(format!(
                "virtual host {name:?}: exchange {:?} is of type direct, which has nothing that takes everything: its bindings are copied",
                exchange.name
            )),
            Ok(_) => {
                let other = alternate(exchange, &there.vhost.policies).map_or(String::new(), |other| {
                    format!("; its alternate exchange {other:?} gets nothing any more while the capture runs")
                });
                warnings.push(format!(
                    "virtual host {name:?}: catch-all takes every message of exchange {:?}: publishers that set mandatory are no longer told of \
                     messages that nobody else wants{other}",
                    exchange.name
                ));
            }
            Err(_) => {}
        }
    }
}

/// What is worth knowing of single exchanges.
fn particulars(wanted: &Wanted, there: &Standing, warnings: &mut Vec<String>) {
    let name = &there.vhost.name;
    let bonds = wanted_bonds(wanted, &there.vhost);
    for exchange in there.vhost.exchanges.iter().filter(|exchange| asked_for(wanted, exchange) && Kind::of(exchange).is_ok()) {
        if !bonds.iter().any(|bond| bond.source == exchange.name) {
            warnings.push(format!(
                "virtual host {name:?}: nothing is bound to exchange {:?}, so nothing of it is recorded until something is",
                exchange.name
            ));
        }
        if exchange.auto_delete {
            warnings.push(format!(
                "virtual host {name:?}: exchange {:?} deletes itself with its last binding; our copy keeps it for up to one resync longer",
                exchange.name
            ));
        }
    }
}

/// The alternate exchange of an exchange: by its argument, or by the policy that holds for it.
fn alternate<'a>(exchange: &'a Exchange, policies: &'a [Policy]) -> Option<&'a str> {
    let by_argument = exchange.arguments.get("alternate-exchange");
    let holds = |policy: &&Policy| {
        matches!(policy.apply_to.as_str(), "exchanges" | "all")
            && regex::Regex::new(&policy.pattern).is_ok_and(|pattern| pattern.is_match(&exchange.name))
    };
    let by_policy = || policies.iter().filter(holds).max_by_key(|policy| policy.priority)?.definition.get("alternate-exchange");
    by_argument.or_else(by_policy)?.as_str()
}

fn there_are(standing: &[Standing]) -> String {
    let mut texts = Vec::new();
    for there in standing {
        let names: Vec<&str> =
            there.vhost.exchanges.iter().map(|exchange| exchange.name.as_str()).filter(|name| !name.is_empty()).collect();
        let more = names.len().saturating_sub(NAMED_MAX);
        let mut list = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        if more > 0 {
            list.push_str(&format!(" and {more} more"));
        }
        texts.push(format!("in virtual host {:?} there are {list}", there.vhost.name));
    }
    format!("; {}", texts.join("; "))
}

fn refused(request: String, reason: String) -> BrokerError {
    BrokerError::Request { request, reason, retryable: false }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::broker::amqp::topology::Binding;
    use crate::broker::source::TopicSelection;

    fn exchange(name: &str, kind: &str) -> Exchange {
        Exchange { name: name.into(), kind: kind.into(), ..Exchange::default() }
    }

    fn standing() -> Standing {
        let mut orders = exchange("orders", "topic");
        orders.arguments.insert("alternate-exchange".into(), json!("unrouted"));
        let exchanges = vec![exchange("", "direct"), orders, exchange("direct", "direct"), exchange("shared", "x-consistent-hash")];
        let binding = Binding { source: "orders".into(), destination: "q".into(), routing_key: "#".into(), ..Binding::default() };
        let vhost = VirtualHost { name: "/".into(), exchanges, bindings: vec![binding], ..VirtualHost::default() };
        Standing { vhost, tracing: Some(false), ..Standing::default() }
    }

    fn asked(list: &[&str], mode: MirrorBy, standing: &Standing) -> Result<Vec<String>, String> {
        let wanted = Wanted { exchanges: TopicSelection::parse(list.iter().copied()).expect("patterns"), mode };
        let ours = OurQueue { name: OurQueue::name_of("1"), messages_max: 10, bytes_max: 10, expires: Duration::from_secs(60) };
        check(&wanted, &ours, std::slice::from_ref(standing)).map_err(|e| e.to_string())
    }

    #[test]
    fn what_cannot_be_recorded_is_refused_with_the_reason() {
        let refused = |list: &[&str]| asked(list, MirrorBy::Bindings, &standing()).expect_err("refused");
        let missing = refused(&["order"]);
        assert!(missing.contains("there is none of that name; in virtual host \"/\" there are orders, direct, shared"), "{missing}");
        assert!(refused(&["shared"]).contains("shares messages out"));
        assert!(refused(&[""]).contains("only --firehose"));
        assert!(refused(&["^nothing"]).contains("no pattern takes one"));
        assert!(refused(&["^sha"]).contains("no pattern takes one"));
    }

    #[test]
    fn a_pattern_leaves_out_what_it_must_not_take_and_says_so() {
        let warnings = asked(&["^."], MirrorBy::Bindings, &standing()).expect("fine");
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("\"shared\" is left out") && warnings[1].contains("nothing is bound to exchange \"direct\""));
        assert_eq!(asked(&["orders"], MirrorBy::Bindings, &standing()), Ok(vec![]), "copies change nothing for anybody");
    }

    #[test]
    fn catch_all_names_those_for_whom_it_changes_something() {
        let warnings = asked(&["orders"], MirrorBy::CatchAll, &standing()).expect("fine").join("\n");
        assert!(warnings.contains("mandatory") && warnings.contains("alternate exchange \"unrouted\""), "{warnings}");
        let mut by_policy = standing();
        by_policy.vhost.exchanges[1].arguments.clear();
        let definition = json!({"alternate-exchange": "lost"}).as_object().cloned().expect("an object");
        let policy = Policy { name: "p".into(), pattern: "^ord".into(), apply_to: "exchanges".into(), priority: 0, definition };
        by_policy.vhost.policies.push(policy);
        let warnings = asked(&["orders"], MirrorBy::CatchAll, &by_policy).expect("fine").join("\n");
        assert!(warnings.contains("alternate exchange \"lost\""), "{warnings}");
        assert!(asked(&["direct"], MirrorBy::CatchAll, &standing()).expect("fine")[0].contains("its bindings are copied"));
    }

    #[test]
    fn the_firehose_is_refused_where_it_is_off_and_its_cost_is_said() {
        assert!(asked(&["^."], MirrorBy::Firehose, &standing()).expect_err("off").contains("rabbitmqctl trace_on -p '/'"));
        let on = Standing { tracing: Some(true), ..standing() };
        assert!(asked(&["^."], MirrorBy::Firehose, &on).expect("on")[0].contains("costs CPU"));
        assert!(asked(&["order"], MirrorBy::Firehose, &on).expect_err("missing").contains("none of that name"));
    }

    #[test]
    fn policies_of_operators_hold_too() {
        let mut there = standing();
        let definition = json!({"message-ttl": 5}).as_object().cloned().expect("an object");
        let policy = Policy { name: "ttl".into(), pattern: "".into(), apply_to: "queues".into(), priority: 1, definition };
        there.operator_policies.push(policy);
        assert!(asked(&["orders"], MirrorBy::Bindings, &there).expect_err("refused").contains("policy \"ttl\""));
    }
}
