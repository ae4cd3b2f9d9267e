//! Replay: a recording into a broker, on time, and what happened.
//!
//! ```text
//! feed ─▶ planner (filter, remap, schedule, transform, fit) ─▶ ring ─▶ pacer ─▶ sink ┄completions┄▶ recorder ─▶ run directory
//! └──────────── pure, runs ahead, no clock ───────────┘      └── the only clock ──┘
//! ```
//!
//! `config` what was typed → what it means · `clock_choice` which time of a record counts · `select`, `shard`, `remap`,
//! `partitioner`, `guard` what goes where, and what is refused · `timestamps` which stamp it bears · `transform` what it says · `schedule`, `profile`, `copies`, `marks`,
//! `planner`, `ring` what is sent when · `fit` in whose terms · `pacer`, `ceiling`,
//! `holds`, `inflight` sending it · `ledger`, `measure`, `warm_up`, `trust` what is known of it · `observers` who looks at the system under
//! test meanwhile · `run`, `summary` saying so ·
//! `fidelity` how like the recording it was · `compare` how it stands against another · `fail_if` what makes a command fail ·
//! `engine` the threads.

mod accounting;
pub mod assemble;
pub mod batch;
pub mod cardinality;
pub mod ceiling;
pub mod clock_choice;
pub mod clock_watch;
pub mod compare;
mod completing;
pub mod config;
pub mod copies;
mod digits;
pub mod distinct;
pub mod engine;
pub mod expanding;
pub mod fail_if;
pub mod feed;
pub mod fidelity;
pub mod fit;
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
pub mod report;
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
mod unit;
pub mod warm_up;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;
