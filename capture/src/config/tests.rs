use dejaq_shared::broker::mirror::MirrorBy;

use super::*;

fn minimal() -> CaptureConfig {
    CaptureConfig {
        from: Some("kafka://h:9092".into()),
        topics: Some(vec!["a".into()]),
        out: Some("rec".into()),
        ..CaptureConfig::default()
    }
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "topics = [\"a\"]\ntpoics = [\"b\"]\n").expect("written");
    let error = CaptureConfig::read(&path).expect_err("unknown key").to_string();
    assert!(error.contains("tpoics") && error.contains("c.toml") && error.contains("line 2"), "{error}");
}

#[test]
fn flags_override_the_file_and_properties_are_merged() {
    let file: CaptureConfig = toml::from_str(
        "from = \"kafka://file:1\"\ntopics = [\"a\"]\nout = \"rec\"\nrecords = 5\ncompress = 9\n[properties]\n\"fetch.min.bytes\" = 1\n\"check.crcs\" = true\n",
    )
    .expect("valid");
    let flags = CaptureConfig {
        from: Some("kafka://flag:2".into()),
        compress: Some(Scalar::Text("none".into())),
        properties: BTreeMap::from([("fetch.min.bytes".to_owned(), Scalar::Text("65536".into()))]),
        ..CaptureConfig::default()
    };
    let plan = file.overridden_by(flags).plan().expect("valid");
    assert_eq!((plan.from.as_str(), plan.records, plan.compress), ("kafka://flag:2", Some(5), Compress::None));
    assert_eq!(
        plan.properties,
        BTreeMap::from([("check.crcs".to_owned(), "true".to_owned()), ("fetch.min.bytes".to_owned(), "65536".to_owned())])
    );
}

#[test]
fn what_is_described_gives_the_same_plan_again() {
    let mut config = minimal();
    config.start = Some("2026-01-31T12:00:00Z".into());
    config.until = Some("end".into());
    config.run_for = Some("90s".into());
    config.catch_up_rate = Some(Scalar::Text("50MB/s".into()));
    config.compress = Some(Scalar::Text("auto".into()));
    config.replayed = Some("include".into());
    config.topics = Some(vec!["a,b".into(), "^c.{1,2}".into()]);
    let described = config.plan().expect("valid").describe();
    let again: CaptureConfig = toml::from_str(&described).expect("it is a configuration file");
    assert_eq!(again.plan().expect("valid").describe(), described);
    assert!(described.contains("50000000B/s") && described.contains("^c.{1,2}"), "{described}");
}

#[test]
fn no_secret_is_shown() {
    let mut config = minimal();
    config.from = Some("kafkas://user:p@ss/wo:rd@h1:9092,h2:9092".into());
    for name in ["sasl.password", "ssl.key.pem", "sasl.oauthbearer.client.secret", "ssl.keystore.password"] {
        config.properties.insert(name.into(), Scalar::Text("hunter2".into()));
    }
    config.properties.insert("ssl.key.location".into(), Scalar::Text("/etc/key.pem".into()));
    let described = config.plan().expect("valid").describe();
    assert!(
        !described.contains("hunter2") && !described.contains("ss/wo") && described.contains("kafkas://user:***@h1:9092,h2:9092"),
        "{described}"
    );
    assert!(described.contains("/etc/key.pem"), "{described}");
}

#[test]
fn values_that_cannot_be_are_named_with_what_was_expected() {
    let cases: Vec<(CaptureConfig, &str)> = vec![
        (CaptureConfig { from: None, ..minimal() }, "from"),
        (CaptureConfig { topics: Some(vec![]), ..minimal() }, "topics"),
        (CaptureConfig { topics: Some(vec!["^(".into()]), ..minimal() }, "topics"),
        (CaptureConfig { topics: Some(vec!["a,,b".into()]), ..minimal() }, "topics"),
        (CaptureConfig { start: Some("yesterday".into()), ..minimal() }, "start"),
        (CaptureConfig { until: Some("noon".into()), ..minimal() }, "until"),
        (CaptureConfig { run_for: Some("0s".into()), ..minimal() }, "for"),
        (CaptureConfig { records: Some(0), ..minimal() }, "records"),
        (CaptureConfig { replayed: Some("maybe".into()), ..minimal() }, "replayed"),
        (CaptureConfig { compress: Some(Scalar::Number(0)), ..minimal() }, "compress"),
        (CaptureConfig { compress: Some(Scalar::Number(19)), ..minimal() }, "memory"),
        (CaptureConfig { fetch_rate: Some(Scalar::Text("fast".into())), ..minimal() }, "fetch_rate"),
        (CaptureConfig { memory: Some(Scalar::Text("1MiB".into())), ..minimal() }, "memory"),
        (CaptureConfig { watch_every: Some("5m".into()), ..minimal() }, "watch_every"),
    ];
    for (config, key) in cases {
        let error = config.plan().expect_err(key).to_string();
        assert!(error.starts_with(key), "{key}: {error}");
    }
    assert!(minimal().plan().is_ok());
}

