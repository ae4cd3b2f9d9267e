//! A small but real service that aggregates tagged metrics from Kafka, as teams have one: it reads DogStatsD lines with a consumer
//! group of its own, sums them up, and once a second publishes what it has to another topic.
//!
//! It has the flaw that dejaq was made for: [`By::TagSet`] keeps state for each unique set of tags, for ever, and publishes all of it
//! each second. As long as every process reports under its host that is a few hundred sets; with a tag per process it is a new set for each,
//! and throughput falls as they grow. [`By::Customer`] is the mended service: it sums up by customer, before it keeps anything.
//!
//! `aggregate` (pure) what is kept and published · `service` the loop on Kafka · `traffic` production's traffic, made up

pub mod aggregate;
pub mod service;
pub mod topics;
pub mod traffic;

pub use aggregate::{Aggregates, By};
pub use service::{Service, Stats};
pub use traffic::Traffic;
