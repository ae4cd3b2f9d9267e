use super::stalls::stalled;
use super::*;
use crate::fit::{FitOptions, RoutingKeySource};
use crate::measure::counts::Series;
use crate::testing::stream;
use crate::trust::{LimitedBy, Verdict};
use dejaq_shared::broker::sink::TargetKind;

/// A thousand messages a second for this many seconds, over four streams.
pub(super) fn steady(seconds: u32) -> Simulation {
    Simulation::of(MemoryFeed::steady(seconds * 1_000, i64::try_from(MS).expect("small"), 4), 4)
}

/// What a run on one thread hands to its client, the first of each stream and second marked.
pub(crate) fn said(feed: MemoryFeed, streams: usize, timestamps: TimestampMode, origin_ns: i64) -> Vec<Said> {
    let mut simulation = Simulation::of(feed, streams);
    (simulation.marks, simulation.timestamps, simulation.origin_ns) = (MarkPolicy::First, timestamps, origin_ns);
    simulation.run().said
}

pub(super) fn near(found: Option<u64>, expected: u64) {
    let found = found.expect("a value");
    assert!(found.abs_diff(expected) <= expected / 500 + 1, "{found} is not {expected}");
}

pub(super) fn reasons(outcome: &Outcome) -> Vec<&str> {
    outcome.report.trust.iter().map(|r| r.reason.as_str()).collect()
}

#[test]
fn a_good_run_is_valid_and_its_books_balance() {
    let outcome = steady(10).run();
    let report = &outcome.report;
    assert_eq!((report.verdict, report.limited_by, report.delivered), (Verdict::Valid, None, Some(1.0)), "{:?}", report.trust);
    assert_eq!(outcome.ledger.imbalances(), vec![]);
    assert_eq!((report.ledger.counts.scheduled, report.ledger.counts.acked), (10_000, 10_000));
    near(report.latency.response.expect("scheduled").p99_ns, MS);
    assert_eq!(report.rate.intended_per_s.map(f64::round), Some(1_000.0));
    assert_eq!(outcome.closed.iter().filter(|c| matches!(c, Closed::Second(_))).count(), 10);
    assert_eq!(outcome.closed.iter().filter(|c| matches!(c, Closed::Topics(_))).count(), 1);
    assert_eq!(report.topics[0].response.expect("scheduled").count, 10_000);
    assert_eq!(report.order_violations, 0);
}

/// A target that answers in 200 ms for its first seconds and in one thereafter.
fn cold(seconds: u64) -> Simulation {
    let mut simulation = steady(20);
    simulation.script = Box::new(move |sent, _| Some((sent + if sent < T0 + seconds * S { 200 * MS } else { MS }, Fate::Acked)));
    simulation
}

#[test]
fn warm_up_is_left_out_of_the_latencies_and_shown_beside_them() {
    let report = cold(3).run().report;
    let (response, warm_up) = (report.latency.response.expect("scheduled"), report.warm_up.expect("recognised"));
    assert_eq!((warm_up.until_s, warm_up.scheduled, response.count, response.unanswered), (3, 3_000, 17_000, 0));
    near(response.max_ns, MS);
    near(warm_up.response.expect("scheduled").p50_ns, 200 * MS);
    assert_eq!((report.verdict, report.ledger.counts.acked), (Verdict::Valid, 20_000), "the books have it all: {:?}", report.trust);
}

#[test]
fn a_run_that_never_settles_is_warm_up_only_and_one_without_warm_up_has_none() {
    let outcome = cold(10).run();
    assert_eq!((reasons(&outcome), outcome.report.warm_up), (vec!["warm-up only"], None));
    assert_eq!(outcome.report.latency.service.count, 20_000, "nothing is left out of what cannot be trusted");
    assert_eq!(cold(0).run().report.warm_up, None);
}

#[test]
fn a_late_generator_makes_the_run_invalid() {
    let mut simulation = steady(10);
    simulation.oversleep = |at| if (T0 + 3 * S..T0 + 4 * S).contains(&at) { 50 * MS } else { 0 };
    let outcome = simulation.run();
    assert_eq!(reasons(&outcome), ["late pacer"]);
    assert_eq!(outcome.report.limited_by, Some(LimitedBy::Generator));
    assert!(outcome.report.trust[0].detail.contains("p99 of response"), "{}", outcome.report.trust[0].detail);
}

#[test]
fn a_slow_reader_is_named() {
    let mut simulation = steady(10);
    simulation.read_ns = 400 * MS;
    assert_eq!(reasons(&simulation.run()), ["recording ran dry"]);
}

