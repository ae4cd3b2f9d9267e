use super::*;
use crate::assemble::RunIdentity;
use crate::ceiling::Ceilings;
use crate::expanding::Expanded;
use crate::testing::MemoryFeed;
use dejaq_shared::broker::sink::QueueLimits;

fn setup(planner: PlannerOptions) -> RunSetup {
    RunSetup {
        identity: RunIdentity::default(),
        planner,
        ceilings: Ceilings::default(),
        late_skip_ns: None,
        drain_ns: 0,
        start_at_ns: None,
        origin_ns: None,
        streams: vec!["t/0".into(), "t/1".into()],
        classes: vec!["t".into()],
        class_of_target: vec![0],
        target_names: vec!["t".into()],
        asked_run_ns: None,
        asked_ceilings: (None, None),
        expanded: Expanded::default(),
        queue: QueueLimits { messages_max: 150, bytes_max: 1 << 20 },
        observers: crate::observers::Observers::default(),
    }
}

#[test]
fn a_pass_is_counted_without_sending() {
    let mut some = PlannerOptions::of_streams(2);
    some.routes[1] = None;
    some.repeat = true;
    let found = plan(&setup(some), &mut MemoryFeed::steady(4_000, 1_000_000, 2)).expect("memory");
    assert_eq!((found.scheduled, found.filtered, found.peak_per_s), (2_000, 2_000, Some(500)));
    assert_eq!(found.span_ns, Some(3_998_000_000));
    assert_eq!(found.mean_per_s.map(f64::round), Some(500.0));
    let text = found.to_string();
    assert!(text.contains("2,000 a pass") && text.contains("0.3 s of the peak rate"), "{text}");
}

#[test]
fn a_flood_has_no_length() {
    let flood = PlannerOptions { pace: Pace::Max, ..PlannerOptions::of_streams(2) };
    let found = plan(&setup(flood), &mut MemoryFeed::steady(10, 1, 2)).expect("memory");
    assert_eq!((found.scheduled, found.span_ns, found.peak_per_s, found.queue_s), (10, None, None, None));
}

fn found(planner: PlannerOptions, records: u32) -> PlanReport {
    plan(&setup(planner), &mut MemoryFeed::steady(records, 1_000_000, 2)).expect("memory")
}

#[test]
fn a_looped_run_is_described_whole() {
    let day = PlannerOptions { repeat: true, run_ns: Some(86_400_000_000_000), ..PlannerOptions::of_streams(2) };
    let report = found(day, 4_000);
    assert_eq!((report.run.messages, report.run.passes), (Some(86_400_000), Some(21_600.0)));
    assert_eq!((report.topics[0].messages, report.topics[0].share), (86_400_000, 1.0));
    assert!(report.curve.iter().all(|p| p.per_s.round() == 1_000.0), "{:?}", report.curve);
    assert_eq!(report.unreachable, []);
    let endless = found(PlannerOptions { repeat: true, ..PlannerOptions::of_streams(2) }, 4_000);
    assert!(endless.run.messages.is_none() && endless.to_string().contains("until it is stopped"));
    let pace = Pace::Profile(std::sync::Arc::new(crate::profile::Profile::parse("ramp 0/s..1k/s 1h").expect("a profile")));
    let ramp = found(PlannerOptions { pace, repeat: true, run_ns: Some(3_600_000_000_000), ..PlannerOptions::of_streams(2) }, 40);
    assert_eq!((ramp.run.messages, ramp.peak_per_s), (Some(1_800_000), Some(1_000)));
    assert_eq!(ramp.curve.iter().map(|p| p.messages).sum::<u64>(), 1_800_000);
    assert!(ramp.to_string().contains('█'), "{ramp}");
}

#[test]
fn what_cannot_be_reached_is_said_with_what_would_do() {
    let long = found(PlannerOptions { run_ns: Some(3_600_000_000_000), ..PlannerOptions::of_streams(2) }, 4_000);
    assert_eq!(long.unreachable.len(), 1);
    assert!(long.to_string().contains("cannot be reached: a run of 1 h") && long.unreachable[0].remedy.contains("--loop"), "{long}");
    let profile = crate::profile::Profile::parse("hold 1k/s 10s").expect("a profile");
    let pace = Pace::Profile(std::sync::Arc::new(profile));
    let options = PlannerOptions { pace, run_ns: Some(10_000_000_000), ..PlannerOptions::of_streams(2) };
    let short = found(options.clone(), 4_000);
    assert!(short.unreachable[0].remedy.contains("--copies 3"), "{short}");
    assert_eq!(found(options.clone(), 10_000).unreachable, []);
    let mut ceilings = setup(options);
    ceilings.asked_run_ns = Some(20_000_000_000);
    ceilings.asked_ceilings = (dejaq_shared::units::Ratio::new(500, 1), Some(100));
    let report = plan(&ceilings, &mut MemoryFeed::steady(10_000, 1_000_000, 2)).expect("memory");
    let what: Vec<&str> = report.unreachable.iter().map(|u| u.what.as_str()).collect();
    assert!(what.len() == 3 && what[0] == "--for 20 s" && what[1].contains("1,000 messages"), "{what:?}");
}
