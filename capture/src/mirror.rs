//! Capture of a broker that delivers each message once and waits until it is acknowledged (RabbitMQ's queues).
//!
//! `run` one capture from start to end · `session` the loop · `counter` what becomes of each delivery, and its books ·
//! `receipts` (pure) what may be acknowledged · `again` (pure) what comes again · `resume` what an earlier capture left.
//!
//! # What it guarantees
//! - Nothing is acknowledged before it is on stable storage. So whatever ends the capture, at any instant: what is not on disk
//!   comes again.
//! - Every delivery is in the books once: delivered = written + duplicates + unparseable + left out. They are compared with
//!   what the writer wrote, told at the end, and travel in the recording.
//! - A message that comes again is left out only where its own id and all of its content prove that it is on disk. One that is
//!   on disk by its content only is kept and flagged *possible duplicate*. Others that the broker calls redelivered are kept
//!   with that flag.
//! - A position is a capture sequence: the number of the message within its stream, counted from 0 over all captures into the
//!   recording.
//!
//! # Its limits
//! - A producer that publishes one and the same message twice, id included, cannot be told from a broker that delivers it twice,
//!   in the moment after a crash: of such a pair one may be left out.
//! - dejaq's own mark is the same on all messages of a run. It proves nothing here.

mod again;
mod counter;
mod deliveries;
mod receipts;
mod resume;
mod run;
mod session;

pub use deliveries::Deliveries;

#[cfg(test)]
mod tests;
