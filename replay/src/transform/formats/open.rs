//! From a format's name to its grammar.

use super::dogstatsd::DogStatsd;
use super::graphite::Graphite;
use super::header::Header;
use super::influx::Influx;
use super::json::Json;
use super::key::Key;
use super::kind::{FormatKind, Wanted};
use super::otlp_json::OtlpJson;
use super::otlp_protobuf::OtlpProtobuf;
use super::prometheus_text::PrometheusText;
use super::remote_write::RemoteWrite;
use super::{AmqpHeader, Format, RoutingKey};

/// Why a format cannot look for what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a path.
    #[error("{path:?} is no path: at column {column}: {what}")]
    Path {
        /// The path as given.
        path: String,
        /// Where in it, from 1.
        column: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

/// A grammar that looks for what is wanted.
///
/// # Errors
/// [`OpenError`].
pub fn open(kind: FormatKind, wanted: &Wanted) -> Result<Box<dyn Format>, OpenError> {
    match kind {
        FormatKind::Json => Ok(Box::new(Json::new(wanted)?)),
        FormatKind::DogStatsd => Ok(Box::new(DogStatsd::default())),
        FormatKind::Influx => Ok(Box::new(Influx::default())),
        FormatKind::Graphite => Ok(Box::new(Graphite::default())),
        FormatKind::PrometheusText => Ok(Box::new(PrometheusText::new())),
        FormatKind::PrometheusRemoteWrite => Ok(Box::new(RemoteWrite::default())),
        FormatKind::OtlpProtobuf => Ok(Box::new(OtlpProtobuf::default())),
        FormatKind::OtlpJson => Ok(Box::new(OtlpJson::default())),
        FormatKind::Key => Ok(Box::new(Key::default())),
        FormatKind::Header => Ok(Box::new(Header::default())),
        FormatKind::AmqpHeader => Ok(Box::new(AmqpHeader::default())),
        FormatKind::RoutingKey => Ok(Box::new(RoutingKey::default())),
    }
}