fn exchanges() -> CaptureConfig {
    CaptureConfig { from: Some("amqp://h".into()), topics: None, exchanges: Some(vec!["orders".into()]), ..minimal() }
}

#[test]
fn exchanges_are_described_as_they_were_asked_for() {
    let selection = |config: CaptureConfig| match config.plan().expect("valid").wanted {
        Wanted::Exchanges(selection) => Some(selection),
        Wanted::Topics(_) | Wanted::StreamQueue(_) => None,
    };
    let plain = selection(exchanges()).expect("exchanges");
    assert_eq!((plain.names, plain.vhosts, plain.by), (vec!["orders".to_owned()], Vec::new(), MirrorBy::Bindings));
    let mut config = exchanges();
    config.exchanges = Some(vec!["(default)".into(), "with,comma".into()]);
    config.vhosts = Some(vec!["/".into(), "shop".into()]);
    config.firehose = Some(true);
    let described = config.clone().plan().expect("valid").describe();
    let again: CaptureConfig = toml::from_str(&described).expect("it is a configuration file");
    assert_eq!(selection(again), selection(config.clone()));
    let chosen = selection(config).expect("exchanges");
    assert_eq!((chosen.names, chosen.vhosts.len(), chosen.by), (vec![String::new(), "with,comma".to_owned()], 2, MirrorBy::Firehose));
    let queue = |name: &str| CaptureConfig { exchanges: None, stream_queue: Some(name.into()), until: Some("end".into()), ..exchanges() };
    assert!(queue("log").plan().expect("valid").describe().contains("stream_queue = \"log\""));
    assert!(queue("^log").plan().is_err(), "a resume would take the recording's name for a pattern");
}

#[test]
fn what_does_not_go_together_is_refused_in_words() {
    type Change = dyn Fn(&mut CaptureConfig);
    let with = |change: &Change| {
        let mut config = exchanges();
        change(&mut config);
        config.plan().map(|_| ()).expect_err("refused").to_string()
    };
    let cases: [(&Change, [&str; 2]); 13] = [
        (&|c| c.topics = Some(vec!["a".into()]), ["topics", "exchanges"]),
        (&|c| c.stream_queue = Some("q".into()), ["exchanges", "stream_queue"]),
        (&|c| c.exchanges = None, ["topics is missing", "--exchanges"]),
        (&|c| c.exchanges = Some(vec![String::new()]), ["exchanges", "none of them empty"]),
        (&|c| c.exchanges = Some(vec!["^a".into()]), ["exchanges", "patterns"]),
        (&|c| c.exchanges = Some(vec!["(default)".into()]), ["exchanges", "firehose"]),
        (&|c| c.vhosts = Some(vec![String::new()]), ["vhosts", "none of them empty"]),
        (&|c| (c.catch_all, c.firehose) = (Some(true), Some(true)), ["catch_all", "firehose"]),
        (&|c| c.until = Some("end".into()), ["until", "--for"]),
        (&|c| c.start = Some("beginning".into()), ["start", "gone"]),
        (&|c| c.from = Some("kafka://h".into()), ["exchanges", "amqp://"]),
        (&|c| (c.exchanges, c.topics) = (None, Some(vec!["a".into()])), ["topics", "kafka://"]),
        (&|c| (c.exchanges, c.stream_queue, c.firehose) = (None, Some("q".into()), Some(true)), ["firehose", "stream_queue"]),
    ];
    for (change, [key, word]) in cases {
        let error = with(change);
        assert!(error.starts_with(key) && error.contains(word), "{key}, {word}: {error}");
    }
}

#[test]
fn the_prefetch_is_in_the_memorys_arithmetic() {
    let told = exchanges().plan().expect("valid").describe_memory();
    assert!(told.contains("64 MiB deliveries on their way: 20000 of 3355 bytes each"), "{told}");
    let mut config = exchanges();
    config.properties.insert("prefetch".into(), Scalar::Number(1_000));
    let told = config.plan().expect("valid").describe_memory();
    assert!(told.contains("1000 of 67108 bytes each"), "{told}");
}
