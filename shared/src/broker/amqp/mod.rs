//! RabbitMQ, through lapin.
//!
//! `mirror` capture of what is published to exchanges · `topology` what stands at a broker, as a file of a recording.

#[cfg(feature = "source")]
pub mod mirror;
pub mod topology;
