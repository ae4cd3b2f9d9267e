use std::sync::Arc;

use dejaq_shared::amqp::{Basic, Properties, TableBuf, Value};
use dejaq_shared::broker::sink::TargetKind;
use dejaq_shared::record::{BrokerTime, Headers, HeadersBuf, Lane, Record, Stream};
use dejaq_shared::units::Ratio;
use proptest::prelude::*;

use super::*;
use crate::testing::stream;

fn exchange(name: &str) -> Stream {
    Stream { cluster: "prod".into(), lane: Lane::RabbitExchange { vhost: "/".into(), exchange: name.into() } }
}

fn queue(name: &str) -> Stream {
    Stream { cluster: "prod".into(), lane: Lane::RabbitQueue { vhost: "/".into(), queue: name.into() } }
}

/// A fit for one stream.
fn fit_of(from: &Stream, kind: TargetKind, options: &FitOptions, speed: u64) -> Arc<Fit> {
    let to_default = matches!(from.lane, Lane::RabbitQueue { .. });
    let speed = Ratio::new(speed, 1).expect("positive");
    Arc::new(Fit::new(std::slice::from_ref(from), &[to_default], kind, options, speed))
}

fn to_rabbit(options: &FitOptions) -> Fitter {
    Fitter::new(fit_of(&exchange("x"), TargetKind::RabbitMq, options, 1))
}

fn encoded(basic: Basic<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    basic.write(&mut out).expect("short");
    out
}

fn message(properties: &[u8]) -> Record<'_> {
    Record { routing_key: Some(b"rk"), value: Some(b"body"), properties: Properties::from_checked(properties), ..Record::EMPTY }
}

fn lost(counts: &FitCounts) -> Vec<(String, u64)> {
    let FitReport { stripped, not_carried } = counts.report();
    stripped.into_iter().chain(not_carried).map(|lost| (lost.what, lost.messages)).collect()
}

/// A header table of entries that a publisher may write.
fn entries() -> impl Strategy<Value = Vec<(String, u8, Vec<u8>)>> {
    prop::collection::vec(("[a-z-]{0,12}", 0u8..8, prop::collection::vec(any::<u8>(), 8..20)), 0..6)
}

fn put(table: &mut TableBuf, name: &[u8], which: u8, bytes: &[u8]) {
    let number = u64::from_le_bytes(*bytes.first_chunk().expect("8 bytes"));
    table.name(name);
    match which {
        0 => table.value(Value::String(bytes)),
        1 => table.value(Value::Bytes(bytes)),
        2 => table.value(Value::I64(number.cast_signed())),
        3 => table.value(Value::F64(number)),
        4 => table.value(Value::Void),
        5 => table.value(Value::Timestamp(number)),
        6 => table.begin_array().value(Value::Bool(true)).value(Value::String(bytes)).end(),
        _ => table.begin_table().name(b"inner").value(Value::Decimal { scale: bytes[0], value: 7 }).end(),
    };
}

proptest! {
    #[test]
    fn what_rabbitmq_may_have_stays_byte_for_byte(headers in prop::option::of(entries()), texts in prop::collection::vec(prop::option::of("[ -~]{0,20}"), 8), numbers in any::<(Option<u8>, Option<u8>, Option<u64>)>(), ttl in prop::option::of(any::<u32>())) {
        let mut table = TableBuf::default();
        for (name, which, bytes) in headers.iter().flatten() {
            put(&mut table, name.as_bytes(), *which, bytes);
        }
        let ttl = ttl.map(|ms| ms.to_string());
        let text = |ix: usize| texts[ix].as_deref().map(str::as_bytes);
        let basic = Basic {
            content_type: text(0), content_encoding: text(1), headers: headers.is_some().then(|| table.as_table().expect("a table")),
            delivery_mode: numbers.0, priority: numbers.1, correlation_id: text(2), reply_to: text(3), expiration: ttl.as_deref().map(str::as_bytes),
            message_id: text(4), timestamp: numbers.2, kind: text(5), user_id: None, app_id: text(6), cluster_id: text(7),
        };
        let plain = encoded(basic);
        let mut fitter = to_rabbit(&FitOptions::default());
        prop_assert_eq!(fitter.fit(&message(&plain)), message(&plain));
        prop_assert_eq!(lost(fitter.counts()), vec![]);

        // With what must not be there put in between, the same comes out.
        let mut more = TableBuf::default();
        more.name(b"x-death").begin_array().end();
        for (name, which, bytes) in headers.iter().flatten() {
            put(&mut more, name.as_bytes(), *which, bytes);
            more.name(b"x-first-death-queue").value(Value::String(b"q"));
        }
        let table = if headers.is_some() { Some(more.as_table().expect("a table")) } else { None };
        let claimed = encoded(Basic { user_id: Some(b"guest"), headers: table, ..basic });
        let expected = encoded(Basic { headers: basic.headers.filter(|table| !table.as_bytes().is_empty()), ..basic });
        prop_assert_eq!(fitter.fit(&message(&claimed)), message(&expected));
    }
}

