//! Time stamps as payloads write them: read, and moved in the form that they have.
//!
//! - A number (of seconds, milliseconds, microseconds, nanoseconds): digits, perhaps a sign and a fraction. It keeps as many
//!   digits after the point as it has. Exponents are refused: what their last digit is worth is not for us to say.
//! - RFC 3339, and the same with `+hhmm`: keeps its letters, its offset and the digits of its fraction. A leap second counts as
//!   the second after it.
//!
//! A stamp moves by whole units of its last digit, rounded down, so that stamps of one form keep their distances exactly; digits
//! beyond the nanosecond stay. Both the old and the new instant must be between 1677-09-21 and 2262-04-11, which is what
//! nanoseconds in an `i64` can count.

use super::kind::StampUnit;

/// Why a text is no time stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Not of the form.
    Form,
    /// An instant that nanoseconds cannot count.
    Range,
}

const SECOND_NS: i128 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// Nanoseconds since 1970 of a stamp's text (without quotes).
///
/// # Errors
/// [`Unreadable`].
pub(crate) fn read(text: &[u8], unit: StampUnit) -> Result<i64, Unreadable> {
    let ns = match unit_digits(unit) {
        Some(digits) => Number::read(text, digits)?.ns(),
        None => Instant::read(text).ok_or(Unreadable::Form)?.ns(),
    };
    i64::try_from(ns).map_err(|_| Unreadable::Range)
}

/// Appends the text of a stamp, which [`read`] understood, moved by `shift_ns`.
///
/// # Errors
/// [`Unreadable`]: that of the old text, or the new instant is out of range; nothing is appended then.
pub(crate) fn write_moved(text: &[u8], unit: StampUnit, shift_ns: i64, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    match unit_digits(unit) {
        Some(digits) => Number::read(text, digits)?.moved(shift_ns)?.write(out),
        None => Instant::read(text).ok_or(Unreadable::Form)?.moved(shift_ns)?.write(text, out),
    }
    Ok(())
}

/// How many decimal digits after its point a number of this unit has down to the nanosecond.
fn unit_digits(unit: StampUnit) -> Option<usize> {
    match unit {
        StampUnit::Seconds => Some(9),
        StampUnit::Milliseconds => Some(6),
        StampUnit::Microseconds => Some(3),
        StampUnit::Nanoseconds => Some(0),
        StampUnit::Rfc3339 => None,
    }
}

/// Ten to the power of a few digits.
fn power(digits: usize) -> i128 {
    (0..digits).fold(1, |power, _| power * 10)
}

fn in_range(ns: i128) -> Result<(), Unreadable> {
    i64::try_from(ns).map(drop).map_err(|_| Unreadable::Range)
}

/// The number of a fraction's digits, of which there are at most nine.
fn decimal(digits: &[u8]) -> i128 {
    digits.iter().fold(0, |number, digit| number * 10 + i128::from(digit - b'0'))
}

/// A number in units of its last digit that counts.
struct Number<'t> {
    last_digits: i128,
    /// How many of the digits after the point count.
    counted: usize,
    /// What one in the last counted digit is worth.
    quantum_ns: i128,
    /// The digits behind, finer than a nanosecond, and the point if nothing before them counts.
    rest: &'t [u8],
}

impl<'t> Number<'t> {
    fn read(text: &'t [u8], unit_digits: usize) -> Result<Self, Unreadable> {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let negative = digits.len() < text.len();
        let (whole, fraction) = match digits.iter().position(|b| *b == b'.') {
            Some(point) if point + 1 == digits.len() => return Err(Unreadable::Form),
            Some(point) => (&digits[..point], &digits[point + 1..]),
            None => (digits, &digits[digits.len()..]),
        };
        if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Err(Unreadable::Form);
        }
        let whole_from = whole.iter().position(|b| *b != b'0').unwrap_or(whole.len());
        if whole.len() - whole_from > 19 {
            return Err(Unreadable::Range);
        }
        let counted = fraction.len().min(unit_digits);
        let magnitude = decimal(&whole[whole_from..]) * power(counted) + decimal(&fraction[..counted]);
        let rest_from = if counted == 0 { whole.len() } else { whole.len() + 1 + counted };
        Ok(Self {
            last_digits: if negative { -magnitude } else { magnitude },
            counted,
            quantum_ns: power(unit_digits - counted),
            rest: &digits[rest_from..],
        })
    }

    fn ns(&self) -> i128 {
        self.last_digits * self.quantum_ns
    }

    fn moved(mut self, shift_ns: i64) -> Result<Self, Unreadable> {
        self.last_digits += i128::from(shift_ns).div_euclid(self.quantum_ns);
        in_range(self.ns())?;
        Ok(self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        if self.last_digits < 0 {
            out.push(b'-');
        }
        let (magnitude, power) = (self.last_digits.abs(), power(self.counted));
        write_decimal(magnitude / power, 1, out);
        if self.counted > 0 {
            out.push(b'.');
            write_decimal(magnitude % power, self.counted, out);
        }
        out.extend_from_slice(self.rest);
    }
}

