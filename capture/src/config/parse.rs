//! One value each, from text.

use std::fmt;
use std::time::Duration;

use dejaq_shared::broker::source::{StartAt, TopicSelection};
use dejaq_shared::units::{parse_byte_rate, parse_duration, parse_size, parse_time};

use super::{Compress, ConfigError, DEFAULT_LEVEL, Replayed, Scalar, WATCH_EVERY_MAX};

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Truth(t) => t.fmt(f),
            Self::Text(t) => f.write_str(t),
        }
    }
}

pub(super) fn refuse<T>(key: &'static str, found: impl fmt::Display, expected: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Value { key, found: found.to_string(), expected: expected.to_owned() })
}

/// Splits at commas, but not inside a pattern's brackets: `a,^b{1,2},^c` are three.
fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut escaped) = (Vec::new(), 0, 0usize, false);
    for (at, c) in list.char_indices() {
        match c {
            _ if escaped => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&list[start..]);
    parts
}

pub(super) fn topics(list: &[String]) -> Result<TopicSelection, ConfigError> {
    let names: Vec<&str> = list.iter().flat_map(|item| split(item)).collect();
    if names.iter().any(|n| n.trim().is_empty()) {
        return refuse("topics", list.join(","), "names and ^patterns, none of them empty");
    }
    TopicSelection::parse(names.iter().map(|n| n.trim())).map_err(|e| ConfigError::Value {
        key: "topics",
        found: e.pattern.clone(),
        expected: format!("a regular expression ({})", e.reason),
    })
}

pub(super) fn start(text: Option<&str>) -> Result<StartAt, ConfigError> {
    match text {
        None | Some("end") => Ok(StartAt::End),
        Some("beginning") => Ok(StartAt::Beginning),
        Some(time) => match parse_time(time) {
            Ok(ns) => Ok(StartAt::Time(ns)),
            Err(_) => refuse("start", time, "\"end\", \"beginning\" or a time like 2026-01-31T12:00:00Z"),
        },
    }
}

pub(super) fn until(text: Option<&str>) -> Result<bool, ConfigError> {
    match text {
        None => Ok(false),
        Some("end") => Ok(true),
        Some(other) => refuse("until", other, "\"end\" (for a time use --for, for a number --records)"),
    }
}

/// Exchanges have no log: nothing that has passed is there any more, and there is no end.
pub(super) fn refuse_places(start: StartAt, until_end: bool) -> Result<(), ConfigError> {
    if start != StartAt::End {
        let found = if start == StartAt::Beginning { "beginning" } else { "a time" };
        return refuse("start", found, "\"end\" with exchanges: what they have passed on before is gone");
    }
    if until_end {
        return refuse("until", "end", "--for or --records with exchanges: they have no end");
    }
    Ok(())
}

pub(super) fn records(number: Option<u64>) -> Result<Option<u64>, ConfigError> {
    match number {
        Some(0) => refuse("records", 0, "at least 1"),
        other => Ok(other),
    }
}

pub(super) fn replayed(text: Option<&str>) -> Result<Replayed, ConfigError> {
    match text {
        None | Some("stop") => Ok(Replayed::Stop),
        Some("include") => Ok(Replayed::Include),
        Some(other) => refuse("replayed", other, "\"stop\" or \"include\""),
    }
}

pub(super) fn compress(value: Option<&Scalar>) -> Result<Compress, ConfigError> {
    let Some(value) = value else { return Ok(Compress::Level(DEFAULT_LEVEL)) };
    let text = value.to_string();
    match text.as_str() {
        "none" => return Ok(Compress::None),
        "auto" => return Ok(Compress::Auto),
        _ => {}
    }
    match text.parse::<i32>() {
        Ok(level) if (1..=19).contains(&level) => Ok(Compress::Level(level)),
        _ => refuse("compress", text, "a zstd level from 1 to 19, \"none\" or \"auto\""),
    }
}

pub(super) fn duration(key: &'static str, text: &str) -> Result<Duration, ConfigError> {
    match parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => refuse(key, text, "a time like 30s, 10m or 24h"),
    }
}

pub(super) fn watch_every(text: Option<&str>) -> Result<Duration, ConfigError> {
    let every = text.map_or(Ok(WATCH_EVERY_MAX), |t| duration("watch_every", t))?;
    if every > WATCH_EVERY_MAX || every < Duration::from_millis(10) {
        return refuse("watch_every", humantime::format_duration(every), "10ms to 30s: a new partition is looked for that often");
    }
    Ok(every)
}

pub(super) fn rate(key: &'static str, value: Option<&Scalar>) -> Result<Option<u64>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    let text = value.to_string();
    // A bare number of bytes is a rate here: TOML has numbers.
    let rate = if text.trim_end().ends_with("/s") { parse_byte_rate(&text) } else { parse_size(&text) };
    match rate {
        Ok(bytes) if bytes >= 10 << 10 => Ok(Some(bytes)),
        _ => refuse(key, text, "a rate like 50MB/s or 20MiB/s, at least 10KiB/s"),
    }
}

pub(super) fn bytes(key: &'static str, value: Option<&Scalar>) -> Result<Option<u64>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    let text = value.to_string();
    match parse_size(&text) {
        Ok(bytes) if bytes > 0 => Ok(Some(bytes)),
        _ => refuse(key, text, "a size like 500MB, 64MiB or 1048576"),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_comma_in_a_patterns_brackets_does_not_end_it() {
        assert_eq!(split("a,^b{1,2},^c[,x](d,e)"), ["a", "^b{1,2}", "^c[,x](d,e)"]);
        assert_eq!(split(r"^a\{,b"), [r"^a\{", "b"]);
        assert_eq!(split(""), [""]);
    }
}
