//! What comes out of the system under test: for each message sent its output (*end to end*: observed − intended), or, where
//! many messages come to one output, how old the newest event is that the outputs cover (*freshness*).
//!
//! `spec` what was typed → `field` what a message is known by → `expecting` enters what is planned → `table` matches it with
//! what `reader` sees at the output.
//!
//! Guarantees: the reader has an identity of its own, and begins before the run does. Of Kafka it reads a topic from its end, joins
//! no group and commits nothing; of RabbitMQ it gets a copy from an exchange, or empties a queue that nobody consumes. Sent and observed are on one clock, this machine's monotonic one, so no clocks are compared; the way
//! from the broker to the reader is in the figure. A reader that fails, or a table that was too small, makes the run INVALID.
//!
//! Not there yet: outputs at another cluster than the target.

pub mod expecting;
pub mod field;
pub mod freshness;
pub mod reader;
pub mod spec;
pub mod table;
