//! Targets that answer nothing for a while: what that does to each latency is computed, and who is said to have limited the run.

use super::tests::{near, reasons, steady};
use super::*;
use crate::trust::{LimitedBy, Verdict};

#[test]
fn a_stall_of_two_seconds_shows_in_response_exactly() {
    // What is sent between 5 s and 7 s is answered at 7 s plus a millisecond: 2000 of 20,000 messages, waiting 2 s down
    // to 0. The 99th percentile is the 200th largest: the one sent 199 ms into the stall.
    let mut simulation = steady(20);
    simulation.script = Box::new(|sent, _| {
        let end = T0 + 7 * S;
        Some((if (T0 + 5 * S..end).contains(&sent) { end + MS } else { sent + MS }, Fate::Acked))
    });
    let report = simulation.run().report;
    let response = report.latency.response.expect("scheduled");
    near(response.p99_ns, 2 * S + MS - 200 * MS);
    near(response.max_ns, 2 * S + MS);
    near(response.p50_ns, MS);
    assert_eq!(report.verdict, Verdict::Valid);
}

/// A target that takes what fits into its window and answers nothing for two seconds.
pub(super) fn stalled(capacity: usize) -> Simulation {
    let mut simulation = steady(20);
    simulation.capacity = capacity;
    simulation.script = Box::new(|sent, _| {
        let end = T0 + 7 * S;
        Some((if (T0 + 5 * S..end).contains(&sent) { end + MS } else { sent + MS }, Fate::Acked))
    });
    simulation
}

#[test]
fn a_full_queue_hides_the_stall_from_service_but_not_from_response() {
    let report = stalled(10).run().report;
    let response = report.latency.response.expect("scheduled");
    // The 200th largest was due 200 ms into the stall, and then waited for those before it, ten a millisecond.
    near(response.p99_ns, 2 * S + MS - 200 * MS + 20 * MS);
    near(report.latency.service.p99_ns, MS);
    assert!(report.holds.full_queue_ns > 19 * S / 10, "{:?}", report.holds);
    assert!(report.holds.lateness_max_ns <= MS, "the holds explain the delay: {:?}", report.holds);
    // Ten messages are far less than two seconds of a thousand a second.
    assert_eq!(report.trust.iter().map(|r| r.reason.as_str()).collect::<Vec<_>>(), ["client queue too small"]);
}

#[test]
fn every_percentile_of_a_stall_is_the_one_that_the_answers_have_and_service_shows_none_of_it() {
    let outcome = stalled(10).run();
    let answered = |sent: u64| if (T0 + 5 * S..T0 + 7 * S).contains(&sent) { T0 + 7 * S + MS } else { sent + MS };
    let sorted = |of: &dyn Fn(u64, u64) -> u64| -> Vec<u64> {
        let mut all: Vec<u64> = (0..).zip(&outcome.sent_at).map(|(number, sent)| answered(*sent) - of(T0 + number * MS, *sent)).collect();
        all.sort_unstable();
        all
    };
    let (response, service) = (sorted(&|intended, _| intended), sorted(&|_, sent| sent));
    assert_eq!((response.len(), service.len()), (20_000, 20_000));
    let latency = outcome.report.latency;
    for (exact, found) in [(&response, latency.response.expect("scheduled")), (&service, latency.service)] {
        // By rank ⌈q · n⌉, within the 0.1 % of the histogram; the maximum is kept exactly.
        for (thousandths, found) in [(500_usize, found.p50_ns), (900, found.p90_ns), (990, found.p99_ns), (999, found.p999_ns)] {
            let (exact, found) = (exact[(20_000 * thousandths).div_ceil(1_000) - 1], found.expect("answered"));
            assert!(found.abs_diff(exact) <= exact / 1_000, "{thousandths}: {found} is not {exact}");
        }
        assert_eq!(found.max_ns, exact.last().copied());
    }
    // Of service only the ten that were in flight know of the two seconds: to p99.9 there was no stall.
    assert_eq!((service[19_989], service[19_990] > S), (MS, true));
    assert!(
        response[17_900] > MS && response[19_800] > 3 * S / 2,
        "a tenth of the messages waited: {} {}",
        response[17_900],
        response[19_800]
    );
}

