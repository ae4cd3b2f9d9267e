//! Killed at any instant: the recording's files and the broker's queues as they stand in the midst of a capture are all that the
//! next one has.

use std::collections::HashMap;

use dejaq_shared::record::RecordFlags;
use proptest::prelude::*;

use super::Bench;
use super::model::{Message, Queue};

/// Every third message names itself; of the others some look the same.
fn message(n: usize) -> Message {
    let exchange = if n.is_multiple_of(5) { "events" } else { "orders" };
    match n % 3 {
        0 => Message::new(exchange, format!("named {n}")).with_id(n.to_string()),
        1 => Message::new(exchange, format!("nameless {n}")),
        _ => Message::new(exchange, format!("one of many {}", n % 7)),
    }
}

fn count<'a>(bodies: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    bodies.fold(HashMap::new(), |mut counts, body| {
        *counts.entry(body).or_default() += 1;
        counts
    })
}

/// Kills a capture after each of these numbers of deliveries, then lets one end.
fn survive(kills: &[usize], window: u32, messages: usize, links: usize) {
    let mut bench = Bench::new();
    bench.world().window = window;
    bench.world().queues.resize_with(links, Queue::default);
    let published: Vec<Message> = (0..messages).map(message).collect();
    for (n, message) in published.iter().enumerate() {
        bench.world().queues[n % links].publish(message.clone());
    }
    for (n, after) in kills.iter().enumerate() {
        let copy = bench.dir.path().join(format!("copy {n}"));
        bench.world().kill = Some((*after, bench.out(), copy.clone()));
        if bench.run().is_ok() {
            // It had everything before it could be killed.
            break;
        }
        let mut world = bench.world();
        world.queues = world.left.take().expect("it was killed").queues;
        world.queues.iter_mut().for_each(Queue::reconnect);
        drop(world);
        bench.config.out = Some(copy);
    }
    bench.world().kill = None;
    let summary = bench.run().expect("a capture");
    assert!(summary.books_balance, "{summary:?}");
    assert_eq!(summary.gaps, 0);
    bench.expect_all_acknowledged();

    let records = bench.records();
    let possible: Vec<&str> = records.iter().filter(|r| r.flags.has(RecordFlags::POSSIBLE_DUPLICATE)).map(|r| r.body.as_str()).collect();
    let (sent, got) = (count(published.iter().map(|m| m.body.as_str())), count(records.iter().map(|r| r.body.as_str())));
    let flagged = count(possible.into_iter());
    for (body, sent) in sent {
        let (got, flagged) = (got.get(body).copied().unwrap_or(0), flagged.get(body).copied().unwrap_or(0));
        assert!(got >= sent, "{body}: {sent} were sent, {got} recorded");
        assert!(got - sent <= flagged, "{body}: {sent} were sent, {got} recorded, {flagged} flagged");
        if body.starts_with("named") {
            assert_eq!((got, flagged), (sent, 0), "{body}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_missing_and_what_is_double_is_flagged(
        kills in prop::collection::vec(1usize..300, 1..6),
        window in 1u32..120,
        links in 1usize..4,
    ) {
        survive(&kills, window, 400, links);
    }
}

#[test]
fn ten_kills_in_a_row() {
    survive(&[150; 10], 40, 3_000, 2);
}
