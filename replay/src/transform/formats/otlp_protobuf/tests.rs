use proptest::prelude::*;
use prost::{Message, Oneof};

use super::*;
use crate::transform::formats::rewrite::testing::{edited, said, withstands};

// The other end: OTLP's messages, by the library that everyone uses. `later` stands for fields of a time to come.
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<OfResource>,
    #[prost(string, tag = "77")]
    later: String,
}
#[derive(Clone, PartialEq, Message)]
struct OfResource {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<OfScope>,
    #[prost(string, tag = "3")]
    schema_url: String,
}
#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "2")]
    dropped: u32,
}
#[derive(Clone, PartialEq, Message)]
struct OfScope {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}
#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<KeyValue>,
}
#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "Data", tags = "5, 7, 9, 10, 11")]
    data: Option<Data>,
    #[prost(message, repeated, tag = "12")]
    metadata: Vec<KeyValue>,
}
#[derive(Clone, PartialEq, Oneof)]
enum Data {
    #[prost(message, tag = "5")]
    Gauge(Numbers),
    #[prost(message, tag = "7")]
    Sum(Numbers),
    #[prost(message, tag = "9")]
    Histogram(Histograms),
    #[prost(message, tag = "10")]
    Exponential(Exponentials),
    #[prost(message, tag = "11")]
    Summary(Summaries),
}
macro_rules! points {
    ($list:ident, $point:ident) => {
        #[derive(Clone, PartialEq, Message)]
        struct $list {
            #[prost(message, repeated, tag = "1")]
            points: Vec<$point>,
            #[prost(int32, tag = "2")]
            temporality: i32,
        }
    };
}
points!(Numbers, Number);
points!(Histograms, Histogram);
points!(Exponentials, Exponential);
points!(Summaries, Summary);
#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(fixed64, tag = "2")]
    start: u64,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(double, tag = "4")]
    value: f64,
    #[prost(message, repeated, tag = "5")]
    exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
}
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(fixed64, tag = "2")]
    start: u64,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(fixed64, repeated, tag = "6")]
    packed: Vec<u64>,
    #[prost(double, repeated, packed = "false", tag = "7")]
    unpacked: Vec<f64>,
    #[prost(message, repeated, tag = "8")]
    exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
}
#[derive(Clone, PartialEq, Message)]
struct Exponential {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")]
    start: u64,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(message, repeated, tag = "11")]
    exemplars: Vec<Exemplar>,
}
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(fixed64, tag = "2")]
    start: u64,
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
}
#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(fixed64, tag = "2")]
    time: u64,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
}
#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}
#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Kinds", tags = "1, 2, 3, 4, 7")]
    kind: Option<Kinds>,
    #[prost(sint32, tag = "99")]
    later: i32,
}
#[derive(Clone, PartialEq, Oneof)]
enum Kinds {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

fn attribute(key: &str, kind: Kinds) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { kind: Some(kind), later: 0 }) }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Kinds::Text(value.into()))
}

fn gauge(name: &str, attributes: Vec<KeyValue>) -> Metric {
    let number = Number { start: 0, time: 1_700_000_000_000_000_001, value: 1.0, exemplars: Vec::new(), attributes };
    Metric {
        name: name.into(),
        data: Some(Data::Gauge(Numbers { points: vec![number], temporality: 0 })),
        metadata: vec![text("no", "tag")],
    }
}

fn export() -> Export {
    let scope = |name: &str, metrics| OfScope { scope: Some(Scope { name: name.into(), attributes: vec![text("lib", name)] }), metrics };
    let own = vec![
        attribute("i", Kinds::Int(-7)),
        attribute("raw", Kinds::Bytes(vec![1])),
        attribute("d", Kinds::Double(0.5)),
        attribute("b", Kinds::Bool(true)),
    ];
    let scopes = vec![scope("one", vec![gauge("load", own)]), scope("two", vec![gauge("up", vec![text("core", "3")])])];
    let resource = Some(Resource { attributes: vec![text("host", "web-1")], dropped: 1 });
    Export { resources: vec![OfResource { resource, scopes, schema_url: "s".into() }], later: String::new() }
}

