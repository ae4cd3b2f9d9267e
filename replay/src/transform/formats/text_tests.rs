//! The text formats: the corners of their grammars, and the promises of all of them.

use super::{Edits, FormatKind, Malformed, Parsed, StampField, StampUnit, Wanted, laws, open};
use FormatKind::{DogStatsd, Graphite, Header, Influx, Json, Key, PrometheusText};
use dejaq_shared::record::HeadersBuf;
use proptest::prelude::*;

fn parse(kind: FormatKind, payload: &[u8]) -> Result<Parsed, Malformed> {
    let mut parsed = Parsed::default();
    open(kind, &Wanted::default()).unwrap().parse(payload, &mut parsed).map(|()| parsed)
}

/// `metric[name=value …]` of each sample, and the stamps.
fn shown(kind: FormatKind, payload: &str) -> String {
    let parsed = parse(kind, payload.as_bytes()).unwrap_or_else(|e| panic!("{payload:?}: {e}"));
    let text = |span| String::from_utf8_lossy(parsed.get(span)).into_owned();
    let sample = |sample: &super::Sample| {
        let tags: Vec<_> = parsed.tags_of(sample).map(|(_, tag)| format!("{}={}", text(tag.name), text(tag.value))).collect();
        format!("{}[{}]", text(sample.metric), tags.join(" "))
    };
    let stamps = parsed.stamps.iter().map(|stamp| stamp.ns.to_string());
    parsed.samples.iter().map(sample).chain(stamps).collect::<Vec<_>>().join(" ")
}

fn refused(kind: FormatKind, payloads: &[(&str, usize)]) {
    for (payload, offset) in payloads {
        assert_eq!(parse(kind, payload.as_bytes()).map(|_| ()).expect_err(payload).offset, *offset, "{payload:?}");
    }
}

