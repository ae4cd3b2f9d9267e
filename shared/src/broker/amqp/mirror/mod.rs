//! Capture of RabbitMQ's exchanges.

mod backoff;
mod bonds;
mod canary;
mod check;
mod drops;
mod ours;
