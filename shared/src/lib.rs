//! What dejaq's two sides agree on.
//!
//! `record` one message and its stream · `amqp` RabbitMQ's properties · `segment` the file format, layer by layer · `broker` the message brokers ·
//! `clock` time, injected · `units` durations, rates and sizes as people write them · `ndjson` records as lines of JSON · `toml_text`
//! configuration files · `outcome` exit codes · `varint`
//! the format's integers.

pub mod amqp;
pub mod broker;
pub mod clock;
pub mod ndjson;
pub mod outcome;
pub mod record;
pub mod segment;
pub mod toml_text;
pub mod units;
pub mod varint;