#[test]
fn points_have_the_tags_of_their_resource_their_scope_and_their_own() {
    let found = said(&mut OtlpProtobuf::default(), &export().encode_to_vec()).expect("an export");
    assert_eq!(found, ["load host=web-1 lib=one i=-7 d=0.5 b=true", "up host=web-1 lib=two core=3"]);
}

#[test]
fn a_shared_tag_changes_for_all_its_samples() {
    let mut format = OtlpProtobuf::default();
    let new = edited(&mut format, &export().encode_to_vec(), |parsed, edits| {
        let (host, _) = parsed.find(&parsed.samples[1], b"host").expect("shared");
        edits.replace(host, b"a name of another length");
    });
    let found = said(&mut format, &new.expect("written")).expect("an export");
    assert!(found.len() == 2 && found.iter().all(|s| s.contains(" host=a name of another length ")), "{found:?}");
}

#[test]
fn the_order_of_the_fields_does_not_matter() {
    // The resource behind the scopes, the scope behind its metrics, the name behind the data, the value before the key.
    let message = |parts: &[(u32, &[u8])]| {
        let mut out = Vec::new();
        parts.iter().for_each(|(number, bytes)| write_text(&mut out, *number, bytes));
        out
    };
    let pair = |key: &[u8], value: &[u8]| message(&[(2, &message(&[(1, value)])), (1, key)]);
    let gauge = message(&[(1, &message(&[(7, &pair(b"own", b"1"))]))]);
    let metric = message(&[(5, &gauge), (1, b"load")]);
    let scope = message(&[(2, &metric), (1, &message(&[(3, &pair(b"lib", b"2"))]))]);
    let payload = message(&[(1, &message(&[(2, &scope), (1, &message(&[(1, &pair(b"host", b"3"))]))]))]);
    let mut format = OtlpProtobuf::default();
    assert_eq!(said(&mut format, &payload).expect("an export"), ["load host=3 lib=2 own=1"]);
    let all = |parsed: &Parsed, edits: &mut Edits| (0..3).zip(&parsed.tags).for_each(|(ix, _)| edits.replace(ix, b"longer"));
    let new = edited(&mut format, &payload, all).expect("written");
    assert_eq!(said(&mut format, &new).expect("an export"), ["load host=longer lib=longer own=longer"]);
    assert_eq!(Export::decode(&*new).expect("an export").resources[0].scopes[0].metrics[0].name, "load");
}

#[test]
fn what_an_attribute_cannot_say_is_refused() {
    let plain = export().encode_to_vec();
    let refused =
        |choose: fn(&mut Edits)| edited(&mut OtlpProtobuf::default(), &plain, |_, edits| choose(edits)).expect_err("refused").what;
    assert_eq!(refused(|e| e.replace(0, b"\xff")), "a new name or value is not UTF-8");
    assert_eq!(refused(|e| e.add(0, b"raw", b"x")), "a new attribute has the name of one that is there");
    assert_eq!(refused(|e| e.add(0, b"", b"x")), "an attribute cannot have an empty name");
    let twice: fn(&mut Edits) = |e| {
        e.add(0, b"x", b"1");
        e.add(0, b"y", b"1");
        e.add(0, b"x", b"2");
    };
    assert_eq!(refused(twice), "two new attributes have one name");
    assert_eq!(refused(|e| e.shift(-1_700_000_000_000_000_001)), "a time stamp would move beyond 1970 or 2262");
    assert_eq!(refused(|e| e.shift(i64::MAX)), "a time stamp would move beyond 1970 or 2262");
}

#[test]
fn what_is_no_export_is_refused() {
    let refused = |payload: &[u8]| said(&mut OtlpProtobuf::default(), payload).expect_err("refused").what;
    assert_eq!(refused(&[0x10, 0x01]), "an export without resource metrics");
    assert_eq!(refused(&[0x08, 0x01]), "a field that is a message or a string has another wire type");
    assert_eq!(refused(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), "a field is longer than the message that it is in");
    // A metric that is a gauge and a sum.
    assert_eq!(refused(&[0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 0, 0x3a, 0]), "a metric with two kinds of data");
    assert_eq!(refused(&[0x0a, 7, 0x12, 5, 0x12, 3, 0x0a, 1, 0xff]), "a string is not UTF-8");
}

