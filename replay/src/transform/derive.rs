//! Derived tags: `rack = "r{host % 40}"`. `{host}` is the value of the rule's tag, `{host % n}` and `{host / n}` are made of
//! its index, so that a value always has the same derived tags.

use super::template::{Piece, pieces};
use crate::digits::push_decimal;

/// A tag that follows from a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The tag's name.
    pub tag: String,
    pieces: Vec<Piece<Follow>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Follow {
    Value,
    Modulo(u64),
    Divided(u64),
}

impl Derived {
    /// Reads a template; `parent` is the rule's tag.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(tag: &str, template: &str, parent: &str) -> Result<Self, String> {
        Ok(Self { tag: tag.to_owned(), pieces: pieces(template, |inside| placeholder(inside, parent))? })
    }

    /// Appends what follows from a value and its index.
    pub fn write(&self, value: &[u8], index: u64, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Hole(Follow::Value) => out.extend_from_slice(value),
                Piece::Hole(Follow::Modulo(n)) => push_decimal(out, index % n, 0),
                Piece::Hole(Follow::Divided(n)) => push_decimal(out, index / n, 0),
            }
        }
    }
}

fn placeholder(inside: &str, parent: &str) -> Result<Follow, String> {
    let refuse = || format!("{{{inside}}} is none of {{{parent}}}, {{{parent} % 40}}, {{{parent} / 40}}");
    let rest = inside.trim().strip_prefix(parent).ok_or_else(refuse)?.trim_start();
    if rest.is_empty() {
        return Ok(Follow::Value);
    }
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(refuse);
    match rest.as_bytes()[0] {
        b'%' => Ok(Follow::Modulo(number(&rest[1..])?)),
        b'/' => Ok(Follow::Divided(number(&rest[1..])?)),
        _ => Err(refuse()),
    }
}