#[test]
fn a_queue_of_two_seconds_makes_it_the_target_s_doing() {
    let mut simulation = stalled(2_000);
    simulation.script = Box::new(|sent, _| {
        let end = T0 + 10 * S;
        Some((if (T0 + 5 * S..end).contains(&sent) { end + MS } else { sent + MS }, Fate::Acked))
    });
    let outcome = simulation.run();
    assert_eq!(reasons(&outcome), [] as [&str; 0]);
    assert_eq!((outcome.report.verdict, outcome.report.limited_by), (Verdict::Valid, Some(LimitedBy::Target)));
    // Full from 7 s to 10 s: what is due from 7 s to 9 s is more than a second late.
    let delivered = outcome.report.delivered.expect("scheduled");
    assert!((delivered - 0.9).abs() < 0.002, "{delivered}");
    assert_eq!(outcome.report.outcome(), dejaq_shared::outcome::Outcome::Doubtful);
}

#[test]
fn a_broker_that_blocks_below_a_ceiling_is_not_the_ceiling() {
    // 50 a second, below a ceiling of 100: but for the two seconds of the broker, nothing is held back.
    let mut simulation = Simulation::of(MemoryFeed::steady(1_000, i64::try_from(20 * MS).expect("small"), 4), 4);
    simulation.ceilings = Ceilings::new(Some(Ratio::new(100, 1).expect("valid")), None, 1_000).expect("possible");
    simulation.blocked = T0 + 5 * S..T0 + 7 * S;
    let report = simulation.run().report;
    near(Some(report.holds.blocked_ns), 2 * S);
    assert_eq!(report.limited_by, Some(LimitedBy::Target));
}

/// Messages at a rate, under a ceiling of half of it.
fn halved(count: u32, per_s: u64) -> Simulation {
    let mut simulation = Simulation::of(MemoryFeed::steady(count, i64::try_from(S / per_s).expect("small"), 4), 4);
    simulation.ceilings = Ceilings::new(Some(Ratio::new(per_s / 2, 1).expect("valid")), None, 1_000).expect("possible");
    simulation
}

#[test]
fn a_stall_of_the_generator_in_a_hold_of_a_ceiling_is_its_own_but_for_what_a_burst_makes_good() {
    let mut simulation = halved(4_000, 1_000);
    simulation.oversleep = |at| if (T0 + 3 * S..T0 + 3 * S + 5 * MS).contains(&at) { 300 * MS } else { 0 };
    let late_ns = simulation.run().report.holds.lateness_max_ns;
    assert!((290 * MS..=301 * MS).contains(&late_ns), "{late_ns}");
}

#[test]
fn sleeps_that_end_late_do_not_add_up() {
    // With bursts that make them good, and one at a time.
    for (count, per_s) in [(20_000, 100_000), (2_000, 100)] {
        let mut simulation = halved(count, per_s);
        simulation.oversleep = |_| 60_000;
        let report = simulation.run().report;
        assert!((60_000..MS).contains(&report.holds.lateness_max_ns), "{per_s}: {:?}", report.holds);
        assert_eq!(report.limited_by, Some(LimitedBy::Ceiling));
    }
}

#[test]
fn a_stall_of_the_generator_is_the_broker_s_only_while_it_blocks() {
    let mut simulation = steady(20);
    simulation.blocked = T0 + 5 * S..T0 + 7 * S;
    simulation.oversleep = |at| if at == T0 + 6 * S || at == T0 + 7 * S { 300 * MS } else { 0 };
    let holds = simulation.run().report.holds;
    near(Some(holds.blocked_ns), 2 * S);
    near(Some(holds.lateness_max_ns), 300 * MS);
}

#[test]
fn a_pacer_that_sleeps_too_long_while_the_client_has_plenty_to_send_is_not_late() {
    let mut simulation = steady(20);
    simulation.capacity = 2_500;
    // Four hundred a second are answered, of the thousand that are due.
    simulation.script = Box::new(|sent, number| {
        let turn = T0 + (number as u64 + 1) * 5 * MS / 2;
        Some((turn.max(sent + MS), Fate::Acked))
    });
    // It is full after less than five seconds.
    simulation.oversleep = |at| if at > T0 + 5 * S { 5 * MS } else { 0 };
    let outcome = simulation.run();
    assert!(outcome.report.holds.lateness_max_ns <= 10 * MS, "{:?}", outcome.report.holds);
    assert_eq!(outcome.report.limited_by, Some(LimitedBy::Target));
}