/// The payload with edits made; each tag by its name.
fn edited(
    kind: FormatKind,
    wanted: &Wanted,
    payload: &str,
    replace: &[(&str, &str)],
    add: &[(u32, &str, &str)],
    shift_ns: i64,
) -> Result<String, Malformed> {
    let (mut format, mut parsed, mut edits, mut out) = (open(kind, wanted).unwrap(), Parsed::default(), Edits::default(), Vec::new());
    format.parse(payload.as_bytes(), &mut parsed).unwrap();
    for (name, value) in replace {
        for (i, tag) in parsed.tags.iter().enumerate() {
            if parsed.get(tag.name) == name.as_bytes() {
                edits.replace(u32::try_from(i).unwrap(), value.as_bytes());
            }
        }
    }
    for (sample, name, value) in add {
        edits.add(*sample, name.as_bytes(), value.as_bytes());
    }
    edits.shift(shift_ns);
    edits.seal();
    format.write(payload.as_bytes(), &parsed, &edits, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn line(kind: FormatKind, payload: &str, replace: &[(&str, &str)], add: &[(u32, &str, &str)], shift_s: i64) -> String {
    edited(kind, &Wanted::default(), payload, replace, add, shift_s * 1_000_000_000).unwrap()
}

#[test]
fn dogstatsd_has_its_corners() {
    let text = "a.b:1:2.5:-3|c|@0.5|#h:x:y,bare,,e:|c:ab|T1700000000\r\n\nu:any:thing|s\n_e{5,4}:ti|le|te|t|d:5|#a:b|h:q\n_sc|chk|2|d:6|#c:d|m:no\n";
    assert_eq!(shown(DogStatsd, text), "a.b[h=x:y bare= e=] u[] [a=b] chk[c=d] 1700000000000000000 5000000000 6000000000");
    assert_eq!(
        line(DogStatsd, text, &[("h", "1"), ("bare", "2"), ("e", "3")], &[(0, "n", "m"), (0, "o", "p"), (1, "n", "m")], 1),
        "a.b:1:2.5:-3|c|@0.5|#h:1,bare:2,,e:3,n:m,o:p|c:ab|T1700000001\r\n\nu:any:thing|s|#n:m\n_e{5,4}:ti|le|te|t|d:6|#a:b|h:q\n_sc|chk|2|d:7|#c:d|m:no\n"
    );
    assert_eq!(line(DogStatsd, "a:1|c|@1|c:x", &[], &[(0, "n", "m")], 0), "a:1|c|@1|#n:m|c:x");
    assert_eq!(line(DogStatsd, "a:1|c|#", &[], &[(0, "n", "m")], 0), "a:1|c|#n:m");
    refused(
        DogStatsd,
        &[
            ("a", 1),
            (":1|c", 0),
            ("a:|c", 2),
            ("a:x|c", 2),
            ("a:1", 3),
            ("a:1|x", 4),
            ("ok:1|c\na:1|q", 11),
            ("a:1|c|@x", 6),
            ("a:1|c|Tx", 7),
            ("_e{1,2}:a|b", 0),
            ("_e{4294967295,4294967295}:a|b", 0),
            ("_sc|a|4", 4),
            ("a|b:1|c", 0),
        ],
    );
}

#[test]
fn influx_has_its_corners() {
    let text = "# c,a=b\n\nm\\,\\ x,t\\ 1=a\\,b\\=c\\ d,u=\\x f=1,g=\"a,b=c \\\" \n x\" 1700000000000\r\n  m f=1i 5\nm,a=b f=t";
    assert_eq!(shown(Influx, text), "m, x[t 1=a,b=c d u=\\x] m[] m[a=b] 1700000000000000000 5000000000");
    assert_eq!(
        line(Influx, text, &[("t 1", "1 2,3=4"), ("u", "v")], &[(1, "n", "m"), (1, "o", "p"), (2, "n", "é")], 1),
        "# c,a=b\n\nm\\,\\ x,t\\ 1=1\\ 2\\,3\\=4,u=v f=1,g=\"a,b=c \\\" \n x\" 1700000001000\r\n  m,n=m,o=p f=1i 6\nm,a=b,n=é f=t"
    );
    let none = Wanted::default();
    for (name, value) in [("a", "x"), ("n", ""), ("", "x"), ("n", "x\\"), ("n", "x\\,"), ("n", "a\nb")] {
        assert!(edited(Influx, &none, "m,a=b f=1", &[], &[(0, name, value)], 0).is_err(), "{name:?} {value:?}");
    }
    assert!(edited(Influx, &none, "m f=1 1700000000000", &[], &[], -1_650_000_000_000_000_000).is_err(), "it would be judged seconds");
    refused(
        Influx,
        &[
            ("m", 1),
            (",a=b f=1", 0),
            ("m,a f=1", 3),
            ("m,=b f=1", 2),
            ("m,a= f=1", 4),
            ("m,a=b=c f=1", 5),
            ("m f", 3),
            ("m f=x", 4),
            ("m f=\"a", 6),
            ("m f=1 x", 6),
            ("m f=1 1-", 6),
            ("m f=i", 4),
        ],
    );
}

#[test]
fn graphite_has_its_corners() {
    let text = "a.b.c 1 1700000000\n a;t=x=y;u=v\t-1.5e3  1700000000.25 \nd nan -1\n";
    assert_eq!(shown(Graphite, text), "a.b.c[] a[t=x=y u=v] d[] 1700000000000000000 1700000000250000000");
    assert_eq!(
        line(Graphite, text, &[("t", "z")], &[(0, "n", "m"), (1, "n", "m")], 1),
        "a.b.c;n=m 1 1700000001\n a;t=z;u=v;n=m\t-1.5e3  1700000001.25 \nd nan -1\n"
    );
    for (name, value) in [("name", "x"), ("a=", "x"), ("n", "a b"), ("n", ""), ("n", "~x"), ("n", "a;b")] {
        assert!(edited(Graphite, &Wanted::default(), "a 1 1", &[], &[(0, name, value)], 0).is_err(), "{name:?} {value:?}");
    }
    let shift_ns = -1_500_000_000;
    assert!(edited(Graphite, &Wanted::default(), "a 1 1", &[], &[], shift_ns).is_err(), "it would mean now");
    assert_eq!(edited(Graphite, &Wanted::default(), "a 1 -1.0", &[], &[], shift_ns).as_deref(), Ok("a 1 -1.0"));
    refused(
        Graphite,
        &[
            ("a 1", 3),
            ("a x 1", 2),
            ("a 1 x", 4),
            ("a 1 1 1", 6),
            (";t=x 1 1", 0),
            ("a;t 1 1", 2),
            ("a;=x 1 1", 2),
            ("a;t= 1 1", 2),
            ("a;t=~ 1 1", 2),
        ],
    );
}

#[test]
fn prometheus_text_has_its_corners() {
    let text = "# HELP m a{b=\"c\"}\nm 1\nm{} +Inf 1700000000000\nm_bucket{ le = \"0.5\" , p=\"C:\\\\x \\\"q\\\"\\n}\", } 3 -5\n";
    assert_eq!(shown(PrometheusText, text), "m[] m[] m_bucket[le=0.5 p=C:\\x \"q\"\n}] 1700000000000000000 -5000000");
    assert_eq!(
        line(PrometheusText, text, &[("p", "a\"\\\n")], &[(0, "n", "m"), (0, "o", "p"), (1, "n", "m"), (2, "n", "m")], 1),
        "# HELP m a{b=\"c\"}\nm{n=\"m\",o=\"p\"} 1\nm{n=\"m\"} +Inf 1700000001000\nm_bucket{ le = \"0.5\" , p=\"a\\\"\\\\\\n\",n=\"m\" } 3 995\n"
    );
    let open_metrics = "m{a=\"b\"} 1 1700000000.5 # {t=\"x y\"} 2 1700000000.1\n# EOF\n";
    assert_eq!(line(PrometheusText, open_metrics, &[], &[], 1), "m{a=\"b\"} 1 1700000001.5 # {t=\"x y\"} 2 1700000000.1\n# EOF\n");
    refused(
        PrometheusText,
        &[
            ("1m 1", 0),
            ("m", 1),
            ("m x", 2),
            ("m 1 x", 4),
            ("m 1 1.5", 4),
            ("m{a} 1", 3),
            ("m{a=\"b\" c=\"d\"} 1", 8),
            ("m{,} 1", 2),
            ("m{a=\"\\x\"} 1", 5),
            ("m{a=\"b} 1", 9),
            ("m{a=\"b\"", 7),
            ("m 1 1 1", 6),
            ("m{1=\"\"} 1", 2),
        ],
    );
}

#[test]
fn json_finds_what_is_asked_for() {
    let text = r#" {"a":{"b":"x\u0041"},"a b":1.50,"items":[{"host":"h1","x":true},{"host":null},{"host":"h2"}],"ts":"2018-03-24T17:15:20.60Z", "ms":1700000000000} "#;
    assert_eq!(
        shown(Json, text),
        "[$.a.b=xA $['a b']=1.50 $.items[*].host=h1 $.items[*].x=true $.items[*].host=h2 $.ts=2018-03-24T17:15:20.60Z $.ms=1700000000000]"
    );
    let tags = ["$.a.b", "$['a b']", "$.items[*].host", "$.items[2].host"].map(str::to_owned);
    let stamps =
        [("$.ts", StampUnit::Rfc3339), ("$.ms", StampUnit::Milliseconds)].map(|(path, unit)| StampField { path: path.into(), unit });
    let wanted = Wanted { tags: Some(tags.to_vec()), stamps: stamps.to_vec() };
    let replace = [("$.a.b", "\"é\n"), ("$['a b']", "n/a"), ("$.items[2].host", "last")];
    let add = [(0, "$.items[*].host", "n"), (0, "$.new", "1"), (0, "$.a['x y']", "2")];
    assert!(edited(Json, &wanted, text, &[], &add[..1], 0).is_err(), "all have it");
    assert_eq!(
        edited(Json, &wanted, text, &replace, &add[1..], 1_005_000_000).unwrap(),
        r#" {"a":{"b":"\"é\n","x y":"2"},"a b":"n/a","items":[{"host":"h1","x":true},{"host":null},{"host":"last"}],"ts":"2018-03-24T17:15:21.60Z", "ms":1700000001005,"new":"1"} "#
    );
    let none = Wanted { tags: Some(vec![]), stamps: vec![] };
    assert_eq!(
        edited(Json, &none, "[{},{\"k\":1},[]]", &[], &[(0, "$[*].a", "1"), (0, "$[0].b", "2")], 0).unwrap(),
        r#"[{"a":"1","b":"2"},{"k":1,"a":"1"},[]]"#
    );
    assert_eq!(edited(Json, &none, "{\"o\":[[],{}]}", &[], &[(0, "$.o[1].a", "1")], 0).unwrap(), r#"{"o":[[],{"a":"1"}]}"#);
    for path in ["$.x.y", "$[0]", "$", "no path"] {
        assert!(edited(Json, &none, "{\"x\":[{}]}", &[], &[(0, path, "1")], 0).is_err(), "{path}");
    }
}

#[test]
fn json_keeps_its_types() {
    let tags = Wanted { tags: Some(vec!["$[*]".into()]), stamps: vec![] };
    for (text, value, after) in [
        ("[1]", "2e3", "[2e3]"),
        ("[1]", "02", "[\"02\"]"),
        ("[1]", "a", "[\"a\"]"),
        ("[true]", "false", "[false]"),
        ("[true]", "1", "[\"1\"]"),
        ("[\"a\"]", "1", "[\"1\"]"),
        ("[\"\\u0061\"]", "a", "[\"\\u0061\"]"),
    ] {
        assert_eq!(edited(Json, &tags, text, &[("$[*]", value)], &[], 0).as_deref(), Ok(after));
    }
}

#[test]
fn json_stamps_are_told_from_what_is_none() {
    let stamp = |path: &str, unit| Wanted { tags: Some(vec![]), stamps: vec![StampField { path: path.into(), unit }] };
    let read = |text: &str, unit| {
        let mut parsed = Parsed::default();
        open(Json, &stamp("$.t", unit)).unwrap().parse(text.as_bytes(), &mut parsed).map(|()| parsed.stamps.len())
    };
    assert_eq!(read("{\"t\":\"1700000000.5\"}", StampUnit::Seconds), Ok(1));
    assert_eq!(read("{\"t\":null}", StampUnit::Seconds), Ok(0));
    assert_eq!(read("{\"t\":\"0001-01-01T00:00:00Z\"}", StampUnit::Rfc3339), Ok(0));
    for (text, unit) in [
        ("{\"t\":1e9}", StampUnit::Seconds),
        ("{\"t\":1700000000000}", StampUnit::Seconds),
        ("{\"t\":true}", StampUnit::Seconds),
        ("{\"t\":17}", StampUnit::Rfc3339),
    ] {
        assert_eq!(read(text, unit).unwrap_err().offset, 5, "{text}");
    }
}

#[test]
fn json_names_are_bounded() {
    let deep = [r#"{"kkkkkkkkkkkkkkkk":"#.repeat(1000), "[".into(), "{\"a\":1},".repeat(1000), "0]".into(), "}".repeat(1000)].concat();
    assert!(parse(Json, deep.as_bytes()).unwrap_err().what.contains("16 MiB"));
}

#[test]
fn headers_and_keys_are_tags() {
    let mut headers = HeadersBuf::default();
    for (name, value) in [("a", Some(&b"1"[..])), ("n", None), ("a", Some(b"")), ("b", Some(b"2"))] {
        headers.push(name.as_bytes(), value);
    }
    let payload = String::from_utf8(headers.as_headers().as_bytes().to_vec()).unwrap();
    assert_eq!(shown(Header, &payload), "[a=1 a= b=2]");
    let long = "x".repeat(100);
    let after = line(Header, &payload, &[("a", &long)], &[(0, "c", "3")], 0);
    let set = dejaq_shared::record::Headers::parse(after.as_bytes()).unwrap();
    let lengths: Vec<_> = set.iter().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::len))).collect();
    assert_eq!(
        lengths,
        [(b"a".to_vec(), Some(100)), (b"n".to_vec(), None), (b"a".to_vec(), Some(100)), (b"b".to_vec(), Some(1)), (b"c".to_vec(), Some(1))]
    );
    refused(Header, &[("\u{5}a", 0)]);
    assert_eq!(line(Key, "", &[("key", "new")], &[], 0), "new");
    assert!(edited(Key, &Wanted::default(), "k", &[], &[(0, "a", "b")], 0).is_err());
}

/// A payload of pieces that are likely to fit, and sometimes do not.
fn pieces(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_line_formats_keep_their_promises(
        pick in any::<u8>(),
        statsd in pieces(&["a:1|c\n", "a.b:1:2|ms|@0.1|#x:y,z\n", "m:q|s|#,a:b:c,|c:1", "|T17\n", "_e{1,1}:a|b|#c\n", "_sc|a|0|m:x\n", "\r\n", "|#k:v", "g:+1|g"]),
        influx in pieces(&["m f=1\n", "m,a=b", ",c=\\,d\\ \\=", ",e\\==\\f", " f=\"x\ny\\\"\",g=1u", " 1700000000000000000\n", " 1700000000000", " 17\r\n", "#c\n", "\n", "  ", "é\\\\"]),
        graphite in pieces(&["a.b 1 17\n", "c;t=x;u=y=z", ";w=v", " 1.5 1700000000.50\n", "\tnan\t-1", "\n", " "]),
        prometheus in pieces(&["m 1\n", "m{a=\"b\"} 2 1700000000000\n", "m{", "a=\"\\\\\\n\"", ",", " b = \"c\" ", "} 1", "\n", "# EOF\n", " 5", "# x\n"]),
    ) {
        for (kind, payload) in [(DogStatsd, statsd), (Influx, influx), (Graphite, graphite), (PrometheusText, prometheus)] {
            laws::hold(kind, &Wanted::default(), payload.as_bytes(), pick);
        }
    }

    #[test]
    fn json_keeps_its_promises(pick in any::<u8>(), text in "(\\{\"a\":|\\[1,|\\[){0,3}(\"x\\\\u00e9\"|-1.5e3|true|null|\\{\\}|\\[\\]|\\{\"a\":1700000000.25,\"b\":\\[null,\"y\"\\]\\})[\\]} ]{0,3}") {
        let stamps = vec![StampField { path: "$.a".into(), unit: StampUnit::Seconds }];
        laws::hold(Json, &Wanted::default(), text.as_bytes(), pick);
        laws::hold(Json, &Wanted { tags: Some(vec!["$.b[*]".into(), "$.b[1]".into(), "$[*].a".into()]), stamps }, text.as_bytes(), pick);
    }

    #[test]
    fn keys_and_headers_keep_their_promises(pick in any::<u8>(), key in prop::collection::vec(any::<u8>(), 0..20), set in prop::collection::vec(("[a-c]{0,2}", prop::option::of("[a-z]{0,200}")), 0..5)) {
        let mut headers = HeadersBuf::default();
        for (name, value) in &set {
            headers.push(name.as_bytes(), value.as_ref().map(String::as_bytes));
        }
        prop_assert!(laws::hold(Key, &Wanted::default(), &key, pick));
        prop_assert!(laws::hold(Header, &Wanted::default(), headers.as_headers().as_bytes(), pick));
        laws::hold(Header, &Wanted::default(), &key, pick);
    }
}
