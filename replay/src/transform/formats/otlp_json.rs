//! OTLP metrics as JSON: an `ExportMetricsServiceRequest` by protobuf's JSON mapping, with the names in lowerCamelCase that OTLP
//! asks for.
//!
//! Samples, tags and time stamps are those of the protobuf encoding ([`super::otlp_protobuf`]): the same export gives the same
//! in both. Members come in any order; what is not known here, and every blank, stays byte for byte. `null` counts as absent.
//!
//! - 64-bit integers are read as strings and as numbers, and written as they came. A floating-point number that JSON cannot
//!   say (`NaN`) is a string.
//! - An attribute that changes its kind changes its member (`intValue` becomes `stringValue`).
//! - An attribute that is added goes behind the last of its data point, which gets `attributes` if it has none. A second one
//!   of a name is refused; so is a member that is needed and stands twice, and a metric with two kinds of data.

use std::ops::Range;

use super::json::token::{Token, TokenKind, Tokens, is_number, unescape, write_string};
use super::kind::StampUnit;
use super::otlp::{Kind, NewValue, new_value, read_double, write_double, write_int};
use super::splice::{OUT_OF_RANGE, Patches, Site, decoded};
use super::{Edits, Format, Malformed, Parsed, Sample, Span, Stamp, Tag};

/// What an open array or object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Export,
    Resources,
    Resource,
    ResourceBody,
    Scopes,
    Scope,
    ScopeBody,
    Metrics,
    Metric,
    Data,
    Points,
    Point,
    Exemplars,
    Exemplar,
    Attributes,
    Attribute,
    AnyValue,
    /// Of no interest, whatever is in it.
    Other,
}

/// What a member leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Array(Role),
    Object(Role),
    MetricName,
    AttributeName,
    Value(Kind),
    Time,
    Other,
}

/// The member `name` of an object.
fn member(role: Role, name: &[u8]) -> Member {
    match (role, name) {
        (Role::Export, b"resourceMetrics") => Member::Array(Role::Resources),
        (Role::Resource, b"resource") => Member::Object(Role::ResourceBody),
        (Role::Resource, b"scopeMetrics") => Member::Array(Role::Scopes),
        (Role::Scope, b"scope") => Member::Object(Role::ScopeBody),
        (Role::Scope, b"metrics") => Member::Array(Role::Metrics),
        (Role::Metric, b"name") => Member::MetricName,
        (Role::Metric, b"gauge" | b"sum" | b"histogram" | b"exponentialHistogram" | b"summary") => Member::Object(Role::Data),
        (Role::Data, b"dataPoints") => Member::Array(Role::Points),
        (Role::Point, b"exemplars") => Member::Array(Role::Exemplars),
        (Role::Point, b"timeUnixNano" | b"startTimeUnixNano") | (Role::Exemplar, b"timeUnixNano") => Member::Time,
        (Role::ResourceBody | Role::ScopeBody | Role::Point, b"attributes") => Member::Array(Role::Attributes),
        (Role::Attribute, b"key") => Member::AttributeName,
        (Role::Attribute, b"value") => Member::Object(Role::AnyValue),
        (Role::AnyValue, b"stringValue") => Member::Value(Kind::Text),
        (Role::AnyValue, b"intValue") => Member::Value(Kind::Int),
        (Role::AnyValue, b"doubleValue") => Member::Value(Kind::Double),
        (Role::AnyValue, b"boolValue") => Member::Value(Kind::Bool),
        _ => Member::Other,
    }
}

/// What the elements of an array are.
fn element(role: Role) -> Role {
    match role {
        Role::Resources => Role::Resource,
        Role::Scopes => Role::Scope,
        Role::Metrics => Role::Metric,
        Role::Points => Role::Point,
        Role::Exemplars => Role::Exemplar,
        Role::Attributes => Role::Attribute,
        _ => Role::Other,
    }
}

/// An array or object that is open.
#[derive(Debug)]
struct Level {
    role: Role,
    is_object: bool,
    /// How many samples and tags there were when it was opened.
    samples: usize,
    tags: usize,
    /// The members of interest that it had: a bit each, so that none is taken twice.
    had: u8,
    /// The tags of its `attributes`.
    attributes: Range<u32>,
    /// The metric's or the attribute's name.
    name: Span,
    /// Of a data point: where a further attribute goes, once that is known.
    site: Option<Site>,
    is_empty: bool,
}

/// An attribute's value, as it is read.
#[derive(Debug, Clone)]
struct Place {
    kind: Kind,
    /// From the member's name to the end of its value.
    member: Range<usize>,
    is_quoted: bool,
}

/// The grammar, and its notes on the last payload.
#[derive(Debug, Default)]
pub(super) struct OtlpJson {
    levels: Vec<Level>,
    key: Vec<u8>,
    /// By tag.
    places: Vec<Place>,
    /// By sample.
    sites: Vec<Site>,
    patches: Patches,
    scratch: Vec<u8>,
}

