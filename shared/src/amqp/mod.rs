//! What RabbitMQ's messages have beside key, value and headers: the 14 basic properties of AMQP 0-9-1.

mod properties;

pub use properties::Properties;
