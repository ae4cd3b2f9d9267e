//! RabbitMQ, through lapin.
//!
//! `arguments` from the management API's JSON · `config` what may be set · `connect` connections, and waiting for answers · `trouble` why the broker does not take us · `rights`
//! what a user lacks and the command that grants it · `http` `management` `prometheus` what stands at the broker, and `identity` which
//! cluster it is · `convert` lapin's properties and ours · `mirror` capture of what is published to exchanges · `topology` what stands
//! at a broker, as a file of a recording.

#[cfg(any(feature = "source", feature = "sink"))]
mod arguments;
pub mod config;
#[cfg(any(feature = "source", feature = "sink"))]
mod connect;
#[cfg(any(feature = "source", feature = "sink"))]
mod convert;
#[cfg(any(feature = "source", feature = "sink"))]
mod http;
#[cfg(any(feature = "source", feature = "sink"))]
mod identity;
#[cfg(any(feature = "source", feature = "sink"))]
mod management;
#[cfg(feature = "source")]
pub mod mirror;
#[cfg(any(feature = "source", feature = "sink"))]
mod prometheus;
#[cfg(any(feature = "source", feature = "sink"))]
mod rights;
pub mod topology;
#[cfg(any(feature = "source", feature = "sink"))]
mod trouble;
