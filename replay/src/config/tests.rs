use super::*;

fn toml(text: &str) -> Result<Options, ConfigError> {
    RawOptions::from_toml(text)?.validate()
}

#[test]
fn nothing_typed_is_the_recorded_time_line() {
    let options = RawOptions::default().validate().expect("defaults");
    assert_eq!(options.pace, Pace::Recorded { speed: Ratio::ONE });
    assert_eq!((options.mark, options.partitions, options.drain_ns), (MarkPolicy::First, PartitionMode::Exact, DRAIN_NS));
}

#[test]
fn a_file_is_read_and_flags_override_it() {
    let file = RawOptions::from_toml("speed = 4\nfor = \"10m\"\nmap = [\"a=b\"]\n[properties]\n\"linger.ms\" = 5\n\"acks\" = \"1\"")
        .expect("file");
    assert_eq!(file.validate().expect("valid").pace, Pace::Recorded { speed: Ratio::new(4, 1).expect("4") });
    let mut flags = RawOptions { rate: Some("50k/s".into()), ..RawOptions::default() };
    flags.properties.insert("acks".into(), "all".into());
    let options = flags.over(file).validate().expect("valid");
    assert_eq!(options.pace, Pace::Rate(Ratio::new(50_000, 1).expect("50k")));
    assert_eq!(options.run_ns, Some(600_000_000_000));
    assert_eq!(options.properties, [("acks".into(), "all".into()), ("linger.ms".into(), "5".into())]);
}

#[test]
fn unknown_keys_are_errors_that_name_them() {
    let error = toml("sped = 4").expect_err("unknown").to_string();
    assert!(error.contains("sped") && error.contains("speed"), "{error}");
}

#[test]
fn contradictions_name_both_options() {
    for (text, a, b) in [
        ("max = true\nspeed = 2", "--max", "--speed"),
        ("max = true\nrate = \"5/s\"", "--max", "--rate"),
        ("speed = 2\nrate = \"5/s\"", "--speed", "--rate"),
        ("max = true\nlate = \"skip=5s\"", "--max", "--late"),
        ("origin = \"2026-01-01T00:00:00Z\"", "--origin", "--timestamps"),
        ("origin = \"2026-01-01T00:00:00Z\"\ntimestamps = \"original\"", "--origin", "--timestamps"),
        ("from-time = \"2026-01-01T00:00:00Z\"\nto-time = \"2026-01-01T00:00:00Z\"", "--from-time", "--to-time"),
    ] {
        let error = toml(text).expect_err(text).to_string();
        assert!(error.contains(a) && error.contains(b), "{error}");
    }
}

#[test]
fn nonsense_names_the_option_and_what_is_expected() {
    for (text, option) in [
        ("speed = 0", "--speed"),
        ("speed = -1", "--speed"),
        ("rate = \"fast\"", "--rate"),
        ("max-bytes = \"10\"", "--max-bytes"),
        ("late = \"5s\"", "--late"),
        ("late = \"skip=x\"", "--late"),
        ("map = [\"a\"]", "--map"),
        ("map = [\"a=b\", \"a=c\"]", "--map"),
        ("partitions = \"rekeyed\"", "--partitions"),
        ("connections = 0", "--connections"),
        ("key = \"header:\"", "--key"),
        ("expiration = \"soon\"", "--expiration"),
        ("dead-lettered = \"drop\"", "--dead-lettered"),
        ("map-key = [\"a=b\", \"a=c\"]", "--map-key"),
        ("timestamps = \"then\"", "--timestamps"),
        ("timestamps = \"shift\"\norigin = \"noon\"", "--origin"),
        ("client = \"fast\"", "--client"),
        ("start-at = \"tomorrow\"", "--start-at"),
        ("shard = \"3/2\"", "--shard"),
        ("shard = \"0/2\"", "--shard"),
        ("shard = \"half\"", "--shard"),
        ("clock = \"wall\"", "--clock"),
        ("for = \"0s\"", "--for"),
        ("from-time = \"yesterday\"", "--from-time"),
        ("measure-topics = 1000", "--measure-topics"),
    ] {
        let error = toml(text).expect_err(text).to_string();
        assert!(error.starts_with(option), "{error}");
    }
}

#[test]
fn secrets_are_not_described() {
    let options = toml("[properties]\n\"sasl.password\" = \"hunter2\"\n\"ssl.key.location\" = \"/etc/key.pem\"").expect("valid");
    let said = serde_json::to_string(&options.describe()).expect("json");
    assert!(!said.contains("hunter2") && said.contains("/etc/key.pem"), "{said}");
}

#[test]
fn a_start_must_be_to_come() {
    let at = toml("start-at = \"2026-01-01T00:00:00Z\"").expect("valid");
    let ns = at.start_at_ns.expect("given");
    assert_eq!(at.check_start(ns - 1), Ok(()));
    let error = at.check_start(ns).expect_err("now is too late").to_string();
    assert!(error.starts_with("--start-at 2026-01-01T00:00:00") && error.contains("it is 2026-01-01T00:00:00"), "{error}");
    assert_eq!(toml("").expect("valid").check_start(i64::MAX), Ok(()));
}

#[test]
fn every_option_is_described() {
    let options =
        toml("timestamps = \"shift\"\norigin = \"2026-01-01T00:00:00Z\"\nclient = \"prod-like\"\nshard = \"2/3\"").expect("valid");
    let said = options.describe();
    for (name, value) in [("timestamps", "shift"), ("client", "prod-like"), ("shard", "2/3"), ("partitions", "exact")] {
        assert_eq!(said[name], value, "{name}");
    }
    assert_eq!((said["origin-ns"].as_i64(), said["start-at-ns"].as_i64()), (Some(1_767_225_600_000_000_000), None));
}