/// Appends a number that is not negative, with leading zeros if it is shorter than `width`.
fn write_decimal(mut number: i128, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    while number > 0 || out.len() < start + width {
        // A remainder of ten is one digit.
        out.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
    }
    out[start..].reverse();
}

/// An RFC 3339 text, taken apart.
struct Instant {
    /// Seconds since 1970 on the clock that the text shows.
    local_s: i64,
    /// How many digits of the fraction count.
    counted: usize,
    fraction: i128,
    /// Where the digits that do not count begin, or the zone.
    rest_from: usize,
    offset_s: i64,
}

impl Instant {
    fn read(text: &[u8]) -> Option<Self> {
        // 2018-03-24T17:15:20
        let head = text.first_chunk::<19>()?;
        let field = |range: std::ops::Range<usize>| two_to_four(&head[range]);
        if [head[4], head[7], head[13], head[16]] != *b"--::" || !matches!(head[10], b'T' | b't' | b' ') {
            return None;
        }
        let (year, month, day) = (field(0..4)?, field(5..7)?, field(8..10)?);
        let (hour, minute, second) = (field(11..13)?, field(14..16)?, field(17..19)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut zone_from = head.len();
        let (mut counted, mut fraction, mut rest_from) = (0, 0, zone_from);
        if text.get(zone_from) == Some(&b'.') {
            let digits = text[zone_from + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
            counted = digits.min(9);
            fraction = decimal(&text[zone_from + 1..zone_from + 1 + counted]);
            rest_from = zone_from + 1 + counted;
            zone_from += 1 + digits;
            if digits == 0 {
                return None;
            }
        }
        let local_s = days_from_civil(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
        Some(Self { local_s, counted, fraction, rest_from, offset_s: zone_s(&text[zone_from..])? })
    }

    fn ns(&self) -> i128 {
        i128::from(self.local_s - self.offset_s) * SECOND_NS + self.fraction * power(9 - self.counted)
    }

    fn moved(mut self, shift_ns: i64) -> Result<Self, Unreadable> {
        let shift = i128::from(shift_ns).div_euclid(power(9 - self.counted));
        let per_second = power(self.counted);
        let moved = i128::from(self.local_s) * per_second + self.fraction + shift;
        self.fraction = moved.rem_euclid(per_second);
        self.local_s = i64::try_from(moved.div_euclid(per_second)).map_err(|_| Unreadable::Range)?;
        in_range(self.ns())?;
        Ok(self)
    }

    fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let (year, month, day) = civil_from_days(self.local_s.div_euclid(DAY_S));
        let second = self.local_s.rem_euclid(DAY_S);
        let mut field = |number: i64, width, behind: &[u8]| {
            write_decimal(i128::from(number), width, out);
            out.extend_from_slice(behind);
        };
        field(year, 4, b"-");
        field(month, 2, b"-");
        field(day, 2, &text[10..11]);
        field(second / 3600, 2, b":");
        field(second / 60 % 60, 2, b":");
        field(second % 60, 2, b"");
        if self.counted > 0 {
            out.push(b'.');
            write_decimal(self.fraction, self.counted, out);
        }
        out.extend_from_slice(&text[self.rest_from..]);
    }
}

fn two_to_four(digits: &[u8]) -> Option<i64> {
    digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// The seconds that a zone is ahead of UTC.
fn zone_s(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        b"Z" | b"z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [_, _, b':', _, _] => (&digits[..2], &digits[3..]),
        [_, _, _, _] => digits.split_at(2),
        _ => return None,
    };
    let (hours, minutes) = (two_to_four(hours)?, two_to_four(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date of the Gregorian calendar. Years begin in March here, so that the leap day is their last, and an
/// era is the 400 years after which the calendar repeats.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use StampUnit::{Microseconds, Milliseconds, Nanoseconds, Rfc3339, Seconds};
    use proptest::prelude::*;

    fn moved(text: &str, unit: StampUnit, shift_ns: i64) -> Result<String, Unreadable> {
        let mut out = Vec::new();
        write_moved(text.as_bytes(), unit, shift_ns, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_form_is_read_and_moved_as_it_is_written() {
        const HOUR: i64 = 3600 * 1_000_000_000;
        for (text, unit, ns, shift, after) in [
            ("1521911720", Seconds, 1_521_911_720_000_000_000, HOUR, "1521915320"),
            ("1669574894.2211716", Seconds, 1_669_574_894_221_171_600, 1_500_000_150, "1669574895.7211717"),
            ("1.12345678901234", Seconds, 1_123_456_789, 1, "1.12345679001234"),
            ("0.50", Seconds, 500_000_000, -1_000_000_000, "-0.50"),
            ("-0.50", Seconds, -500_000_000, 1_000_000_000, "0.50"),
            ("-1", Seconds, -1_000_000_000, -1, "-2"),
            ("1446249499322", Milliseconds, 1_446_249_499_322_000_000, -1_500_000, "1446249499320"),
            ("1446249499322.125", Milliseconds, 1_446_249_499_322_125_000, 1_999, "1446249499322.126"),
            ("1521911720600725", Microseconds, 1_521_911_720_600_725_000, 999, "1521911720600725"),
            ("42", Nanoseconds, 42, 1, "43"),
            ("42.7", Nanoseconds, 42, 1, "43.7"),
            ("2018-03-24T17:15:20.600725Z", Rfc3339, 1_521_911_720_600_725_000, 399_276_000, "2018-03-24T17:15:21.000001Z"),
            ("2023-05-13T22:09:38.000-04:00", Rfc3339, 1_684_030_178_000_000_000, HOUR * 2, "2023-05-14T00:09:38.000-04:00"),
            ("2023-12-31 23:59:59+0130", Rfc3339, 1_704_061_799_000_000_000, 1_999_999_999, "2024-01-01 00:00:00+0130"),
            ("2016-12-31t23:59:60z", Rfc3339, 1_483_228_800_000_000_000, 0, "2017-01-01t00:00:00z"),
            ("1969-12-31T23:59:59.123456789012Z", Rfc3339, -876_543_211, -1, "1969-12-31T23:59:59.123456788012Z"),
            ("2024-02-29T00:00:00Z", Rfc3339, 1_709_164_800_000_000_000, HOUR * 24, "2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(read(text.as_bytes(), unit), Ok(ns), "{text}");
            assert_eq!(moved(text, unit, shift).as_deref(), Ok(after), "{text}");
        }
    }

    #[test]
    fn what_is_no_stamp_is_refused() {
        for text in ["", "-", ".5", "1.", "1e9", "+1", " 1", "1_0", "0x1", "--1", "1.2.3", "NaN"] {
            assert_eq!(read(text.as_bytes(), Seconds), Err(Unreadable::Form), "{text}");
        }
        for text in [
            "2018-03-24",
            "2018-03-24T17:15:20",
            "2018-03-24T17:15:20.Z",
            "2018-02-30T17:15:20Z",
            "2018-13-01T17:15:20Z",
            "2018-03-24T24:00:00Z",
            "2018-03-24T17:15:20+1",
            "2018-03-24T17:15:20+24:00",
            "2018-03-24_17:15:20Z",
            "2018-03-24T17:15:20Zz",
            "1521911720",
        ] {
            assert_eq!(read(text.as_bytes(), Rfc3339), Err(Unreadable::Form), "{text}");
        }
        let long = "9".repeat(10_000);
        for (text, unit) in [("9223372037", Seconds), (long.as_str(), Nanoseconds), ("0001-01-01T00:00:00Z", Rfc3339)] {
            assert_eq!(read(text.as_bytes(), unit), Err(Unreadable::Range), "{text}");
        }
        assert_eq!(moved("9223372036", Seconds, i64::MAX), Err(Unreadable::Range));
        assert_eq!(moved("2262-04-11T00:00:00Z", Rfc3339, i64::MAX), Err(Unreadable::Range));
    }

    #[test]
    fn the_calendar_agrees_with_another() {
        for days in (-106_000..106_000).step_by(13) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            if days >= 0 {
                let theirs = dejaq_shared::units::format_time_ns(days * DAY_S * 1_000_000_000);
                assert_eq!(theirs, format!("{year:04}-{month:02}-{day:02}T00:00:00Z"));
            }
        }
    }

    proptest! {
        #[test]
        fn whole_seconds_move_exactly_and_keep_the_form(whole in -1_000_000_000_i64..4_000_000_000, fraction in "(\\.[0-9]{1,12})?", shift_s in -1_000_000_000_i64..1_000_000_000) {
            let text = format!("{whole}{fraction}");
            let after = moved(&text, Seconds, shift_s * 1_000_000_000).unwrap();
            prop_assert_eq!(read(after.as_bytes(), Seconds).unwrap() - read(text.as_bytes(), Seconds).unwrap(), shift_s * 1_000_000_000);
            let places = |text: &str| text.split_once('.').map(|(_, fraction)| fraction.len());
            prop_assert_eq!(places(&after), places(&text));
        }

        #[test]
        fn moving_there_and_back_gives_the_text(ns in -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000, digits in 0..10_usize, zone in "Z|z|[+-](0[0-9]|1[0-4]):?[0-5][0-9]", steps in -1_000_000_000_i64..1_000_000_000) {
            let quantum = i64::try_from(power(9 - digits)).unwrap();
            let mut text = Vec::new();
            write_moved(format!("1970-01-01T00:00:00{}{zone}", if digits > 0 { format!(".{}", "0".repeat(digits)) } else { String::new() }).as_bytes(), Rfc3339, ns, &mut text).unwrap();
            let (mut there, mut back) = (Vec::new(), Vec::new());
            write_moved(&text, Rfc3339, steps * quantum, &mut there).unwrap();
            prop_assert_eq!(read(&there, Rfc3339).unwrap() - read(&text, Rfc3339).unwrap(), steps * quantum);
            write_moved(&there, Rfc3339, -steps * quantum, &mut back).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
