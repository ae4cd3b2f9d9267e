//! The rule file as TOML has it, and the way from there to [`Rules`].

use std::collections::BTreeMap;

use dejaq_shared::toml_text;
use dejaq_shared::units::{duration_ns, parse_duration};
use serde::Deserialize;
use toml::{Spanned, Value};

use super::derive::Derived;
use super::error::{Place, RulesError};
use super::formats::{FormatKind, StampField, StampUnit};
use super::pattern::Pattern;
use super::rules::{ASKED_MAX, Churn, Curve, ExpandRule, FormatChoice, Grow, Mode, Pick, RetimeRule, Rules};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRules {
    #[serde(default)]
    expand: Vec<Spanned<RawExpand>>,
    #[serde(default)]
    retime: Vec<Spanned<RawRetime>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpand {
    streams: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
    tag: Option<Spanned<String>>,
    tags: Option<Spanned<Vec<String>>>,
    distinct: Option<Spanned<i64>>,
    series: Option<Spanned<i64>>,
    mode: Option<Spanned<String>>,
    pick: Option<Spanned<Value>>,
    churn: Option<RawChurn>,
    grow: Option<RawGrow>,
    #[serde(default)]
    derive: BTreeMap<String, Spanned<String>>,
    pattern: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChurn {
    share: Spanned<f64>,
    every: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrow {
    from: Spanned<i64>,
    over: Spanned<String>,
    curve: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetime {
    streams: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
    field: Option<Spanned<String>>,
    unit: Option<Spanned<String>>,
}

const FORMATS: &str = "json, dogstatsd, influx, graphite, prometheus-text, prometheus-remote-write, otlp-protobuf, otlp-json, key, header, \
                       amqp-header, routing-key or auto";

/// Reads a rule file.
pub(super) fn read(text: &str) -> Result<Rules, RulesError> {
    let raw: RawRules = toml_text::parse(text).map_err(RulesError::Toml)?;
    if raw.expand.is_empty() && raw.retime.is_empty() {
        return Err(RulesError::Empty);
    }
    let reader = Reader { text };
    let expand = raw.expand.into_iter().map(|rule| reader.expand(rule)).collect::<Result<_, _>>()?;
    let retime = raw.retime.into_iter().map(|rule| reader.retime(rule)).collect::<Result<_, _>>()?;
    Ok(Rules { expand, retime })
}

/// The key that says how many values there are to be, and what it says.
type Asked<'r> = Option<(&'static str, &'r Spanned<i64>)>;

/// Knows the file's text, for places.
struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn place<T>(&self, value: &Spanned<T>) -> Place {
        Place::of(self.text, value.span().start)
    }

    fn refuse<T>(&self, key: &'static str, at: &Spanned<T>, found: impl Into<String>, expected: impl Into<String>) -> RulesError {
        RulesError::Value { place: self.place(at), key, found: found.into(), expected: expected.into() }
    }

    fn expand(&self, rule: Spanned<RawExpand>) -> Result<ExpandRule, RulesError> {
        let place = self.place(&rule);
        let raw = rule.into_inner();
        let (tags, distinct) = self.target(place, &raw)?;
        let pick = raw.pick.as_ref().map_or(Ok(Pick::Uniform), |pick| self.pick(pick))?;
        let expanded = ExpandRule {
            place,
            streams: self.streams(place, raw.streams.as_ref())?,
            format: self.format(place, raw.format.as_ref())?,
            distinct: self.distinct(place, pick, distinct)?,
            mode: self.one_of("mode", raw.mode.as_ref(), &[("replace", Mode::Replace), ("add", Mode::Add)])?.unwrap_or_default(),
            pick,
            churn: raw.churn.as_ref().map(|churn| self.churn(churn)).transpose()?,
            grow: raw.grow.as_ref().map(|grow| self.grow(grow, distinct)).transpose()?,
            derive: self.derived(&raw.derive, &tags)?,
            pattern: raw.pattern.as_ref().map(|pattern| self.pattern(pattern)).transpose()?,
            tags,
        };
        consistent(&expanded)?;
        Ok(expanded)
    }

    fn retime(&self, rule: Spanned<RawRetime>) -> Result<RetimeRule, RulesError> {
        let place = self.place(&rule);
        let raw = rule.into_inner();
        let units = [
            ("s", StampUnit::Seconds),
            ("ms", StampUnit::Milliseconds),
            ("us", StampUnit::Microseconds),
            ("ns", StampUnit::Nanoseconds),
            ("rfc3339", StampUnit::Rfc3339),
        ];
        let format = self.format(place, raw.format.as_ref())?;
        let unit = self.one_of("unit", raw.unit.as_ref(), &units)?;
        let field = match (raw.field, unit) {
            (Some(field), Some(unit)) => Some(StampField { path: self.filled("field", &field)?, unit }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(RulesError::Missing { place, key: "unit", why: "what the field counts: s, ms, us, ns or rfc3339" });
            }
            (None, Some(_)) => {
                return Err(RulesError::Missing { place, key: "field", why: "the path of the time stamp, such as \"$.ts\"" });
            }
        };
        match (format, &field) {
            (FormatChoice::Named(FormatKind::Json), None) => Err(RulesError::Missing {
                place,
                key: "field",
                why: "JSON has no time stamp field of its own; write its path, such as \"$.ts\"",
            }),
            (FormatChoice::Named(kind), Some(_)) if kind != FormatKind::Json => Err(RulesError::Contradiction {
                place,
                one: "format",
                other: "field",
                why: "only json takes a field; other formats know theirs",
            }),
            _ => Ok(RetimeRule { place, streams: self.streams(place, raw.streams.as_ref())?, format, field }),
        }
    }

    fn streams(&self, place: Place, streams: Option<&Spanned<String>>) -> Result<String, RulesError> {
        let why = "a glob over the names of streams, such as \"metrics.*\" or \"*\"";
        let streams = streams.ok_or(RulesError::Missing { place, key: "streams", why })?;
        crate::select::StreamGlob::new(streams.get_ref())
            .map_err(|reason| self.refuse("streams", streams, quoted(streams), format!("a glob ({reason})")))?;
        Ok(streams.get_ref().clone())
    }

    fn format(&self, place: Place, format: Option<&Spanned<String>>) -> Result<FormatChoice, RulesError> {
        let format = format.ok_or(RulesError::Missing { place, key: "format", why: FORMATS })?;
        if format.get_ref() == "auto" {
            return Ok(FormatChoice::Auto);
        }
        let kind = FormatKind::from_name(format.get_ref()).ok_or_else(|| self.refuse("format", format, quoted(format), FORMATS))?;
        Ok(FormatChoice::Named(kind))
    }

    /// The tags, and how many values they are to have.
    fn target<'r>(&self, place: Place, raw: &'r RawExpand) -> Result<(Vec<String>, Asked<'r>), RulesError> {
        let contradiction = |one, other, why| Err(RulesError::Contradiction { place, one, other, why });
        match (&raw.tag, &raw.tags) {
            (Some(_), Some(_)) => contradiction("tag", "tags", "a rule is for one tag, or makes combinations of several"),
            (Some(_), None) if raw.series.is_some() => {
                contradiction("tag", "series", "series counts combinations of tags = [\"a\", \"b\"]; for one tag it is distinct")
            }
            (None, Some(_)) if raw.distinct.is_some() => {
                contradiction("tags", "distinct", "distinct counts the values of one tag; combinations are counted by series")
            }
            (Some(tag), None) => Ok((vec![self.filled("tag", tag)?], raw.distinct.as_ref().map(|n| ("distinct", n)))),
            (None, Some(tags)) => {
                let found = tags.get_ref();
                let twice = found.iter().enumerate().any(|(ix, tag)| found[..ix].contains(tag));
                if !(2..=TAGS_MAX).contains(&found.len()) || twice || found.iter().any(String::is_empty) {
                    return Err(self.refuse("tags", tags, format!("{found:?}"), format!("2 to {TAGS_MAX} different names")));
                }
                if raw.series.is_none() {
                    return Err(RulesError::Missing { place, key: "series", why: "how many combinations of the tags there are to be" });
                }
                Ok((found.clone(), raw.series.as_ref().map(|n| ("series", n))))
            }
            (None, None) => {
                Err(RulesError::Missing { place, key: "tag", why: "the tag to give values to (or tags = [\"a\", \"b\"] with series)" })
            }
        }
    }

    fn distinct(&self, place: Place, pick: Pick, distinct: Option<(&'static str, &Spanned<i64>)>) -> Result<u64, RulesError> {
        match (pick, distinct) {
            (Pick::Fresh, None) => Ok(0),
            (Pick::Fresh, Some((key, _))) => Err(RulesError::Contradiction {
                place,
                one: "pick",
                other: key,
                why: "with \"fresh\" there are as many values as were recorded, in each copy and pass",
            }),
            (_, None) => Err(RulesError::Missing { place, key: "distinct", why: "how many values are alive at once" }),
            (_, Some((key, n))) => u64::try_from(*n.get_ref())
                .ok()
                .filter(|n| (1..=ASKED_MAX).contains(n))
                .ok_or_else(|| self.refuse(key, n, n.get_ref().to_string(), format!("1 to {ASKED_MAX}"))),
        }
    }

    fn pick(&self, pick: &Spanned<Value>) -> Result<Pick, RulesError> {
        let refuse = || {
            self.refuse(
                "pick",
                pick,
                pick.get_ref().to_string(),
                "\"uniform\", \"per-series\", \"fresh\" or { zipf = 1.1 } with an exponent above 0, at most 10",
            )
        };
        match pick.get_ref() {
            Value::String(name) => match name.as_str() {
                "uniform" => Ok(Pick::Uniform),
                "per-series" => Ok(Pick::PerSeries),
                "fresh" => Ok(Pick::Fresh),
                _ => Err(refuse()),
            },
            Value::Table(table) if table.len() == 1 => {
                let exponent = match table.get("zipf") {
                    Some(Value::Float(s)) => *s,
                    Some(Value::Integer(s)) => i32::try_from(*s).map_err(|_| refuse())?.into(),
                    _ => return Err(refuse()),
                };
                if exponent > 0.0 && exponent <= 10.0 { Ok(Pick::Zipf(exponent)) } else { Err(refuse()) }
            }
            _ => Err(refuse()),
        }
    }

    fn churn(&self, churn: &RawChurn) -> Result<Churn, RulesError> {
        let share = *churn.share.get_ref();
        if !(share > 0.0 && share <= 1.0) {
            return Err(self.refuse("churn.share", &churn.share, share.to_string(), "a share above 0 and at most 1, such as 0.05"));
        }
        Ok(Churn { share, every_ns: self.duration("churn.every", &churn.every)? })
    }

    fn grow(&self, grow: &RawGrow, distinct: Option<(&str, &Spanned<i64>)>) -> Result<Grow, RulesError> {
        let curves = [("linear", Curve::Linear), ("exponential", Curve::Exponential), ("step", Curve::Step)];
        let target = distinct.map_or(0, |(_, n)| *n.get_ref());
        let from = *grow.from.get_ref();
        let from = u64::try_from(from).ok().filter(|n| *n > 0 && grow.from.get_ref() < &target);
        Ok(Grow {
            from: from.ok_or_else(|| {
                self.refuse(
                    "grow.from",
                    &grow.from,
                    grow.from.get_ref().to_string(),
                    format!("at least 1 and fewer than the {target} that are asked for"),
                )
            })?,
            over_ns: self.duration("grow.over", &grow.over)?,
            curve: self.one_of("grow.curve", grow.curve.as_ref(), &curves)?.unwrap_or_default(),
        })
    }

    fn derived(&self, derive: &BTreeMap<String, Spanned<String>>, tags: &[String]) -> Result<Vec<Derived>, RulesError> {
        let parent = tags.first().map_or("", String::as_str);
        let read = |(tag, template): (&String, &Spanned<String>)| {
            if tag.is_empty() || tags.contains(tag) {
                return Err(self.refuse("derive", template, format!("{tag:?}"), "the name of another tag"));
            }
            Derived::parse(tag, template.get_ref(), parent).map_err(|why| {
                self.refuse("derive", template, quoted(template), format!("a template such as \"r{{{parent} % 40}}\": {why}"))
            })
        };
        derive.iter().map(read).collect()
    }

    fn pattern(&self, pattern: &Spanned<String>) -> Result<Pattern, RulesError> {
        Pattern::parse(pattern.get_ref())
            .map_err(|why| self.refuse("pattern", pattern, quoted(pattern), format!("a pattern such as \"host-{{n:05}}\": {why}")))
    }

    fn duration(&self, key: &'static str, text: &Spanned<String>) -> Result<u64, RulesError> {
        let expected = "a duration above 0 such as 500ms, 60s or 10m";
        let parsed = parse_duration(text.get_ref()).map(duration_ns).ok().filter(|ns| *ns > 0);
        parsed.ok_or_else(|| self.refuse(key, text, quoted(text), expected))
    }

    fn filled(&self, key: &'static str, text: &Spanned<String>) -> Result<String, RulesError> {
        if text.get_ref().is_empty() {
            return Err(self.refuse(key, text, quoted(text), "a name"));
        }
        Ok(text.get_ref().clone())
    }

    fn one_of<T: Copy>(&self, key: &'static str, text: Option<&Spanned<String>>, names: &[(&str, T)]) -> Result<Option<T>, RulesError> {
        let Some(text) = text else { return Ok(None) };
        let found = names.iter().find(|(name, _)| name == text.get_ref());
        let expected = || names.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ");
        found.map(|(_, value)| Some(*value)).ok_or_else(|| self.refuse(key, text, quoted(text), expected()))
    }
}

/// The most tags that a rule makes combinations of.
const TAGS_MAX: usize = 8;

fn quoted(text: &Spanned<String>) -> String {
    format!("{:?}", text.get_ref())
}

/// What each key allows on its own may not go together.
fn consistent(rule: &ExpandRule) -> Result<(), RulesError> {
    let several = rule.tags.len() > 1;
    let fresh = rule.pick == Pick::Fresh;
    let moving = "which values are alive changes with time, and a series' own values do not";
    let as_recorded = "with \"fresh\" each value is made of the recorded one";
    let checks = [
        (rule.pick == Pick::PerSeries && rule.churn.is_some(), "pick", "churn", moving),
        (rule.pick == Pick::PerSeries && rule.grow.is_some(), "pick", "grow", moving),
        (fresh && rule.churn.is_some(), "pick", "churn", as_recorded),
        (fresh && rule.grow.is_some(), "pick", "grow", as_recorded),
        (fresh && rule.pattern.is_some(), "pick", "pattern", as_recorded),
        (fresh && !rule.derive.is_empty(), "pick", "derive", as_recorded),
        (fresh && rule.mode == Mode::Add, "pick", "mode", as_recorded),
        (fresh && several, "pick", "tags", as_recorded),
        (several && rule.pattern.is_some(), "tags", "pattern", "a pattern writes one tag"),
        (several && !rule.derive.is_empty(), "tags", "derive", "a tag is derived from one other"),
    ];
    let found = checks.into_iter().find(|(holds, ..)| *holds);
    found.map_or(Ok(()), |(_, one, other, why)| Err(RulesError::Contradiction { place: rule.place, one, other, why }))
}
