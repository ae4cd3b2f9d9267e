//! A capture that is killed or stands still: nothing is missing without a gap that says so, and nobody at production notices.

use std::collections::HashMap;

use serde_json::json;

use super::held::*;
use super::peer::{Node, Pika, World};
use super::*;
use crate::background::wait_until;
use crate::held::count;

/// A number below `below` that no earlier run had.
fn random(below: u64) -> u64 {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("past 1970").as_nanos();
    u64::try_from(nanos % u128::from(below)).expect("it is below")
}

#[test]
fn killed_ten_times_under_load_nothing_is_missing_and_what_may_be_double_is_flagged() {
    const EACH: u64 = 15_000;
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "killed", &shop());
    let mut running = Some(capturing(&world, &dir, &["--exchanges", SHOP]));
    // Half of the messages have an id that proves which they are, half have none.
    let load = |seed: &str, more: &[&str]| {
        let args = ["--count", &EACH.to_string(), "--rate", "1500", "--seed", seed].map(str::to_owned);
        Pika::publishing(&world.url, &shop_routes(), &[&strs(&args)[..], more].concat())
    };
    let (named, nameless) = (load("named", &[]), load("nameless", &["--no-ids"]));
    for round in 1..=10u64 {
        let instant = 2 * EACH * round / 12 + random(EACH / 6);
        wait_until(&dir, "under load", |r| count(r) >= instant);
        running.take().expect("one runs").kill();
        running = Some(capturing(&world, &dir, &["--exchanges", SHOP]));
    }
    let (named, nameless) = (named.wait().lines, nameless.wait().lines);
    let drained = || world.own_queues().iter().all(|queue| Pika::depth(&world.url, queue).0 == 0);
    eventually("drained", drained);
    let ended = running.expect("one runs").interrupt().expect(0);
    says(&ended.stderr, &["books balance", "possible duplicates"]);
    // A queue's depth leaves out what was delivered; what of that was not on disk yet is there again now.
    while !drained() {
        let rest = capturing(&world, &dir, &["--exchanges", SHOP]);
        eventually("drained", drained);
        rest.interrupt().expect(0);
    }
    assert_eq!(gaps(&dir), Vec::<Value>::new());

    let records = exported(&dir);
    let (mut had, mut sure): (HashMap<String, usize>, HashMap<String, usize>) = (HashMap::new(), HashMap::new());
    for record in &records {
        let essence = essence(record);
        if !flagged(record, "possible_duplicate") {
            *sure.entry(essence.clone()).or_default() += 1;
        }
        *had.entry(essence).or_default() += 1;
    }
    let missing: Vec<_> = named.iter().chain(&nameless).map(essence).filter(|message| !had.contains_key(message)).take(3).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
    let twice: Vec<_> = named.iter().map(essence).filter(|message| had[message] != 1).take(3).collect();
    assert!(twice.is_empty(), "its id proves that it is the same: {twice:#?}");
    let unflagged: Vec<_> = sure.iter().filter(|(_, n)| **n > 1).take(3).collect();
    assert!(unflagged.is_empty(), "twice and not flagged: {unflagged:#?}");
    assert_eq!(had.len(), named.len() + nameless.len(), "there is nothing else");
}

/// How many deliveries are on their way.
const PREFETCH: u64 = 200;

/// Stops a capture with small bounds, publishes far more than fits, and lets it go on when `until` holds.
/// Distinct messages recorded and the gaps' count make up what was published, and `twice_max` more at most.
fn stalled(what: &str, heartbeat: &str, twice_max: u64, until: impl Fn(&World, &str)) {
    const COUNT: usize = 6_000;
    const BOUND: u64 = 500;
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, what, &shop());
    let heartbeat = format!("heartbeat={heartbeat}");
    let prefetch = format!("prefetch={PREFETCH}");
    let bounds = ["-X", "queue.messages=500", "-X", &prefetch, "-X", &heartbeat];
    let running = capturing(&world, &dir, &[&["--exchanges", SHOP], &bounds[..]].concat());
    let own = world.own_queues();
    assert_eq!(own.len(), 1, "{own:?}");
    let before = Pika::publish(&world.url, &shop_routes(), &["--count", "100", "--seed", "before"]).lines;
    wait_until(&dir, "running", |r| count(r) >= 100);

    signal(&running, "-STOP");
    let consumer = Pika::consuming(&world.url, &SHOP_QUEUES, &[]);
    let sent = Pika::publish(&world.url, &shop_routes(), &["--count", &COUNT.to_string()]);
    assert_eq!(sent.summary, json!({"sent": COUNT, "acked": COUNT, "nacked": 0, "returned": 0, "blocked": 0}));
    let deliveries: usize = sent.lines.iter().chain(&before).map(|line| shop_queues(line).len()).sum();
    consumer.next(deliveries);
    assert_eq!(consumer.interrupt().lines.len(), 0, "the services got theirs, and no more");
    let (ready, _) = Pika::depth(&world.url, &own[0]);
    assert!(ready <= BOUND, "the mirror holds {ready} messages");
    until(&world, &own[0]);
    signal(&running, "-CONT");

    let last = Pika::publish(&world.url, &shop_routes(), &["--count", "100", "--seed", "after"]).lines;
    let is_last = |lines: &[Value]| last.iter().all(|line| lines.iter().any(|record| essence(record) == essence(line)));
    eventually("going on", || is_last(&exported(&dir)));
    let ended = running.interrupt().expect(3);
    says(&ended.stderr, &["books balance"]);
    let records = exported(&dir);
    let distinct = multiset(&records);
    let all: HashMap<_, _> = multiset(before.iter().chain(&sent.lines).chain(&last));
    assert!(distinct.keys().all(|message| all.contains_key(message)));
    let accounted = distinct.len() as u64 + lost(&dir);
    let published = all.len() as u64;
    assert!((published..=published + twice_max).contains(&accounted), "{accounted} of {published}: {:#?}", gaps(&dir));
    assert!(lost(&dir) > 0);
    assert!(gaps(&dir).iter().all(|gap| gap["from_time_ns"].as_i64() < gap["to_time_ns"].as_i64()), "{:#?}", gaps(&dir));
}

#[test]
fn a_capture_that_stands_still_shorter_than_the_heartbeat_keeps_its_books() {
    let _nodes = alone();
    stalled("short-stall", "60s", 0, |world, own| assert_eq!(Pika::depth(&world.url, own).1, 1, "its connection stands"));
}

/// What was delivered, recorded and not acknowledged goes back into the queue with the connection, and may be thrown away there: it
/// is recorded and counted as lost, too. Never the other way round.
#[test]
fn a_capture_that_stands_still_longer_than_the_heartbeat_keeps_its_books() {
    let _nodes = alone();
    stalled("long-stall", "1s", PREFETCH, |world, own| eventually("given up by the node", || Pika::depth(&world.url, own).1 == 0));
}
