//! Enters what is planned into the table, batch by batch, before it can be sent.

use std::sync::{Arc, Mutex};

use dejaq_shared::amqp::Properties;
use dejaq_shared::broker::sink::TargetKind;
use dejaq_shared::record::Headers;

use super::field::{FieldReader, Parts};
use super::table::Table;
use crate::batch::Batch;
use crate::lock::lock;

/// The planner's side of a probe.
#[derive(Debug)]
pub struct Expecting {
    reader: FieldReader,
    /// Whose messages they are.
    kind: TargetKind,
    sample: u64,
    table: Arc<Mutex<Table>>,
    /// Messages planned so far.
    items: u64,
    /// Values of a batch with their places, so that the table is locked once a batch.
    found: Vec<(u64, u64, u64)>,
}

impl Expecting {
    /// Enters values that `reader` finds in messages for a target of this kind, one in `sample`.
    #[must_use]
    pub fn new(reader: FieldReader, kind: TargetKind, sample: u64, table: Arc<Mutex<Table>>) -> Self {
        Self { reader, kind, sample, table, items: 0, found: Vec::new() }
    }

    /// A batch will be sent.
    pub fn enter(&mut self, batch: &Batch) {
        let mut without_value = 0;
        for item in &batch.items {
            let (headers, properties) = match self.kind {
                TargetKind::Kafka => (batch.headers(item), Properties::EMPTY),
                TargetKind::RabbitMq => (Headers::EMPTY, batch.properties(item)),
            };
            let parts = Parts { key: batch.key(item), value: batch.value(item), headers, properties };
            match self.reader.read(&parts) {
                Some(value) if is_sampled(value, self.sample) => self.found.push((value, item.due_ns, self.items)),
                Some(_) => {}
                None => without_value += 1,
            }
            self.items += 1;
        }
        let mut table = lock(&self.table);
        table.pass_by(without_value);
        for (value, due_ns, item) in self.found.drain(..) {
            table.expect(value, due_ns, item);
        }
    }
}

/// Whether a value is looked at: one in `sample`. Both sides ask, so what is left out of one is left out of the other.
pub(super) fn is_sampled(value: u64, sample: u64) -> bool {
    // The low bits place a value in the table's index.
    (value >> 20).is_multiple_of(sample)
}