#[test]
fn the_unanswered_are_in_the_denominator() {
    let mut simulation = steady(10);
    simulation.script = Box::new(|sent, number| match number % 50 {
        0 => None,
        1 => Some((sent + 2 * MS, Fate::Failed("timed out"))),
        2 => Some((sent + 2 * MS, Fate::Unknown("connection lost"))),
        _ => Some((sent + MS, Fate::Acked)),
    });
    let outcome = simulation.run();
    assert_eq!(outcome.ledger.imbalances(), vec![]);
    let counts = outcome.report.ledger.counts;
    assert_eq!((counts.acked, counts.failed, counts.unknown), (9_400, 200, 400));
    let response = outcome.report.latency.response.expect("scheduled");
    assert_eq!((response.count, response.unanswered), (9_400, 600));
    near(response.p90_ns, MS);
    assert_eq!((response.p99_ns, response.max_ns), (None, None), "6 % are infinite");
    near(outcome.report.latency.service.p99_ns, MS);
    assert_eq!(outcome.report.ledger.reasons["unknown"]["no answer by the drain deadline"], 200);
    assert_eq!(outcome.report.outcome(), dejaq_shared::outcome::Outcome::Doubtful);
}

#[test]
fn the_client_s_refusals_are_skipped_with_their_reason() {
    let outcome = steady(1).refuse_tenths().run();
    assert_eq!(outcome.ledger.imbalances(), vec![]);
    assert_eq!(outcome.report.ledger.reasons["skipped"]["too large"], 100);
    assert_eq!(outcome.report.latency.response.expect("scheduled").unanswered, 100);
}

#[test]
fn late_skip_leaves_out_what_is_later() {
    let mut simulation = stalled(2_000);
    simulation.late_skip_ns = Some(S);
    simulation.script = Box::new(|sent, _| {
        let end = T0 + 10 * S;
        Some((if (T0 + 5 * S..end).contains(&sent) { end + MS } else { sent + MS }, Fate::Acked))
    });
    let outcome = simulation.run();
    assert_eq!(outcome.ledger.imbalances(), vec![]);
    let skipped = outcome.report.ledger.reasons["skipped"]["later than --late skip"];
    assert!((1_995..=2_005).contains(&skipped), "due 7 s to 9 s, sent at 10 s: {skipped}");
    assert_eq!(reasons(&outcome), [] as [&str; 0], "the target's doing, not the generator's");
}

#[test]
fn late_skip_does_not_hide_a_slow_generator() {
    let mut simulation = steady(10);
    simulation.late_skip_ns = Some(10 * MS);
    simulation.oversleep = |at| if at == T0 + 3 * S { S } else { 0 };
    let outcome = simulation.run();
    assert!(reasons(&outcome).contains(&"late pacer"), "{:?}", outcome.report.trust);
}

#[test]
fn a_run_of_a_given_length_counts_what_is_due_in_it() {
    let mut simulation = stalled(10);
    simulation.run_ns = Some(6 * S);
    let outcome = simulation.run();
    let counts = outcome.report.ledger.counts;
    assert_eq!((counts.read, counts.scheduled), (6_000, 6_000));
    // From 5 s on the queue is full. At the end, 6 s, what is due stays due for the second of grace, then is left out.
    let left_out = outcome.report.ledger.reasons["skipped"]["not sent when the run ended"];
    assert!((900..1_000).contains(&left_out), "{left_out}");
    assert_eq!(outcome.ledger.imbalances(), vec![]);
}

#[test]
fn a_loop_goes_on_without_a_jump() {
    let mut simulation = steady(1);
    simulation.repeat = true;
    simulation.run_ns = Some(3 * S);
    let outcome = simulation.run();
    let gaps: Vec<u64> = outcome.sent_at.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!(outcome.sent_at.len(), 3_000);
    assert!(gaps.iter().all(|g| *g == MS), "the seam is the mean gap");
    assert_eq!(outcome.report.order_violations, 0, "a new pass begins its positions anew");
}

#[test]
fn a_ceiling_holds_and_explains() {
    let mut simulation = steady(10);
    simulation.ceilings = Ceilings::new(Ratio::new(500, 1), None, 8).expect("possible");
    let outcome = simulation.run();
    let mut window = 0;
    for (ix, at) in outcome.sent_at.iter().enumerate() {
        while outcome.sent_at[window] + S <= *at {
            window += 1;
        }
        assert!(ix - window < 500, "more than 500 in a second");
    }
    assert_eq!(outcome.report.limited_by, Some(LimitedBy::Ceiling));
    assert_eq!(reasons(&outcome), [] as [&str; 0]);
    assert!(outcome.report.delivered.expect("scheduled") < 0.3);
    // 10,000 at 500 less the burst of four: a second is never exceeded, so the long run is a little below.
    near(outcome.report.latency.response.expect("scheduled").max_ns, 10_000 * S / 496 - 10 * S);
}

