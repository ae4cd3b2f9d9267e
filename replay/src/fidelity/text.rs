//! Fidelity for a person.

use std::fmt::Write as _;

use super::Fidelity;

/// The score, and the parts under it.
#[must_use]
pub fn text(fidelity: &Fidelity) -> String {
    let mut out = format!("fidelity {:.4}: the lowest part, {}\n\n", fidelity.score, fidelity.lowest);
    for part in &fidelity.parts {
        let score = part.score.map_or("-".to_owned(), |score| format!("{score:.4}"));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:<14}{score:>8}   {}", part.name, part.detail);
    }
    out
}
