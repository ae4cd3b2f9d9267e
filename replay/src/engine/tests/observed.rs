//! A run with a system under test behind it, whose outputs a probe reads.

use dejaq_shared::broker::backlog::{Backlog, Membership, QueueDepth, Waiting};
use dejaq_shared::broker::source::{Notice, ReadFrom, Source, SourceHandler, StartAt, TopicInfo, TopicSelection, TopicSettings};
use dejaq_shared::broker::tap::{LogTap, Tap as _};
use dejaq_shared::record::{BrokerTime, Lane, Record, StreamIx};

use super::*;
use crate::expanding::expand;
use crate::measure::latency::Latency;
use crate::measure::probe::spec::ProbeSpec;
use crate::measure::watch::spec::WatchSpec;
use crate::observers::Observers;
use crate::run::dir::PROBE_CSV;
use crate::run::read::histograms;
use crate::testing::stream;
use crate::transform::rules::Rules;

/// A system that answers what it hears, as often as it likes, and breaks when it has heard so much.
struct System {
    hears: Receiver<Said>,
    answers: fn(usize) -> usize,
    number: usize,
    breaks: Option<(usize, Notice)>,
    /// When it has heard so much its topic has a partition more.
    grows: usize,
}

impl Source for System {
    fn cluster(&self) -> &str {
        "c"
    }

    fn isolation(&self) -> Option<&str> {
        None
    }

    fn topics(&mut self, wanted: &TopicSelection, _: Duration) -> Result<Vec<TopicInfo>, BrokerError> {
        assert_eq!(wanted.names(), ["out"]);
        let lane = |partition| Lane::Kafka { topic: "out".into(), topic_id: None, partition };
        let partitions = if self.number < self.grows { 1 } else { 2 };
        Ok(vec![TopicInfo { name: "out".into(), id: None, lanes: (0..partitions).map(lane).collect() }])
    }

    fn check_rights(&mut self, _: &[String], _: Duration) -> Result<(), BrokerError> {
        Ok(())
    }

    fn topic_settings(&mut self, _: &[String], _: Duration) -> Result<Vec<TopicSettings>, BrokerError> {
        Ok(Vec::new())
    }

    fn positions(&mut self, _: &[(String, i32)], at: StartAt, _: Duration) -> Result<Vec<i64>, BrokerError> {
        assert_eq!(at, StartAt::End);
        Ok(vec![41])
    }

    fn start(&mut self, lanes: &[ReadFrom]) -> Result<(), BrokerError> {
        assert_eq!(lanes, [ReadFrom { stream: 0, topic: "out".into(), partition: 0, position: 41, leader_epoch: -1 }]);
        Ok(())
    }

    fn stop(&mut self, _: &[StreamIx]) -> Result<(), BrokerError> {
        Ok(())
    }

    fn poll<H: SourceHandler>(
        &mut self,
        _: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        let Ok(said) = self.hears.recv_timeout(timeout) else { return Ok(0) };
        self.number += 1;
        if let Some((_, notice)) = self.breaks.take_if(|(at, _)| self.number == *at) {
            handler.notice(notice);
        }
        let copies = (self.answers)(self.number);
        for _ in 0..copies {
            handler.record(&Record {
                stream: 0,
                position: 41,
                leader_epoch: -1,
                arrival_ns: clock(),
                broker_time: BrokerTime::Create(0),
                key: None,
                value: said.value.as_deref(),
                ..Record::EMPTY
            });
        }
        Ok(copies)
    }

    fn lag(&mut self) -> Option<u64> {
        None
    }

    fn withheld(&self) -> usize {
        0
    }
}

/// A system that hears no one yet, and what it will hear with.
fn system(answers: fn(usize) -> usize) -> (Sender<Said>, System) {
    let (heard, hears) = crossbeam_channel::unbounded();
    (heard, System { hears, answers, number: 0, breaks: None, grows: usize::MAX })
}

