//! Whether the values of a JSON field look like times: a guess for a suggested rule, never for a run.

use dejaq_shared::units::parse_time;

use crate::transform::formats::StampUnit;

/// How many values are looked at.
const LOOKED_AT: u32 = 64;
/// 2005 to 2065, in seconds: wide enough for what is recorded, narrow enough that a unit cannot be taken for another.
const SANE_S: std::ops::Range<f64> = 1.1e9..3.0e9;
/// A whole number of seconds this small may be anything; others of these digits are rarely found by chance.
const UNITS: [(StampUnit, f64); 4] =
    [(StampUnit::Seconds, 1.0), (StampUnit::Milliseconds, 1e3), (StampUnit::Microseconds, 1e6), (StampUnit::Nanoseconds, 1e9)];

/// What the values so far look like.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Guess {
    looked: u32,
    unit: Option<StampUnit>,
}

impl Guess {
    /// Looks at another value.
    pub(super) fn look(&mut self, value: &[u8]) {
        if self.looked >= LOOKED_AT || (self.looked > 0 && self.unit.is_none()) {
            return;
        }
        let unit = unit_of(value);
        self.unit = if self.looked == 0 || self.unit == unit { unit } else { None };
        self.looked += 1;
    }

    /// The unit that all of them have.
    pub(super) fn unit(self) -> Option<StampUnit> {
        self.unit
    }
}

fn unit_of(value: &[u8]) -> Option<StampUnit> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= 40)?;
    if let Ok(number) = text.parse::<f64>() {
        return UNITS.into_iter().find(|(_, per_s)| SANE_S.contains(&(number / per_s))).map(|(unit, _)| unit);
    }
    parse_time(text).is_ok().then_some(StampUnit::Rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(values: &[&str]) -> Option<StampUnit> {
        let mut guess = Guess::default();
        values.iter().for_each(|v| guess.look(v.as_bytes()));
        guess.unit()
    }

    #[test]
    fn a_unit_is_what_all_values_have() {
        assert_eq!(unit(&["1700000000", "1700000001.5"]), Some(StampUnit::Seconds));
        assert_eq!(unit(&["1700000000123"]), Some(StampUnit::Milliseconds));
        assert_eq!(unit(&["1700000000123456"]), Some(StampUnit::Microseconds));
        assert_eq!(unit(&["1700000000123456789"]), Some(StampUnit::Nanoseconds));
        assert_eq!(unit(&["2023-11-14T22:13:20Z", "2023-11-14T22:13:21.5Z"]), Some(StampUnit::Rfc3339));
        assert_eq!(unit(&["1700000000", "17"]), None);
        assert_eq!(unit(&["17", "1700000000"]), None, "and not again");
        assert_eq!(unit(&["host-1"]), None);
        assert_eq!(unit(&[]), None);
    }
}