#[test]
fn a_time_to_live_is_kept_scaled_or_stripped_and_never_one_that_closes_the_channel() {
    let of = |mode, speed, ttl: &'static [u8]| {
        let options = FitOptions { expiration: mode, ..FitOptions::default() };
        let mut fitter = Fitter::new(fit_of(&exchange("x"), TargetKind::RabbitMq, &options, speed));
        let plain = encoded(Basic { expiration: Some(ttl), priority: Some(3), ..Basic::default() });
        let fitted = fitter.fit(&message(&plain)).properties.basic();
        assert_eq!(fitted.priority, Some(3));
        let ttl = fitted.expiration.map(<[u8]>::to_vec);
        (ttl, lost(fitter.counts()))
    };
    use ExpirationMode::{Keep, Scale, Strip};
    assert_eq!(of(Keep, 4, b"1000"), (Some(b"1000".to_vec()), vec![]));
    assert_eq!(of(Scale, 4, b"1000"), (Some(b"250".to_vec()), vec![]));
    assert_eq!(of(Scale, 4, b"1"), (Some(b"1".to_vec()), vec![]), "not at once");
    assert_eq!(of(Scale, 4, b"0"), (Some(b"0".to_vec()), vec![]));
    assert_eq!(of(Strip, 1, b"1000"), (None, vec![("expiration".into(), 1)]));
    for bad in [&b""[..], b"-1", b"1.5", b"10s", b" 10", b"4294967296"] {
        let bad: &'static [u8] = bad;
        assert_eq!(of(Keep, 1, bad), (None, vec![("malformed expiration".into(), 1)]), "{}", bad.escape_ascii());
    }
}

#[test]
fn routes_that_would_close_the_channel_are_stripped_and_others_kept() {
    let mut table = TableBuf::default();
    table.name(b"CC").begin_array().value(Value::String(b"more")).end().name(b"BCC").value(Value::String(b"text"));
    let plain = encoded(Basic { headers: Some(table.as_table().expect("a table")), reply_to: Some(b"back"), ..Basic::default() });
    let mut fitter = to_rabbit(&FitOptions { strip_reply_to: true, ..FitOptions::default() });
    let fitted = fitter.fit(&message(&plain)).properties.basic();
    let names: Vec<_> = fitted.headers.expect("CC").iter().map(|(name, _)| name).collect();
    assert_eq!((names, fitted.reply_to), (vec![&b"CC"[..]], None));
    assert_eq!(lost(fitter.counts()), [("reply_to".into(), 1), ("malformed CC or BCC".into(), 1)]);
}

#[test]
fn dead_lettered_messages_are_left_out_where_the_target_may_make_its_own() {
    let mut table = TableBuf::default();
    table.name(b"n").value(Value::I8(1)).name(b"x-death").begin_array().end();
    let dead = encoded(Basic { headers: Some(table.as_table().expect("a table")), ..Basic::default() });
    let leaves_out = |kind, dead_lettered| {
        let options = FitOptions { dead_lettered, ..FitOptions::default() };
        fit_of(&exchange("x"), kind, &options, 1).leaves_out(&message(&dead))
    };
    use DeadLettered::{Send, Skip};
    assert!(leaves_out(TargetKind::RabbitMq, None) && leaves_out(TargetKind::Kafka, Some(Skip)));
    assert!(!leaves_out(TargetKind::Kafka, None) && !leaves_out(TargetKind::RabbitMq, Some(Send)));
    assert!(!fit_of(&exchange("x"), TargetKind::RabbitMq, &FitOptions::default(), 1).leaves_out(&message(b"")));
}

