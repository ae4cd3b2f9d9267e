//! Bad rule files and rules that cannot be followed, each with its message.

use super::*;

fn message(rules: &str) -> String {
    try_run(rules, &[sent("m|host=web-1,env=prod|1\n", 0), sent("odd", 1)], 1).err().map_or_else(|| "fine".to_owned(), |e| e.to_string())
}

fn of_rule(rest: &str) -> String {
    message(&format!("[[expand]]\nstreams = \"*\"\nformat = \"influx\"\n{rest}"))
}

#[test]
fn bad_files_say_where_and_what() {
    for (rest, expected) in [
        ("", "line 1, column 1: this rule lacks tag: the tag to give values to"),
        ("tag = \"host\"", "line 1, column 1: this rule lacks distinct: how many values are alive at once"),
        ("tag = \"host\"\ndistinct = 0", "line 5, column 12: distinct: found 0, expected 1 to 134217728"),
        ("tag = \"host\"\ndistinct = -1", "line 5, column 12: distinct: found -1, expected"),
        ("tag = \"\"\ndistinct = 1", "line 4, column 7: tag: found \"\", expected a name"),
        ("tag = \"host\"\ndistnct = 5", "line 5, column 1: unknown field `distnct`"),
        ("tag = \"host\"\ndistinct = \"5\"", "line 5, column 12: invalid type: string"),
        ("tag = \"host\"\ntags = [\"a\", \"b\"]", "line 1, column 1: tag and tags contradict each other"),
        ("tag = \"host\"\nseries = 5", "line 1, column 1: tag and series contradict each other"),
        ("tags = [\"a\", \"b\"]\ndistinct = 5", "line 1, column 1: tags and distinct contradict each other"),
        ("tags = [\"a\", \"b\"]", "line 1, column 1: this rule lacks series"),
        ("tags = [\"a\"]\nseries = 5", "line 4, column 8: tags: found [\"a\"], expected 2 to 8 different names"),
        ("tags = [\"a\", \"a\"]\nseries = 5", "line 4, column 8: tags: found"),
        ("tag = \"host\"\ndistinct = 5\nmode = \"both\"", "line 6, column 8: mode: found \"both\", expected \"replace\" or \"add\""),
        ("tag = \"host\"\ndistinct = 5\npick = \"some\"", "line 6, column 8: pick: found \"some\", expected \"uniform\""),
        ("tag = \"host\"\ndistinct = 5\npick = { zipf = 0 }", "line 6, column 8: pick: found { zipf = 0 }, expected"),
        ("tag = \"host\"\ndistinct = 5\npick = { zipf = nan }", "line 6, column 8: pick: found"),
        ("tag = \"host\"\ndistinct = 5\npick = \"fresh\"", "pick and distinct contradict each other"),
        ("tag = \"host\"\npick = \"fresh\"\npattern = \"{n}\"", "pick and pattern contradict each other"),
        (
            "tag = \"host\"\ndistinct = 5\npick = \"per-series\"\nchurn = { share = 0.1, every = \"1s\" }",
            "pick and churn contradict each other",
        ),
        (
            "tag = \"host\"\ndistinct = 5\nchurn = { share = 1.5, every = \"1s\" }",
            "line 6, column 19: churn.share: found 1.5, expected a share",
        ),
        (
            "tag = \"host\"\ndistinct = 5\nchurn = { share = 0.5, every = \"0s\" }",
            "line 6, column 32: churn.every: found \"0s\", expected a duration",
        ),
        ("tag = \"host\"\ndistinct = 5\nchurn = { share = 0.5 }", "missing field `every`"),
        (
            "tag = \"host\"\ndistinct = 5\ngrow = { from = 5, over = \"1s\" }",
            "line 6, column 17: grow.from: found 5, expected at least 1 and fewer than the 5",
        ),
        (
            "tag = \"host\"\ndistinct = 5\ngrow = { from = 1, over = \"1s\", curve = \"up\" }",
            "grow.curve: found \"up\", expected \"linear\"",
        ),
        (
            "tag = \"host\"\ndistinct = 5\nderive = { rack = \"r{hst % 4}\" }",
            "line 6, column 19: derive: found \"r{hst % 4}\", expected a template",
        ),
        ("tag = \"host\"\ndistinct = 5\nderive = { rack = \"r{host % 0}\" }", "{host % 0} is none of"),
        ("tag = \"host\"\ndistinct = 5\nderive = { host = \"r\" }", "derive: found \"host\", expected the name of another tag"),
        (
            "tag = \"host\"\ndistinct = 5\npattern = \"host\"",
            "line 6, column 11: pattern: found \"host\", expected a pattern such as \"host-{n:05}\": no {n} in it",
        ),
        (
            "tag = \"rack\"\ndistinct = 5",
            "no payload has rack: of 2 payloads of its streams 1 are not influx (the first at position 9 of t/0: at byte 0: expected metric|tags|stamp), and 1 samples lack it; `dejaq inspect DIR --tags` lists those that there are, mode = \"add\" adds one",
        ),
    ] {
        let found = of_rule(rest);
        assert!(found.contains(expected), "{rest}\nfound:    {found}\nexpected: {expected}");
    }
}

