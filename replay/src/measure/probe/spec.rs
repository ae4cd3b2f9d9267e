//! The grammar of `--probe`:
//!
//! ```text
//! probe = item { "," item }
//! item  = "topic=" NAME                  the output of the system under test: a topic of Kafka
//!       | "queue=" NAME                  … a queue of RabbitMQ that nobody consumes: it is emptied
//!       | "exchange=" NAME               … an exchange of RabbitMQ, from which a queue of ours gets a copy
//!       | "binding=" KEY                 what that queue is bound with (default: what takes everything)
//!       | "match=" FIELD                 what a message is known by in the output
//!       | "from=" FIELD                  what it is known by where it was sent; without it the same field
//!       | "deadline=" DUR                how long an output is waited for (default 30s)
//!       | "sample=" N                    only one value in N, chosen by its hash
//!       | "freshness=json:" PATH         in place of match: the event times that an output covers
//!       | "unit=" s|ms|us|ns|rfc3339     what these count (default ms)
//! FIELD = key, header:NAME, property:NAME, json:$.PATH, regex:PATTERN
//! ```
//!
//! What has a comma in it stands between single quotes, a quote in it twice: `match='regex:id=(\d{1,9})'`.

use dejaq_shared::broker::sink::TargetKind;
use dejaq_shared::broker::tap::Outlet;
use dejaq_shared::units::{duration_ns, parse_duration};

use super::field::Field;
use crate::pointed::Pointed;
use crate::transform::formats::{FormatKind, StampField, StampUnit, Wanted, open};

const DEADLINE_NS: u64 = 30_000_000_000;
/// The longest deadline: an hour, which is as long as the histograms reach.
const DEADLINE_NS_MAX: u64 = 3_600_000_000_000;
const ITEMS: &str = "topic=NAME, queue=NAME, exchange=NAME, binding=KEY, match=FIELD, from=FIELD, deadline=DUR, sample=N, \
                     freshness=json:$.PATH or unit=UNIT";

/// One `--probe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// What is read.
    pub outlet: Outlet,
    /// What is looked for in it.
    pub kind: ProbeKind,
}

/// What a probe looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// The output of each message.
    EndToEnd(Matching),
    /// The newest event time that outputs cover.
    Freshness(StampField),
}

/// How outputs are matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// What a sent message is known by.
    pub from: Field,
    /// What its output is known by.
    pub matched: Field,
    /// How long after it was handed over a message is waited for, in nanoseconds.
    pub deadline_ns: u64,
    /// One value in so many is looked at.
    pub sample: u64,
}

impl ProbeSpec {
    /// Whose output it is.
    #[must_use]
    pub fn broker(&self) -> TargetKind {
        match self.outlet {
            Outlet::Topic(_) => TargetKind::Kafka,
            Outlet::Queue(_) | Outlet::Exchange { .. } => TargetKind::RabbitMq,
        }
    }

    /// Reads a probe.
    ///
    /// # Errors
    /// [`Pointed`], with the column.
    pub fn parse(text: &str) -> Result<Self, Pointed> {
        let mut given = Given::default();
        for item in items(text)? {
            given.take(text, &item)?;
        }
        given.spec(text)
    }
}

/// One `name=value`, and where each begins.
struct Item {
    at: usize,
    name: String,
    value_at: usize,
    value: String,
}

/// Splits at commas outside of quotes.
fn items(text: &str) -> Result<Vec<Item>, Pointed> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let name_len = rest.find(['=', ',']).unwrap_or(rest.len());
        if !rest[name_len..].starts_with('=') {
            return Err(Pointed::new(text, at, format!("expected {ITEMS}")));
        }
        let value_at = at + name_len + 1;
        let (value, end) = value(text, value_at)?;
        found.push(Item { at, name: rest[..name_len].trim().to_owned(), value_at, value });
        match text[end..].chars().next() {
            None => return Ok(found),
            Some(',') => at = end + 1,
            Some(_) => return Err(Pointed::new(text, end, "expected a comma, or the end")),
        }
    }
}

