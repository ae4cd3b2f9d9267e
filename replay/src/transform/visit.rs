//! Where in a payload a rule has an occurrence.
//!
//! One tag: every sample that has it is one occurrence (all its tags of that name get the same value), and so is every shared
//! tag, however many samples share it. Several tags: a sample that has all of them as its own, or a group of samples that
//! shares all of them. With `mode = "add"` a sample without the tag is an occurrence too.

use std::ops::Range;

use super::formats::{Parsed, Sample, Span};
use super::rules::{ExpandRule, Mode};

/// An occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The tags among which the rule's are; those that are not there are added to the sample.
    pub(super) tags: Range<u32>,
    /// Where the first of them stands in the payload: a shared tag can be listed more than once.
    pub(super) raw: Option<Span>,
}

/// The occurrence among a sample's own tags.
pub(super) fn own(parsed: &Parsed, sample: &Sample, rule: &ExpandRule) -> Option<Place> {
    let found = present(parsed, &sample.tags, rule);
    let here = Some(Place { tags: sample.tags.clone(), raw: None });
    if found == rule.tags.len() {
        return here;
    }
    if rule.mode == Mode::Replace {
        return None;
    }
    (present(parsed, &sample.shared, rule) == 0).then_some(here).flatten()
}

/// The occurrence among the tags that a sample shares with others.
pub(super) fn shared(parsed: &Parsed, sample: &Sample, rule: &ExpandRule) -> Option<Place> {
    if sample.shared.is_empty() || present(parsed, &sample.shared, rule) < rule.tags.len() {
        return None;
    }
    let first = named(parsed, &sample.shared, &rule.tags[0]).next()?;
    Some(Place { tags: sample.shared.clone(), raw: Some(parsed.tags[first as usize].raw) })
}

/// The tags with a name.
pub(super) fn named<'p>(parsed: &'p Parsed, tags: &Range<u32>, name: &'p str) -> impl Iterator<Item = u32> + use<'p> {
    tags.clone().filter(move |ix| parsed.get(parsed.tags[*ix as usize].name) == name.as_bytes())
}

fn present(parsed: &Parsed, tags: &Range<u32>, rule: &ExpandRule) -> usize {
    rule.tags.iter().filter(|name| named(parsed, tags, name).next().is_some()).count()
}
