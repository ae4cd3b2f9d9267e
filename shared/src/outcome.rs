//! How a command ended, and the exit code that says so: in one place.

use std::process::ExitCode;

/// How a command ended. Errors are [`Outcome::Failed`] or [`Outcome::Usage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and to be trusted.
    Done,
    /// It failed.
    Failed,
    /// It was asked for something that makes no sense.
    Usage,
    /// It finished, with loss, damage, an INVALID verdict, or load that was not delivered.
    Doubtful,
    /// A threshold was crossed, or a regression found.
    Threshold,
}

impl Outcome {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Doubtful => 3,
            Self::Threshold => 4,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}