/// Two thousand messages, whose values are all different, into a system.
fn observed(probe: &str, (heard, system): (Sender<Said>, System), dir: &Path) -> RunReport {
    let mut observers = Observers::default();
    let mut tap = LogTap::new(system, "out", Duration::ZERO).expect("a topic");
    tap.begin(Duration::ZERO).expect("an end");
    observers.probe(&ProbeSpec::parse(probe).expect("a probe"), tap).expect("a field");
    Case { observers, heard: Some(heard), ..Case::new() }.run(dir).expect("a report")
}

#[test]
fn each_output_is_matched_and_what_is_lost_or_comes_twice_is_counted() {
    let dir = tempfile::tempdir().expect("tmp");
    // Every tenth is lost, every hundredth and first comes twice.
    let answers = |number: usize| match number {
        n if n % 10 == 0 => 0,
        n if n % 100 == 1 => 2,
        _ => 1,
    };
    let report = observed("topic=out,match='regex:(?s-u)^.{8}$',deadline=300ms", system(answers), dir.path());
    let probe = &report.observed.as_ref().expect("observed").probes[0];
    let matched = probe.matched.expect("it matches");
    assert_eq!((matched.expected, matched.answered, matched.lost), (2_000, 1_800, 200));
    assert_eq!((matched.duplicates, matched.unmatched, matched.without_value, probe.outputs), (20, 0, 0, 1_820));
    let end_to_end = report.latency.end_to_end.expect("a probe");
    assert_eq!((end_to_end.count, end_to_end.unanswered), (1_800, 200));
    assert!(end_to_end.p50_ns.is_some() && end_to_end.p99_ns.is_none(), "a tenth is infinite: {end_to_end:?}");
    assert_eq!(reasons(&report), [] as [&str; 0], "what the system loses is a result");
    let rows = std::fs::read_to_string(dir.path().join(PROBE_CSV)).expect("there");
    let answered: u64 = rows.lines().skip(1).map(|row| row.split(',').nth(1).expect("a cell").parse::<u64>().expect("a number")).sum();
    assert_eq!(answered, 1_800, "{rows}");
    let mut logged = Latency::<u64>::default();
    let mut seconds = Vec::new();
    histograms(dir.path(), &["end_to_end"], &mut |_, second, histogram| {
        seconds.push(second);
        logged.add(histogram);
    })
    .expect("a log");
    assert!(seconds.is_sorted() && seconds.windows(2).all(|w| w[0] < w[1]), "a second is in it once: {seconds:?}");
    assert_eq!((logged.count(), logged.summary(200).p50_ns), (1_800, end_to_end.p50_ns), "as in run.json");
    // The page draws its curve up to where the lost ones begin.
    let page = crate::report::Report::read(dir.path()).expect("a report");
    let curve = page.charts.iter().find(|chart| chart.id == "percentiles").expect("drawn");
    let line = curve.lines.iter().find(|line| line.name == "end to end").expect("a line");
    let last = line.values.iter().zip(&curve.x).rfind(|(value, _)| value.is_some()).map(|(_, nines)| *nines);
    assert!(last.is_some_and(|nines| nines > 0.9 && nines <= 1.0 + 1e-9), "a tenth has no output: {last:?}");
}

#[test]
fn a_probe_that_cannot_read_on_makes_the_run_invalid_and_is_not_waited_for() {
    let deleted = Notice::Gone { stream: 0, detail: "the topic was deleted".into() };
    // What retention took is not for the system to answer for.
    let removed = Notice::OutOfRange { stream: 0, low: 90, high: 1_000 };
    for (notice, words) in [(deleted, "the topic was deleted"), (removed, "messages were removed before they were read")] {
        let dir = tempfile::tempdir().expect("tmp");
        let (heard, mut system) = system(|_| 1);
        system.breaks = Some((1_000, notice));
        let report = observed("topic=out,match='regex:(?s-u)^.{8}$',deadline=1h", (heard, system), dir.path());
        assert_eq!((reasons(&report), report.verdict), (vec!["probe failed"], Verdict::Invalid));
        assert!(report.trust.iter().any(|r| r.detail.contains(words)), "{:?}", report.trust);
        assert!(report.latency.end_to_end.expect("a probe").unanswered >= 1_000);
    }
}

