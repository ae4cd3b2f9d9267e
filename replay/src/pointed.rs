//! A text that cannot be read, with the place in it: for the small grammars of options.

use std::fmt;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointed {
    text: String,
    /// In characters, from 0.
    column: usize,
    what: String,
}

impl Pointed {
    /// Something is wrong at byte `at` of `text`.
    pub(crate) fn new(text: &str, at: usize, what: impl Into<String>) -> Self {
        let column = text.char_indices().take_while(|(ix, _)| *ix < at).count();
        Self { text: text.to_owned(), column, what: what.into() }
    }
}

impl fmt::Display for Pointed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, so that the caret stands below the column.
        let line: String = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        writeln!(f, "column {}: {}", self.column + 1, self.what)?;
        writeln!(f, "  {line}")?;
        write!(f, "  {:>width$}", "^", width = self.column + 1)
    }
}

impl std::error::Error for Pointed {}
