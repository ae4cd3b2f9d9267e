//! Endpoints: filled in by the broker work.

/// An endpoint that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EndpointError(pub String);
