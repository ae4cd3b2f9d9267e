//! Tests against two real Kafka clusters and two real RabbitMQ nodes, "prod" and "staging". `scripts/test` starts them, builds the
//! peers and turns the feature `live-tests` on; without the brokers these tests fail, they never skip.
//!
//! Each test works on topics or in virtual hosts of its own ([`peer::unique`]), so all of them may run at once and on clusters that
//! hold other data too.

#![expect(clippy::panic, reason = "a panic is how a test and its helpers say what went wrong")]

mod background;
mod capture;
mod case;
mod clusters;
#[path = "../common/dejaq.rs"]
mod dejaq;
mod expand;
mod hard;
mod held;
mod many;
mod observing;
mod peer;
mod rabbit;
mod replay;
mod report;
mod security;
mod shape;
