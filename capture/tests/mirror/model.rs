//! A scripted broker that delivers once: queues in memory, each with one consumer, which redeliver what was not acknowledged
//! when their connection breaks. When nothing is ready, the next step of the script runs, once a poll until it says that it is
//! done; after the last one the capture is asked to stop.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dejaq_shared::amqp::{Basic, Properties, TableBuf, Value};
use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::mirror::{Delivery, LaneIx, Mirror, MirrorBegin, MirrorHandler, MirrorNotice, Receipt, Snapshot};
use dejaq_shared::record::{Lane, MARK_HEADER, Record, RecordFlags, Stream};

pub(crate) const CLUSTER: &str = "fake-rabbit";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) exchange: String,
    pub(crate) id: Option<String>,
    pub(crate) body: String,
    pub(crate) mark: Option<Vec<u8>>,
}

impl Message {
    pub(crate) fn new(exchange: &str, body: impl Into<String>) -> Self {
        Self { exchange: exchange.into(), id: None, body: body.into(), mark: None }
    }

    pub(crate) fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    pub(crate) fn marked(self, mark: &[u8]) -> Self {
        Self { mark: Some(mark.to_vec()), ..self }
    }

    fn properties(&self) -> Vec<u8> {
        let mut table = TableBuf::default();
        if let Some(mark) = &self.mark {
            table.name(MARK_HEADER).value(Value::String(mark));
        }
        let headers = self.mark.is_some().then(|| table.as_table().expect("a small table"));
        let mut bytes = Vec::new();
        let basic = Basic { message_id: self.id.as_deref().map(str::as_bytes), headers, ..Basic::default() };
        basic.write(&mut bytes).expect("short strings");
        bytes
    }
}

/// A queue with its one consumer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queue {
    generation: u32,
    next_tag: u64,
    ready: VecDeque<(Message, bool)>,
    unacknowledged: VecDeque<(u64, Message)>,
    pub(crate) acknowledged: Vec<Message>,
}

impl Queue {
    pub(crate) fn publish(&mut self, message: Message) {
        self.ready.push_back((message, false));
    }

    /// The connection breaks, and there is a new one.
    pub(crate) fn reconnect(&mut self) {
        self.generation += 1;
        self.next_tag = 0;
        for (_, message) in std::mem::take(&mut self.unacknowledged).into_iter().rev() {
            self.ready.push_front((message, true));
        }
    }

    /// What is ready has been under way before.
    pub(crate) fn redeliver_all(&mut self) {
        self.ready.iter_mut().for_each(|(_, redelivered)| *redelivered = true);
    }

    pub(crate) fn unacknowledged(&self) -> usize {
        self.unacknowledged.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.unacknowledged.is_empty()
    }

    fn acknowledge(&mut self, receipt: Receipt) {
        assert!(receipt.generation <= self.generation, "a receipt of the future");
        if receipt.generation == self.generation {
            assert!(receipt.tag <= self.next_tag, "a tag that was never delivered");
            while let Some((_, message)) = self.unacknowledged.pop_front_if(|(tag, _)| *tag <= receipt.tag) {
                self.acknowledged.push(message);
            }
        }
    }
}

pub(crate) type Step = Box<dyn FnMut(&mut World) -> bool + Send>;

/// What a kill leaves: the recording's files as they were, and the broker's queues.
pub(crate) struct Left {
    pub(crate) queues: Vec<Queue>,
}

pub(crate) struct World {
    pub(crate) queues: Vec<Queue>,
    pub(crate) window: u32,
    pub(crate) script: VecDeque<Step>,
    pub(crate) notices: Vec<MirrorNotice>,
    pub(crate) filters: Vec<String>,
    pub(crate) begun: Vec<MirrorBegin>,
    pub(crate) settled: usize,
    pub(crate) settle_fails: bool,
    /// Notices that come when the capture settles.
    pub(crate) last_words: Vec<MirrorNotice>,
    /// The client gives up after so many deliveries.
    pub(crate) broken_after: Option<usize>,
    /// The process is killed after so many deliveries: this recording's files are copied there at that instant.
    pub(crate) kill: Option<(usize, PathBuf, PathBuf)>,
    pub(crate) left: Option<Left>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            queues: vec![Queue::default()],
            window: 1_000,
            script: VecDeque::new(),
            notices: Vec::new(),
            filters: vec!["exchange orders".into()],
            begun: Vec::new(),
            settled: 0,
            settle_fails: false,
            last_words: Vec::new(),
            broken_after: None,
            kill: None,
            left: None,
        }
    }
}

impl World {
    pub(crate) fn publish(&mut self, message: Message) {
        self.queues[0].publish(message);
    }

    pub(crate) fn then(&mut self, mut step: impl FnMut(&mut World) + Send + 'static) {
        self.until(move |world| {
            step(world);
            true
        });
    }

    pub(crate) fn until(&mut self, step: impl FnMut(&mut World) -> bool + Send + 'static) {
        self.script.push_back(Box::new(step));
    }
}

pub(crate) struct FakeMirror {
    world: Arc<Mutex<World>>,
    stop: Arc<AtomicBool>,
    lanes: Vec<String>,
    delivered: usize,
    killed: bool,
}

impl FakeMirror {
    pub(crate) fn new(world: &Arc<Mutex<World>>, stop: &Arc<AtomicBool>) -> Self {
        Self { world: Arc::clone(world), stop: Arc::clone(stop), lanes: Vec::new(), delivered: 0, killed: false }
    }

