//! The transform itself: a record goes in, and the record to send comes out.
//!
//! Both modes, counting and rewriting, go through the same payloads in the same way, so that what is counted is what is
//! written. Nothing is allocated per record: buffers are used again.

use std::sync::Arc;

use dejaq_shared::record::Record;

use super::bound::{Bound, Opened};
use super::count::{Counted, Example, PERIODS_MAX, PayloadCount, RuleCount};
use super::expansion::Expansion;
use super::formats::{Edits, Format, Malformed, Parsed, Part};
use super::rewrite::Rewriter;
use super::rules::{ExpandRule, Pick};
use super::shown::Shown;
use super::timeline::Timeline;
use super::visit;
use crate::hash;

/// The one sending of a record that is prepared: what a transform may depend on besides the record and the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occasion {
    /// Which pass of a loop, from 0.
    pub pass: u32,
    /// Which copy of the traffic, from 0: the original.
    pub copy: u32,
    /// The intended send time, nanoseconds after the start of the run. Never less than at the call before.
    pub due_ns: u64,
}

/// Changes records, one after the other in the order of the schedule. The default changes nothing.
#[derive(Debug, Default)]
pub struct Transform {
    job: Option<Job>,
    shown: Vec<Shown>,
    metrics: Vec<Vec<u8>>,
    counted: Counted,
}

#[derive(Debug)]
struct Job {
    bound: Arc<Bound>,
    /// As the groups of `bound`.
    formats: Vec<Vec<Box<dyn Format>>>,
    /// For each group, where its formats' counts begin.
    counts_at: Vec<usize>,
    parsed: Parsed,
    edits: Edits,
    /// What was written, by part.
    outs: [Vec<u8>; Part::COUNT],
    mode: Work,
}

#[derive(Debug)]
enum Work {
    /// Each rule's periods.
    Count(Vec<Timeline>),
    Rewrite {
        rewriter: Box<Rewriter>,
        origin_ns: Option<i64>,
    },
}

impl Transform {
    /// One that changes nothing and counts what the rules would write.
    #[must_use]
    pub fn counting(bound: Arc<Bound>) -> Self {
        // Births play no part in counting: periods begin at the same times.
        let lines = bound.rules.expand.iter().map(|rule| Timeline::new(rule, 0)).collect();
        Self::new(bound, Work::Count(lines))
    }

    /// One that follows the rules. Time stamps are moved to `origin_ns` (nanoseconds since 1970) plus the due time; without
    /// it they stay.
    #[must_use]
    pub fn rewriting(expansion: Arc<Expansion>, origin_ns: Option<i64>) -> Self {
        let bound = Arc::clone(&expansion.bound);
        Self::new(bound, Work::Rewrite { rewriter: Box::new(Rewriter::new(expansion)), origin_ns })
    }

    fn new(bound: Arc<Bound>, mode: Work) -> Self {
        let rules = bound.rules.expand.iter().map(|rule| RuleCount::of_tags(rule.tags.len())).collect();
        let payloads = bound.groups.iter().flat_map(|g| &g.formats).map(|o| PayloadCount::new(o.kind)).collect();
        let mut counts_at = Vec::with_capacity(bound.groups.len());
        let mut at = 0;
        for group in &bound.groups {
            counts_at.push(at);
            at += group.formats.len();
        }
        let formats = bound.open();
        let job = Job { bound, formats, counts_at, parsed: Parsed::default(), edits: Edits::default(), outs: Default::default(), mode };
        Self { job: Some(job), shown: Vec::new(), metrics: Vec::new(), counted: Counted { rules, payloads } }
    }

    /// The record to send in place of `record`. What is changed lies in this transform's own memory, until the next call.
    pub fn apply<'r>(&'r mut self, record: &Record<'r>, at: Occasion) -> Record<'r> {
        self.shown.clear();
        let Some(job) = &mut self.job else { return *record };
        let Some(group) = job.bound.group_of(record.stream) else { return *record };
        let mut written = [None; Part::COUNT];
        for ix in 0..job.formats[group].len() {
            if let Some(part) = job.format(group, ix, record, at, &mut self.counted, &mut self.shown, &mut self.metrics) {
                written[part as usize] = Some(part);
            }
        }
        let mut changed = *record;
        for part in written.into_iter().flatten() {
            part.put(&mut changed, &job.outs[part as usize]);
        }
        changed
    }

    /// What the last call of [`Transform::apply`] wrote; it is cleared at the next.
    pub fn shown(&mut self) -> &mut Vec<Shown> {
        &mut self.shown
    }

    /// The metrics' names, by [`Shown::metric`].
    #[must_use]
    pub fn metrics(&self) -> &[Vec<u8>] {
        &self.metrics
    }

