//! Writes the values of the rules into the edits of a payload, and notes what was shown.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::apply::{Occasion, series_hash};
use super::expansion::Expansion;
use super::formats::{Edits, Parsed, Sample, Span};
use super::rules::Pick;
use super::shape::fresh;
use super::shown::{METRIC_OTHER, METRICS_MAX, Shown};
use super::visit::{self, Place};
use super::walk::Walk;
use crate::hash;

/// Follows the rules through the payloads of a run.
#[derive(Debug)]
pub(super) struct Rewriter {
    expansion: Arc<Expansion>,
    walks: Vec<Walk>,
    known: FxHashMap<Vec<u8>, u32>,
    own: Vec<Written>,
    shared: Vec<Written>,
    /// The shared tag that each rule wrote last.
    last: Vec<Option<(Span, u64)>>,
    text: Vec<u8>,
    follows: Vec<u8>,
}

/// What a rule wrote at one place.
#[derive(Debug, Clone, Copy)]
struct Written {
    rule: u16,
    value: u64,
    original: Option<u64>,
    /// By how much the hash of the series changes.
    delta: u64,
}

/// What the parts of one payload share.
struct Page<'p> {
    parsed: &'p Parsed,
    edits: &'p mut Edits,
    at: Occasion,
}

impl Rewriter {
    pub(super) fn new(expansion: Arc<Expansion>) -> Self {
        let walks: Vec<Walk> = expansion.plans.iter().map(Walk::new).collect();
        Self {
            last: vec![None; walks.len()],
            expansion,
            walks,
            known: FxHashMap::default(),
            own: Vec::new(),
            shared: Vec::new(),
            text: Vec::new(),
            follows: Vec::new(),
        }
    }

    /// Treats a payload.
    pub(super) fn payload(
        &mut self,
        rules: &[u16],
        parsed: &Parsed,
        at: Occasion,
        edits: &mut Edits,
        shown: &mut Vec<Shown>,
        metrics: &mut Vec<Vec<u8>>,
    ) {
        let expansion = Arc::clone(&self.expansion);
        let mut page = Page { parsed, edits, at };
        let mut group = None;
        self.last.fill(None);
        self.shared.clear();
        for (ix, sample) in parsed.samples.iter().enumerate() {
            // Below the number of samples, which spans count in 32 bits.
            let number = u32::try_from(ix).unwrap_or(u32::MAX);
            self.own.clear();
            let new_group = group.replace(sample.shared.clone()) != Some(sample.shared.clone());
            if new_group {
                self.shared.clear();
            }
            for rule in rules {
                let of = &expansion.bound.rules.expand[usize::from(*rule)];
                if let Some(place) = visit::shared(parsed, sample, of).filter(|_| new_group) {
                    let written = self.write(*rule, &place, sample, number, &mut page);
                    self.shared.push(written);
                }
                if let Some(place) = visit::own(parsed, sample, of) {
                    let written = self.write(*rule, &place, sample, number, &mut page);
                    self.own.push(written);
                }
            }
            if self.own.is_empty() && self.shared.is_empty() {
                continue;
            }
            let series_before = series_hash(parsed, sample);
            let all = || self.own.iter().chain(&self.shared);
            let series_after = all().fold(series_before, |sum, written| sum.wrapping_add(written.delta));
            let metric = metric(&mut self.known, metrics, parsed.get(sample.metric));
            shown.extend(all().map(|w| Shown { rule: w.rule, metric, value: w.value, original: w.original, series_before, series_after }));
        }
    }

    /// Writes one occurrence.
    fn write(&mut self, rule: u16, place: &Place, sample: &Sample, number: u32, page: &mut Page<'_>) -> Written {
        let expansion = Arc::clone(&self.expansion);
        let ix = usize::from(rule);
        let (of, plan) = (&expansion.bound.rules.expand[ix], &expansion.plans[ix]);
        let mut written = Written { rule, value: 0, original: None, delta: 0 };
        let again = self.last[ix].filter(|(raw, _)| place.raw == Some(*raw));
        let series = if of.pick == Pick::PerSeries { series_hash(page.parsed, sample) } else { 0 };
        written.value = match again {
            Some((_, value)) => value,
            None => self.walks[ix].next(plan, page.at.due_ns, series),
        };
        for (tag_ix, name) in of.tags.iter().enumerate() {
            self.text.clear();
            let first =
                visit::named(page.parsed, &place.tags, name).next().map(|tag| page.parsed.get(page.parsed.tags[tag as usize].value));
            if let Some(old) = first {
                written.original = Some(written.original.unwrap_or(0).wrapping_add(hash::tag(name.as_bytes(), old)));
            }
            match first.filter(|_| of.pick == Pick::Fresh) {
                Some(old) if page.at.copy == 0 && page.at.pass == 0 => self.text.extend_from_slice(old),
                Some(old) => fresh(old, page.at.copy, page.at.pass, plan.key, &mut self.text),
                None => plan.values.write(tag_ix, written.value, &mut self.text),
            }
            if of.pick == Pick::Fresh {
                written.value = hash::bytes(plan.key, &self.text);
            }
            written.delta = written.delta.wrapping_add(page.set(place, number, name, &self.text));
        }
        for derived in &of.derive {
            self.follows.clear();
            derived.write(&self.text, written.value, &mut self.follows);
            written.delta = written.delta.wrapping_add(page.set(place, number, &derived.tag, &self.follows));
        }
        if let Some(raw) = place.raw {
            self.last[ix] = Some((raw, written.value));
        }
        written
    }
}

impl Page<'_> {
    /// Gives all tags of this name a value, or adds one; gives the change of the series' hash.
    fn set(&mut self, place: &Place, sample: u32, name: &str, value: &[u8]) -> u64 {
        let new = hash::tag(name.as_bytes(), value);
        let mut delta = 0u64;
        let mut found = false;
        for tag in visit::named(self.parsed, &place.tags, name) {
            let old = self.parsed.get(self.parsed.tags[tag as usize].value);
            found = true;
            if old != value {
                self.edits.replace(tag, value);
                delta = delta.wrapping_add(new).wrapping_sub(hash::tag(name.as_bytes(), old));
            }
        }
        if found {
            return delta;
        }
        self.edits.add(sample, name.as_bytes(), value);
        new
    }
}

/// A metric's number; names are kept while there is room.
fn metric(known: &mut FxHashMap<Vec<u8>, u32>, metrics: &mut Vec<Vec<u8>>, name: &[u8]) -> u32 {
    if let Some(number) = known.get(name) {
        return *number;
    }
    let Some(number) = u32::try_from(metrics.len()).ok().filter(|_| metrics.len() < METRICS_MAX) else { return METRIC_OTHER };
    metrics.push(name.to_vec());
    known.insert(name.to_vec(), number);
    number
}