#[test]
fn properties_and_headers_become_headers_of_kafka() {
    let mut table = TableBuf::default();
    table.name(b"host").value(Value::String(b"web\xff")).name(b"n").value(Value::I16(-17)).name(b"none").value(Value::Void);
    table.name(b"price").value(Value::Decimal { scale: 2, value: 5 }).name(b"f").value(Value::F64(0.25f64.to_bits()));
    table.name(b"deep").begin_table().end().name(b"CC").begin_array().end().name(b"x-delivery-count").value(Value::I64(2));
    let headers = Some(table.as_table().expect("a table"));
    let plain = encoded(Basic { headers, delivery_mode: Some(2), message_id: Some(b"m1"), timestamp: Some(9), ..Basic::default() });
    let run = |options: &FitOptions| {
        let fit = fit_of(&exchange("x"), TargetKind::Kafka, options, 1);
        let mut fitter = Fitter::new(Arc::clone(&fit));
        let fitted = fitter.fit(&fit.keyed(&message(&plain)));
        assert_eq!((fitted.routing_key, fitted.properties, fitted.value), (None, Properties::EMPTY, Some(&b"body"[..])));
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let headers: Vec<_> =
            fitted.headers.iter().map(|(name, value)| format!("{}={}", text(name), value.map_or("null".into(), text))).collect();
        let key = fitted.key.map(<[u8]>::to_vec);
        (key, headers.join(" "), lost(fitter.counts()))
    };
    let carried = "amqp.message_id=m1 amqp.delivery_mode=2 amqp.timestamp=9 host=web\\xff n=-17 none=null price=0.05 f=0.25";
    let losses = vec![("broker headers".to_owned(), 1), ("nested headers".to_owned(), 1)];
    assert_eq!(run(&FitOptions::default()), (Some(b"rk".to_vec()), carried.to_owned(), losses.clone()));
    let by = |text: &str| run(&FitOptions { key: KeySource::parse(text).expect("a key"), ..FitOptions::default() });
    let with_routing_key = format!("amqp.routing_key=rk {carried}");
    for (text, key) in
        [("message-id", Some(&b"m1"[..])), ("header:host", Some(b"web\xff")), ("header:n", None), ("header:x", None), ("none", None)]
    {
        assert_eq!(by(text), (key.map(<[u8]>::to_vec), with_routing_key.clone(), losses.clone()), "{text}");
    }
}

#[test]
fn records_of_kafka_become_messages_of_rabbitmq() {
    let mut headers = HeadersBuf::default();
    headers.push(b"a", Some(b"text"));
    headers.push(b"a", None);
    headers.push(b"b", Some(b"\xff\x00"));
    headers.push(b"CC", Some(b"elsewhere"));
    headers.push(b"\xff", Some(b"no name"));
    headers.push(&[b'n'; 256], Some(b"too long"));
    let record = Record { key: Some(b"k"), headers: headers.as_headers(), broker_time: BrokerTime::Create(5), ..Record::EMPTY };
    let run = |text: &str| {
        let options = FitOptions { routing_key: RoutingKeySource::parse(text).expect("short"), ..FitOptions::default() };
        let fit = fit_of(&stream("orders", 3), TargetKind::RabbitMq, &options, 1);
        let (mut keys, mut fitter) = (RoutingKeys::new(Arc::clone(&fit)), Fitter::new(Arc::clone(&fit)));
        let fitted = fitter.fit(&Record { routing_key: keys.of(&record), ..record });
        assert_eq!((fitted.key, fitted.headers, fitted.value), (None, Headers::EMPTY, Some(&b""[..])));
        let table = fitted.properties.basic().headers.expect("headers");
        let entries: Vec<_> = table.iter().map(|(name, value)| (name.to_vec(), format!("{value:?}"))).collect();
        assert_eq!(entries.len(), 2, "{entries:?}");
        assert_eq!(
            table.iter().map(|(_, value)| value).collect::<Vec<_>>(),
            [Value::Void, Value::Bytes(b"\xff\x00")],
            "the last one of a name holds"
        );
        let routing_key = fitted.routing_key.map(|key| String::from_utf8_lossy(key).into_owned());
        (routing_key, lost(fitter.counts()).into_iter().map(|(what, _)| what).collect::<Vec<_>>())
    };
    let losses = |key: bool| -> Vec<String> {
        let key = if key { Some("key") } else { None };
        key.into_iter().chain(["null value", "time stamp", "header names", "reserved headers"]).map(str::to_owned).collect()
    };
    assert_eq!(run("key"), (Some("k".into()), losses(false)));
    assert_eq!(run("topic"), (Some("orders".into()), losses(true)));
    assert_eq!(run("partition"), (Some("3".into()), losses(true)));
    assert_eq!(run("orders.eu"), (Some("orders.eu".into()), losses(true)));
    assert_eq!(RoutingKeySource::parse(&"x".repeat(256)), None);
}