#[test]
fn a_flood_has_no_schedule() {
    let mut simulation = steady(10);
    simulation.pace = Pace::Max;
    simulation.capacity = 100;
    simulation.tick_ns = 1_000;
    let outcome = simulation.run();
    let report = &outcome.report;
    assert!(
        report.closed_loop && report.latency.response.is_none() && report.latency.schedule_error.is_none() && report.delivered.is_none()
    );
    assert_eq!((report.verdict, report.limited_by), (Verdict::Valid, Some(LimitedBy::Target)), "{:?}", report.trust);
    assert_eq!((report.ledger.counts.acked, report.latency.service.count), (10_000, 10_000));
    assert!(outcome.buckets.iter().all(|b| b.series == Series::Sent));
    assert!(report.rate.intended_per_s.is_none());
}

#[test]
fn the_first_of_each_stream_and_second_is_marked() {
    let mut simulation = steady(3);
    simulation.marks = MarkPolicy::First;
    assert_eq!(simulation.run().marked, 12);
}

#[test]
fn counts_are_per_hundred_milliseconds() {
    let outcome = steady(2).run();
    let planned: Vec<u64> = outcome.buckets.iter().filter(|b| b.series == Series::Planned).map(|b| b.count).collect();
    assert_eq!(planned, [100; 20]);
}

#[test]
fn the_interval_log_gives_the_same_percentiles() {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

    let outcome = stalled(10).run();
    let mut log = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut hlog =
        crate::measure::hlog::Hlog::begin(&mut log, &mut serializer, 1_700_000_000_000_000_000, vec!["t".into()]).expect("begin");
    outcome.closed.iter().for_each(|c| hlog.write(c).expect("write"));
    drop(hlog);
    let mut merged: BTreeMap<String, hdrhistogram::Histogram<u64>> = BTreeMap::new();
    let mut starts = Vec::new();
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.expect("well-formed") else { continue };
        let bytes = base64_decode(interval.encoded_histogram());
        let histogram: hdrhistogram::Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).expect("histogram");
        let tag = interval.tag().expect("tag").as_str().to_owned();
        if tag == "response" {
            starts.push(interval.start_timestamp().as_secs());
        }
        merged
            .entry(tag)
            .or_insert_with(|| hdrhistogram::Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("bounds"))
            .add(&histogram)
            .expect("same bounds");
    }
    assert_eq!(merged.keys().collect::<Vec<_>>(), ["response", "schedule_error", "service", "topic:t:response", "topic:t:service"]);
    assert!(starts.is_sorted() && starts.len() == 20);
    let response = outcome.report.latency.response.expect("scheduled");
    for (quantile, expected) in [(0.5, response.p50_ns), (0.9, response.p90_ns), (0.99, response.p99_ns), (0.999, response.p999_ns)] {
        near(expected, merged["response"].value_at_quantile(quantile));
    }
    assert_eq!(merged["response"].len(), response.count);
    assert_eq!(merged["topic:t:response"].len(), response.count);
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

/// Ten seconds over four streams, every fourth a partition by its key, with stamps.
fn shaped(pace: Pace, timestamps: TimestampMode, elsewhere: Vec<bool>) -> Outcome {
    let mut simulation = steady(10);
    (simulation.pace, simulation.timestamps, simulation.elsewhere) = (pace, timestamps, elsewhere);
    (simulation.marks, simulation.origin_ns, simulation.by_key) = (MarkPolicy::First, 1_800_000_000_123_456_789, NonZeroU32::new(5));
    simulation.run()
}

fn stream_of(said: &Said) -> usize {
    let bytes = said.value.as_deref().expect("a value").try_into().expect("a number");
    usize::from_le_bytes(bytes) % 4
}

/// When each message was sent, and what it was.
fn timed(outcome: &Outcome) -> Vec<(u64, &Said)> {
    outcome.sent_at.iter().copied().zip(&outcome.said).collect()
}

