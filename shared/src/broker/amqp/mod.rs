//! RabbitMQ, through lapin.
//!
//! `topology` what stands at a broker, as a file of a recording.

pub mod topology;
