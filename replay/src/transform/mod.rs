//! Transforms: what a record says is changed, never how many there are. Pure and seeded: the same record on the same
//! occasion gives the same bytes, on any machine.
//!
//! `formats` know what is inside a payload: they find metric names, tags and time stamps, and write a payload anew with some
//! of them changed. They decide nothing; rules do:
//!
//! ```text
//! rule_file ─▶ Rules ─bind─▶ Bound ─▶ Transform::counting ─▶ Counted ─▶ Expansion ─▶ Transform::rewriting
//! ```
//!
//! A counting pass goes through the whole schedule and finds how often each rule writes a value; `expansion` then gives every
//! value its exact number of occurrences (`quota`, `zipf`), period by period where values come and go (`timeline`), and a
//! seeded permutation says which occurrence gets which. Memory is flat: nothing is kept per value or per occurrence.

mod apply;
pub mod bound;
pub mod count;
pub mod derive;
pub mod error;
pub mod expansion;
pub mod formats;
mod job;
pub mod pattern;
mod permutation;
mod quota;
pub mod recognise;
mod rewrite;
mod rule_file;
pub mod rules;
mod series;
mod shape;
pub mod shown;
mod template;
mod timeline;
mod values;
mod visit;
mod walk;
mod zipf;

pub use apply::{Occasion, Transform};
pub use job::TransformJob;

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod tests;
