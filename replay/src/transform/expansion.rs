//! From what was counted to which values are shown when, and to what the plan says about it.

use std::sync::Arc;

use dejaq_shared::record::Stream;
use dejaq_shared::units::{format_count, format_duration_ns};

use super::bound::Bound;
use super::count::{Counted, PERIODS_MAX, RuleCount, SERIES_MAX};
use super::error::{Place, RulesError};
use super::rules::{ASKED_MAX, ExpandRule, Mode, Pick};
use super::series::SeriesShares;
use super::timeline::Timeline;
use super::values::Values;
use super::walk::Coming;
use crate::hash::key;

/// What the counting pass went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Horizon {
    /// Its length: nanoseconds after the start of the run.
    pub ns: u64,
    /// Whether the run goes on for ever with the same again (a loop without an end): time then starts anew for the rules
    /// every `ns`, and no value is shown that the first time did not show.
    pub repeats: bool,
}

impl Horizon {
    /// Which time through the horizon, and how far in it.
    pub(super) fn place(self, due_ns: u64) -> (u64, u64) {
        if self.repeats && self.ns > 0 { (due_ns / self.ns, due_ns % self.ns) } else { (0, due_ns) }
    }
}

/// What a rule will come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Where the rule begins in its file.
    pub place: Place,
    /// The tag; those of a combination are joined by `+`.
    pub tag: String,
    /// Values alive at once, in the end; `None` with `pick = "fresh"`.
    pub distinct: Option<u64>,
    /// Values born in place of others (churn).
    pub births: u64,
    /// All values that the run must show; with `pick = "fresh"` 0, as no number is asked for.
    pub asked: u64,
    /// The values that it will show, exactly; with `pick = "fresh"` 0.
    pub will_show: u64,
    /// Occurrences: how many times a value is written.
    pub occurrences: u64,
    /// Why not all are shown, or what else is not as one might expect.
    pub reasons: Vec<Reason>,
}

/// Something that a person should know before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Why.
    pub why: String,
    /// What would make it otherwise.
    pub remedy: String,
}

/// Everything that decides which occurrence gets which value.
#[derive(Debug)]
pub struct Expansion {
    pub(super) bound: Arc<Bound>,
    pub(super) plans: Vec<RulePlan>,
    reach: Vec<Reach>,
}

/// What is decided for one rule.
#[derive(Debug)]
pub(super) struct RulePlan {
    pub(super) pick: Pick,
    pub(super) churns: bool,
    pub(super) key: u64,
    pub(super) horizon: Horizon,
    pub(super) values: Values,
    pub(super) series: Option<SeriesShares>,
    start: Timeline,
    periods: Vec<u64>,
}

impl RulePlan {
    /// The periods, from the first.
    pub(super) fn timeline(&self) -> Timeline {
        self.start.clone()
    }

    /// Occurrences counted in a period.
    pub(super) fn occurrences_in(&self, period: usize) -> u64 {
        self.periods.get(period).copied().unwrap_or(0)
    }
}

impl Expansion {
    /// Plans the values. The same rules, counts, horizon and seed give the same plan.
    ///
    /// # Errors
    /// [`RulesError`] when a rule has nothing to write, or more than can be counted exactly.
    pub fn new(bound: Arc<Bound>, counted: &Counted, horizon: Horizon, seed: u64) -> Result<Self, RulesError> {
        let mut plans = Vec::new();
        let mut reach = Vec::new();
        for (ix, rule) in bound.rules.expand.iter().enumerate() {
            let count = counted.rules.get(ix).cloned().unwrap_or_else(|| RuleCount::of_tags(rule.tags.len()));
            countable(rule, &count)?;
            if count.occurrences == 0 {
                return Err(no_tag(&bound, ix, &count, counted));
            }
            let start = Timeline::new(rule, horizon.ns);
            let series = (rule.pick == Pick::PerSeries).then(|| SeriesShares::new(&count.series, rule.distinct));
            let found = reached(rule, &count, start.clone(), series.as_ref(), horizon)?;
            let rule_key = key(key(seed, 0x0DE7A), ix as u64);
            plans.push(RulePlan {
                pick: rule.pick,
                churns: rule.churn.is_some(),
                key: rule_key,
                horizon,
                values: Values::new(rule, &count, found.asked, rule_key),
                series,
                start,
                periods: count.periods,
            });
            reach.push(found);
        }
        Ok(Self { bound, plans, reach })
    }

    /// The rules, bound to streams.
    #[must_use]
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// What each `[[expand]]` will come to, in the order of the file.
    #[must_use]
    pub fn reach(&self) -> &[Reach] {
        &self.reach
    }
}

fn countable(rule: &ExpandRule, count: &RuleCount) -> Result<(), RulesError> {
    let place = rule.place;
    if count.too_many_periods {
        let remedy = "let churn.every be longer";
        return Err(RulesError::TooMany {
            place,
            what: "periods in the run",
            found: PERIODS_MAX as u64 + 1,
            most: PERIODS_MAX as u64,
            remedy,
        });
    }
    if count.too_many_series {
        let remedy = "use pick = \"uniform\", or narrow the rule's streams";
        return Err(RulesError::TooMany { place, what: "series", found: SERIES_MAX as u64 + 1, most: SERIES_MAX as u64, remedy });
    }
    Ok(())
}

