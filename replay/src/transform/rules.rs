//! Rule files: TOML into rules in which nothing contradicts anything. docs/EXPANSION.md describes every key.
//!
//! Unknown keys are errors, every value is checked here, and an error says line, column, what was found and what is
//! expected. What depends on a recording (streams, tags, how many values can be shown) is checked later, by
//! [`Rules::bind`](super::bound) and [`Expansion::new`](super::expansion).

use super::derive::Derived;
use super::error::{Place, RulesError};
use super::formats::{FormatKind, StampField};
use super::pattern::Pattern;

/// The most values that a rule may show: alive at once and born later. Values are counted in bitmaps over their indices.
pub const ASKED_MAX: u64 = 1 << 27;

/// A rule file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// `[[expand]]`, in the order of the file.
    pub expand: Vec<ExpandRule>,
    /// `[[retime]]`, in the order of the file.
    pub retime: Vec<RetimeRule>,
}

/// The format of a rule's payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatChoice {
    /// What is recognised, stream by stream.
    Auto,
    /// This one.
    Named(FormatKind),
}

/// Which samples get a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Those that have the tag.
    #[default]
    Replace,
    /// All of them: where the tag is missing, it is added.
    Add,
}

/// Which value an occurrence gets.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Pick {
    /// All values alike.
    #[default]
    Uniform,
    /// The k-th value in proportion to k to the power of minus this.
    Zipf(f64),
    /// Each original series has values of its own, as many as any other.
    PerSeries,
    /// Each original value becomes another one in every copy and every pass: for ids that occur once.
    Fresh,
}

/// Values die and others are born.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Churn {
    /// The share of the values alive that changes in a period, above 0 and at most 1.
    pub share: f64,
    /// The period, in nanoseconds.
    pub every_ns: u64,
}

/// How the number of values alive rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Curve {
    /// By as many in each step.
    #[default]
    Linear,
    /// By the same factor in each step.
    Exponential,
    /// All at once, at the end.
    Step,
}

/// The number of values alive rises to `distinct`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grow {
    /// Alive at the start; at least 1, below `distinct`.
    pub from: u64,
    /// How long it takes, in nanoseconds.
    pub over_ns: u64,
    /// In which way.
    pub curve: Curve,
}

/// One `[[expand]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpandRule {
    /// Where it begins in the file.
    pub place: Place,
    /// The streams that it is for: a glob.
    pub streams: String,
    /// Their format.
    pub format: FormatChoice,
    /// The tag (`tag`), or the tags of which combinations are made (`tags`).
    pub tags: Vec<String>,
    /// How many values (or combinations: `series`) are alive at once; 0 with [`Pick::Fresh`], which sets no number.
    pub distinct: u64,
    /// Which samples get one.
    pub mode: Mode,
    /// Which one they get.
    pub pick: Pick,
    /// Whether values die and others are born.
    pub churn: Option<Churn>,
    /// Whether their number rises.
    pub grow: Option<Grow>,
    /// Tags that follow.
    pub derive: Vec<Derived>,
    /// How values are written; without it they look like the first one recorded.
    pub pattern: Option<Pattern>,
}

impl ExpandRule {
    /// The tag as reports name it; the tags of a combination are joined by `+`.
    #[must_use]
    pub fn tag(&self) -> String {
        self.tags.join("+")
    }
}

/// One `[[retime]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetimeRule {
    /// Where it begins in the file.
    pub place: Place,
    /// The streams that it is for: a glob.
    pub streams: String,
    /// Their format.
    pub format: FormatChoice,
    /// The field and its unit, for JSON.
    pub field: Option<StampField>,
}

impl Rules {
    /// Reads a rule file.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn from_toml(text: &str) -> Result<Self, RulesError> {
        super::rule_file::read(text)
    }

    /// Whether any rule depends on time: such rules make no sense without a schedule (`--max`).
    #[must_use]
    pub fn need_time(&self) -> bool {
        !self.retime.is_empty() || self.expand.iter().any(|r| r.churn.is_some() || r.grow.is_some())
    }
}
