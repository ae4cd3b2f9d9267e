//! Which transform a planner makes: none, one that counts, or one that rewrites.

use std::sync::Arc;

use super::Transform;
use super::bound::Bound;
use super::expansion::Expansion;
use super::rules::{FormatChoice, Rules};

/// What is done to records.
#[derive(Debug, Clone, Default)]
pub enum TransformJob {
    /// Nothing.
    #[default]
    None,
    /// What the rules would write is counted.
    Count(Arc<Bound>),
    /// The rules are followed.
    Rewrite {
        /// Which occurrence gets which value.
        expansion: Arc<Expansion>,
        /// What moved time stamps count from, nanoseconds since 1970; without it they stay.
        origin_ns: Option<i64>,
    },
}

impl Rules {
    /// Whether any rule leaves it to the payloads what their format is.
    #[must_use]
    pub fn wants_recognition(&self) -> bool {
        self.expand.iter().map(|r| r.format).chain(self.retime.iter().map(|r| r.format)).any(|f| f == FormatChoice::Auto)
    }
}

impl TransformJob {
    /// Whether records are looked into.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether time stamps are to be moved.
    #[must_use]
    pub fn retimes(&self) -> bool {
        matches!(self, Self::Rewrite { expansion, .. } if !expansion.bound().rules().retime.is_empty())
    }

    /// Sets what moved time stamps count from, nanoseconds since 1970.
    pub fn count_from(&mut self, origin: i64) {
        if let Self::Rewrite { origin_ns, .. } = self {
            *origin_ns = Some(origin);
        }
    }
}

impl Transform {
    /// The transform for a job.
    #[must_use]
    pub fn of(job: &TransformJob) -> Self {
        match job {
            TransformJob::None => Self::default(),
            TransformJob::Count(bound) => Self::counting(Arc::clone(bound)),
            TransformJob::Rewrite { expansion, origin_ns } => Self::rewriting(Arc::clone(expansion), *origin_ns),
        }
    }
}