#[test]
fn shards_send_together_exactly_what_one_machine_does() {
    let paces = [Pace::Recorded { speed: Ratio::new(3, 2).expect("ratio") }, Pace::Rate(Ratio::new(7_000, 3).expect("ratio")), Pace::Max];
    for pace in paces {
        for timestamps in [TimestampMode::Shift, TimestampMode::Original] {
            let whole = shaped(pace.clone(), timestamps, Vec::new());
            assert!(timed(&whole) == timed(&shaped(pace.clone(), timestamps, Vec::new())), "the same again");
            let of_stream = crate::shard::assign(&[2_500; 4], &[true; 4], 3);
            let mut counts = crate::ledger::Counts::default();
            for shard in 1..=3 {
                let part = shaped(pace.clone(), timestamps, of_stream.iter().map(|s| *s != shard).collect());
                let mine: Vec<(u64, &Said)> = timed(&whole).into_iter().filter(|(_, said)| of_stream[stream_of(said)] == shard).collect();
                assert!(!mine.is_empty() && timed(&part) == mine, "shard {shard} at {pace:?} with {timestamps:?}");
                let ledger = part.report.ledger.counts;
                counts.read += ledger.read;
                counts.scheduled += ledger.scheduled;
                counts.sent += ledger.sent;
                counts.acked += ledger.acked;
                assert_eq!(part.ledger.imbalances(), vec![]);
            }
            assert_eq!(counts, whole.report.ledger.counts, "and their books are its books");
        }
    }
}

#[test]
fn shifted_stamps_keep_the_recorded_distances_whatever_the_sending_does() {
    // Held back for seconds: the stamps are those of the schedule.
    let mut simulation = stalled(10);
    (simulation.timestamps, simulation.origin_ns) = (TimestampMode::Shift, 1_800_000_000_123_456_789);
    let stamps: Vec<Option<i64>> = simulation.run().said.iter().map(|s| s.timestamp_ms).collect();
    let expected: Vec<Option<i64>> = (0..20_000).map(|ms| Some(1_800_000_000_123 + ms)).collect();
    assert!(stamps == expected, "{:?}", &stamps[..3]);
}

#[test]
fn original_stamps_are_those_recorded_and_now_has_none() {
    let stamps = |mode| -> Vec<Option<i64>> { shaped(Pace::Max, mode, Vec::new()).said.iter().map(|s| s.timestamp_ms).collect() };
    assert!(stamps(TimestampMode::Original) == (0..10_000).map(Some).collect::<Vec<_>>());
    assert!(stamps(TimestampMode::Now).iter().all(Option::is_none));
}

#[test]
fn a_broker_that_asks_to_hold_is_timed_apart_from_a_full_queue_and_is_a_result() {
    let mut simulation = steady(20);
    simulation.blocked = T0 + 5 * S..T0 + 7 * S;
    let outcome = simulation.run();
    let report = &outcome.report;
    assert_eq!((report.verdict, report.limited_by), (Verdict::Valid, Some(LimitedBy::Target)), "{:?}", report.trust);
    assert_eq!((report.holds.blocked_ns, report.holds.full_queue_ns), (2 * S, 0));
    assert_eq!((report.ledger.counts.acked, outcome.ledger.imbalances()), (20_000, vec![]));
    // What was due from 5 s to 6 s was sent at 7 s.
    assert_eq!(report.delivered, Some(0.95));
    near(report.latency.response.expect("scheduled").max_ns, 2 * S + MS);
    assert_eq!(report.holds.lateness_max_ns, 0, "the hold explains all of it");
}

#[test]
fn messages_for_rabbitmq_bear_routing_keys_and_properties_and_know_their_connection() {
    let streams = [stream("t", 0), stream("t", 1)];
    let options = FitOptions { routing_key: RoutingKeySource::Partition, ..FitOptions::default() };
    let mut simulation = Simulation::of(MemoryFeed::steady(200, i64::try_from(MS).expect("small"), 2), 2);
    simulation.fit = Arc::new(Fit::new(&streams, &[false; 2], TargetKind::RabbitMq, &options, Ratio::ONE));
    simulation.connection = 3;
    simulation.marks = MarkPolicy::First;
    let outcome = simulation.run();
    assert_eq!(outcome.said.len(), 200);
    for (said, number) in outcome.said.iter().zip(0usize..) {
        assert_eq!(said.value.as_deref(), Some(&number.to_le_bytes()[..]));
        assert_eq!(said.routing_key, Some((number % 2).to_string().into_bytes()));
        assert_eq!((said.connection, said.partition, &said.key, said.headers.len()), (3, 0, &None, 0));
        assert_eq!(said.mark.is_some(), number < 2, "the first of each stream");
    }
    // The memory feed's records have a key and a time.
    let lost: Vec<(&str, u64)> = outcome.report.fit.not_carried.iter().map(|lost| (lost.what.as_str(), lost.messages)).collect();
    assert_eq!(lost, [("key", 200), ("time stamp", 200)]);
    assert!(outcome.report.notes.iter().any(|note| note.starts_with("key of 200 messages is not carried")), "{:?}", outcome.report.notes);
}
