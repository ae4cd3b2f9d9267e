use super::*;
use crate::testing::record;
use crate::transform::formats::{Edits, Malformed, OpenError, Sample, Span, Tag};
use dejaq_shared::record::Headers;

/// A grammar for tests: lines of `metric name=value name=value`.
#[derive(Debug)]
struct Lines;

impl Format for Lines {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        parsed.text.extend_from_slice(payload);
        let mut at = 0;
        for line in payload.split(|b| *b == b'\n') {
            let mut words = line.split(|b| *b == b' ');
            let metric = words.next().unwrap_or_default();
            let first = parsed.tags.len();
            let sample = Sample { metric: Span::new(at, at + metric.len()), ..Sample::default() };
            at += metric.len();
            for word in words {
                let Some(equals) = word.iter().position(|b| *b == b'=') else { return Err(Malformed { offset: at, what: "no tag" }) };
                let value = Span::new(at + 2 + equals, at + 1 + word.len());
                parsed.tags.push(Tag { name: Span::new(at + 1, at + 1 + equals), value, raw: value });
                at += 1 + word.len();
            }
            at += 1;
            let count = |n: usize| u32::try_from(n).expect("few");
            parsed.samples.push(Sample { tags: count(first)..count(parsed.tags.len()), ..sample });
        }
        Ok(())
    }

    fn write(&mut self, _: &[u8], _: &Parsed, _: &Edits, _: &mut Vec<u8>) -> Result<(), Malformed> {
        Ok(())
    }
}

fn lines(kind: FormatKind, _: &Wanted) -> Result<Box<dyn Format>, OpenError> {
    match kind {
        FormatKind::DogStatsd | FormatKind::Json => Ok(Box::new(Lines)),
        other => Err(OpenError::Path { path: other.name().to_owned(), column: 1, what: "not in this test" }),
    }
}

fn inventory(kind: FormatKind) -> Inventory {
    let stream = |partition: u32| StreamName { name: format!("t/{partition}"), topic: "t".to_owned() };
    let found = Recognition { format: Some(kind), looked: 9, understood: 9, ..Recognition::default() };
    Inventory::new(
        vec![stream(0), stream(1), stream(2)],
        vec![found.clone(), found, Recognition { looked: 4, ..Recognition::default() }],
        lines,
    )
}

fn take(inventory: &mut Inventory, stream: usize, payload: &str) {
    inventory.take(stream, &record(None, Some(payload.as_bytes()), Headers::default()));
}

#[test]
fn tags_values_and_series_are_counted_over_the_streams_of_a_topic() {
    let mut inventory = inventory(FormatKind::DogStatsd);
    take(&mut inventory, 0, "m host=a env=x\nm host=b env=x");
    take(&mut inventory, 1, "m env=x host=a\nn host=a\nn host=a host=a");
    take(&mut inventory, 1, "oh dear");
    take(&mut inventory, 0, "oh dear me");
    let report = inventory.report();
    let [group] = &report.series[..] else { panic!("{report:?}") };
    assert_eq!((group.payloads, group.malformed, group.samples), (4, 2, 5));
    // m{a,x} in either order, m{b,x}, n{a}, and n{a,a}.
    assert_eq!((group.metrics, group.series, group.series_exact), (Some(2), Some(4), true));
    let example = group.malformed_example.as_ref().expect("the first");
    assert_eq!((example.stream.as_str(), example.position, example.what.as_str()), ("t/1", 9, "at byte 2: no tag"));
    let seen: Vec<_> = report.tags.iter().map(|t| (t.tag.as_str(), t.samples, t.distinct, t.distinct_exact, t.top_exact)).collect();
    assert_eq!(seen, [("host", 5, 2, true, true), ("env", 3, 1, true, true)]);
    let top = &report.tags[0].top;
    assert_eq!(top.iter().map(|t| (t.value.as_str(), t.count)).collect::<Vec<_>>(), [("a", 5), ("b", 1)]);
    assert!((top[0].share - 5.0 / 6.0).abs() < 1e-9);
    assert_eq!(
        report.unrecognised,
        [Unrecognised { topic: "t".into(), streams: 1, why: "not recognised: no format understands any of 4 payloads looked at".into() }]
    );
}

