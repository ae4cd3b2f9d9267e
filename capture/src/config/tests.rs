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
