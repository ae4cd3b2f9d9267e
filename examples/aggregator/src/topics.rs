//! The topics that the service and its traffic need, made where they are not there. What is there is left as it is.

use std::str::FromStr;

use anyhow::Context as _;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;

/// As many replicas as the cluster has by default.
const REPLICAS: TopicReplication<'_> = TopicReplication::Fixed(-1);

/// A topic, typed as `name:partitions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions it is to have.
    pub partitions: i32,
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (name, partitions) = text.rsplit_once(':')?;
            let partitions = partitions.parse().ok().filter(|n| *n > 0)?;
            (!name.is_empty()).then(|| Self { name: name.to_owned(), partitions })
        };
        read().ok_or_else(|| "a name and a number of partitions, such as metrics:4".to_owned())
    }
}

/// Makes them in the cluster at `brokers` (`host:port,…`).
///
/// # Errors
/// When the cluster cannot be reached or refuses.
pub fn make(brokers: &str, topics: &[Topic]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().context("making the client")?;
    let new: Vec<NewTopic<'_>> = topics.iter().map(|topic| NewTopic::new(&topic.name, topic.partitions, REPLICAS)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("starting the client")?;
    let answers = runtime.block_on(admin.create_topics(&new, &AdminOptions::new())).context("making topics")?;
    for answer in answers {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, error)) => anyhow::bail!("making topic {name}: {error}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_name_and_a_number() {
        assert_eq!("a:b:4".parse(), Ok(Topic { name: "a:b".to_owned(), partitions: 4 }));
        for bad in ["metrics", "metrics:", ":4", "metrics:0", "metrics:x"] {
            assert!(bad.parse::<Topic>().is_err_and(|why| why.contains("such as")), "{bad}");
        }
    }
}
