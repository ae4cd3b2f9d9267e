//! What can be wrong with rules, in words: which rule, where in its file, what was found, what is expected.

use super::formats::OpenError;

/// A place in the rule file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// Where a byte of a text stands.
    #[must_use]
    pub fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Self { line: before.matches('\n').count() + 1, column }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why rules cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Not TOML, an unknown key, a value of another kind. The text begins with the place.
    #[error("{0}")]
    Toml(String),
    /// A value that makes no sense.
    #[error("{place}: {key}: found {found}, expected {expected}")]
    Value {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// A key that is needed.
    #[error("{place}: this rule lacks {key}: {why}")]
    Missing {
        /// Where the rule begins.
        place: Place,
        /// The key.
        key: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// Two keys of a rule that exclude each other.
    #[error("{place}: {one} and {other} contradict each other: {why}")]
    Contradiction {
        /// Where the rule begins.
        place: Place,
        /// One key.
        one: &'static str,
        /// The other.
        other: &'static str,
        /// Why they do.
        why: &'static str,
    },
    /// No rule at all.
    #[error("there is no rule in it; write [[expand]] or [[retime]]")]
    Empty,
    /// Streams that do not exist.
    #[error("{place}: streams = {glob:?} matches no stream of the recording; it has {known}")]
    NoStream {
        /// Where the rule begins.
        place: Place,
        /// The glob.
        glob: String,
        /// Some of the streams there are.
        known: String,
    },
    /// `format = "auto"` where nothing was recognised.
    #[error("{place}: format = \"auto\": the format of {streams} was not recognised; name it")]
    Unrecognised {
        /// Where the rule begins.
        place: Place,
        /// Streams.
        streams: String,
    },
    /// A format that cannot look for what the rule wants.
    #[error("{place}: {error}")]
    Open {
        /// Where the rule begins.
        place: Place,
        /// Why.
        error: OpenError,
    },
    /// Two rules that get in each other's way.
    #[error("{place}: this rule and the one at {other} both {what} of stream {stream}; leave one of them out, or narrow its streams")]
    Clash {
        /// Where the later rule begins.
        place: Place,
        /// Where the earlier one does.
        other: Place,
        /// What they both do.
        what: String,
        /// A stream that both are for.
        stream: String,
    },
    /// A rule for a tag that no payload has.
    #[error(
        "{place}: no payload has {tag}: of {payloads} payloads of its streams {malformed} are not {format}{example}, and {samples} samples lack it; `dejaq inspect DIR --tags` lists those that there are, mode = \"add\" adds one"
    )]
    NoTag {
        /// Where the rule begins.
        place: Place,
        /// The tag or tags.
        tag: String,
        /// Payloads looked at.
        payloads: u64,
        /// Those that could not be parsed.
        malformed: u64,
        /// The format.
        format: &'static str,
        /// One of those, in brackets.
        example: String,
        /// Samples without it.
        samples: u64,
    },
    /// Too much to be counted exactly in flat memory.
    #[error("{place}: {what}: {found}, at most {most} are possible; {remedy}")]
    TooMany {
        /// Where the rule begins.
        place: Place,
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// The limit.
        most: u64,
        /// What to do.
        remedy: &'static str,
    },
}
