//! A rate curve that is imposed on a recording (`--profile`), in recorded order.
//!
//! ```text
//! profile = part { "," part }
//! part    = "ramp"  [RATE ".."] RATE DUR            from the rate so far (or the first one given) straight to another
//!         | "hold"  [RATE] DUR                      one rate: that given, or the one so far
//!         | "spike" "x"N DUR                        N times the rate so far, which then goes on (N below 1 is a dip)
//!         | "step"  RATE ".." RATE "x"N DUR         N stairs of equal length, the first and the last at the rates given
//!         | "sine"  RATE ".." RATE DUR ["every" DUR]  a wave from the first to the second rate and back, once or in periods
//! RATE    = 200/s, 1.5k/s, 2M/s, 0/s: at most 1G/s, no finer than a millionth of a message per second
//! DUR     = 500ms, 30s, 1h30m
//! ```
//!
//! Guarantees: message `i` is due at the last nanosecond at which the curve's cumulative count is not above `i`, counted from the
//! start of the run, in exact integers; so nothing drifts, times never decrease, and a part of `n` messages has `n`. A floating
//! point guess only says where the search begins. A sine is drawn by straight pieces (see `wave`). The end of the profile is the
//! end of the run: messages at or after it have no time.

use std::fmt;

mod parse;
mod wave;

pub use crate::pointed::Pointed as ProfileError;

/// Rates are in millionths of a message per second.
const MICRO: u64 = 1_000_000;
/// A message, in the unit of areas: half a nanosecond times a millionth of a message per second.
const MESSAGE: u128 = 2 * 1_000_000_000 * MICRO as u128;

/// A straight piece of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    at_ns: u64,
    len_ns: u64,
    /// The area before it.
    at: u128,
    from: u64,
    to: u64,
}

/// A part of the curve: its pieces, as often as they are repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    at_ns: u64,
    at: u128,
    period_ns: u64,
    period: u128,
    pieces: Vec<Piece>,
}

/// A rate curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    text: String,
    stretches: Vec<Stretch>,
    len_ns: u64,
    area: u128,
}

impl Profile {
    /// Reads a curve.
    ///
    /// # Errors
    /// [`ProfileError`], with the column.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        parse::parse(text)
    }

    /// How long it is, in nanoseconds.
    #[must_use]
    pub fn len_ns(&self) -> u64 {
        self.len_ns
    }

    /// Its parts as they were written, and when each begins, nanoseconds after the start.
    #[must_use]
    pub fn parts(&self) -> Vec<(u64, String)> {
        self.stretches.iter().zip(self.text.split(',')).map(|(stretch, text)| (stretch.at_ns, text.trim().to_owned())).collect()
    }

    /// How many messages it has.
    #[must_use]
    pub fn messages(&self) -> u64 {
        u64::try_from(self.area.div_ceil(MESSAGE)).unwrap_or(u64::MAX)
    }

    /// Its highest rate, in messages per second.
    #[must_use]
    pub fn peak_per_s(&self) -> f64 {
        let rates = self.stretches.iter().flat_map(|s| &s.pieces).map(|p| p.from.max(p.to));
        rates.max().unwrap_or(0) as f64 / MICRO as f64
    }

    /// When message `index` (from 0) is due, nanoseconds after the start; `None` after the end.
    #[must_use]
    pub fn due_ns(&self, index: u64) -> Option<u64> {
        let area = u128::from(index) * MESSAGE;
        if area >= self.area {
            return None;
        }
        // What has no area is passed over: the last one that begins at or before this area is where it lies.
        let stretch = self.stretches[..self.stretches.partition_point(|s| s.at <= area)].last()?;
        let (periods, rest) = ((area - stretch.at) / stretch.period, (area - stretch.at) % stretch.period);
        let piece = stretch.pieces[..stretch.pieces.partition_point(|p| p.at <= rest)].last()?;
        let before = u64::try_from(periods).unwrap_or(u64::MAX).saturating_mul(stretch.period_ns);
        Some(stretch.at_ns + before + piece.at_ns + piece.last_not_above(rest - piece.at))
    }

    /// How many messages are due before `at_ns`.
    #[must_use]
    pub fn count_until(&self, at_ns: u64) -> u64 {
        let (mut low, mut high) = (0, self.messages());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.due_ns(middle).is_some_and(|due| due < at_ns) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Piece {
    fn area(&self) -> u128 {
        (u128::from(self.from) + u128::from(self.to)) * u128::from(self.len_ns)
    }

    /// Whether the area of the first `t` nanoseconds is not above `area`.
    fn is_not_above(&self, t: u64, area: u128) -> bool {
        let level = 2 * u128::from(self.from) * u128::from(t);
        let bend = wide(u128::from(self.from.abs_diff(self.to)) * u128::from(t), u128::from(t));
        if self.to >= self.from {
            level <= area && bend <= wide(area - level, u128::from(self.len_ns))
        } else {
            level <= area || wide(level - area, u128::from(self.len_ns)) <= bend
        }
    }

    /// The last nanosecond of this piece at which its area is not above `area`, which is less than the whole.
    fn last_not_above(&self, area: u128) -> u64 {
        if self.from == self.to {
            return u64::try_from(area / (2 * u128::from(self.from)).max(1)).unwrap_or(u64::MAX);
        }
        let guess = self.guess(area);
        // The area at `low` is not above, that at `high` is.
        let (mut low, mut high, mut step) = (0, self.len_ns, 1);
        if self.is_not_above(guess, area) {
            low = guess;
            while step < high - low && self.is_not_above(low + step, area) {
                low += step;
                step *= 2;
            }
            high = high.min(low.saturating_add(step));
        } else {
            high = guess;
            while step < high {
                if self.is_not_above(high - step, area) {
                    low = high - step;
                    break;
                }
                high -= step;
                step *= 2;
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.is_not_above(middle, area) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// About where the area is reached.
    fn guess(&self, area: u128) -> u64 {
        let (from, to, area, len) = (self.from as f64, self.to as f64, area as f64, self.len_ns as f64);
        let root = (from * from + (to - from) * area / len).max(0.0).sqrt();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a guess: the search mends it; NaN becomes 0")]
        let guess = (area / (from + root)) as u64;
        guess.min(self.len_ns - 1)
    }
}

/// The whole product, high half first.
fn wide(a: u128, b: u128) -> (u128, u128) {
    let (low, high) = a.carrying_mul(b, 0);
    (high, low)
}

#[cfg(test)]
mod tests;