fn no_tag(bound: &Bound, ix: usize, count: &RuleCount, counted: &Counted) -> RulesError {
    let rule = &bound.rules.expand[ix];
    let opened = bound.groups.iter().flat_map(|g| &g.formats);
    let mine = opened.zip(&counted.payloads).filter(|(o, _)| o.expand.iter().any(|e| usize::from(*e) == ix)).map(|(_, p)| p);
    let (mut payloads, mut malformed, mut format, mut example) = (0, 0, "of its format", String::new());
    for found in mine {
        payloads += found.payloads;
        malformed += found.malformed;
        format = found.format.name();
        if let Some(first) = found.example.filter(|_| example.is_empty()) {
            let stream = bound.streams.get(first.stream as usize).map_or_else(String::new, Stream::name);
            example = format!(" (the first at position {} of {stream}: {})", first.position, first.why);
        }
    }
    RulesError::NoTag { place: rule.place, tag: rule.tag(), payloads, malformed, format, example, samples: count.without }
}

/// Goes through the periods and sees what is shown.
fn reached(
    rule: &ExpandRule,
    count: &RuleCount,
    mut line: Timeline,
    series: Option<&SeriesShares>,
    horizon: Horizon,
) -> Result<Reach, RulesError> {
    let mut reach = Reach { place: rule.place, tag: rule.tag(), occurrences: count.occurrences, ..Reach::default() };
    if rule.pick == Pick::Fresh {
        return Ok(reach);
    }
    let mut shown = 0;
    let mut short: Option<(u64, u64, u64)> = None;
    loop {
        let coming = Coming::of(&line, count.periods.get(line.period).copied().unwrap_or(0), shown);
        shown = coming.first + coming.new;
        reach.will_show += coming.new;
        if shown < line.high {
            short.get_or_insert((line.start_ns(), coming.occurrences, line.high - coming.first));
        }
        let last = horizon.ns.saturating_sub(1);
        if line.period + 1 >= count.periods.len() && !line.is_past(last) {
            break;
        }
        if line.period >= PERIODS_MAX {
            let remedy = "let churn.every be longer";
            return Err(RulesError::TooMany {
                place: rule.place,
                what: "periods in the run",
                found: PERIODS_MAX as u64 + 1,
                most: PERIODS_MAX as u64,
                remedy,
            });
        }
        line.advance();
    }
    let alive = line.high - line.low;
    reach.distinct = Some(alive);
    reach.births = line.low;
    reach.asked = line.high;
    if let Some(series) = series {
        reach.will_show = series.shown();
    }
    if reach.asked > ASKED_MAX {
        let remedy = "ask for fewer values, or for less churn";
        return Err(RulesError::TooMany { place: rule.place, what: "values, alive and born", found: reach.asked, most: ASKED_MAX, remedy });
    }
    reach.reasons = reasons(rule, count, &reach, short, series);
    Ok(reach)
}

fn reasons(
    rule: &ExpandRule,
    count: &RuleCount,
    reach: &Reach,
    short: Option<(u64, u64, u64)>,
    series: Option<&SeriesShares>,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let tag = &reach.tag;
    if reach.will_show < reach.asked {
        let (start, had, wanted) = short.unwrap_or((0, reach.occurrences, reach.asked));
        let why = if rule.churn.is_none() && rule.grow.is_none() {
            format!("{tag} is written {} times, and {} values are asked for", format_count(reach.occurrences), format_count(reach.asked))
        } else {
            let from = format_duration_ns(start);
            format!(
                "{tag} is written {} times in the period from {from} on, when {} values wait to be shown",
                format_count(had),
                format_count(wanted)
            )
        };
        let remedy = format!("ask for {} values at most, or send more messages (--copies, --loop, --for)", format_count(reach.will_show));
        reasons.push(Reason { why, remedy });
    }
    let recorded = count.originals.count().count;
    let alive = reach.distinct.unwrap_or(0);
    if rule.mode == Mode::Replace && rule.tags.len() == 1 && recorded > alive {
        let why = format!(
            "the recording has {} values of {tag}, and {} are asked for: there will be fewer than recorded",
            format_count(recorded),
            format_count(alive)
        );
        reasons.push(Reason { why, remedy: format!("distinct = {recorded} or more") });
    }
    if rule.grow.is_some() && alive < rule.distinct {
        let why =
            format!("the run ends before {tag} has grown to {} values: it has {} then", format_count(rule.distinct), format_count(alive));
        reasons.push(Reason { why, remedy: "a shorter grow.over, or a longer run (--loop, --for)".to_owned() });
    }
    if let Some(series) = series.filter(|s| (s.len() as u64) > rule.distinct) {
        let why = format!(
            "there are {} series and {} values: some series share a value",
            format_count(series.len() as u64),
            format_count(rule.distinct)
        );
        reasons.push(Reason { why, remedy: format!("distinct = {} or more", series.len()) });
    }
    reasons
}