    fn world(world: &Mutex<World>) -> MutexGuard<'_, World> {
        world.lock().expect("no test panics while holding it")
    }

    fn lane<H: MirrorHandler>(&mut self, exchange: &str, handler: &mut H) -> LaneIx {
        let ix = self.lanes.iter().position(|known| known == exchange).unwrap_or_else(|| {
            self.lanes.push(exchange.to_owned());
            let lane = Lane::RabbitExchange { vhost: "/".into(), exchange: exchange.into() };
            let ix = self.lanes.len() - 1;
            handler.lane(LaneIx::try_from(ix).expect("few"), &Stream { cluster: CLUSTER.into(), lane });
            ix
        });
        LaneIx::try_from(ix).expect("few")
    }

    fn deliver<H: MirrorHandler>(
        &mut self,
        link: usize,
        message: &Message,
        receipt: Receipt,
        redelivered: bool,
        now: i64,
        handler: &mut H,
    ) {
        let lane = self.lane(&message.exchange, handler);
        let properties = message.properties();
        let flags = if redelivered { RecordFlags::REDELIVERED } else { RecordFlags::default() };
        let key = format!("key.{link}");
        let record = Record {
            arrival_ns: now,
            value: Some(message.body.as_bytes()),
            routing_key: Some(key.as_bytes()),
            properties: Properties::from_checked(&properties),
            flags,
            ..Record::EMPTY
        };
        handler.delivery(&Delivery { lane, receipt, record });
        self.delivered += 1;
    }

    /// Everything that is ready and fits into the window, queue after queue.
    fn deliver_all<H: MirrorHandler>(&mut self, most: usize, now: i64, handler: &mut H) -> Result<usize, BrokerError> {
        let shared = Arc::clone(&self.world);
        let mut world = Self::world(&shared);
        let mut count = 0;
        for link in 0..world.queues.len() {
            while count < most && world.queues[link].unacknowledged.len() < world.window as usize {
                let queue = &mut world.queues[link];
                let Some((message, redelivered)) = queue.ready.pop_front() else { break };
                queue.next_tag += 1;
                let receipt = Receipt { link: u32::try_from(link).expect("few"), generation: queue.generation, tag: queue.next_tag };
                queue.unacknowledged.push_back((receipt.tag, message.clone()));
                self.deliver(link, &message, receipt, redelivered, now, handler);
                count += 1;
                if let Some((_, from, to)) = world.kill.take_if(|(after, ..)| self.delivered >= *after) {
                    copy(&from, &to);
                    self.killed = true;
                    world.left = Some(Left { queues: world.queues.clone() });
                }
                if self.killed || world.broken_after.is_some_and(|after| self.delivered >= after) {
                    return Err(BrokerError::Fatal("the fake broke".into()));
                }
            }
        }
        Ok(count)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a recording") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}

impl Mirror for FakeMirror {
    fn cluster(&self) -> &str {
        CLUSTER
    }

    fn filters(&self) -> Vec<String> {
        Self::world(&self.world).filters.clone()
    }

    fn describe(&self) -> Vec<(String, String)> {
        vec![("prefetch".into(), "1000".into())]
    }

    fn window(&self) -> u32 {
        Self::world(&self.world).window
    }

    fn check(&mut self, _: Duration) -> Result<Vec<String>, BrokerError> {
        Ok(vec!["exchange orders has an alternate exchange".into()])
    }

    fn begin(&mut self, begin: &MirrorBegin, _: Duration) -> Result<Vec<Snapshot>, BrokerError> {
        Self::world(&self.world).begun.push(begin.clone());
        Ok(vec![Snapshot { name: "topology.json".into(), media_type: "application/json".into(), bytes: b"{}".to_vec() }])
    }

    fn poll<H: MirrorHandler>(
        &mut self,
        records_max: usize,
        _: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        let count = self.deliver_all(records_max, clock(), handler)?;
        let mut world = Self::world(&self.world);
        let notices = std::mem::take(&mut world.notices);
        let quiet = count == 0 && notices.is_empty() && world.queues.iter().all(|q| q.ready.is_empty());
        notices.into_iter().for_each(|notice| handler.notice(notice));
        if quiet {
            match world.script.pop_front() {
                Some(mut step) => {
                    if !step(&mut world) {
                        world.script.push_front(step);
                    }
                }
                None => self.stop.store(true, Ordering::SeqCst),
            }
        }
        if count == 0 {
            std::thread::yield_now();
        }
        Ok(count)
    }

    fn acknowledge(&mut self, receipts: &[Receipt]) {
        if self.killed {
            return;
        }
        let mut world = Self::world(&self.world);
        for (at, receipt) in receipts.iter().enumerate() {
            assert!(receipts[..at].iter().all(|r| r.link != receipt.link), "one a link: {receipts:?}");
            world.queues[receipt.link as usize].acknowledge(*receipt);
        }
    }

    fn lag(&mut self) -> Option<u64> {
        Some(Self::world(&self.world).queues.iter().map(|q| q.ready.len() as u64).sum())
    }

    fn settle<H: MirrorHandler>(&mut self, _: Duration, _: &mut dyn FnMut() -> i64, handler: &mut H) -> Result<(), BrokerError> {
        let mut world = Self::world(&self.world);
        world.settled += 1;
        world.last_words.drain(..).for_each(|notice| handler.notice(notice));
        if world.settle_fails {
            return Err(BrokerError::Request {
                request: "removing queue dejaq.1".into(),
                reason: "refused: rabbitmqctl delete_queue dejaq.1".into(),
                retryable: false,
            });
        }
        Ok(())
    }
}