#[test]
fn a_probe_whose_topic_got_partitions_did_not_see_all_of_it() {
    let dir = tempfile::tempdir().expect("tmp");
    let (heard, mut system) = system(|_| 1);
    system.grows = 1_000;
    let report = observed("topic=out,match='regex:(?s-u)^.{8}$'", (heard, system), dir.path());
    assert_eq!((reasons(&report), report.verdict), (vec!["probe failed"], Verdict::Invalid));
    assert!(report.trust.iter().any(|r| r.detail.contains("got partitions (1 before, 2 now)")), "{:?}", report.trust);
}

#[test]
fn a_sample_looks_at_the_same_messages_on_both_sides() {
    let dir = tempfile::tempdir().expect("tmp");
    let report = observed("topic=out,match='regex:(?s-u)^.{8}$',sample=10", system(|_| 1), dir.path());
    let matched = report.observed.expect("observed").probes[0].matched.expect("it matches");
    assert_eq!((matched.answered, matched.lost, matched.unmatched), (matched.expected, 0, 0));
    assert!((100..300).contains(&matched.expected), "one in ten of 2,000: {}", matched.expected);
}

#[test]
fn signals_are_sampled_and_who_is_silent_is_named() {
    let dir = tempfile::tempdir().expect("tmp");
    let mut observers = Observers::default();
    let own = format!("pid:{}", std::process::id());
    for source in [own.as_str(), "pid:2147483647"] {
        observers.watch(&WatchSpec::parse(source).expect("a source"));
    }
    let feed = MemoryFeed::steady(2_000, 1_000_000, 2);
    let report = Case { observers, feed, ..Case::new() }.run(dir.path()).expect("a report");
    let watch = &report.observed.as_ref().expect("observed").watch;
    assert!(watch[0].metrics["rss_bytes"].samples >= 2 && watch[0].metrics.contains_key("cpu_cores"), "{watch:?}");
    assert_eq!((watch[0].answers.silent.len(), watch[1].answers.answers, watch[1].answers.silent.len()), (0, 0, 1));
    assert!(report.notes.iter().any(|note| note.contains("pid:2147483647 was silent")), "{:?}", report.notes);
    let rows = std::fs::read_to_string(dir.path().join("watch.csv")).expect("there");
    assert!(rows.lines().any(|row| row.starts_with(&format!("1,{own},rss_bytes,"))), "{rows}");
}

/// A queue that keeps when it was asked first.
struct Asked(Arc<Mutex<Option<i64>>>);

impl Backlog for Asked {
    fn waiting(&mut self, _: Duration) -> Result<Waiting, BrokerError> {
        self.0.lock().expect("one thread").get_or_insert_with(wall_now_ns);
        Ok(Waiting::Queue(QueueDepth::default()))
    }

    fn membership(&mut self, _: Duration) -> Result<Option<Membership>, BrokerError> {
        Ok(None)
    }
}

#[test]
fn what_brokers_take_to_tell_their_backlogs_is_no_part_of_the_lead_of_a_retimed_run() {
    let dir = tempfile::tempdir().expect("tmp");
    let rules = Rules::from_toml("[[retime]]\nstreams = \"t*\"\nformat = \"influx\"\n").expect("rules");
    let bound = rules.bind(&[stream("t", 0), stream("t", 1)], &[None, None]).expect("streams");
    let names = ["t/0".to_owned(), "t/1".to_owned()];
    let mut case = Case::new();
    let (job, _) = expand(&PlannerOptions::of_streams(2), &names, &Arc::new(bound), 1, &mut case.feed, &mut |_| {}).expect("a pass");
    case.retime = Some(job);
    let asked = Arc::<Mutex<Option<i64>>>::default();
    case.observers.lag("q", Box::new(Asked(Arc::clone(&asked))));
    let report = case.run(dir.path()).expect("a report");
    let asked_ns = asked.lock().expect("it ended").expect("asked");
    assert!(report.t0_unix_ns - asked_ns >= RETIME_LEAD_NS, "the start is set after they were asked");
}
