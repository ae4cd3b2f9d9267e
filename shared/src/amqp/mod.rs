//! What RabbitMQ's messages have beside key, value and headers: the 14 basic properties of AMQP 0-9-1, and among them the
//! header table with values of every type. In an encoding of our own (docs/FORMAT.md, section 4.2), which the same bytes
//! stand in a segment in, so that a record only borrows them.
//!
//! # What it guarantees
//! - What went in comes out: order, names that are there twice, nested tables and arrays, NaN bits, a table that is empty and
//!   one that is not there.
//! - Input is never trusted: [`Properties::parse`] checks all of it, without recursion, and asks for no memory. Tables and
//!   arrays lie in each other at most [`DEPTH_MAX`] deep.

mod build;
mod properties;
mod value;

pub use build::TableBuf;
pub use properties::{Basic, Properties};
pub use value::{Array, Malformed, Table, Value};

/// How deep tables and arrays may lie in each other, the header table itself included.
pub const DEPTH_MAX: usize = 32;
