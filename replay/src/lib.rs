//! Replay: a recording into a broker, on time, and what happened.
//!
//! ```text
//! feed ─▶ planner (filter, remap, schedule, transform) ─▶ ring ─▶ pacer ─▶ sink ┄completions┄▶ recorder ─▶ run directory
//! └────────── pure, runs ahead, no clock ────────┘      └── the only clock ──┘
//! ```
//!
//! `config` what was typed → what it means · `clock_choice` which time of a record counts · `select`, `shard`, `remap`,
//! `partitioner`, `guard` what goes where, and what is refused · `timestamps` which stamp it bears · `transform` what it says · `schedule`, `profile`, `copies`, `marks`,
//! `planner`, `ring` what is sent when · `pacer`, `ceiling`,
//! `holds`, `inflight` sending it · `ledger`, `measure`, `trust` what is known of it · `observers` who looks at the system under test meanwhile · `run`, `summary` saying so ·
//! `engine` the threads.

mod accounting;
pub mod assemble;
pub mod batch;
pub mod cardinality;
pub mod ceiling;
pub mod clock_choice;
pub mod clock_watch;
mod completing;
pub mod config;
pub mod copies;
mod digits;
pub mod distinct;
pub mod engine;
pub mod expanding;
pub mod feed;
pub mod guard;
pub mod hands;
mod hash;
pub mod holds;
pub mod inflight;
pub mod inventory;
pub mod ledger;
mod lock;
pub mod marks;
pub mod measure;
pub mod observers;
pub mod pacer;
pub mod partitioner;
pub mod plan;
pub mod planner;
pub mod pointed;
pub mod prepare;
pub mod profile;
pub mod recorded;
pub mod remap;
pub mod ring;
pub mod run;
pub mod schedule;
pub mod select;
pub mod shard;
mod start;
pub mod summary;
pub mod timestamps;
pub mod transform;
pub mod trust;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;
