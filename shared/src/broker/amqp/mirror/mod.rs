//! Capture of RabbitMQ's exchanges.

mod bonds;
mod canary;
mod check;
mod drops;
mod ours;
