//! From one broker to the other: what both can carry arrives, by the mapping that was asked for.

use base64::Engine as _;
use serde_json::{Value, json};

use super::held::*;
use super::peer::{Node, Pika, World};
use super::replay::{args, ledger, recording, replayed};
use super::*;
use crate::dejaq::dejaq;
use crate::held::dump;
use crate::peer::{Peer, clusters};
use crate::replay::{assert_books_balance, report};

/// Our bytes as base64, as the Kafka peer writes them.
fn base64(bytes: &Value) -> Value {
    let encode = |raw: &[u8]| json!(base64::engine::general_purpose::STANDARD.encode(raw));
    bytes["utf8"].as_str().map_or_else(|| bytes["base64"].clone(), |text| encode(text.as_bytes()))
}

#[test]
fn exchanges_become_topics_and_routing_keys_keys() {
    let _nodes = beside();
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let run = scratch.path().join("run");
    let messages = Pika::made(&shop_routes(), &["--count", "1000"]);
    let dir = recording(scratch.path(), "shop", &messages, 500);
    let topics = SHOP.split(',').map(|exchange| (exchange, Peer::create_topic(&at.staging, exchange, 3, ""))).collect::<Vec<_>>();
    let maps: Vec<String> = topics.iter().map(|(exchange, topic)| format!("{exchange}={topic}")).collect();
    let maps: Vec<&str> = maps.iter().flat_map(|map| ["--map", map]).collect();
    let url = format!("kafka://{}", at.staging);
    let replay = ["replay", text(&dir), "--to", &url, "--run", text(&run), "--key", "routing-key", "--mark", "off"];
    let ended = dejaq(&[&replay[..], &maps].concat());
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.stderr);
    let report = report(&run);
    assert_books_balance(&report);
    assert_eq!(ledger(&report, "acked"), 1_000, "{}", ended.stderr);

    for (exchange, topic) in topics {
        let got = dump(&at.staging, &topic, "read_uncommitted");
        let mut keys: Vec<Value> = got.iter().map(|record| record["key"].clone()).collect();
        keys.sort_by_key(Value::to_string);
        keys.dedup();
        // One key lies in one partition, so its order is kept.
        for key in keys {
            let of_key = |record: &&Value| record["exchange"] == exchange && base64(&record["routing_key"]) == key;
            let theirs = messages.iter().filter(of_key).map(|message| base64(&message["value"]).to_string());
            let mut ours: Vec<&Value> = got.iter().filter(|record| record["key"] == key).collect();
            ours.sort_by_key(|record| record["offset"].as_i64());
            assert!(ours.iter().all(|record| record["partition"] == ours[0]["partition"]), "{exchange} {key}");
            assert_same_row(exchange, theirs, ours.iter().map(|record| record["value"].to_string()));
        }
        assert_eq!(got.len(), messages.iter().filter(|message| message["exchange"] == exchange).count());
        // A header that is text is carried as its bytes.
        let hosts =
            got.iter().filter(|record| record["headers"].as_array().is_some_and(|all| all.iter().any(|header| header["name"] == "host")));
        let had = messages
            .iter()
            .filter(|message| message["exchange"] == exchange && message["properties"]["headers"].to_string().contains("host"));
        assert_eq!(hosts.count(), had.count(), "{exchange}");
    }
}

#[test]
fn topics_become_exchanges_and_keys_routing_keys() {
    let _nodes = beside();
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, run) = (scratch.path().join("rec"), scratch.path().join("run"));
    let topic = Peer::create_topic(&at.prod, "across", 1, "");
    let feed = ["feed-synthetic", "--bootstrap", &at.prod, "--topic", &topic, "--count", "500", "--bytes", "80"];
    Peer::run(&[&feed[..], &["--partitions", "key", "--keys", "7", "--rate", "2000"]].concat());
    let url = format!("kafka://{}", at.prod);
    dejaq(&["capture", "--from", &url, "--topics", &topic, "--out", text(&dir), "--start", "beginning", "--until", "end"]).expect(0);
    let world = World::new(Node::Staging, "across", &shop());
    let map = format!("{topic}=news");
    let report = replayed(&world, &dir, &run, &["--map", &map, "--routing-key", "key", "--mark", "off"]);
    assert_eq!(ledger(&report, "acked"), 500);
    let got = Pika::consume(&world.url, "feed", 500);
    let theirs = dump(&at.prod, &topic, "read_uncommitted");
    let row = |key: &Value, value: &Value| json!([key, value]).to_string();
    assert_same_row(
        "feed",
        theirs.iter().map(|record| row(&record["key"], &record["value"])),
        got.iter().map(|message| row(&base64(&message["routing_key"]), &base64(&message["value"]))),
    );

    // What cannot go there is said before anything is sent.
    let refused = dejaq(&strs(&args(&world, &dir, &scratch.path().join("refused"), &["--map", &map, "--partitions", "exact"])));
    assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
    says(&refused.stderr, &["--partitions"]);
}
