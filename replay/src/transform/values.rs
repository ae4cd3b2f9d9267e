//! From a value's index to its text, for a rule's tag or for each tag of its combinations.

use super::count::RuleCount;
use super::pattern::Pattern;
use super::rules::ExpandRule;
use super::shape::Shape;
use crate::hash::key;

/// How a rule writes its values.
#[derive(Debug, Clone)]
pub(super) struct Values {
    /// One per tag.
    tags: Vec<Text>,
    /// How many values each tag has; the last one takes the rest.
    radices: Vec<u64>,
}

#[derive(Debug, Clone)]
enum Text {
    Pattern(Pattern),
    Shape(Shape),
}

impl Values {
    pub(super) fn new(rule: &ExpandRule, count: &RuleCount, asked: u64, seed: u64) -> Self {
        let radices = radices(asked, rule.tags.len());
        let text = |(ix, tag): (usize, &String)| {
            if let Some(pattern) = &rule.pattern {
                return Text::Pattern(pattern.clone());
            }
            let known = count.first.get(ix).and_then(Option::as_deref);
            // Of a tag that is added nothing is recorded: its own name serves.
            let plain = tag.rsplit(|c: char| !c.is_alphanumeric()).find(|part| !part.is_empty()).unwrap_or("v");
            Text::Shape(Shape::of(known.unwrap_or(plain.as_bytes()), asked, key(seed, ix as u64)))
        };
        Self { tags: rule.tags.iter().enumerate().map(text).collect(), radices }
    }

    /// Appends the value of one of the rule's tags.
    pub(super) fn write(&self, tag: usize, index: u64, out: &mut Vec<u8>) {
        let before: u64 = self.radices[..tag].iter().product();
        let own = if tag + 1 == self.radices.len() { index / before } else { index / before % self.radices[tag] };
        match &self.tags[tag] {
            Text::Pattern(pattern) => pattern.write(own, out),
            Text::Shape(shape) => shape.write(own, out),
        }
    }
}

/// How many values each of some tags has, so that there are at least as many combinations, and each tag has few.
fn radices(combinations: u64, tags: usize) -> Vec<u64> {
    let mut left = combinations.max(1);
    let radix = |tags_left: usize| {
        let power = u32::try_from(tags_left).unwrap_or(u32::MAX);
        let (mut low, mut high) = (1u64, left);
        while low < high {
            let middle = low + (high - low) / 2;
            if middle.checked_pow(power).is_none_or(|all| all >= left) { high = middle } else { low = middle + 1 }
        }
        left = left.div_ceil(low);
        low
    };
    (1..=tags).rev().map(radix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn combinations_suffice_and_are_balanced(n in 1u64..1_000_000_000, tags in 1usize..8) {
            let radices = radices(n, tags);
            prop_assert!(radices.iter().product::<u64>() >= n);
            prop_assert!(radices.iter().max().unwrap() - radices.iter().min().unwrap() <= 1);
        }
    }
}
