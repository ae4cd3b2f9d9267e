//! What is asked for is shown: exactly, and no more.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

/// `count` samples of some hosts, `gap_ns` apart, up to three in a payload.
fn traffic(count: u64, gap_ns: u64, hosts: u64) -> Vec<Sent> {
    let line = |n: u64| format!("m{}|host=web-{:03}.eu,env=prod|{n}\n", n % 3, n * 7 % hosts);
    let mut all = Vec::new();
    let mut n = 0;
    while n < count {
        let size = (n % 3 + 1).min(count - n);
        all.push(sent((n..n + size).map(line).collect::<String>(), n * gap_ns));
        n += size;
    }
    all
}

fn rule(rest: &str) -> String {
    format!("[[expand]]\nstreams = \"*\"\nformat = \"influx\"\n{rest}\n")
}

fn indices(run: &Run) -> BTreeSet<u64> {
    run.shown.iter().map(|s| s.value).collect()
}

/// What came out agrees with what the plan said and with the indices that were reported.
fn agrees(run: &Run, tag: &str) -> Result<(), TestCaseError> {
    let reach = &run.expansion.reach()[0];
    let found = values(&run.texts, tag);
    prop_assert_eq!(found.len() as u64, reach.will_show);
    prop_assert_eq!(indices(run).len() as u64, reach.will_show);
    prop_assert!(reach.will_show <= reach.asked);
    prop_assert_eq!(found.values().sum::<u64>(), reach.occurrences);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn distinct_is_exact(distinct in 1u64..400, more in 0u64..800, seed in any::<u64>(), hosts in 1u64..40, pick in 0usize..3) {
        let pick = ["\"uniform\"", "{ zipf = 1.1 }", "{ zipf = 3 }"][pick];
        let run = run(&rule(&format!("tag = \"host\"\ndistinct = {distinct}\npick = {pick}")), &traffic(distinct + more, 5, hosts), seed);
        prop_assert_eq!(run.expansion.reach()[0].will_show, distinct);
        agrees(&run, "host")?;
    }

    #[test]
    fn each_series_has_values_of_its_own(distinct in 1u64..200, count in 1u64..600, hosts in 1u64..20, seed in any::<u64>()) {
        let run = run(&rule(&format!("tag = \"host\"\ndistinct = {distinct}\npick = \"per-series\"")), &traffic(count, 5, hosts), seed);
        agrees(&run, "host")?;
        let mut series: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for shown in &run.shown {
            series.entry(shown.series_before).or_default().insert(shown.value);
        }
        if distinct >= series.len() as u64 {
            prop_assert_eq!(series.values().map(BTreeSet::len).sum::<usize>(), indices(&run).len());
            prop_assert_eq!(indices(&run).len() as u64, distinct.min(count));
        }
    }

    #[test]
    fn fewer_messages_than_values_are_told(distinct in 2u64..400, part in 1u64..100, seed in any::<u64>(), zipf in any::<bool>()) {
        let count = (distinct * part / 100).max(1);
        let pick = if zipf { "{ zipf = 1.0 }" } else { "\"uniform\"" };
        let run = run(&rule(&format!("tag = \"host\"\ndistinct = {distinct}\npick = {pick}")), &traffic(count, 5, 3), seed);
        let reach = &run.expansion.reach()[0];
        prop_assert_eq!((reach.asked, reach.will_show), (distinct, count));
        prop_assert!(reach.reasons[0].why.contains("values are asked for"), "{:?}", reach.reasons);
        agrees(&run, "host")?;
    }

    #[test]
    fn values_come_and_go(distinct in 1u64..150, share in 0.01f64..1.0, grow in any::<bool>(), count in 1u64..3_000, seed in any::<u64>(), zipf in any::<bool>()) {
        let grow = if grow && distinct > 1 { "grow = { from = 1, over = \"4s\", curve = \"exponential\" }" } else { "" };
        let pick = if zipf { "{ zipf = 1.2 }" } else { "\"uniform\"" };
        let rules = format!("tag = \"host\"\ndistinct = {distinct}\npick = {pick}\nchurn = {{ share = {share}, every = \"1s\" }}\n{grow}");
        let run = run(&rule(&rules), &traffic(count, 10 * SECOND / count, 5), seed);
        agrees(&run, "host")?;
    }

    #[test]
    fn combinations_are_exact(series in 1u64..300, more in 0u64..300, seed in any::<u64>()) {
        let run = run(&rule(&format!("tags = [\"host\", \"env\"]\nseries = {series}")), &traffic(series + more, 5, 7), seed);
        let pairs: BTreeSet<String> = run.texts.iter().flat_map(|t| t.lines()).map(|l| l.split('|').nth(1).unwrap().to_owned()).collect();
        prop_assert_eq!(pairs.len() as u64, series);
        let root = usize::try_from((1..=series).find(|root| root * root >= series).unwrap()).unwrap();
        prop_assert!(values(&run.texts, "host").len() <= root && values(&run.texts, "env").len() <= root);
    }
}

