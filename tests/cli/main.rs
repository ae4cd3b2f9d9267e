//! The command as a user meets it: bad input, exit codes, texts, and the whole loop on Kafka clusters inside this process
//! (librdkafka's mock). Needs no broker. What only a real one can show is in `tests/live`.
//!
//! Every run of the command is checked not to have panicked ([`dejaq::ended`]).

#![expect(clippy::panic, reason = "a panic is how a test and its helpers say what went wrong")]

mod arguments;
mod comparing;
mod damage;
#[path = "../common/dejaq.rs"]
mod dejaq;
mod demo;
mod epochs;
mod expanding;
mod guard;
mod help;
mod interrupting;
mod kit;
mod observing;
mod places;
mod rabbit;
mod reader;
mod replaying;
mod report;
mod schema;
mod secrets;
mod shards;
mod slow_target;
mod sorting;
mod stamps;
mod starving;
mod tags;
mod thresholds;
mod times;
mod unreachable;
