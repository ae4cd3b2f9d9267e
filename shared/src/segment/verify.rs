//! Comes with the time-ordered reader and the validator.
