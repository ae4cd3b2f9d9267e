//! How fast the send path is by itself: planner, pacer and completions around a client that takes and confirms everything
//! at once. `cargo run --release -p dejaq-replay --example flood [MESSAGES] [RATE per second]`; without a rate it floods.
#![expect(clippy::print_stdout, reason = "an example's output")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use dejaq_replay::assemble::RunIdentity;
use dejaq_replay::batch::Route;
use dejaq_replay::ceiling::Ceilings;
use dejaq_replay::engine::{RunSetup, run};
use dejaq_replay::feed::{FeedError, RecordFeed, TakeRecord};
use dejaq_replay::marks::MarkPolicy;
use dejaq_replay::planner::PlannerOptions;
use dejaq_replay::run::dir::RunDir;
use dejaq_replay::schedule::Pace;
use dejaq_replay::summary::summary;
use dejaq_replay::timestamps::TimestampMode;
use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::sink::{Completion, Completions, Fate, Outgoing, QueueLimits, Refusal, Sink};
use dejaq_shared::clock::SystemClock;
use dejaq_shared::record::{BrokerTime, Headers, Record, RecordFlags};
use dejaq_shared::units::Ratio;

const STREAMS: u32 = 16;
const VALUE: [u8; 200] = [7; 200];

struct Made {
    left: u64,
    at: i64,
}

impl RecordFeed for Made {
    fn next_batch(&mut self, max: usize, take: &mut TakeRecord<'_>) -> Result<usize, FeedError> {
        let count = self.left.min(max as u64);
        for _ in 0..count {
            self.at += 1;
            let stream = u32::try_from(self.at % i64::from(STREAMS)).unwrap_or(0);
            let key = self.at.to_le_bytes();
            take(
                self.at * 1_000,
                &Record {
                    stream,
                    position: self.at,
                    leader_epoch: -1,
                    arrival_ns: 0,
                    broker_time: BrokerTime::None,
                    key: Some(&key),
                    value: Some(&VALUE),
                    headers: Headers::EMPTY,
                    flags: RecordFlags::default(),
                    ..Record::EMPTY
                },
            );
        }
        self.left -= count;
        Ok(usize::try_from(count).unwrap_or(max))
    }

    fn rewind(&mut self) -> Result<(), FeedError> {
        Err(FeedError::new("made once"))
    }
}

struct NullSink(Arc<ArrayQueue<usize>>);
struct NullCompletions(Arc<ArrayQueue<usize>>, Vec<Completion>);

impl Sink for NullSink {
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        self.0.push(message.tag).map_err(|_| Refusal::QueueFull)
    }

    fn in_flight(&self) -> usize {
        self.0.len()
    }
}

impl Completions for NullCompletions {
    fn poll(&mut self, _timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError> {
        self.1.clear();
        while self.1.len() < 4_096
            && let Some(tag) = self.0.pop()
        {
            self.1.push(Completion { tag, fate: Fate::Acked });
        }
        if self.1.is_empty() {
            std::thread::sleep(Duration::from_micros(200));
        } else {
            handler(&self.1);
        }
        Ok(())
    }

    fn take_warning(&mut self) -> Option<String> {
        None
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let messages: u64 = args.next().map_or(Ok(10_000_000), |a| a.parse())?;
    let rate = args.next().map(|a| a.parse()).transpose()?.and_then(|per_s| Ratio::new(per_s, 1));
    let path = std::env::temp_dir().join(format!("dejaq-flood-{}", std::process::id()));
    let dir = RunDir::create(&path)?;
    let queue = Arc::new(ArrayQueue::new(100_000));
    let setup = RunSetup {
        identity: RunIdentity { class_of_stream: vec![Some(0); STREAMS as usize], ..RunIdentity::default() },
        planner: PlannerOptions {
            transform: dejaq_replay::transform::TransformJob::None,
            fit: Arc::default(),
            routes: vec![Some(Route::fixed(0, 0)); STREAMS as usize],
            elsewhere: Vec::new(),
            from_time_ns: None,
            to_time_ns: None,
            pace: rate.map_or(Pace::Max, Pace::Rate),
            repeat: false,
            run_ns: None,
            marks: MarkPolicy::Off,
            timestamps: TimestampMode::Now,
            copies: dejaq_replay::copies::Copies::default(),
            record_bytes_max: 208,
        },
        ceilings: Ceilings::default(),
        late_skip_ns: None,
        drain_ns: 1_000_000_000,
        start_at_ns: None,
        origin_ns: None,
        streams: (0..STREAMS).map(|s| format!("t/{s}")).collect(),
        classes: vec!["t".to_owned()],
        class_of_target: vec![0],
        target_names: Vec::new(),
        asked_run_ns: None,
        asked_ceilings: (None, None),
        expanded: dejaq_replay::expanding::Expanded::default(),
        queue: QueueLimits { messages_max: 100_000, bytes_max: 96 << 20 },
        observers: dejaq_replay::observers::Observers::default(),
    };
    let (mut sink, mut completions) = (NullSink(Arc::clone(&queue)), NullCompletions(queue, Vec::new()));
    let start = Instant::now();
    let mut feed = Made { left: messages, at: 0 };
    let report =
        run(setup, &dir, &mut sink, &mut completions, &mut feed, &Arc::new(SystemClock::new()), &AtomicBool::new(false), &mut |_| {})?;
    let per_s = messages as f64 / start.elapsed().as_secs_f64();
    println!("{}\n{:.2} M messages/s from start to end", summary(&report), per_s / 1e6);
    std::fs::remove_dir_all(path)?;
    Ok(())
}