#[test]
fn large_variety_stays_within_the_stated_error_and_says_so() {
    let mut inventory = inventory(FormatKind::DogStatsd);
    for n in 0..50_000 {
        take(&mut inventory, 0, &format!("m id=v{n} host=h{}", n % 100));
    }
    let report = inventory.report();
    let ids = &report.tags[0];
    assert_eq!((ids.tag.as_str(), ids.distinct_exact, ids.top_exact), ("id", false, false));
    for found in [ids.distinct, report.series[0].series.expect("series")] {
        assert!((found as f64 / 50_000.0 - 1.0).abs() < 4.0 * ERROR_SHARE, "{found}");
    }
    assert_eq!((report.tags[1].distinct, report.tags[1].distinct_exact), (100, true));
    assert!(ids.top.iter().all(|t| t.count < 100), "nothing is made to look frequent: {:?}", ids.top);
}

#[test]
fn tags_beyond_the_bound_are_counted_together() {
    let mut inventory = inventory(FormatKind::DogStatsd);
    for n in 0..TAGS_MAX + 7 {
        take(&mut inventory, 0, &format!("m t{n}=v"));
    }
    take(&mut inventory, 0, "m t0=w");
    let report = inventory.report();
    assert_eq!((report.tags.len(), report.series[0].other_tags), (TAGS_MAX, 7));
    assert_eq!(report.tags[0].distinct, 2, "one that is known is counted on");
    let series = report.series[0].series.expect("series") as f64;
    assert!((series / (TAGS_MAX as f64 + 8.0) - 1.0).abs() < 4.0 * ERROR_SHARE, "and all are part of the series: {series}");
}

#[test]
fn documents_have_no_series() {
    let mut inventory = inventory(FormatKind::Json);
    take(&mut inventory, 0, " $.a=1");
    let group = &inventory.report().series[0];
    assert_eq!((group.metrics, group.series), (None, None));
}

#[test]
fn a_suggested_file_has_the_growing_tag_in_force_and_the_rest_in_comments() {
    let mut inventory = inventory(FormatKind::Json);
    for n in 0..300 {
        take(&mut inventory, 0, &format!(" $.host=h{} $.status={} $.id=i{n} $.ts={} $.one=1", n % 7, n % 50, 1_700_000_000_000u64 + n));
    }
    let text = suggest(&inventory.report(), "a\nb");
    let in_force: Vec<&str> = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect();
    assert_eq!(
        in_force,
        [
            "[[expand]]",
            "streams = \"t\"",
            "format = \"json\"",
            "tag = \"$.host\"",
            "distinct = 70",
            "[[retime]]",
            "streams = \"t\"",
            "format = \"json\"",
            "field = \"$.ts\"",
            "unit = \"ms\"",
        ]
    );
    assert!(text.contains("# tag = \"$.status\"\n# distinct = 500\n") && text.contains("\"$.id\": 300 values"), "{text}");
    assert!(!text.contains("$.one"), "one value, and no name that grows: {text}");
    assert!(text.contains("not recognised"), "{text}");
    let rules = crate::transform::rules::Rules::from_toml(&text).expect("a rule file");
    assert_eq!((rules.expand.len(), rules.retime.len()), (1, 1));
    let all: String = text
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("# ").filter(|l| l.contains(" = ") || l.starts_with("[[")).unwrap_or(line)))
        .collect();
    let rules = crate::transform::rules::Rules::from_toml(&all).expect("with the commented rules in force as well");
    assert_eq!((rules.expand.len(), rules.retime.len()), (3, 1), "{all}");
}

#[test]
fn nothing_to_suggest_is_said() {
    let text = suggest(&Inventory::new(Vec::new(), Vec::new(), lines).report(), "rec");
    assert!(text.lines().all(|l| l.starts_with('#')) && text.contains("Nothing to suggest"), "{text}");
}
