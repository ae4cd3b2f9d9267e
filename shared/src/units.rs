//! Durations, rates, sizes and times as people write them, and as they like to read them.
//!
//! Parsing is exact: decimals become fractions of integers ([`Ratio`]), never floating point, so that a speed or a rate
//! means the same on every machine. A text that cannot be understood, or a number too large to be held, is a
//! [`UnitError`] that shows the text and an example of what is expected. Formatting is for people and rounds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod format;
pub use format::{format_bytes, format_count, format_duration_ns, format_ns, format_percent, format_rate, format_time_ns};

/// A text that is not what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct UnitError {
    /// What was found.
    pub text: String,
    /// What is expected, with an example.
    pub expected: &'static str,
}

const DURATION: &str = "a duration such as 500ms, 5s, 10m or 24h";
const RATE: &str = "a rate such as 200/s, 50k/s or 1.5M/s";
const BYTE_RATE: &str = "a byte rate such as 10MiB/s or 10MB/s";
const SIZE: &str = "a size such as 64MiB, 10MB or 4096";
const TIME: &str = "a time such as 2026-03-01T12:00:00Z or 2026-03-01T14:00:00.25+02:00 (RFC 3339, from 1970 to 2262)";
const PERCENT: &str = "a percentage such as 5% or 0.1%";
const RATIO: &str = "a positive number such as 4 or 0.5";

fn error(text: &str, expected: &'static str) -> UnitError {
    UnitError { text: text.to_owned(), expected }
}

/// A positive fraction of two integers, in lowest terms: an exact speed, or an exact number per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    num: u64,
    den: u64,
}

impl Ratio {
    /// One.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// `num / den` in lowest terms; `None` unless both are positive.
    #[must_use]
    pub fn new(num: u64, den: u64) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let divisor = gcd(num, den);
        Some(Self { num: num / divisor, den: den / divisor })
    }

    /// The numerator.
    #[must_use]
    pub fn num(self) -> u64 {
        self.num
    }

    /// The denominator.
    #[must_use]
    pub fn den(self) -> u64 {
        self.den
    }

    /// Roughly, for people.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.den == 1 { write!(f, "{}", self.num) } else { write!(f, "{}", self.as_f64()) }
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Reads `digits[.digits]` as an exact fraction over a power of ten: `(numerator, denominator)`.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || (text.contains('.') && fraction.is_empty()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let den = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some((whole.checked_mul(den)?.checked_add(part)?, den))
}

/// Splits a text into its leading number and what follows, spaces between them left out.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn scaled(number: &str, factor: u64) -> Option<(u64, u64)> {
    let (num, den) = decimal(number)?;
    Some((num.checked_mul(factor)?, den))
}

/// Reads a positive decimal number as an exact fraction: `4`, `0.5`, `1.25`.
///
/// # Errors
/// [`UnitError`] for anything else, zero included.
pub fn parse_ratio(text: &str) -> Result<Ratio, UnitError> {
    let (num, den) = decimal(text.trim()).ok_or_else(|| error(text, RATIO))?;
    Ratio::new(num, den).ok_or_else(|| error(text, RATIO))
}

/// Reads a duration: `500ms`, `5s`, `1h 30m`.
///
/// # Errors
/// [`UnitError`] for anything else, and for more than 584 years.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let duration = humantime::parse_duration(text.trim()).map_err(|_| error(text, DURATION))?;
    if u64::try_from(duration.as_nanos()).is_err() {
        return Err(error(text, DURATION));
    }
    Ok(duration)
}

/// A duration's nanoseconds; `u64::MAX` (584 years) at most, which [`parse_duration`] never exceeds.
#[must_use]
pub fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Reads a rate in messages per second: `200/s`, `50k/s`, `1.5M/s`, `1G/s`.
///
/// # Errors
/// [`UnitError`] for anything else, zero included.
pub fn parse_rate(text: &str) -> Result<Ratio, UnitError> {
    let refuse = || error(text, RATE);
    let per_second = text.trim().strip_suffix("/s").ok_or_else(refuse)?;
    let (number, unit) = split_number(per_second.trim_end());
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return Err(refuse()),
    };
    let (num, den) = scaled(number, factor).ok_or_else(refuse)?;
    Ratio::new(num, den).ok_or_else(refuse)
}

/// Reads a rate in bytes per second, as whole bytes (rounded down): `10MiB/s`, `10MB/s`, `512B/s`.
///
/// # Errors
/// [`UnitError`] for anything else, and for less than one byte per second.
pub fn parse_byte_rate(text: &str) -> Result<u64, UnitError> {
    let refuse = || error(text, BYTE_RATE);
    let size = text.trim().strip_suffix("/s").ok_or_else(refuse)?;
    match bytes(size) {
        Some(rate) if rate > 0 => Ok(rate),
        _ => Err(refuse()),
    }
}

/// Reads a size in bytes (rounded down to whole ones): `64MiB`, `10MB`, `1.5GiB`, `4096`.
///
/// # Errors
/// [`UnitError`] for anything else.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    bytes(text).ok_or_else(|| error(text, SIZE))
}

fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text.trim());
    let factor = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" | "kiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    let (num, den) = scaled(number, factor)?;
    Some(num / den)
}

/// Reads an RFC 3339 time, with up to nine digits of a second and any offset, as nanoseconds since 1970.
///
/// # Errors
/// [`UnitError`] for anything else, and for times before 1970 or after 2262.
pub fn parse_time(text: &str) -> Result<i64, UnitError> {
    let refuse = || error(text, TIME);
    let upper = text.trim().to_ascii_uppercase();
    let (utc, offset_s) = split_offset(&upper).ok_or_else(refuse)?;
    let time = humantime::parse_rfc3339(&format!("{utc}Z")).map_err(|_| refuse())?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| refuse())?;
    let ns = i128::try_from(since.as_nanos()).map_err(|_| refuse())? - i128::from(offset_s) * 1_000_000_000;
    if ns < 0 {
        return Err(refuse());
    }
    i64::try_from(ns).map_err(|_| refuse())
}

/// Takes `Z` or `±HH:MM` off the end: what is before it, and the offset in seconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(utc) = text.strip_suffix('Z') {
        return Some((utc, 0));
    }
    let at = text.len().checked_sub(6)?;
    let (local, offset) = (text.get(..at)?, text.get(at..)?);
    let sign = match offset.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let two_digits = |s: &str| if s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit()) { s.parse::<i64>().ok() } else { None };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours < 24 && minutes < 60).then_some((local, sign * (hours * 3_600 + minutes * 60)))
}

/// Reads a percentage as a share: `5%` is 0.05.
///
/// # Errors
/// [`UnitError`] for anything else.
pub fn parse_percent(text: &str) -> Result<f64, UnitError> {
    let refuse = || error(text, PERCENT);
    let number = text.trim().strip_suffix('%').ok_or_else(refuse)?.trim_end();
    let (num, den) = decimal(number).ok_or_else(refuse)?;
    Ok(num as f64 / den as f64 / 100.0)
}

/// A time in nanoseconds since 1970 as the system's own type.
#[must_use]
pub fn system_time(ns: i64) -> SystemTime {
    let by = Duration::from_nanos(ns.unsigned_abs());
    if ns < 0 { UNIX_EPOCH - by } else { UNIX_EPOCH + by }
}

#[cfg(test)]
mod tests;