impl Format for OtlpJson {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.levels.clear();
        self.places.clear();
        self.sites.clear();
        let mut tokens = Tokens::new(payload)?;
        parsed.text.extend_from_slice(payload);
        let (mut known, mut named_at) = (false, 0);
        while let Some(token) = tokens.next()? {
            match token.kind {
                TokenKind::Key => {
                    self.key.clear();
                    unescape(&payload[token.text()], &mut self.key);
                    named_at = token.start;
                    if let Some(level) = self.levels.last_mut() {
                        level.is_empty = false;
                    }
                }
                TokenKind::ObjectClose | TokenKind::ArrayClose => self.close(&token, parsed),
                _ => known |= self.value(payload, &token, named_at, parsed)?,
            }
        }
        if known { Ok(()) } else { Err(Malformed { offset: 0, what: "an export without resourceMetrics" }) }
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        super::refuse_known_names(parsed, edits)?;
        self.patches.clear();
        for (ix, tag, value) in edits.changes(parsed) {
            let Place { kind, member, is_quoted } = self.places[ix as usize].clone();
            let offset = tag.raw.range().start;
            let text = std::str::from_utf8(value).map_err(|_| Malformed { offset, what: NOT_UTF8 })?;
            let keeps = new_value(kind, text, &mut self.scratch) != NewValue::Text || kind == Kind::Text;
            let quoted = kind == Kind::Text || is_quoted || !(is_number(value) || kind == Kind::Bool);
            let raw = if keeps { tag.raw.range() } else { member };
            self.patches.put(raw, |out| {
                if !keeps {
                    out.extend_from_slice(b"\"stringValue\":");
                }
                if quoted || !keeps {
                    return said(write_string(value, out)).map_err(|what| Malformed { offset, what });
                }
                out.extend_from_slice(value);
                Ok(())
            })?;
        }
        self.patches.add(edits, &self.sites, ",", |name, value, out| {
            if name.is_empty() {
                return Err("an attribute cannot have an empty name");
            }
            out.extend_from_slice(b"{\"key\":");
            said(write_string(name, out))?;
            out.extend_from_slice(b",\"value\":{\"stringValue\":");
            said(write_string(value, out))?;
            out.extend_from_slice(b"}}");
            Ok(())
        })?;
        for stamp in parsed.stamps.iter().filter(|_| edits.shift_ns() != 0) {
            if stamp.ns.checked_add(edits.shift_ns()).is_none_or(|ns| ns <= 0) {
                return Err(Malformed { offset: stamp.raw.range().start, what: OUT_OF_RANGE });
            }
        }
        self.patches.shift(parsed, edits, |_| StampUnit::Nanoseconds)?;
        self.patches.apply(payload, out);
        Ok(())
    }
}

const NOT_UTF8: &str = "a new name or value is not UTF-8";

fn said(is_said: bool) -> Result<(), &'static str> {
    if is_said { Ok(()) } else { Err(NOT_UTF8) }
}

impl OtlpJson {
    /// Takes a value, or opens an array or object; whether it was `resourceMetrics`.
    fn value(&mut self, payload: &[u8], token: &Token, named_at: usize, parsed: &mut Parsed) -> Result<bool, Malformed> {
        let is_object = token.kind == TokenKind::ObjectOpen;
        let is_open = is_object || token.kind == TokenKind::ArrayOpen;
        let (role, found) = match self.levels.last() {
            None if is_object => (Role::Export, Member::Object(Role::Export)),
            None => return Err(Malformed { offset: token.start, what: "an export of OTLP is an object" }),
            Some(level) if level.is_object => {
                let found = member(level.role, &self.key);
                (level.role, found)
            }
            Some(level) => (level.role, Member::Object(element(level.role))),
        };
        if token.kind == TokenKind::Null {
            return Ok(false);
        }
        if !self.levels.is_empty() {
            self.once(role, found, token)?;
        }
        let expected = |what| Err(Malformed { offset: token.start, what });
        match found {
            Member::Object(role) if role != Role::Other && !is_object => return expected("expected an object here"),
            Member::Array(_) if token.kind != TokenKind::ArrayOpen => return expected("expected an array here"),
            Member::Object(role) | Member::Array(role) if is_open => self.open(role, is_object, parsed),
            _ if is_open => self.open(Role::Other, is_object, parsed),
            Member::MetricName | Member::AttributeName if token.kind != TokenKind::String => return expected("expected a string here"),
            Member::MetricName | Member::AttributeName => {
                let name = text_of(payload, token, &mut parsed.text);
                if let Some(level) = self.levels.last_mut() {
                    level.name = name;
                }
            }
            Member::Value(kind) => self.attribute_value(payload, token, named_at, kind, parsed)?,
            Member::Time => stamp(payload, token, &mut parsed.stamps)?,
            Member::Object(_) | Member::Array(_) | Member::Other => {}
        }
        Ok(found == Member::Array(Role::Resources))
    }

