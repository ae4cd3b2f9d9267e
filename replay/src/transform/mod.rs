//! Transforms: what a record says is changed, never how many there are. Pure and seeded: the same record on the same
//! occasion gives the same bytes, on any machine.
//!
//! `formats` know what is inside a payload: they find metric names, tags and time stamps, and write a payload anew with some
//! of them changed. They decide nothing.

pub mod formats;
pub mod recognise;
pub mod shown;

use dejaq_shared::record::Record;

/// The one sending of a record that is prepared: what a transform may depend on besides the record and the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occasion {
    /// Which pass of a loop, from 0.
    pub pass: u32,
    /// Which copy of the traffic, from 0: the original.
    pub copy: u32,
    /// The intended send time, nanoseconds after the start of the run.
    pub due_ns: u64,
}

/// Changes records, one after the other in the order of the schedule.
#[derive(Debug, Default)]
pub struct Transform {}

impl Transform {
    /// The record to send in place of `record`. What is changed lies in this transform's own memory, until the next call.
    pub fn apply<'r>(&'r mut self, record: &Record<'r>, _at: Occasion) -> Record<'r> {
        *record
    }
}
