use super::*;
use crate::testing::MemoryFeed;

fn batches(options: PlannerOptions, feed: &mut MemoryFeed, at_most: usize) -> Vec<Batch> {
    let mut planner = Planner::new(options);
    let mut out = Vec::new();
    loop {
        let more = planner.advance(feed).expect("memory");
        while let Some(batch) = planner.pop() {
            out.push(batch);
        }
        if !more || out.len() >= at_most {
            return out;
        }
    }
}

fn due(batches: &[Batch]) -> Vec<u64> {
    batches.iter().flat_map(|b| b.items.iter().map(|i| i.due_ns)).collect()
}

#[test]
fn a_distant_record_does_not_hold_back_the_one_before() {
    let mut feed = MemoryFeed::of_times(&[0, 10, 3_600_000_000_000]);
    let batches = batches(PlannerOptions::of_streams(1), &mut feed, 9);
    assert_eq!(batches.iter().map(|b| b.items.len()).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn the_time_window_is_half_open_and_outside_is_not_read() {
    let mut feed = MemoryFeed::of_times(&[5, 10, 15, 20, 25]);
    let window = PlannerOptions { from_time_ns: Some(10), to_time_ns: Some(20), ..PlannerOptions::of_streams(1) };
    let batches = batches(window, &mut feed, 9);
    assert_eq!(due(&batches), [0, 5]);
    assert!(batches.iter().all(|b| b.filtered.is_empty()));
}

#[test]
fn streams_left_out_are_counted_as_filtered() {
    let mut feed = MemoryFeed::new(vec![(0, 1), (1, 0), (2, 1), (3, 1), (4, 0)]);
    let mut some = PlannerOptions::of_streams(2);
    some.routes[1] = None;
    let batches = batches(some, &mut feed, 9);
    assert_eq!(due(&batches), [0, 3]);
    assert_eq!(batches[0].filtered.iter().map(|f| f.count).sum::<u64>(), 3);
}

#[test]
fn another_shard_s_records_keep_their_place_and_are_not_counted() {
    let whole = due(&batches(PlannerOptions::of_streams(3), &mut MemoryFeed::steady(30, 10, 3), 99));
    for pace in
        [Pace::Recorded { speed: dejaq_shared::units::Ratio::ONE }, Pace::Rate(dejaq_shared::units::Ratio::new(1 << 30, 10).expect("rate"))]
    {
        let all =
            due(&batches(PlannerOptions { pace: pace.clone(), ..PlannerOptions::of_streams(3) }, &mut MemoryFeed::steady(30, 10, 3), 99));
        let elsewhere = vec![true, false, true];
        let mine = batches(PlannerOptions { pace, elsewhere, ..PlannerOptions::of_streams(3) }, &mut MemoryFeed::steady(30, 10, 3), 99);
        assert_eq!(due(&mine), all.iter().skip(1).step_by(3).copied().collect::<Vec<_>>());
        assert!(mine.iter().all(|b| b.filtered.is_empty()));
    }
    assert_eq!(whole[3], 30);
}

#[test]
fn what_is_left_out_is_counted_by_the_shard_that_has_it() {
    for (elsewhere, counted) in [(vec![false, true], 0), (vec![true, false], 10)] {
        let mut options = PlannerOptions { elsewhere, ..PlannerOptions::of_streams(2) };
        options.routes[1] = None;
        let found = batches(options, &mut MemoryFeed::steady(20, 10, 2), 99);
        assert_eq!(found.iter().flat_map(|b| &b.filtered).map(|f| f.count).sum::<u64>(), counted);
    }
}

#[test]
fn a_record_is_not_held_back_while_many_others_are_passed_by() {
    // One of stream 0, then only others, all within what a batch spans.
    let records: Vec<(i64, StreamIx)> = std::iter::once((0, 0)).chain((1..40_000).map(|n| (n, 1))).collect();
    for (route, elsewhere) in [(None, vec![]), (Some(Route::fixed(0, 0)), vec![false, true])] {
        let mut options = PlannerOptions { elsewhere, ..PlannerOptions::of_streams(2) };
        options.routes[1] = route;
        let mut feed = MemoryFeed::new(records.clone());
        let mut planner = Planner::new(options);
        assert!(planner.advance(&mut feed).expect("memory"), "the batch is ready before the end");
        assert_eq!(planner.pop().map(|b| b.items.len()), Some(1));
    }
}

#[test]
fn a_loop_without_a_record_of_this_shard_ends() {
    let mut feed = MemoryFeed::steady(30, 10, 3);
    let none = PlannerOptions { elsewhere: vec![true; 3], repeat: true, ..PlannerOptions::of_streams(3) };
    assert_eq!(due(&batches(none, &mut feed, 99)), [] as [u64; 0]);
}

#[test]
fn a_loop_goes_on_with_the_seam() {
    let mut feed = MemoryFeed::of_times(&[100, 110, 120]);
    let batches = batches(PlannerOptions { repeat: true, run_ns: Some(75), ..PlannerOptions::of_streams(1) }, &mut feed, 99);
    assert_eq!(due(&batches), [0, 10, 20, 30, 40, 50, 60, 70]);
    assert_eq!(batches.iter().map(|b| b.pass).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_loop_over_nothing_ends() {
    let mut feed = MemoryFeed::of_times(&[1, 2]);
    let none = PlannerOptions { routes: vec![None], repeat: true, ..PlannerOptions::of_streams(1) };
    assert_eq!(due(&batches(none, &mut feed, 99)), [] as [u64; 0]);
}

#[test]
fn an_error_keeps_what_was_read() {
    let ring = Ring::default();
    let mut feed = MemoryFeed::of_times(&[1, 2, 3]).failing_after(2);
    Planner::new(PlannerOptions::of_streams(1)).run(&mut feed, &ring, &mut |_| {});
    assert!(ring.take_error().is_some());
}
