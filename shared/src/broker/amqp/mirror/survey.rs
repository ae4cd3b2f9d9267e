//! What stands at the broker, asked of its management API.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::Standing;
use crate::broker::BrokerError;
use crate::broker::amqp::management::Management;
use crate::broker::amqp::topology::{Policy, VirtualHost};
use crate::broker::endpoint::percent_encode;

/// What is asked of all queues, to know whether others are counted with ours: no statistics, which cost the broker.
const QUEUES: &str = "/api/queues?disable_stats=true&columns=name,vhost,arguments";

/// What stands at a virtual host.
///
/// # Errors
/// When the API does not answer or refuses; when there is no such virtual host.
pub(super) fn standing(management: &Management, name: &str) -> Result<Standing, BrokerError> {
    let Some(exchanges) = management.exchanges(name)? else {
        let reason = format!("there is none of that name; there are {}", management.vhosts()?.join(", "));
        return Err(BrokerError::Request { request: format!("finding virtual host {name:?}"), reason, retryable: false });
    };
    let vhost = VirtualHost {
        name: name.to_owned(),
        exchanges,
        queues: management.queues(name)?,
        bindings: management.bindings(name)?,
        policies: Vec::new(),
    };
    let policies: Option<Vec<Policy>> = if_allowed(management.policies(name).map(Some))?;
    let operator_policies = if_allowed(management.find(&format!("/api/operator-policies/{}", percent_encode(name))))?;
    #[derive(Deserialize)]
    struct Traced {
        name: String,
        tracing: Option<bool>,
    }
    // One virtual host by itself is shown to administrators only.
    let traced: Vec<Traced> = management.find("/api/vhosts")?.unwrap_or_default();
    Ok(Standing {
        policies_shown: policies.is_some() && operator_policies.is_some(),
        vhost: VirtualHost { policies: policies.unwrap_or_default(), ..vhost },
        operator_policies: operator_policies.unwrap_or_default(),
        tracing: traced.into_iter().find(|traced| traced.name == name).and_then(|traced| traced.tracing),
    })
}

/// `None`: the user may not see it. What policies make of our queue the broker shows with the queue.
fn if_allowed<T>(answer: Result<Option<T>, BrokerError>) -> Result<Option<T>, BrokerError> {
    match answer {
        Err(BrokerError::MissingRight { .. }) => Ok(None),
        other => other,
    }
}

/// How many bytes of bodies wait in a queue, as statistics say that lag some seconds.
///
/// # Errors
/// When the API does not answer or refuses.
pub(super) fn bytes_waiting(management: &Management, vhost: &str, queue: &str) -> Result<Option<u64>, BrokerError> {
    #[derive(Deserialize)]
    struct Filled {
        message_bytes_ready: Option<u64>,
    }
    let filled: Option<Filled> = management.find(&format!("/api/queues/{}/{}", percent_encode(vhost), percent_encode(queue)))?;
    Ok(filled.and_then(|filled| filled.message_bytes_ready))
}

/// The nodes of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nodes {
    pub(super) count: usize,
    /// When the one that was started last was, nanoseconds since 1970; `None`: the API does not tell (yet).
    pub(super) started_ns: Option<i64>,
}

/// # Errors
/// When the API does not answer or refuses.
pub(super) fn nodes(management: &Management, now_ns: i64) -> Result<Nodes, BrokerError> {
    #[derive(Deserialize)]
    struct Node {
        /// Milliseconds.
        uptime: Option<i64>,
    }
    let nodes: Vec<Node> = management.find("/api/nodes?columns=uptime")?.unwrap_or_default();
    let uptime_ms = nodes.iter().filter_map(|node| node.uptime).min();
    let started_ns = uptime_ms.map(|uptime| now_ns.saturating_sub(uptime.saturating_mul(1_000_000)));
    Ok(Nodes { count: nodes.len(), started_ns })
}

/// Whether a bound can throw away messages of no other queue than these: there is one node, and no other queue has a bound.
///
/// # Errors
/// When the API does not answer or refuses.
pub(super) fn alone(management: &Management, ours: &str, vhosts: &[String], nodes: Nodes) -> Result<bool, BrokerError> {
    #[derive(Deserialize)]
    struct Bounded {
        name: String,
        vhost: String,
        #[serde(default)]
        arguments: Value,
    }
    if nodes.count != 1 || vhosts.len() != 1 {
        return Ok(false);
    }
    let queues: Vec<Bounded> = management.find(QUEUES)?.unwrap_or_default();
    let own = |queue: &Bounded| queue.name == ours && vhosts.contains(&queue.vhost);
    if queues.iter().any(|queue| !own(queue) && queue.arguments.as_object().is_some_and(bounds)) {
        return Ok(false);
    }
    // Without statistics a queue does not show what policy holds for it: one that bounds anything counts as one that does.
    for path in ["/api/policies", "/api/operator-policies"] {
        let policies: Option<Vec<Policy>> = if_allowed(management.find(path))?;
        if policies.is_none_or(|policies| policies.iter().any(|policy| bounds(&policy.definition))) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn bounds(says: &Map<String, Value>) -> bool {
    says.keys().any(|key| key.trim_start_matches("x-").starts_with("max-length"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bound_is_known_by_argument_and_by_policy() {
        let says = |value: Value| bounds(value.as_object().expect("an object"));
        assert!(says(json!({"x-max-length": 5})) && says(json!({"max-length-bytes": 5})));
        assert!(!says(json!({"x-expires": 5, "message-ttl": 5})));
    }
}
