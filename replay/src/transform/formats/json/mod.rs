//! JSON documents.

pub(crate) mod token;