#[test]
fn a_cut_payload_is_malformed_unless_it_is_cut_between_fields() {
    let plain = export().encode_to_vec();
    for cut in 0..plain.len() {
        assert_eq!(said(&mut OtlpProtobuf::default(), &plain[..cut]).is_ok(), cut == 0, "cut at {cut}");
    }
}

fn any_kind() -> impl Strategy<Value = Kinds> {
    prop_oneof![
        ".{0,9}|.{120,140}".prop_map(Kinds::Text),
        any::<bool>().prop_map(Kinds::Bool),
        any::<i64>().prop_map(Kinds::Int),
        any::<i32>().prop_map(|d| Kinds::Double(f64::from(d) / 8.0)),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Kinds::Bytes),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let value = prop::option::weighted(0.9, (prop::option::weighted(0.9, any_kind()), 0..2i32));
    let pairs = prop::collection::btree_map("[a-z.]{1,5}", value, 0..4);
    let pair =
        |(key, value): (String, Option<(Option<Kinds>, i32)>)| KeyValue { key, value: value.map(|(kind, later)| AnyValue { kind, later }) };
    pairs.prop_map(move |pairs| pairs.into_iter().map(pair).collect())
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1_600_000_000_000_000_000..1_800_000_000_000_000_000u64, Just(u64::MAX)]
}

fn data() -> impl Strategy<Value = Data> {
    let exemplars = prop::collection::vec((time(), attributes()).prop_map(|(time, attributes)| Exemplar { time, attributes }), 0..2);
    let points = prop::collection::vec((time(), time(), attributes(), exemplars), 0..3);
    (0..5, points).prop_map(|(kind, points)| {
        let points = points.into_iter();
        let temporality = 2;
        match kind {
            0 | 1 => {
                let number = |(start, time, attributes, exemplars)| Number { start, time, value: -1.5, exemplars, attributes };
                let numbers = Numbers { points: points.map(number).collect(), temporality };
                if kind == 0 { Data::Gauge(numbers) } else { Data::Sum(numbers) }
            }
            2 => {
                let histogram = |(start, time, attributes, exemplars)| Histogram {
                    start,
                    time,
                    packed: vec![1, 2],
                    unpacked: vec![0.5, 1.0],
                    exemplars,
                    attributes,
                };
                Data::Histogram(Histograms { points: points.map(histogram).collect(), temporality })
            }
            3 => {
                let exponential = |(start, time, attributes, exemplars)| Exponential { attributes, start, time, exemplars };
                Data::Exponential(Exponentials { points: points.map(exponential).collect(), temporality })
            }
            _ => {
                let summary = |(start, time, attributes, _)| Summary { start, time, attributes };
                Data::Summary(Summaries { points: points.map(summary).collect(), temporality })
            }
        }
    })
}

fn any_export() -> impl Strategy<Value = Export> {
    let metric = ("[a-z]{0,4}", data(), attributes()).prop_map(|(name, data, metadata)| Metric { name, data: Some(data), metadata });
    let scope = (prop::option::of(attributes()), prop::collection::vec(metric, 0..3))
        .prop_map(|(attributes, metrics)| OfScope { scope: attributes.map(|attributes| Scope { name: "s".into(), attributes }), metrics });
    let resource = (prop::option::of(attributes()), prop::collection::vec(scope, 0..3)).prop_map(|(attributes, scopes)| OfResource {
        resource: attributes.map(|attributes| Resource { attributes, dropped: 0 }),
        scopes,
        schema_url: "u".into(),
    });
    (prop::collection::vec(resource, 1..3), "[a-z]{0,3}").prop_map(|(resources, later)| Export { resources, later })
}