#[test]
fn routing_keys_are_renamed_and_a_stream_queue_is_addressed_by_its_name() {
    let options = FitOptions {
        map_key: vec![("rk".into(), "new".into()), ("log".into(), "log2".into()), ("absent".into(), "x".into())],
        ..FitOptions::default()
    };
    let mut keys = RoutingKeys::new(fit_of(&exchange("x"), TargetKind::RabbitMq, &options, 1));
    assert_eq!(keys.of(&message(b"")), Some(&b"new"[..]));
    assert_eq!(keys.of(&Record { routing_key: Some(b"other"), ..message(b"") }), Some(&b"other"[..]));
    let notes = keys.notes();
    assert!(notes.len() == 2 && notes[1] == "--map-key absent=x: no message has that routing key", "{notes:?}");
    let mut keys = RoutingKeys::new(fit_of(&queue("log"), TargetKind::RabbitMq, &FitOptions::default(), 1));
    assert_eq!(keys.of(&message(b"")), Some(&b"log"[..]));
    // A null key of Kafka's is an empty routing key.
    let mut keys = RoutingKeys::new(fit_of(&stream("t", 0), TargetKind::RabbitMq, &FitOptions::default(), 1));
    assert_eq!(keys.of(&Record::EMPTY), Some(&b""[..]));
}

#[test]
fn a_routing_key_that_no_client_takes_is_told_before() {
    let mut fitter = to_rabbit(&FitOptions::default());
    for key in [&[b'k'; 256][..], b"\xff"] {
        fitter.fit(&Record { routing_key: Some(key), ..message(b"") });
    }
    assert_eq!(lost(fitter.counts()), [("routing key".into(), 2)]);
}

#[test]
fn records_of_kafka_for_kafka_are_left_alone() {
    let fit = fit_of(&stream("t", 0), TargetKind::Kafka, &FitOptions::default(), 1);
    let mut headers = HeadersBuf::default();
    headers.push(b"x-death", None);
    let record = Record { key: Some(b"k"), value: None, headers: headers.as_headers(), ..Record::EMPTY };
    assert_eq!(fit.keyed(&record), record);
    assert_eq!(RoutingKeys::new(Arc::clone(&fit)).of(&record), None);
    assert_eq!(Fitter::new(fit).fit(&record), record);
}

proptest! {
    #[test]
    fn of_headers_with_one_name_the_last_is_carried_in_its_place(names in prop::collection::vec("[ab]{0,2}", 0..12)) {
        let mut headers = HeadersBuf::default();
        for (name, number) in names.iter().zip(0u8..) {
            headers.push(name.as_bytes(), Some(&[b'0' + number]));
        }
        let last = |ix: usize| !names[ix + 1..].contains(&names[ix]);
        let expected: Vec<(String, u8)> = (0..names.len()).filter(|ix| last(*ix)).map(|ix| (names[ix].clone(), b'0' + u8::try_from(ix).expect("few"))).collect();
        let mut fitter = Fitter::new(fit_of(&stream("t", 0), TargetKind::RabbitMq, &FitOptions::default(), 1));
        let record = Record { headers: headers.as_headers(), value: Some(b""), ..Record::EMPTY };
        let carried: Vec<(String, u8)> = fitter.fit(&record).properties.basic().headers.into_iter().flat_map(dejaq_shared::amqp::Table::iter).map(|(name, value)| {
            let Value::String(&[number]) = value else { panic!("{value:?}") };
            (String::from_utf8_lossy(name).into_owned(), number)
        }).collect();
        let losses = usize::from(expected.len() < names.len());
        prop_assert_eq!(carried, expected);
        prop_assert_eq!(lost(fitter.counts()).len(), losses);
    }
}