/// The value that begins at `at`, and where it ends.
fn value(text: &str, at: usize) -> Result<(String, usize), Pointed> {
    let Some(quoted) = text[at..].strip_prefix('\'') else {
        let len = text[at..].find(',').unwrap_or(text.len() - at);
        return Ok((text[at..at + len].to_owned(), at + len));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((ix, c)) = chars.next() {
        if c == '\'' && chars.next_if(|(_, next)| *next == '\'').is_none() {
            return Ok((value, at + 1 + ix + 1));
        }
        value.push(c);
    }
    Err(Pointed::new(text, at, "a quote without its partner"))
}

/// What was read so far, each with its place.
#[derive(Default)]
struct Given {
    outlet: Option<(usize, Outlet)>,
    binding: Option<(usize, String)>,
    matched: Option<(usize, Field)>,
    from: Option<(usize, Field)>,
    deadline_ns: Option<(usize, u64)>,
    sample: Option<(usize, u64)>,
    freshness: Option<(usize, String)>,
    unit: Option<(usize, StampUnit)>,
}

impl Given {
    fn take(&mut self, text: &str, item: &Item) -> Result<(), Pointed> {
        let Item { at, name, value_at, value } = item;
        let wrong = |what: String| Pointed::new(text, *value_at, what);
        let given = format!("{name}=");
        match name.as_str() {
            "topic" | "queue" | "exchange" if value.is_empty() => Err(wrong("expected a name".to_owned())),
            "topic" => once(text, *at, OUTLET, &mut self.outlet, Outlet::Topic(value.clone())),
            "queue" => once(text, *at, OUTLET, &mut self.outlet, Outlet::Queue(value.clone())),
            "exchange" => once(text, *at, OUTLET, &mut self.outlet, Outlet::Exchange { name: value.clone(), binding: None }),
            "binding" => once(text, *at, &given, &mut self.binding, value.clone()),
            "match" => once(text, *at, &given, &mut self.matched, Field::parse(value).map_err(wrong)?),
            "from" => once(text, *at, &given, &mut self.from, Field::parse(value).map_err(wrong)?),
            "deadline" => once(text, *at, &given, &mut self.deadline_ns, deadline(value).map_err(wrong)?),
            "sample" => {
                let number = value.parse::<u64>().ok().filter(|n| *n > 0);
                once(text, *at, &given, &mut self.sample, number.ok_or_else(|| wrong("expected a number from 1 on".to_owned()))?)
            }
            "freshness" => {
                let path = value.strip_prefix("json:").ok_or_else(|| wrong("expected json:$.PATH".to_owned()))?;
                once(text, *at, &given, &mut self.freshness, path.to_owned())
            }
            "unit" => {
                once(text, *at, &given, &mut self.unit, unit(value).ok_or_else(|| wrong("expected s, ms, us, ns or rfc3339".to_owned()))?)
            }
            other => Err(Pointed::new(text, *at, format!("{other:?} is no part of a probe: expected {ITEMS}"))),
        }
    }

    /// Where the output is, with how it is bound.
    fn outlet(&mut self, text: &str) -> Result<Outlet, Pointed> {
        let none = || Pointed::new(text, text.len(), "no topic=NAME (Kafka), queue=NAME or exchange=NAME (RabbitMQ) in it");
        let (_, mut outlet) = self.outlet.take().ok_or_else(none)?;
        match (&mut outlet, self.binding.take()) {
            (Outlet::Exchange { binding, .. }, given) => *binding = given.map(|(_, key)| key),
            (_, given) => idle(text, given.map(|(at, _)| at), "binding= goes with exchange=")?,
        }
        let is_kafka = matches!(outlet, Outlet::Topic(_));
        for (at, field) in [&self.matched, &self.from].into_iter().flatten() {
            let property = is_kafka && matches!(field, Field::Property(_));
            idle(text, property.then_some(*at), "Kafka's messages have no properties: property:NAME goes with queue= and exchange=")?;
        }
        Ok(outlet)
    }

    fn spec(mut self, text: &str) -> Result<ProbeSpec, Pointed> {
        let end = text.len();
        let outlet = self.outlet(text)?;
        let kind = match (self.matched, self.freshness) {
            (Some((_, matched)), None) => {
                idle(text, self.unit.map(|(at, _)| at), "unit= goes with freshness=")?;
                let from = self.from.map_or_else(|| matched.clone(), |(_, from)| from);
                let deadline_ns = self.deadline_ns.map_or(DEADLINE_NS, |(_, ns)| ns);
                ProbeKind::EndToEnd(Matching { from, matched, deadline_ns, sample: self.sample.map_or(1, |(_, n)| n) })
            }
            (None, Some((at, path))) => {
                for (given, what) in [
                    (self.from.map(|(at, _)| at), "from= goes with match="),
                    (self.deadline_ns.map(|(at, _)| at), "deadline= goes with match="),
                    (self.sample.map(|(at, _)| at), "sample= goes with match="),
                ] {
                    idle(text, given, what)?;
                }
                let field = StampField { path, unit: self.unit.map_or(StampUnit::Milliseconds, |(_, unit)| unit) };
                open(FormatKind::Json, &freshness_wanted(&field)).map_err(|e| Pointed::new(text, at, e.to_string()))?;
                ProbeKind::Freshness(field)
            }
            (None, None) => return Err(Pointed::new(text, end, "neither match=FIELD nor freshness=json:$.PATH in it")),
            (Some(_), Some((at, _))) => return Err(Pointed::new(text, at, "match= and freshness= are two probes: give --probe twice")),
        };
        Ok(ProbeSpec { outlet, kind })
    }
}

/// What there is one of, whatever it is called.
const OUTLET: &str = "an output (topic=, queue= or exchange=)";

/// What is looked for in an output for its event times.
pub(super) fn freshness_wanted(field: &StampField) -> Wanted {
    Wanted { tags: Some(Vec::new()), stamps: vec![field.clone()] }
}

fn once<T>(text: &str, at: usize, name: &str, place: &mut Option<(usize, T)>, value: T) -> Result<(), Pointed> {
    if place.is_some() {
        return Err(Pointed::new(text, at, format!("{name} is there already")));
    }
    *place = Some((at, value));
    Ok(())
}

fn idle(text: &str, given: Option<usize>, what: &str) -> Result<(), Pointed> {
    given.map_or(Ok(()), |at| Err(Pointed::new(text, at, what)))
}

fn deadline(value: &str) -> Result<u64, String> {
    let ns = duration_ns(parse_duration(value).map_err(|e| e.to_string())?);
    if (1..=DEADLINE_NS_MAX).contains(&ns) { Ok(ns) } else { Err("expected more than nothing and 1h at most".to_owned()) }
}

const UNITS: [(&str, StampUnit); 5] = [
    ("s", StampUnit::Seconds),
    ("ms", StampUnit::Milliseconds),
    ("us", StampUnit::Microseconds),
    ("ns", StampUnit::Nanoseconds),
    ("rfc3339", StampUnit::Rfc3339),
];

fn unit(value: &str) -> Option<StampUnit> {
    UNITS.iter().find(|(name, _)| *name == value).map(|(_, unit)| *unit)
}

/// A value as it has to be written.
fn quoted(value: &str) -> String {
    if value.contains([',', '\'']) { format!("'{}'", value.replace('\'', "''")) } else { value.to_owned() }
}

impl std::fmt::Display for ProbeSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.outlet {
            Outlet::Topic(name) => write!(f, "topic={}", quoted(name))?,
            Outlet::Queue(name) => write!(f, "queue={}", quoted(name))?,
            Outlet::Exchange { name, binding } => {
                write!(f, "exchange={}", quoted(name))?;
                binding.as_ref().map_or(Ok(()), |key| write!(f, ",binding={}", quoted(key)))?;
            }
        }
        match &self.kind {
            ProbeKind::EndToEnd(Matching { from, matched, deadline_ns, sample }) => {
                write!(f, ",match={},from={}", quoted(&matched.to_string()), quoted(&from.to_string()))?;
                let deadline = match deadline_ns % 1_000_000_000 {
                    0 => format!("{}s", deadline_ns / 1_000_000_000),
                    _ => format!("{deadline_ns}ns"),
                };
                write!(f, ",deadline={deadline},sample={sample}")
            }
            ProbeKind::Freshness(field) => {
                let unit = UNITS.iter().find(|(_, unit)| *unit == field.unit).map_or("", |(name, _)| name);
                write!(f, ",freshness={},unit={unit}", quoted(&format!("json:{}", field.path)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::Property;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_output_is_matched_by_the_same_field_unless_told_otherwise() {
        let spec = ProbeSpec::parse("topic=out,match=header:id").expect("a probe");
        let id = Field::Header("id".into());
        let matching = Matching { from: id.clone(), matched: id, deadline_ns: 30_000_000_000, sample: 1 };
        assert_eq!(spec, ProbeSpec { outlet: Outlet::Topic("out".into()), kind: ProbeKind::EndToEnd(matching) });
        let spec = ProbeSpec::parse("match='regex:''(a{1,2})''',topic=out,from=key,deadline=5s,sample=10").expect("a probe");
        let matching = Matching { from: Field::Key, matched: Field::Regex("'(a{1,2})'".into()), deadline_ns: 5_000_000_000, sample: 10 };
        assert_eq!(spec.kind, ProbeKind::EndToEnd(matching));
        let spec = ProbeSpec::parse("exchange=out,binding=eu.#,match=property:correlation_id,from=property:message_id").expect("a probe");
        assert_eq!(
            (spec.broker(), &spec.outlet),
            (TargetKind::RabbitMq, &Outlet::Exchange { name: "out".into(), binding: Some("eu.#".into()) })
        );
        let ProbeKind::EndToEnd(Matching { from, matched, .. }) = spec.kind else { panic!("it matches") };
        assert_eq!((from, matched), (Field::Property(Property::MessageId), Field::Property(Property::CorrelationId)));
        let spec = ProbeSpec::parse("topic=out,freshness=json:$.windows[*].end,unit=s").expect("a probe");
        assert_eq!(spec.kind, ProbeKind::Freshness(StampField { path: "$.windows[*].end".into(), unit: StampUnit::Seconds }));
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, column, what) in [
            ("", 1, "expected topic=NAME"),
            ("out", 1, "expected topic=NAME"),
            ("topic=out", 10, "neither match=FIELD nor freshness"),
            ("match=key", 10, "no topic=NAME (Kafka), queue=NAME or"),
            ("topic=,match=key", 7, "expected a name"),
            ("queue=a,exchange=b,match=key", 9, "an output (topic=, queue= or exchange=) is there already"),
            ("queue=a,binding=b,match=key", 9, "goes with exchange="),
            ("exchange=a,binding=b,binding=c,match=key", 22, "binding= is there already"),
            ("topic=a,match=key,from=property:type", 19, "have no properties"),
            ("topic=out,match=id", 17, "none of key, header:NAME"),
            ("topic=out,match='key", 17, "a quote without its partner"),
            ("topic=out,match='key'x", 22, "expected a comma, or the end"),
            ("topic=out,match=key,match=key", 21, "match= is there already"),
            ("topic=out,match=key,deadline=0s", 30, "1h at most"),
            ("topic=out,match=key,deadline=ten", 30, "duration"),
            ("topic=out,match=key,sample=0", 28, "a number from 1 on"),
            ("topic=out,match=key,unit=s", 21, "goes with freshness="),
            ("topic=out,freshness=key", 21, "expected json:$.PATH"),
            ("topic=out,freshness=json:ts", 11, "is no path"),
            ("topic=out,freshness=json:$.ts,from=key", 31, "goes with match="),
            ("topic=out,match=key,freshness=json:$.ts", 21, "two probes"),
            ("topic=out,füx=1", 11, "is no part of a probe"),
        ] {
            let error = ProbeSpec::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("column {column}: ")) && error.contains(what), "{text}: {error}");
        }
    }

    fn outlet() -> impl Strategy<Value = Outlet> {
        let name = || "[a-z',.]{1,8}";
        prop_oneof![
            name().prop_map(Outlet::Topic),
            name().prop_map(Outlet::Queue),
            (name(), prop::option::of("[a-z#*,.']{0,6}")).prop_map(|(name, binding)| Outlet::Exchange { name, binding }),
        ]
    }

    fn field() -> impl Strategy<Value = Field> {
        prop_oneof![
            Just(Field::Key),
            "[a-z',:= é]{1,8}".prop_map(Field::Header),
            Just(Field::Json("$['a,b'].c[*]".into())),
            "[a-z',]{1,6}".prop_map(Field::Regex),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(outlet in outlet(), from in field(), matched in field(), deadline_ns in prop_oneof![(1..3_600u64).prop_map(|s| s * 1_000_000_000), 1..=DEADLINE_NS_MAX], sample in 1..1_000u64) {
            let kind = ProbeKind::EndToEnd(Matching { from, matched, deadline_ns, sample });
            let spec = ProbeSpec { outlet, kind };
            prop_assert_eq!(ProbeSpec::parse(&spec.to_string()), Ok(spec));
        }

        #[test]
        fn no_text_breaks_it(text in "[a-z=,':${}. é]{0,40}") {
            let _ = ProbeSpec::parse(&text);
        }
    }
}
