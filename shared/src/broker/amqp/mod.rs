//! RabbitMQ, through lapin.
//!
//! `arguments` AMQP's tables from the management API's JSON · `config` what may be set · `connect` connections, and waiting for answers ·
//! `guard` what lapin's parser is kept from · `trouble` why the broker does not take us · `rights` what a user lacks and the command that grants it · `http` `management`
//! `prometheus` what stands at the broker, `identity` which cluster it is, `greeting` whether these are of one · `convert` lapin's
//! properties and ours · `backoff` how long to wait before connecting again · `topology` what stands at a broker, as a file of a recording.
//!
//! `mirror` capture of what is published to exchanges, `stream` of what stands in a stream queue (cargo feature `source`) · `deliveries` taken
//! from a consumer · `window` how many may be on their way · `tap` what comes out of a system under test, `backlog` what waits for it,
//! `asking` how a queue stands.
//!
//! `sink` publishing, `target` what is asked before, `making` what a recording's topology has (cargo feature `sink` only) · `publishing`
//! the connections of a run, `link` one of them, kept up · `bell` how the completing thread is woken · `returns` which messages came back.

#[cfg(any(feature = "source", feature = "sink"))]
mod arguments;
#[cfg(feature = "source")]
mod asking;
#[cfg(feature = "source")]
pub mod backlog;
#[cfg(any(feature = "source", feature = "sink"))]
mod backoff;
#[cfg(feature = "sink")]
mod bell;
pub mod config;
#[cfg(any(feature = "source", feature = "sink"))]
mod connect;
#[cfg(any(feature = "source", feature = "sink"))]
mod convert;
#[cfg(feature = "source")]
mod deliveries;
#[cfg(any(feature = "source", feature = "sink"))]
mod greeting;
#[cfg(any(feature = "source", feature = "sink"))]
mod guard;
#[cfg(any(feature = "source", feature = "sink"))]
mod http;
#[cfg(any(feature = "source", feature = "sink"))]
mod identity;
#[cfg(feature = "sink")]
mod link;
#[cfg(feature = "sink")]
mod making;
#[cfg(any(feature = "source", feature = "sink"))]
mod management;
#[cfg(feature = "source")]
pub mod mirror;
#[cfg(any(feature = "source", feature = "sink"))]
mod prometheus;
#[cfg(feature = "sink")]
mod publishing;
#[cfg(feature = "sink")]
mod returns;
#[cfg(any(feature = "source", feature = "sink"))]
mod rights;
#[cfg(feature = "sink")]
pub mod sink;
#[cfg(feature = "source")]
pub mod stream;
#[cfg(feature = "source")]
pub mod tap;
#[cfg(feature = "sink")]
mod target;
pub mod topology;
#[cfg(any(feature = "source", feature = "sink"))]
mod trouble;
#[cfg(feature = "source")]
mod window;
