use super::*;
use crate::config::RawOptions;
use crate::testing::stream;
use dejaq_shared::broker::sink::TopicTimes;

fn facts() -> RecordingFacts {
    RecordingFacts {
        id: "r".into(),
        clusters: vec!["prod".into()],
        streams: vec![stream("a", 0), stream("b", 0), stream("c", 0), stream("d", 0)],
        records: vec![5, 50, 500, 0],
        record_bytes_max: vec![10, 20, 30, 0],
        bytes_raw: 5_550,
        ..RecordingFacts::default()
    }
}

fn target(cluster: &str) -> TargetFacts {
    let topic = |name: &str| TargetTopic { name: name.into(), partitions: Some(1), message_bytes_max: None, times: TopicTimes::default() };
    TargetFacts { kind: TargetKind::Kafka, cluster: cluster.into(), topics: vec![topic("a"), topic("b"), topic("c")], asked_at_ns: 0 }
}

fn run(options: &RawOptions, cluster: &str) -> Result<RunSetup, PrepareError> {
    let options = options.validate().expect("valid");
    let plan = topics(&facts(), &options, Target::KAFKA)?;
    let clock = ClockDecision { clocks: Vec::new(), reasons: Vec::new() };
    prepare(&facts(), &options, &plan, &target(cluster), &clock, "run".into())
}

#[test]
fn topics_without_records_are_not_needed_and_the_largest_are_measured() {
    let setup = run(&RawOptions { measure_topics: Some(1), ..RawOptions::default() }, "staging").expect("prepared");
    assert_eq!(setup.classes, ["c", OTHER]);
    assert_eq!(setup.class_of_target, [1, 1, 0]);
    assert_eq!(setup.identity.class_of_stream, [Some(1), Some(1), Some(0), None]);
    assert_eq!(setup.planner.routes[3], None);
}

#[test]
fn the_source_is_refused_before_anything_else() {
    assert!(matches!(
        run(&RawOptions { allow_unknown_source: true, ..RawOptions::default() }, "prod"),
        Err(PrepareError::Guard(GuardError::Source { .. }))
    ));
}

#[test]
fn nothing_to_send_is_an_error() {
    assert!(matches!(run(&RawOptions { streams: vec!["d".into()], ..RawOptions::default() }, "staging"), Err(PrepareError::Nothing)));
}

#[test]
fn shards_take_whole_streams_and_their_part_of_a_ceiling() {
    let sharded = |text: &str, rate: Option<&str>| {
        run(&RawOptions { shard: Some(text.into()), max_rate: rate.map(Into::into), ..RawOptions::default() }, "staging")
    };
    let (first, second) = (sharded("1/2", None).expect("prepared"), sharded("2/2", None).expect("prepared"));
    assert_eq!(first.planner.elsewhere, [true, true, false, true], "the largest stream alone");
    assert_eq!(second.planner.elsewhere, [false, false, true, false]);
    assert_eq!(first.planner.routes, second.planner.routes);
    assert!(second.identity.notes.iter().any(|n| n.starts_with("shard 2/2: 2 of 3 streams, 55 records")), "{:?}", second.identity.notes);
    let refused = sharded("4/4", None).expect_err("three streams").to_string();
    assert!(refused.contains("4/4") && refused.contains("3 with records"), "{refused}");
    // A ceiling of 1/s cannot be divided.
    assert!(matches!(sharded("1/2", Some("1/s")), Err(PrepareError::Ceiling(_))));
    assert!(sharded("1/2", Some("2/s")).is_ok());
    let live = RecordingFacts { live: true, ..facts() };
    let options = RawOptions { shard: Some("1/2".into()), ..RawOptions::default() }.validate().expect("valid");
    let plan = topics(&live, &options, Target::KAFKA).expect("topics");
    let clock = ClockDecision { clocks: Vec::new(), reasons: Vec::new() };
    assert!(matches!(prepare(&live, &options, &plan, &target("staging"), &clock, "run".into()), Err(PrepareError::ShardOfLive)));
}

#[test]
fn time_stamps_that_the_target_would_delete_are_refused() {
    let mut old = facts();
    let ms = 1_700_000_000_000;
    old.times =
        vec![TimeStatistics { records: 5, create: 5, sane_ms: Some((ms, ms)), raw_ms: Some((ms, ms)), ..TimeStatistics::default() }; 4];
    let mut target = target("staging");
    target.asked_at_ns = (ms + 86_400_001) * 1_000_000;
    target.topics[1].times.retention_ms = Some(86_400_000);
    let options = RawOptions { timestamps: Some("original".into()), ..RawOptions::default() }.validate().expect("valid");
    let plan = topics(&old, &options, Target::KAFKA).expect("topics");
    let clock = ClockDecision { clocks: Vec::new(), reasons: Vec::new() };
    let refused = prepare(&old, &options, &plan, &target, &clock, "run".into()).expect_err("a day").to_string();
    assert!(refused.contains("\"b\"") && refused.contains("retention.ms"), "{refused}");
}

#[test]
fn exchanges_share_connections_as_whole_and_a_flood_has_a_window_for_each() {
    let exchange = |vhost: &str, exchange: &str| Stream {
        cluster: "prod".into(),
        lane: Lane::RabbitExchange { vhost: vhost.into(), exchange: exchange.into() },
    };
    let streams = vec![exchange("/", "a"), exchange("tenant", "b"), exchange("/", "")];
    let facts = RecordingFacts { streams, records: vec![5, 50, 500], record_bytes_max: vec![10; 3], ..facts() };
    let prepared = |vhost_given: bool| {
        let options = RawOptions { connections: Some(2), max: true, ..RawOptions::default() }.validate().expect("valid");
        let plan = topics(&facts, &options, Target { kind: TargetKind::RabbitMq, vhost_given }).expect("planned");
        let there =
            |name: &String| TargetTopic { name: name.clone(), partitions: Some(1), message_bytes_max: None, times: TopicTimes::default() };
        let topics = plan.topics.iter().map(|topic| there(&topic.name)).collect();
        let target = TargetFacts { kind: TargetKind::RabbitMq, cluster: "staging".into(), topics, asked_at_ns: 0 };
        let clock = ClockDecision { clocks: Vec::new(), reasons: Vec::new() };
        prepare(&facts, &options, &plan, &target, &clock, "run".into()).expect("prepared")
    };
    let kept = prepared(false);
    assert_eq!(kept.target_names, ["a", "tenant/b", "(default)"]);
    let connections: Vec<_> = kept.planner.routes.iter().map(|route| route.expect("selected").partition).collect();
    assert_eq!(connections, [1, 1, 0], "the largest has one of its own");
    assert_eq!(kept.queue.messages_max, 2 * 2 * FLOOD_MESSAGES, "two virtual hosts, two connections to each");
    assert!(kept.identity.notes.iter().any(|note| note.starts_with("--connections 2: order is kept within each stream")));
    assert!(!kept.identity.notes.iter().any(|note| note.starts_with("the virtual hosts")));
    let one = prepared(true);
    assert_eq!(
        (one.target_names.as_slice(), one.queue.messages_max),
        (&["a".into(), "b".into(), "(default)".into()][..], 2 * FLOOD_MESSAGES)
    );
    assert!(
        one.identity.notes.contains(&"the virtual hosts /, tenant all go into the one that --to names".to_owned()),
        "{:?}",
        one.identity.notes
    );
}
