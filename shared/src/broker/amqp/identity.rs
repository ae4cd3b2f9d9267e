//! Which cluster a broker belongs to: the persistent id that RabbitMQ makes with it.
//!
//! Guarantees: never the cluster's name, nor a node's, which two clusters can share: replay must know its source again, whichever
//! way both are asked. Where the id cannot be read, the error says what is needed.
//!
//! Limits: the node that answers by HTTP is taken to be of the cluster that answers by AMQP, unless the cluster's name that the broker
//! greets with by AMQP is another one: that is an error.

use super::management::Management;
use super::prometheus::Prometheus;
use crate::broker::BrokerError;

/// Asks for the cluster's id: the Prometheus plugin, which everybody may ask, then the management API. `greeted` is the cluster's
/// name as the broker said it by AMQP, where that is known.
///
/// # Errors
/// When neither tells it; what each said, and what to do.
pub(super) fn identify(prometheus: &Prometheus, management: &Management, greeted: Option<&str>) -> Result<String, BrokerError> {
    let told = match prometheus.identity() {
        Ok(Some(info)) => {
            agree(greeted, &info.cluster_name, "prometheus")?;
            return Ok(info.cluster_id);
        }
        Ok(None) => "it does not tell (RabbitMQ before 3.8.10?)".to_owned(),
        Err(error) => error.to_string(),
    };
    let by_management = management.cluster_id().and_then(|id| match id {
        Some(id) => agree(greeted, &management.overview()?.cluster_name, "management").map(|()| Some(id)),
        None => Ok(None),
    });
    let said = match by_management {
        Ok(Some(id)) => return Ok(id),
        Ok(None) => "it does not tell".to_owned(),
        Err(error @ BrokerError::Property { .. }) => return Err(error),
        Err(error) => error.to_string(),
    };
    Err(BrokerError::Request {
        request: "asking for the RabbitMQ cluster's persistent id".to_owned(),
        reason: format!(
            "without it a replay could not know its source again. The Prometheus plugin: {told}. The management API: {said}. One of them is \
             needed: rabbitmq-plugins enable rabbitmq_prometheus (-X prometheus=http://HOST:15692 where it is elsewhere), or the tag policymaker \
             for the management API (-X management=http://HOST:15672)"
        ),
        retryable: false,
    })
}

/// Holds a node's cluster name against the one that the broker greeted us with.
fn agree(greeted: Option<&str>, told: &str, property: &str) -> Result<(), BrokerError> {
    match greeted {
        Some(greeted) if greeted != told => Err(BrokerError::Property {
            property: property.to_owned(),
            value: "its URL".to_owned(),
            reason: format!("the node there is of cluster {told:?}, and the broker that messages go through is of cluster {greeted:?}"),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::agree;

    #[test]
    fn a_node_of_another_cluster_is_not_believed() {
        assert!(agree(Some("prod"), "prod", "prometheus").is_ok());
        assert!(agree(None, "prod", "prometheus").is_ok());
        let error = agree(Some("prod"), "staging", "prometheus").expect_err("another").to_string();
        assert!(error.contains("\"staging\"") && error.contains("\"prod\"") && error.contains("prometheus"), "{error}");
    }
}
