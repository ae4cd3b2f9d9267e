//! Rules from their text to the bytes sent, through the planner: what the counting pass promises is what is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::TransformJob;
use super::rules::Rules;
use crate::batch::Batch;
use crate::cardinality::Cardinality;
use crate::copies::Copies;
use crate::expanding::{Expanded, ExpandingError, expand};
use crate::planner::{Planner, PlannerOptions};
use crate::simulation::Simulation;
use crate::testing::{MemoryFeed, stream};

const SECOND_NS: i64 = 1_000_000_000;

/// Datagrams of one line each, over `hosts` hosts and two metrics.
fn datagrams(count: u32, hosts: u32) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("m{}:1|c|#host:web-{:03},zone:z{}", n % 2, n % hosts, n % 3).into_bytes()).collect()
}

fn feed(records: u32, gap_ns: i64, hosts: u32) -> MemoryFeed {
    MemoryFeed::steady(records, gap_ns, 2).with_values(datagrams(records, hosts))
}

fn names() -> Vec<String> {
    vec!["t/0".into(), "t/1".into()]
}

fn follow(rules: &str, options: &PlannerOptions, seed: u64, feed: &mut MemoryFeed) -> Result<(TransformJob, Expanded), String> {
    let rules = Rules::from_toml(rules).map_err(|e| e.to_string())?;
    let bound = rules.bind(&[stream("t", 0), stream("t", 1)], &[None, None]).map_err(|e| e.to_string())?;
    expand(options, &names(), &Arc::new(bound), seed, feed, &mut |_| {}).map_err(|e: ExpandingError| e.to_string())
}

/// Everything of one planner.
fn batches(options: PlannerOptions, feed: &mut MemoryFeed) -> Vec<Batch> {
    let mut planner = Planner::new(options);
    let mut out = Vec::new();
    loop {
        let more = planner.advance(feed).expect("memory");
        while let Some(mut batch) = planner.pop() {
            batch.done(u32::try_from(batch.items.len()).expect("few"), &mut Vec::new());
            out.push(batch);
        }
        if !more {
            return out;
        }
    }
}

/// What was sent: due time and text.
fn sent(batches: &[Batch]) -> Vec<(u64, String)> {
    let text = |batch: &Batch, item| String::from_utf8(batch.value(item).expect("a value").to_vec()).expect("text");
    batches.iter().flat_map(|b| b.items.iter().map(move |i| (i.due_ns, text(b, i)))).collect()
}

fn tag<'t>(line: &'t str, name: &str) -> &'t str {
    let tags = line.split("|#").nth(1).expect("tags");
    tags.split(',').find_map(|t| t.strip_prefix(name)?.strip_prefix(':')).expect("the tag")
}

fn hosts(sent: &[(u64, String)]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (_, line) in sent {
        *counts.entry(tag(line, "host").to_owned()).or_default() += 1;
    }
    counts
}

/// A run of these rules: what was promised, and what was sent.
fn run(rules: &str, options: PlannerOptions, seed: u64, mut feed: MemoryFeed) -> (Expanded, Vec<Batch>) {
    let (transform, expanded) = follow(rules, &options, seed, &mut feed).expect("rules that hold");
    let batches = batches(PlannerOptions { transform, ..options }, &mut feed);
    (expanded, batches)
}