    /// Refuses a member that is needed and stands twice: readers differ in which of them they take.
    fn once(&mut self, role: Role, found: Member, token: &Token) -> Result<(), Malformed> {
        let Some(level) = self.levels.last_mut().filter(|level| level.is_object) else { return Ok(()) };
        let bit = match found {
            Member::Object(_) | Member::Value(_) => 1,
            Member::Array(Role::Attributes) | Member::MetricName | Member::AttributeName => 2,
            Member::Array(_) => 4,
            Member::Time | Member::Other => return Ok(()),
        };
        if level.had & bit != 0 {
            let what = if role == Role::Metric { "a metric with two kinds of data, or names" } else { "a member that stands twice" };
            return Err(Malformed { offset: token.start, what });
        }
        level.had |= bit;
        Ok(())
    }

    fn open(&mut self, role: Role, is_object: bool, parsed: &Parsed) {
        if let Some(level) = self.levels.last_mut() {
            level.is_empty = false;
        }
        self.levels.push(Level {
            role,
            is_object,
            samples: parsed.samples.len(),
            tags: parsed.tags.len(),
            had: 0,
            attributes: 0..0,
            name: Span::default(),
            site: None,
            is_empty: true,
        });
    }

    /// Ends an array or object: what was said inside is given to whom it is about.
    fn close(&mut self, token: &Token, parsed: &mut Parsed) {
        let Some(ended) = self.levels.pop() else { return };
        match ended.role {
            Role::Attributes => {
                let site = Site { at: token.start, open: if ended.is_empty { "" } else { "," }, close: "" };
                if let Some(owner) = self.levels.last_mut() {
                    owner.attributes = index(ended.tags)..index(parsed.tags.len());
                    owner.site = Some(site);
                }
            }
            Role::Attribute => parsed.tags[ended.tags..].iter_mut().for_each(|tag| tag.name = ended.name),
            Role::Point => {
                let open = if ended.is_empty { "\"attributes\":[" } else { ",\"attributes\":[" };
                self.sites.push(ended.site.unwrap_or(Site { at: token.start, open, close: "]" }));
                parsed.samples.push(Sample { tags: ended.attributes, ..Sample::default() });
            }
            Role::Metric => parsed.samples[ended.samples..].iter_mut().for_each(|sample| sample.metric = ended.name),
            Role::ResourceBody | Role::ScopeBody => {
                if let Some(owner) = self.levels.last_mut() {
                    owner.attributes = ended.attributes;
                }
            }
            Role::Scope => parsed.samples[ended.samples..].iter_mut().for_each(|sample| sample.scope = ended.attributes.clone()),
            Role::Resource => parsed.samples[ended.samples..].iter_mut().for_each(|sample| sample.shared = ended.attributes.clone()),
            _ => {}
        }
    }

    /// Takes note of an attribute's value; its name follows when the attribute ends.
    fn attribute_value(
        &mut self,
        payload: &[u8],
        token: &Token,
        named_at: usize,
        kind: Kind,
        parsed: &mut Parsed,
    ) -> Result<(), Malformed> {
        let bytes = &payload[token.text()];
        let start = parsed.text.len();
        let refused = |what| Err(Malformed { offset: token.start, what });
        // Only numbers are read from it, and what is not UTF-8 is none: it is refused as an empty one is.
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let value = match (kind, token.kind) {
            (Kind::Text, TokenKind::String) => text_of(payload, token, &mut parsed.text),
            (Kind::Bool, TokenKind::Bool) => Span::new(token.start, token.end),
            (Kind::Int, TokenKind::String | TokenKind::Number) => {
                let Ok(value) = text.parse() else { return refused("not a 64-bit integer") };
                write_int(&mut parsed.text, value);
                Span::new(start, parsed.text.len())
            }
            (Kind::Double, TokenKind::String | TokenKind::Number) => {
                let Some(value) = read_double(text) else { return refused("not a floating-point number") };
                write_double(&mut parsed.text, value);
                Span::new(start, parsed.text.len())
            }
            _ => return refused("a value of another kind than its member says"),
        };
        self.places.push(Place { kind, member: named_at..token.end, is_quoted: token.kind == TokenKind::String });
        parsed.tags.push(Tag { name: Span::default(), value, raw: Span::new(token.start, token.end) });
        Ok(())
    }
}

/// What a string stands for: where it is written, or decoded behind the payload.
fn text_of(payload: &[u8], token: &Token, text: &mut Vec<u8>) -> Span {
    let place = token.text();
    decoded(text, place.clone(), |text| unescape(&payload[place], text))
}

/// Takes note of a time, if it is one: 0 counts as absent, one beyond the year 2262 is left alone.
fn stamp(payload: &[u8], token: &Token, stamps: &mut Vec<Stamp>) -> Result<(), Malformed> {
    let place = token.text();
    let digits = std::str::from_utf8(&payload[place.clone()]).ok().filter(|_| matches!(token.kind, TokenKind::String | TokenKind::Number));
    let Some(Ok(time)) = digits.map(str::parse::<u64>) else {
        return Err(Malformed { offset: token.start, what: "not a time in nanoseconds since 1970" });
    };
    if let Ok(ns @ 1..) = i64::try_from(time) {
        stamps.push(Stamp { raw: Span::new(place.start, place.end), ns });
    }
    Ok(())
}

/// Payloads end long before this saturates.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
