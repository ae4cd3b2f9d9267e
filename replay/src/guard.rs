//! The source guard: replay never writes into a cluster that the recording came from, directly or through earlier
//! replays. No option overrides it. A source that is unknown must be accepted as such.

/// Why a replay must not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The target is the source.
    #[error("the target is cluster {target:?}, which this recording came from{}: replay never writes into its source; give another --to", if *.ancestor { " through an earlier replay" } else { "" })]
    Source {
        /// The target's identity.
        target: String,
        /// Whether it is an ancestor, not the source itself.
        ancestor: bool,
    },
    /// The recording does not say where (all of) it came from.
    #[error(
        "this recording does not say which cluster it came from, so nothing shows that the target {target:?} is another one; give --allow-unknown-source if you know that it is (or import with --source-cluster)"
    )]
    UnknownSource {
        /// The target's identity.
        target: String,
    },
    /// The target does not say who it is.
    #[error(
        "the target does not tell its cluster's identity, so nothing shows that it is not the source; replay needs a broker that tells it"
    )]
    UnknownTarget,
}

/// Checks a target against a recording. `clusters` are the source clusters of its streams (an empty one is unknown),
/// `ancestors` those that replayed traffic in it came from.
///
/// # Errors
/// [`GuardError`] when the replay must not happen.
pub fn check(clusters: &[String], ancestors: &[String], target: &str, allow_unknown_source: bool) -> Result<(), GuardError> {
    if target.is_empty() {
        return Err(GuardError::UnknownTarget);
    }
    if clusters.iter().any(|c| c == target) {
        return Err(GuardError::Source { target: target.to_owned(), ancestor: false });
    }
    if ancestors.iter().any(|c| c == target) {
        return Err(GuardError::Source { target: target.to_owned(), ancestor: true });
    }
    let unknown = clusters.is_empty() || clusters.iter().any(String::is_empty);
    if unknown && !allow_unknown_source {
        return Err(GuardError::UnknownSource { target: target.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn the_source_and_its_ancestors_are_refused_whatever_is_allowed() {
        for allow in [false, true] {
            assert_eq!(check(&names(&["a", "b"]), &[], "b", allow), Err(GuardError::Source { target: "b".into(), ancestor: false }));
            assert_eq!(check(&names(&["a"]), &names(&["p"]), "p", allow), Err(GuardError::Source { target: "p".into(), ancestor: true }));
            assert_eq!(check(&names(&["", "a"]), &[], "a", allow), Err(GuardError::Source { target: "a".into(), ancestor: false }));
            assert_eq!(check(&names(&["a"]), &[], "", allow), Err(GuardError::UnknownTarget));
        }
    }

    #[test]
    fn an_unknown_source_needs_the_option() {
        for clusters in [names(&[]), names(&[""]), names(&["a", ""])] {
            let refused = check(&clusters, &[], "t", false).expect_err("unknown");
            assert!(refused.to_string().contains("--allow-unknown-source"));
            assert_eq!(check(&clusters, &[], "t", true), Ok(()));
        }
        assert_eq!(check(&names(&["a"]), &names(&["p"]), "t", false), Ok(()));
    }
}