#[test]
fn bad_rules_of_streams_and_stamps_say_so() {
    for (rules, expected) in [
        ("", "there is no rule in it; write [[expand]] or [[retime]]"),
        ("[[expand]]\nformat = \"influx\"\ntag = \"a\"\ndistinct = 1", "line 1, column 1: this rule lacks streams"),
        ("[[retime]]\nstreams = \"*\"", "line 1, column 1: this rule lacks format"),
        ("[[retime]]\nstreams = \"*\"\nformat = \"xml\"", "line 3, column 10: format: found \"xml\", expected json, dogstatsd"),
        ("[[retime]]\nstreams = \"[\"\nformat = \"influx\"", "line 2, column 11: streams: found \"[\", expected a glob ("),
        (
            "[[retime]]\nstreams = \"nope\"\nformat = \"influx\"",
            "line 1, column 1: streams = \"nope\" matches no stream of the recording; it has t/0",
        ),
        (
            "[[retime]]\nstreams = \"*\"\nformat = \"auto\"",
            "line 1, column 1: format = \"auto\": the format of t/0 was not recognised; name it",
        ),
        ("[[retime]]\nstreams = \"*\"\nformat = \"json\"", "this rule lacks field: JSON has no time stamp field of its own"),
        ("[[retime]]\nstreams = \"*\"\nformat = \"json\"\nfield = \"$.ts\"", "this rule lacks unit"),
        ("[[retime]]\nstreams = \"*\"\nformat = \"influx\"\nfield = \"$.ts\"\nunit = \"s\"", "format and field contradict each other"),
        (
            "[[retime]]\nstreams = \"*\"\nformat = \"json\"\nfield = \"$.ts\"\nunit = \"h\"",
            "line 5, column 8: unit: found \"h\", expected \"s\" or \"ms\"",
        ),
        (
            "[[retime]]\nstreams = \"t\"\nformat = \"influx\"\n[[retime]]\nstreams = \"*\"\nformat = \"influx\"",
            "line 4, column 1: this rule and the one at line 1, column 1 both move the time stamps of stream t/0",
        ),
        (
            "[[retime]]\nstreams = \"t\"\nformat = \"influx\"\n[[expand]]\nstreams = \"*\"\nformat = \"graphite\"\ntag = \"a\"\ndistinct = 1",
            "both take the same bytes, for graphite and for influx, of stream t/0",
        ),
        (
            "[[expand]]\nstreams = \"t\"\nformat = \"influx\"\ntag = \"host\"\ndistinct = 1\n[[expand]]\nstreams = \"*\"\nformat = \"influx\"\ntag = \"env\"\ndistinct = 1\nderive = { host = \"x\" }",
            "line 6, column 1: this rule and the one at line 1, column 1 both write the tag \"host\" of stream t/0",
        ),
    ] {
        let found = message(rules);
        assert!(found.contains(expected), "{rules}\nfound:    {found}\nexpected: {expected}");
    }
}

#[test]
fn fewer_values_than_recorded_and_growth_that_does_not_end_are_told() {
    let traffic: Vec<Sent> = (0..100).map(|n| sent(format!("m|host=web-{n}|1\n"), n * 10_000_000)).collect();
    let told = |rest: &str, expected: &str| {
        let rules = format!("[[expand]]\nstreams = \"*\"\nformat = \"influx\"\ntag = \"host\"\n{rest}");
        let reasons = run(&rules, &traffic, 1).expansion.reach()[0].reasons.clone();
        assert!(reasons.iter().any(|reason| reason.why == expected), "{rest}\nfound:    {reasons:?}\nexpected: {expected}");
    };
    told("distinct = 50", "the recording has 100 values of host, and 50 are asked for: there will be fewer than recorded");
    told("distinct = 50\npick = \"per-series\"", "there are 100 series and 50 values: some series share a value");
    told("distinct = 500\ngrow = { from = 1, over = \"10s\" }", "the run ends before host has grown to 500 values: it has 46 then");
    told("distinct = 101", "host is written 100 times, and 101 values are asked for");
}
