//! Numbers for people: rounded, with a unit, never for a machine to read back.

use super::system_time;

/// A latency: `950 ns`, `12.3 µs`, `4.56 ms`, `1.23 s`, `2 min 5 s`.
#[must_use]
pub fn format_ns(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", three_digits(ns as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three_digits(ns as f64 / 1e6)),
        1_000_000_000..60_000_000_000 => format!("{} s", three_digits(ns as f64 / 1e9)),
        _ => format_duration_ns(ns),
    }
}

/// A length of time in whole seconds from a minute on: `2 h 0 min 5 s`; below that as [`format_ns`].
#[must_use]
pub fn format_duration_ns(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match seconds {
        0..60 => format_ns(ns),
        60..3_600 => format!("{minutes} min {rest} s"),
        3_600..86_400 => format!("{hours} h {minutes} min {rest} s"),
        _ => format!("{days} d {hours} h {minutes} min"),
    }
}

/// A size: `512 B`, `1.5 KiB`, `64 MiB`.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_023.95 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// A count with its thousands apart: `1,234,567`.
#[must_use]
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Messages per second: `0.5/s`, `200/s`, `51.3k/s`, `1.2M/s`.
#[must_use]
pub fn format_rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        return "unbounded".to_owned();
    }
    match per_second {
        r if r >= 999_500.0 => format!("{}M/s", three_digits(r / 1e6)),
        r if r >= 999.5 => format!("{}k/s", three_digits(r / 1e3)),
        r => format!("{}/s", three_digits(r)),
    }
}

/// A share as a percentage: `99.9 %`.
#[must_use]
pub fn format_percent(share: f64) -> String {
    let percent = share * 100.0;
    // 99.96 % must not read as "100 %": whole only when it is.
    let text =
        if share < 1.0 && percent > 99.9 { format!("{:.3}", (percent * 1_000.0).floor() / 1_000.0) } else { format!("{percent:.1}") };
    let text = text.strip_suffix(".0").map_or(text.clone(), str::to_owned);
    format!("{text} %")
}

/// A time in nanoseconds since 1970 as RFC 3339 in UTC, with as many digits as it has; before 1970, the number.
#[must_use]
pub fn format_time_ns(ns: i64) -> String {
    if ns < 0 {
        return format!("{ns} ns since 1970");
    }
    humantime::format_rfc3339(system_time(ns)).to_string()
}

/// Three significant digits, trailing zeros left out.
fn three_digits(value: f64) -> String {
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}