fn rule(rest: &str) -> String {
    format!("[[expand]]\nstreams = \"t*\"\nformat = \"dogstatsd\"\n{rest}\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn as_many_values_are_sent_as_the_plan_says(
        records in 50u32..600,
        distinct in 1u64..700,
        kind in 0usize..5,
        seed in any::<u64>(),
        copies in 1u32..4,
    ) {
        let more = ["", "pick = { zipf = 1.1 }", "churn = { share = 0.2, every = \"1s\" }", "grow = { from = 1, over = \"3s\" }", "pick = \"per-series\""];
        // Growth needs somewhere to grow to.
        let distinct = if kind == 3 { distinct.max(2) } else { distinct };
        let rules = rule(&format!("tag = \"host\"\ndistinct = {distinct}\n{}", more[kind]));
        let options = PlannerOptions { copies: Copies { count: copies, jitter_ns: 1_000_000, seed, ..Copies::default() }, ..PlannerOptions::of_streams(2) };
        let (expanded, batches) = run(&rules, options, seed, feed(records, SECOND_NS / 50, 7));
        let reach = &expanded.reached[0];
        let found = hosts(&sent(&batches)).len() as u64;
        prop_assert_eq!(Some(found), reach.will_show, "of {:?}", reach);
        prop_assert!(reach.will_show <= reach.asked);
        prop_assert_eq!(reach.occurrences, u64::from(records) * u64::from(copies));
        if reach.will_show < reach.asked {
            prop_assert!(!expanded.unreachable.is_empty(), "it says why not: {:?}", reach);
        }
        // The accounts by index agree with the bytes.
        let mut accounts = Cardinality::new(&expanded.bounds);
        batches.iter().for_each(|b| accounts.enter(b));
        let account = accounts.report(&expanded.names, &["m0".into(), "m1".into()]).rules.remove(0);
        prop_assert_eq!((account.sent_distinct, account.sent_distinct_exact), (found, true));
        prop_assert_eq!(account.written, reach.occurrences);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_shards_are_parts_of_the_whole(records in 20u32..200, seed in any::<u64>()) {
        let rules = rule("tag = \"host\"\ndistinct = 15\npick = { zipf = 1.0 }\nderive = { rack = \"r{host % 4}\" }");
        let options = || PlannerOptions { copies: Copies { count: 2, jitter_ns: 1_000, seed, ..Copies::default() }, ..PlannerOptions::of_streams(2) };
        let whole = sent(&run(&rules, options(), seed, feed(records, 1_000_000, 5)).1);
        prop_assert_eq!(&whole, &sent(&run(&rules, options(), seed, feed(records, 1_000_000, 5)).1));
        let mut union = Vec::new();
        for elsewhere in [vec![false, true], vec![true, false]] {
            union.extend(sent(&run(&rules, PlannerOptions { elsewhere, ..options() }, seed, feed(records, 1_000_000, 5)).1));
        }
        union.sort();
        let mut sorted = whole;
        sorted.sort();
        prop_assert_eq!(union, sorted);
    }
}

#[test]
fn a_million_values_are_a_million_values() {
    let rules = rule("tag = \"host\"\ndistinct = 1000000\npick = { zipf = 1.1 }");
    let (expanded, batches) = run(&rules, PlannerOptions::of_streams(2), 7, feed(1_200_000, 1_000, 50));
    assert_eq!(expanded.reached[0].will_show, Some(1_000_000));
    let found: BTreeSet<String> = sent(&batches).iter().map(|(_, line)| tag(line, "host").to_owned()).collect();
    assert_eq!(found.len(), 1_000_000);
}

#[test]
fn only_the_tag_of_the_rule_changes() {
    let (_, batches) = run(&rule("tag = \"host\"\ndistinct = 40"), PlannerOptions::of_streams(2), 1, feed(100, 1_000, 7));
    for ((_, line), before) in sent(&batches).iter().zip(datagrams(100, 7)) {
        let before = String::from_utf8(before).expect("text");
        assert_eq!(line.replace(tag(line, "host"), ""), before.replace(tag(&before, "host"), ""));
        assert!(tag(line, "host").starts_with("web-"), "values look like the originals: {line}");
    }
}

#[test]
fn derived_tags_follow_and_are_added_where_they_are_missing() {
    let rules = rule("tag = \"host\"\ndistinct = 60\npattern = \"h{n}\"\nderive = { rack = \"r{host % 4}\", zone = \"{host}-z\" }");
    let (_, batches) = run(&rules, PlannerOptions::of_streams(2), 1, feed(300, 1_000, 7));
    let mut racks = BTreeMap::new();
    for (_, line) in sent(&batches) {
        let (host, rack) = (tag(&line, "host").to_owned(), tag(&line, "rack").to_owned());
        assert_eq!(tag(&line, "zone"), format!("{host}-z"));
        assert_eq!(racks.entry(host).or_insert_with(|| rack.clone()), &rack);
    }
    assert_eq!((racks.len(), racks.values().collect::<BTreeSet<_>>().len()), (60, 4));
}

#[test]
fn whole_series_are_multiplied_over_several_tags() {
    let rules = rule("tags = [\"host\", \"zone\"]\nseries = 400");
    let (expanded, batches) = run(&rules, PlannerOptions::of_streams(2), 1, feed(1_000, 1_000, 7));
    assert_eq!(expanded.reached[0].will_show, Some(400));
    let sent = sent(&batches);
    let both: BTreeSet<(&str, &str)> = sent.iter().map(|(_, l)| (tag(l, "host"), tag(l, "zone"))).collect();
    let zones: BTreeSet<&str> = both.iter().map(|(_, zone)| *zone).collect();
    assert_eq!((both.len(), zones.len()), (400, 20));
}

#[test]
fn with_churn_as_many_are_alive_as_asked_and_the_old_do_not_come_back() {
    let rules = rule("tag = \"host\"\ndistinct = 20\npattern = \"{n}\"\nchurn = { share = 0.25, every = \"1s\" }");
    let (expanded, batches) = run(&rules, PlannerOptions::of_streams(2), 3, feed(500, SECOND_NS / 100, 7));
    let mut by_second: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for (due, line) in sent(&batches) {
        by_second.entry(due / 1_000_000_000).or_default().insert(tag(&line, "host").parse().expect("a number"));
    }
    let expected: Vec<BTreeSet<u64>> = (0..5).map(|second| (second * 5..second * 5 + 20).collect()).collect();
    let found: Vec<BTreeSet<u64>> = by_second.into_values().collect();
    assert_eq!(found, expected);
    let reach = &expanded.reached[0];
    assert_eq!((reach.distinct, reach.births, reach.asked), (Some(20), 20, Some(40)));
}

#[test]
fn growth_follows_its_curve() {
    let rules = rule("tag = \"host\"\ndistinct = 100\npattern = \"{n}\"\ngrow = { from = 10, over = \"10s\", curve = \"linear\" }");
    let (_, batches) = run(&rules, PlannerOptions::of_streams(2), 3, feed(20_000, SECOND_NS / 1_000, 7));
    let mut alive = BTreeSet::new();
    let mut at = BTreeMap::new();
    for (due, line) in sent(&batches) {
        alive.insert(tag(&line, "host").to_owned());
        at.insert(due / 1_000_000_000, alive.len());
    }
    for (second, found) in at {
        let end = (10 + 9 * (usize::try_from(second).expect("small") + 1)).min(100);
        assert!(found.abs_diff(end) <= 1, "after second {second}: {found}, not {end}");
    }
}

#[test]
fn fresh_ids_are_new_in_every_copy_and_pass_and_as_recorded_in_the_first() {
    let rules = rule("tag = \"host\"\npick = \"fresh\"");
    let copies = Copies { count: 2, jitter_ns: 1, ..Copies::default() };
    let options = PlannerOptions { copies, repeat: true, run_ns: Some(3 * 70_000), ..PlannerOptions::of_streams(2) };
    let (expanded, batches) = run(&rules, options, 3, feed(70, 1_000, 70));
    assert_eq!((expanded.reached[0].asked, expanded.reached[0].will_show), (None, None));
    let mut by_origin: BTreeMap<(u32, u32), BTreeSet<String>> = BTreeMap::new();
    for batch in &batches {
        for item in &batch.items {
            let line = String::from_utf8(batch.value(item).expect("a value").to_vec()).expect("text");
            by_origin.entry((batch.pass, item.copy)).or_default().insert(tag(&line, "host").to_owned());
        }
    }
    assert!(by_origin.len() >= 5, "{:?}", by_origin.keys());
    assert!(by_origin[&(0, 0)].contains("web-042"));
    let all: usize = by_origin.values().map(BTreeSet::len).sum();
    assert_eq!(by_origin.values().flatten().collect::<BTreeSet<_>>().len(), all, "none is in two of them");
}

#[test]
fn stamps_move_to_the_intended_time_and_keep_their_distances() {
    let rules = "[[retime]]\nstreams = \"t*\"\nformat = \"influx\"\n";
    let lines = |n: u64| format!("m v=1 {}\nm v=2 {}", 1_700_000_000_000_000_000 + n * 1_000, 1_700_000_000_000_000_500 + n * 1_000);
    let mut feed = MemoryFeed::steady(10, 1_000, 2).with_values((0..10).map(|n| lines(n).into_bytes()).collect());
    let options = PlannerOptions::of_streams(2);
    let (mut transform, _) = follow(rules, &options, 1, &mut feed).expect("rules");
    assert!(transform.retimes());
    let origin = 1_800_000_000_000_000_000;
    transform.count_from(origin);
    let sent = sent(&batches(PlannerOptions { transform, ..options }, &mut feed));
    for (due, text) in sent {
        let now = origin.unsigned_abs() + due;
        assert_eq!(text, format!("m v=1 {}\nm v=2 {now}", now - 500));
    }
}

#[test]
fn what_is_not_of_the_format_goes_unchanged_and_is_counted_with_an_example() {
    let mut values = datagrams(100, 7);
    values[33] = b"not a datagram".to_vec();
    let mut feed = MemoryFeed::steady(100, 1_000, 2).with_values(values);
    let options = PlannerOptions::of_streams(2);
    let (transform, expanded) = follow(&rule("tag = \"host\"\ndistinct = 30"), &options, 1, &mut feed).expect("rules");
    assert_eq!(expanded.reached[0].occurrences, 99);
    assert!(expanded.notes.iter().any(|n| n.contains("1 of 100 payloads") && n.contains("t/1 at position 33")), "{:?}", expanded.notes);
    assert_eq!(sent(&batches(PlannerOptions { transform, ..options }, &mut feed))[33].1, "not a datagram");
}

#[test]
fn rules_that_cannot_be_followed_are_refused_with_their_place() {
    let refused = |rules: &str| follow(rules, &PlannerOptions::of_streams(2), 1, &mut feed(50, 1_000, 7)).expect_err("refused");
    let cases = [
        (rule("tag = \"host\"\ndistinct = 5").replace("t*", "x*"), "matches no stream"),
        (rule("tag = \"pod\"\ndistinct = 5"), "no payload has pod"),
        (rule("tag = \"host\"\ndistinct = 0"), "distinct"),
        (rule("tag = \"host\"\ndistinct = 5\ncolour = 1"), "colour"),
        (rule("tag = \"host\"\ndistinct = 5").replace("dogstatsd", "auto"), "not recognised"),
        (rule("tag = \"host\"\ndistinct = 5") + &rule("tag = \"host\"\ndistinct = 6"), "this rule and the one at"),
        (String::new(), "no rule"),
    ];
    for (rules, part) in cases {
        let error = refused(&rules);
        assert!(error.contains(part), "{part}: {error}");
        assert!(rules.is_empty() || error.contains("line "), "it names the place: {error}");
    }
}

#[test]
fn more_values_than_messages_are_not_reached_and_it_says_what_would_do() {
    let (expanded, _) = run(&rule("tag = \"host\"\ndistinct = 5000"), PlannerOptions::of_streams(2), 1, feed(100, 1_000, 7));
    assert_eq!((expanded.reached[0].asked, expanded.reached[0].will_show), (Some(5_000), Some(100)));
    assert!(expanded.unreachable.iter().all(|u| !u.why.is_empty() && !u.remedy.is_empty()));
    assert_eq!(expanded.unreachable.len(), 1, "{:?}", expanded.unreachable);
}

#[test]
fn fewer_values_than_recorded_are_said() {
    let (expanded, batches) = run(&rule("tag = \"host\"\ndistinct = 3"), PlannerOptions::of_streams(2), 1, feed(100, 1_000, 50));
    assert_eq!(hosts(&sent(&batches)).len(), 3);
    assert!(expanded.notes.iter().any(|n| n.contains("host")), "{:?}", expanded.notes);
}

#[test]
fn what_the_client_did_not_take_is_not_counted_as_sent() {
    let options = PlannerOptions::of_streams(2);
    let rules = rule("tag = \"host\"\ndistinct = 500\npattern = \"{n}\"");
    let (transform, _) = follow(&rules, &options, 3, &mut feed(500, 1_000_000, 7)).expect("rules");
    let outcome = Simulation::of(feed(500, 1_000_000, 7), 2).follow(transform).refuse_tenths().run();
    let received: Vec<u64> = outcome
        .said
        .iter()
        .map(|said| tag(std::str::from_utf8(said.value.as_deref().expect("a value")).expect("text"), "host").parse().expect("a number"))
        .collect();
    assert_eq!((received.len(), outcome.shown), (450, received));
}
