//! What a Kafka topic's settings mean: for its time stamps, and for another topic that is to be made like it. Pure, and the same
//! whatever a build can speak to: a recording has topics in any case.

use crate::broker::sink::{NewTopic, TargetTopic, TopicTimes};

/// Settings that name brokers of their own cluster: nothing to another.
const OF_THE_SOURCE: [&str; 2] = ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];
const IN_SYNC: &str = "min.insync.replicas";

/// What settings make of a topic's time stamps; `get` gives a setting's value.
#[must_use]
pub fn times<'a>(get: &dyn Fn(&str) -> Option<&'a str>) -> TopicTimes {
    // The largest number stands for "without a limit".
    let limit = |name: &str| get(name).and_then(|value| value.parse().ok()).filter(|ms| *ms != i64::MAX.cast_unsigned());
    // Before Kafka 3.6 one setting was both.
    let both = limit("message.timestamp.difference.max.ms");
    let deletes = get("cleanup.policy").is_none_or(|policy| policy.split(',').any(|p| p.trim() == "delete"));
    TopicTimes {
        known: true,
        // -1, for ever, is no number of this type.
        retention_ms: limit("retention.ms").filter(|_| deletes),
        before_max_ms: [limit("message.timestamp.before.max.ms"), both].into_iter().flatten().min(),
        after_max_ms: [limit("message.timestamp.after.max.ms"), both].into_iter().flatten().min(),
        append: get("message.timestamp.type") == Some("LogAppendTime"),
    }
}

/// A topic that is not there yet, as far as its own settings tell: the target's defaults are not known.
#[must_use]
pub fn planned(topic: &NewTopic) -> TargetTopic {
    let get = |name: &str| topic.settings.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    TargetTopic {
        name: topic.name.clone(),
        partitions: Some(topic.partitions),
        message_bytes_max: get("max.message.bytes").and_then(|bytes| bytes.parse().ok()),
        times: TopicTimes { known: false, ..times(&get) },
    }
}

/// Takes out of a new topic's settings what cannot hold at a cluster that keeps `replicas` of a topic by default (`None`:
/// not known), and says what that was.
#[must_use]
pub fn fit(topic: &mut NewTopic, replicas: Option<u32>) -> Vec<String> {
    let mut said = Vec::new();
    let name = topic.name.clone();
    topic.settings.retain_mut(|(key, value)| {
        if OF_THE_SOURCE.contains(&key.as_str()) {
            said.push(format!("new topic {name:?}: {key} is left out, it names brokers of the source"));
            return false;
        }
        let wanted = value.parse::<u32>().ok().filter(|_| key == IN_SYNC);
        match (wanted, replicas) {
            (Some(wanted), Some(replicas)) if wanted > replicas => {
                said.push(format!("new topic {name:?}: {IN_SYNC} is {replicas} instead of {wanted}, the target keeps {replicas} by default"));
                *value = replicas.to_string();
                true
            }
            (Some(wanted), None) if wanted > 1 => {
                said.push(format!(
                    "new topic {name:?}: {IN_SYNC}={wanted} is left out, the target does not tell how many replicas it keeps by default (the user may not describe its brokers' settings)"
                ));
                false
            }
            _ => true,
        }
    });
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)]) -> NewTopic {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        NewTopic { name: "t".to_owned(), partitions: 3, settings }
    }

    #[test]
    fn time_settings_are_read_and_no_limit_is_none() {
        let forever = i64::MAX.to_string();
        let found = |settings: &[(&str, &str)]| planned(&of(settings)).times;
        assert_eq!(found(&[]), TopicTimes::default());
        assert_eq!(found(&[("retention.ms", "-1"), ("message.timestamp.before.max.ms", &forever)]), TopicTimes::default());
        let times = found(&[
            ("retention.ms", "1000"),
            ("cleanup.policy", "compact, delete"),
            ("message.timestamp.after.max.ms", "3600000"),
            ("message.timestamp.difference.max.ms", "5000"),
            ("message.timestamp.type", "LogAppendTime"),
        ]);
        let expected =
            TopicTimes { known: false, retention_ms: Some(1_000), before_max_ms: Some(5_000), after_max_ms: Some(5_000), append: true };
        assert_eq!(times, expected);
        assert_eq!(found(&[("retention.ms", "1000"), ("cleanup.policy", "compact")]).retention_ms, None, "nothing is deleted by age");
    }

    #[test]
    fn what_cannot_hold_at_the_target_is_left_out_or_lowered_and_said() {
        let own = [("min.insync.replicas", "2"), ("leader.replication.throttled.replicas", "0:1"), ("retention.ms", "5")];
        let mut topic = of(&own);
        let said = fit(&mut topic, Some(1));
        assert_eq!(topic.settings, of(&[("min.insync.replicas", "1"), ("retention.ms", "5")]).settings);
        assert_eq!(said.len(), 2, "{said:?}");
        let mut topic = of(&own);
        assert_eq!(fit(&mut topic, Some(3)).len(), 1);
        assert_eq!(topic.settings, of(&[own[0], own[2]]).settings);
        let mut topic = of(&own);
        assert_eq!(fit(&mut topic, None).len(), 2);
        assert_eq!(topic.settings, of(&[own[2]]).settings, "unknown: the target's own default is safer");
        assert_eq!(fit(&mut of(&[("min.insync.replicas", "1")]), None), [] as [String; 0]);
    }
}
