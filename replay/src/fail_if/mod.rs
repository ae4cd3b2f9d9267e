//! `--fail-if 'MEASURE > BOUND'`: a threshold that makes a command end with 4 when it is crossed. One grammar for a run
//! ([`of_run`]: bounds are durations, rates, shares, counts) and for a comparison ([`of_comparison`]: bounds are ratios).
//!
//! ```text
//! threshold = measure ( ">" | ">=" | "<" | "<=" ) bound
//! measure   = NAME | FUNCTION "(" ARGUMENT ")"
//! ```
//!
//! Blanks between the parts mean nothing. An argument may hold anything, as the name of a consumer group does: the relation is
//! the last one in the text. Percentiles are called as `compare` calls them (`p99.9`) or as run.json does (`p999`).

use std::fmt;

pub mod of_comparison;
pub mod of_run;

/// Why an expression is none.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("--fail-if {text:?}: {reason}; for example {example}")]
pub struct FailIfError {
    text: String,
    reason: String,
    example: &'static str,
}

/// When a value is beyond a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Relation {
    /// Whether the value is beyond the bound.
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
        }
    }

    /// Whether larger values are the ones beyond.
    fn is_upward(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        })
    }
}

/// A threshold as the grammar has it; what measures and bounds there are is another matter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expression {
    function: Option<String>,
    /// The measure's name, or the function's argument.
    name: String,
    relation: Relation,
    /// As it was typed.
    bound: String,
}

impl Expression {
    /// Reads one; `Err` is the reason.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let at = text.rfind(['<', '>']).ok_or("no < or > in it")?;
        let (measure, rest) = text.split_at(at);
        let (or_equal, bound) = match rest[1..].strip_prefix('=') {
            Some(bound) => (true, bound),
            None => (false, &rest[1..]),
        };
        let relation = match (rest.starts_with('>'), or_equal) {
            (true, false) => Relation::Above,
            (true, true) => Relation::AtLeast,
            (false, false) => Relation::Below,
            (false, true) => Relation::AtMost,
        };
        let (measure, bound) = (measure.trim(), bound.trim());
        if measure.is_empty() {
            return Err("no measure before the relation");
        }
        if bound.is_empty() {
            return Err("nothing after the relation to compare with");
        }
        let (function, name) = match measure.split_once('(') {
            None => (None, measure),
            Some((function, argument)) => {
                let argument = argument.strip_suffix(')').ok_or("a ( without its )")?;
                (Some(function.trim()), argument.trim())
            }
        };
        // As run.json calls it.
        let function = function.map(|function| if function == "p999" { "p99.9" } else { function }.to_owned());
        Ok(Self { function, name: name.to_owned(), relation, bound: bound.to_owned() })
    }

    /// What is compared: `p99(response)`, `achieved_rate`.
    fn measure(&self) -> String {
        self.function.as_ref().map_or_else(|| self.name.clone(), |function| format!("{function}({})", self.name))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.measure(), self.relation, self.bound)
    }
}

#[cfg(test)]
mod tests;
