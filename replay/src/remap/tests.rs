use super::*;
use crate::partitioner::java_partition;
use crate::testing::stream;
use dejaq_shared::broker::sink::TopicTimes;

fn target(name: &str, partitions: Option<u32>) -> TargetTopic {
    TargetTopic { name: name.to_owned(), partitions, message_bytes_max: Some(1_000), times: TopicTimes::default() }
}

fn pairs(map: &[(&str, &str)]) -> Vec<(String, String)> {
    map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn exact_keeps_partitions_and_refuses_a_narrow_target() {
    let streams = [stream("a", 0), stream("a", 4), stream("b", 0)];
    let plan = topics(&streams, &[true; 3], &pairs(&[("b", "bb")]), Target::KAFKA).expect("plan");
    let wide = [target("a", Some(5)), target("bb", Some(1))];
    let found = routes(&plan, &streams, &wide, Lanes::Partitions(PartitionMode::Exact)).expect("routes");
    assert_eq!(found, [Some(Route::fixed(0, 0)), Some(Route::fixed(0, 4)), Some(Route::fixed(1, 0))]);
    let narrow = [target("a", Some(4)), target("bb", Some(1))];
    let refused = routes(&plan, &streams, &narrow, Lanes::Partitions(PartitionMode::Exact)).expect_err("narrow");
    assert_eq!(refused, RemapError::TooFewPartitions { topic: "a".into(), have: 4, need: 5 });
    assert!(refused.to_string().contains("--partitions modulo"));
    let modulo = routes(&plan, &streams, &narrow, Lanes::Partitions(PartitionMode::Modulo)).expect("modulo");
    assert_eq!(modulo[1], Some(Route::fixed(0, 0)));
    let rekey = routes(&plan, &streams, &narrow, Lanes::Partitions(PartitionMode::Rekey)).expect("rekey")[1].expect("selected");
    assert_eq!((rekey.partition_of(None), rekey.by_key), (0, NonZeroU32::new(4)));
    assert_eq!(rekey.partition_of(Some(b"")), java_partition(b"", NonZeroU32::new(4).expect("4")), "an empty key is a key");
}

#[test]
fn streams_that_are_not_selected_go_nowhere() {
    let streams = [stream("a", 0), stream("b", 0)];
    let plan = topics(&streams, &[false, true], &[], Target::KAFKA).expect("plan");
    assert_eq!(
        routes(&plan, &streams, &[target("b", Some(1))], Lanes::Partitions(PartitionMode::Exact)),
        Ok(vec![None, Some(Route::fixed(0, 0))])
    );
}

#[test]
fn missing_topics_are_named_and_can_be_created_as_wide_as_at_the_source() {
    let streams = [stream("a", 1), stream("b", 0)];
    let plan = topics(&streams, &[true; 2], &pairs(&[("a", "x")]), Target::KAFKA).expect("plan");
    let at_target = [target("b", Some(1)), target("x", None)];
    assert_eq!(
        routes(&plan, &streams, &at_target, Lanes::Partitions(PartitionMode::Exact)),
        Err(RemapError::Missing(vec!["\"x\"".into()]))
    );
    let created = to_create(&plan, &at_target, &|t| (t == "a").then_some(6), &|_| pairs(&[("cleanup.policy", "compact")]));
    assert_eq!(created, [NewTopic { name: "x".into(), partitions: 6, settings: pairs(&[("cleanup.policy", "compact")]) }]);
}

#[test]
fn a_mapping_of_nothing_is_refused() {
    let refused = topics(&[stream("a", 0)], &[true], &pairs(&[("c", "d")]), Target::KAFKA).expect_err("no c");
    assert_eq!(refused.to_string(), "--map c=d: the recording has no selected topic \"c\"; it has a");
}

#[test]
fn records_too_large_for_their_topic_are_told_before() {
    let streams = [stream("a", 0), stream("a", 1)];
    let plan = topics(&streams, &[true; 2], &[], Target::KAFKA).expect("plan");
    let warnings = too_large(&plan, &streams, &[target("a", Some(2))], &[1_000 - BATCH_BYTES, 1_001 - BATCH_BYTES]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("stream a/1"), "{warnings:?}");
}

fn rabbit(vhost: &str, exchange: &str) -> Stream {
    Stream { cluster: "prod".into(), lane: Lane::RabbitExchange { vhost: vhost.into(), exchange: exchange.into() } }
}

fn queue(queue: &str) -> Stream {
    Stream { cluster: "prod".into(), lane: Lane::RabbitQueue { vhost: "/".into(), queue: queue.into() } }
}

fn named(streams: &[Stream], map: &[(&str, &str)], kind: TargetKind, vhost_given: bool) -> Result<Vec<String>, String> {
    let plan = topics(streams, &vec![true; streams.len()], &pairs(map), Target { kind, vhost_given }).map_err(|e| e.to_string())?;
    Ok(plan.topics.iter().map(|topic| format!("{:?}:{} as {}", topic.destination.vhost, topic.destination.name, topic.name)).collect())
}

#[test]
fn exchanges_keep_their_virtual_hosts_unless_the_url_names_one() {
    let streams = [rabbit("/", "orders"), rabbit("tenant", "orders"), rabbit("/", ""), queue("log")];
    let kept = named(&streams, &[], TargetKind::RabbitMq, false).expect("named");
    assert_eq!(kept, ["Some(\"/\"):orders as orders", "Some(\"tenant\"):orders as tenant/orders", "Some(\"/\"): as (default)"]);
    let one = named(&streams, &[], TargetKind::RabbitMq, true).expect("named");
    assert_eq!(one, ["None:orders as orders", "None: as (default)"]);
    let map = [("tenant/orders", "other"), ("(default)", "direct"), ("queue:log", "logs")];
    let mapped = named(&streams, &map, TargetKind::RabbitMq, true).expect("named");
    assert_eq!(mapped, ["None:orders as orders", "None:other as other", "None:direct as direct", "None:logs as logs"]);
    let both = named(&streams, &[("orders", "(default)")], TargetKind::RabbitMq, true).expect("named");
    assert_eq!(both, ["None: as (default)"]);
    assert_eq!(named(&[stream("t", 3)], &[("t", "x")], TargetKind::RabbitMq, false), Ok(vec!["None:x as x".into()]));
}

#[test]
fn exchanges_become_topics_that_kafka_can_have() {
    let found = named(&[rabbit("/", "amq.topic"), queue("log")], &[("log", "logs")], TargetKind::Kafka, false).expect("named");
    assert_eq!(found, ["None:amq.topic as amq.topic", "None:logs as logs"]);
    let refused = named(&[rabbit("/", "")], &[], TargetKind::Kafka, false).expect_err("no name");
    assert!(refused.contains("--map '(default)=TOPIC'"), "{refused}");
    assert_eq!(named(&[rabbit("/", "")], &[("(default)", "direct")], TargetKind::Kafka, false).expect("mapped").len(), 1);
    for name in ["my exchange", "größe", ".."] {
        let refused = named(&[rabbit("/", name)], &[], TargetKind::Kafka, false).expect_err(name);
        assert!(refused.contains("--map") && refused.contains("letters, digits"), "{refused}");
    }
}

#[test]
fn keys_decide_partitions_of_messages_and_connections_carry_streams() {
    let streams = [rabbit("/", "a"), rabbit("/", "b"), stream("c", 5)];
    let plan = topics(&streams, &[true; 3], &[], Target::KAFKA).expect("plan");
    assert_eq!(plan.topics.iter().map(|t| t.partitions).collect::<Vec<_>>(), [1, 1, 6]);
    let at_target = [target("a", Some(3)), target("b", Some(1)), target("c", Some(6))];
    let found = routes(&plan, &streams, &at_target, Lanes::Partitions(PartitionMode::Exact)).expect("routes");
    let a = found[0].expect("selected");
    assert_eq!(a.partition_of(Some(b"key")), java_partition(b"key", NonZeroU32::new(3).expect("3")));
    assert_eq!(a.partition_of(None), java_partition(b"a", NonZeroU32::new(3).expect("3")));
    assert_eq!(found[2], Some(Route::fixed(2, 5)));

    let rabbit = Target { kind: TargetKind::RabbitMq, vhost_given: true };
    let plan = topics(&streams, &[true; 3], &[], rabbit).expect("plan");
    let found = routes(&plan, &streams, &at_target, Lanes::Connections(&[1, 0, 1])).expect("routes");
    assert_eq!(found, [Some(Route::fixed(0, 1)), Some(Route::fixed(1, 0)), Some(Route::fixed(2, 1))]);
    let refused = routes(&plan, &streams, &at_target[..1], Lanes::Connections(&[])).expect_err("missing");
    assert!(refused.to_string().contains("no exchange \"b\", \"c\"; declare them, or give --create-topology"), "{refused}");
}
