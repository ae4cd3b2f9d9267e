//! From a format's name to its grammar.

use super::kind::{FormatKind, Wanted};
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
    /// This build does not have it.
    #[error("the format {0} is not built in")]
    Absent(&'static str),
}

/// A grammar that looks for what is wanted.
///
/// # Errors
/// [`OpenError`].
pub fn open(kind: FormatKind, _wanted: &Wanted) -> Result<Box<dyn Format>, OpenError> {
    match kind {
        FormatKind::Json => Err(OpenError::Absent(kind.name())),
        FormatKind::DogStatsd => Err(OpenError::Absent(kind.name())),
        FormatKind::Influx => Err(OpenError::Absent(kind.name())),
        FormatKind::Graphite => Err(OpenError::Absent(kind.name())),
        FormatKind::PrometheusText => Err(OpenError::Absent(kind.name())),
        FormatKind::PrometheusRemoteWrite => Err(OpenError::Absent(kind.name())),
        FormatKind::OtlpProtobuf => Err(OpenError::Absent(kind.name())),
        FormatKind::OtlpJson => Err(OpenError::Absent(kind.name())),
        FormatKind::Key => Err(OpenError::Absent(kind.name())),
        FormatKind::Header => Err(OpenError::Absent(kind.name())),
        FormatKind::AmqpHeader => Ok(Box::new(AmqpHeader::default())),
        FormatKind::RoutingKey => Ok(Box::new(RoutingKey::default())),
    }
}