#[test]
fn births_and_deaths_by_period() {
    let rules = rule("tag = \"host\"\ndistinct = 200\nchurn = { share = 0.05, every = \"10s\" }");
    let traffic = traffic(60_000, SECOND / 1_000, 5);
    let run = run(&rules, &traffic, 1);
    let reach = &run.expansion.reach()[0];
    assert_eq!((reach.births, reach.asked, reach.will_show, reach.reasons.len()), (50, 250, 250, 0));
    let mut before: BTreeSet<String> = BTreeSet::new();
    for period in 0..6 {
        let texts: Vec<&String> =
            traffic.iter().zip(&run.texts).filter(|(sent, _)| sent.at.due_ns / (10 * SECOND) == period).map(|(_, text)| text).collect();
        let now: BTreeSet<String> = values(texts, "host").into_keys().collect();
        assert_eq!(now.len(), 200);
        if period > 0 {
            assert_eq!((now.difference(&before).count(), before.difference(&now).count()), (10, 10), "period {period}");
        }
        before = now;
    }
}

#[test]
fn a_run_without_an_end_shows_the_values_of_its_horizon_again() {
    let bound = bind(&rule("tag = \"host\"\ndistinct = 40\nchurn = { share = 0.5, every = \"1s\" }")).expect("rules");
    let once = traffic(2_000, SECOND / 500, 5);
    let counted = count(&bound, &once);
    let expansion = Arc::new(Expansion::new(bound, &counted, Horizon { ns: 4 * SECOND, repeats: true }, 1).expect("reachable"));
    let mut twice = once.clone();
    twice.extend(once.iter().map(|s| sent(s.text.clone(), s.at.due_ns + 4 * SECOND)));
    let (texts, _) = rewrite(&expansion, &twice);
    assert_eq!(texts[..once.len()], texts[once.len()..]);
    assert_eq!(values(&texts, "host").len() as u64, expansion.reach()[0].asked);
}

#[test]
fn a_tag_of_several_samples_is_one_occurrence_and_a_tag_given_twice_has_one_value() {
    let traffic = [sent("a|^host=web-1,x=1|5\nb|x=1|6\n", 0), sent("a|host=web-1,host=web-2|7\n", 1)];
    let of_group = run(&rule("tag = \"^host\"\ndistinct = 1"), &traffic[..1], 1);
    assert_eq!(of_group.expansion.reach()[0].occurrences, 1);
    assert_eq!(of_group.shown.len(), 2);
    assert_ne!(of_group.shown[0].series_after, of_group.shown[1].series_after);
    let twice = run(&rule("tag = \"host\"\ndistinct = 1\npattern = \"h{n}\""), &traffic[1..], 1);
    assert_eq!(twice.texts, ["a|host=h0,host=h0|7\n"]);
}

#[test]
fn series_hashes_are_those_of_what_was_sent() {
    let traffic = traffic(300, 5, 3);
    let first = run(&rule("tag = \"host\"\ndistinct = 40\nderive = { rack = \"r{host % 4}\" }"), &traffic, 9);
    let sent_again: Vec<Sent> = first.texts.iter().enumerate().map(|(ix, t)| sent(t.clone(), ix as u64)).collect();
    let second = run(&rule("tag = \"host\"\npick = \"fresh\""), &sent_again, 9);
    assert!(first.shown.iter().map(|s| s.series_after).eq(second.shown.iter().map(|s| s.series_before)));
}

#[test]
fn one_shot_ids_are_new_in_every_copy_and_pass() {
    let mut traffic = Vec::new();
    for (pass, copy) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for id in 0..20 {
            let at = Occasion { pass, copy, due_ns: 5 };
            traffic.push(Sent { text: format!("m|id={id}|1\n"), at });
        }
    }
    let run = run(&rule("tag = \"id\"\npick = \"fresh\""), &traffic, 3);
    assert_eq!(values(&run.texts, "id").len(), 80);
    assert_eq!(indices(&run).len(), 80);
    assert!(run.texts[..20].iter().zip(&traffic).all(|(text, sent)| *text == sent.text));
}