/// Every data point's attributes, its times, and its exemplars.
fn each_point(data: &mut Data, mut visit: impl FnMut(&mut Vec<KeyValue>, [&mut u64; 2], &mut [Exemplar])) {
    match data {
        Data::Gauge(list) | Data::Sum(list) => {
            list.points.iter_mut().for_each(|p| visit(&mut p.attributes, [&mut p.start, &mut p.time], &mut p.exemplars));
        }
        Data::Histogram(list) => {
            list.points.iter_mut().for_each(|p| visit(&mut p.attributes, [&mut p.start, &mut p.time], &mut p.exemplars));
        }
        Data::Exponential(list) => {
            list.points.iter_mut().for_each(|p| visit(&mut p.attributes, [&mut p.start, &mut p.time], &mut p.exemplars));
        }
        Data::Summary(list) => list.points.iter_mut().for_each(|p| visit(&mut p.attributes, [&mut p.start, &mut p.time], &mut [])),
    }
}

/// What the format promises to do, done to the messages.
struct Expect<'c> {
    values: std::slice::Iter<'c, Option<String>>,
    adds: &'c [(String, String)],
    shift: i64,
}

impl Expect<'_> {
    fn export(&mut self, export: &mut Export) {
        for resource in &mut export.resources {
            resource.resource.iter_mut().for_each(|r| self.attributes(&mut r.attributes));
            for scope in &mut resource.scopes {
                scope.scope.iter_mut().for_each(|s| self.attributes(&mut s.attributes));
                for data in scope.metrics.iter_mut().filter_map(|m| m.data.as_mut()) {
                    each_point(data, |attributes, times, exemplars| {
                        self.attributes(attributes);
                        attributes.extend(self.adds.iter().map(|(name, value)| text(name, value)));
                        times.into_iter().chain(exemplars.iter_mut().map(|e| &mut e.time)).for_each(|t| self.time(t));
                    });
                }
            }
        }
    }

    fn attributes(&mut self, attributes: &mut [KeyValue]) {
        for any in attributes.iter_mut().filter_map(|a| a.value.as_mut()) {
            let Some(kind) = any.kind.as_mut().filter(|k| !matches!(k, Kinds::Bytes(_))) else { continue };
            let Some(new) = self.values.next().and_then(|v| v.as_ref()) else { continue };
            *kind = match (&*kind, &**new) {
                (Kinds::Int(_), "42") => Kinds::Int(42),
                (Kinds::Double(_), "42") => Kinds::Double(42.0),
                (Kinds::Bool(_), "false") => Kinds::Bool(false),
                _ => Kinds::Text(new.clone()),
            };
        }
    }

    fn time(&self, time: &mut u64) {
        if *time != 0 && *time != u64::MAX {
            *time = time.checked_add_signed(self.shift).expect("in range");
        }
    }
}

proptest! {
    #[test]
    fn only_what_is_meant_changes(
        export in any_export(),
        values in prop::collection::vec(prop::option::of("42|false|[ -~]{0,20}[g-z]|.{130,150}"), 64),
        adds in prop::collection::vec(("[A-Z]{1,5}", ".{0,5}"), 0..3),
        shift in -1_000_000_000_000i64..1_000_000_000_000,
    ) {
        let adds: Vec<_> = adds.into_iter().enumerate().map(|(ix, (name, value))| (format!("{ix}{name}"), value)).collect();
        let mut format = OtlpProtobuf::default();
        let payload = export.encode_to_vec();
        prop_assert_eq!(edited(&mut format, &payload, |_, _| {}).expect("no edit"), payload.clone());
        let new = edited(&mut format, &payload, |parsed, edits| {
            for (tag, value) in (0..).zip(&values).take(parsed.tags.len()) {
                if let Some(value) = value { edits.replace(tag, value.as_bytes()); }
            }
            for (sample, _) in (0..).zip(&parsed.samples) {
                adds.iter().for_each(|(name, value)| edits.add(sample, name.as_bytes(), value.as_bytes()));
            }
            edits.shift(shift);
        }).expect("written");
        let mut expected = export;
        Expect { values: values.iter(), adds: &adds, shift }.export(&mut expected);
        prop_assert_eq!(Export::decode(&*new).expect("an export"), expected);
    }

    #[test]
    fn damage_does_no_harm(export in any_export(), at: prop::sample::Index, byte: u8) {
        let mut payload = export.encode_to_vec();
        let at = at.index(payload.len());
        payload[at] = byte;
        withstands(&mut OtlpProtobuf::default(), &payload);
        withstands(&mut OtlpProtobuf::default(), &payload[..at]);
    }
}