    /// What was counted. Of a rewriting one only [`Counted::payloads`] is of use.
    #[must_use]
    pub fn counted(self) -> Counted {
        self.counted
    }
}

impl Job {
    /// Treats a record with one format; gives the part that was written.
    #[expect(clippy::too_many_arguments, reason = "the parts of the transform that are not the job's own")]
    fn format(
        &mut self,
        group: usize,
        ix: usize,
        record: &Record<'_>,
        at: Occasion,
        counted: &mut Counted,
        shown: &mut Vec<Shown>,
        metrics: &mut Vec<Vec<u8>>,
    ) -> Option<Part> {
        let bound = Arc::clone(&self.bound);
        let opened = &bound.groups[group].formats[ix];
        let part = opened.kind.part();
        let payload = part.of(record)?;
        let count = &mut counted.payloads[self.counts_at[group] + ix];
        count.payloads += 1;
        let example = |why: Malformed| Example { stream: record.stream, position: record.position, why };
        let format = &mut self.formats[group][ix];
        if let Err(why) = format.parse(payload, &mut self.parsed) {
            count.malformed += 1;
            count.example.get_or_insert_with(|| example(why));
            return None;
        }
        let newest = self.parsed.stamps.iter().map(|stamp| stamp.ns).max();
        count.without_stamp += u64::from(opened.retime && newest.is_none());
        match &mut self.mode {
            Work::Count(lines) => {
                count_payload(&bound, opened, lines, &self.parsed, at, &mut counted.rules);
                None
            }
            Work::Rewrite { rewriter, origin_ns } => {
                self.edits.clear();
                if let (true, Some(newest), Some(origin)) = (opened.retime, newest, *origin_ns) {
                    let due = origin.saturating_add(i64::try_from(at.due_ns).unwrap_or(i64::MAX));
                    self.edits.shift(due.saturating_sub(newest));
                }
                let before = shown.len();
                rewriter.payload(&opened.expand, &self.parsed, at, &mut self.edits, shown, metrics);
                if self.edits.is_empty() {
                    return None;
                }
                self.edits.seal();
                let out = &mut self.outs[part as usize];
                out.clear();
                if let Err(why) = format.write(payload, &self.parsed, &self.edits, out) {
                    count.unwritten += 1;
                    count.unwritten_example.get_or_insert_with(|| example(why));
                    shown.truncate(before);
                    return None;
                }
                Some(part)
            }
        }
    }
}

/// Finds the occurrences of a payload, and notes them.
fn count_payload(bound: &Bound, opened: &Opened, lines: &mut [Timeline], parsed: &Parsed, at: Occasion, counts: &mut [RuleCount]) {
    for ix in opened.expand.iter().map(|ix| usize::from(*ix)) {
        let (rule, line, count) = (&bound.rules.expand[ix], &mut lines[ix], &mut counts[ix]);
        while line.is_past(at.due_ns) && line.period < PERIODS_MAX {
            line.advance();
        }
        let mut last_raw = None;
        for sample in &parsed.samples {
            let shared = visit::shared(parsed, sample, rule);
            let own = visit::own(parsed, sample, rule);
            count.without += u64::from(shared.is_none() && own.is_none());
            let again = shared.as_ref().is_some_and(|place| place.raw == last_raw);
            if let Some(place) = &shared {
                last_raw = place.raw;
            }
            let series = || (rule.pick == Pick::PerSeries).then(|| series_hash(parsed, sample));
            for place in [shared.filter(|_| !again), own].into_iter().flatten() {
                let original = see(parsed, &place, rule, count);
                count.occur(line.period, original, series());
            }
        }
    }
}

/// Notes the values of an occurrence; gives the hash of the recorded one.
fn see(parsed: &Parsed, place: &visit::Place, rule: &ExpandRule, count: &mut RuleCount) -> Option<u64> {
    let mut sum: Option<u64> = None;
    for (ix, name) in rule.tags.iter().enumerate() {
        let Some(tag) = visit::named(parsed, &place.tags, name).next() else { continue };
        let value = parsed.get(parsed.tags[tag as usize].value);
        count.see(ix, value);
        sum = Some(sum.unwrap_or(0).wrapping_add(hash::tag(name.as_bytes(), value)));
    }
    sum
}

/// A hash of a series as it is: the metric and its tags in any order.
pub(super) fn series_hash(parsed: &Parsed, sample: &super::formats::Sample) -> u64 {
    let metric = hash::bytes(1, parsed.get(sample.metric));
    let tags = parsed.tags_of(sample).map(|(_, tag)| hash::tag(parsed.get(tag.name), parsed.get(tag.value)));
    tags.fold(metric, u64::wrapping_add)
}
