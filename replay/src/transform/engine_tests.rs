//! The rules without planner and real formats: counted, planned and written over a format of a line per sample. What came out is
//! counted by splitting it at characters.

mod bad;
mod exact;
mod golden;
mod line;

use std::collections::BTreeMap;
use std::sync::Arc;

use dejaq_shared::record::{Headers, Record};

use super::bound::Bound;
use super::count::Counted;
use super::error::RulesError;
use super::expansion::{Expansion, Horizon};
use super::rules::Rules;
use super::shown::Shown;
use super::{Occasion, Transform};
use crate::testing::{record, stream};

/// A payload and when it is sent.
#[derive(Debug, Clone)]
struct Sent {
    text: String,
    at: Occasion,
}

fn sent(text: impl Into<String>, due_ns: u64) -> Sent {
    Sent { text: text.into(), at: Occasion { due_ns, ..Occasion::default() } }
}

fn record_of(text: &str) -> Record<'_> {
    Record { stream: 0, ..record(None, Some(text.as_bytes()), Headers::EMPTY) }
}

fn bind(rules: &str) -> Result<Arc<Bound>, RulesError> {
    Rules::from_toml(rules)?.bind_with(&[stream("t", 0)], &[None], line::open).map(Arc::new)
}

fn count(bound: &Arc<Bound>, traffic: &[Sent]) -> Counted {
    let mut counting = Transform::counting(Arc::clone(bound));
    for one in traffic {
        let record = record_of(&one.text);
        assert_eq!(counting.apply(&record, one.at), record);
    }
    counting.counted()
}

fn horizon(traffic: &[Sent]) -> Horizon {
    Horizon { ns: traffic.last().map_or(0, |last| last.at.due_ns + 1), repeats: false }
}

/// What a run of the rules sends.
struct Run {
    expansion: Arc<Expansion>,
    texts: Vec<String>,
    shown: Vec<Shown>,
}

fn try_run(rules: &str, traffic: &[Sent], seed: u64) -> Result<Run, RulesError> {
    let bound = bind(rules)?;
    let counted = count(&bound, traffic);
    let expansion = Arc::new(Expansion::new(bound, &counted, horizon(traffic), seed)?);
    let (texts, shown) = rewrite(&expansion, traffic);
    Ok(Run { expansion, texts, shown })
}

fn run(rules: &str, traffic: &[Sent], seed: u64) -> Run {
    try_run(rules, traffic, seed).expect(rules)
}

fn rewrite(expansion: &Arc<Expansion>, traffic: &[Sent]) -> (Vec<String>, Vec<Shown>) {
    let mut rewriting = Transform::rewriting(Arc::clone(expansion), Some(1_700_000_000_000_000_000));
    let (mut texts, mut shown) = (Vec::new(), Vec::new());
    for one in traffic {
        let record = record_of(&one.text);
        let written = rewriting.apply(&record, one.at).value.expect("a value").to_vec();
        texts.push(String::from_utf8(written).expect("text"));
        shown.append(rewriting.shown());
    }
    (texts, shown)
}

/// How often each value of a tag stands in some texts.
fn values<'t>(texts: impl IntoIterator<Item = &'t String>, tag: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for text in texts {
        for line in text.lines() {
            let tags = line.split('|').nth(1).expect("tags");
            for (_, value) in tags.split(',').filter_map(|t| t.split_once('=')).filter(|(name, _)| *name == tag) {
                *found.entry(value.to_owned()).or_default() += 1;
            }
        }
    }
    found
}
