//! Which time of a record counts: decided once, for every stream, before anything is sent, and said.
//!
//! `auto`: append time, else sane create time, else arrival. Create times are sane when 99 % of a stream's records lie
//! between 2000-01-01 and arrival + 1 h, and at most 5 min behind the largest before them; never judged by their distance
//! to arrival, which is wrong after a catch-up. Append and create time may mix across streams; arrival mixes with them
//! only where no record was read in catch-up, else the choice is refused. Pure.

use dejaq_shared::segment::timeline::{StreamClock, TimeStatistics};
use dejaq_shared::units::{format_count, format_percent};

/// One stream's times, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamTimes {
    /// Its name, for people.
    pub name: String,
    /// What its times are like.
    pub times: TimeStatistics,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockOption {
    /// The rule above.
    #[default]
    Auto,
    /// This clock, for every stream.
    Only(StreamClock),
}

impl ClockOption {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Only(clock) => clock.name(),
        }
    }
}

/// The choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockDecision {
    /// Each stream's clock, in order; streams without records have one too.
    pub clocks: Vec<StreamClock>,
    /// What was chosen and why, for people, a line each.
    pub reasons: Vec<String>,
}

/// A choice that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// Arrival time would have to mix with broker time after a catch-up.
    #[error(
        "{arrival} has no usable broker time ({why}), {broker} has, and {catch_up} records of {arrival} were read in catch-up, so their arrival times do not fit; give --clock arrival for all streams, --clock create, or leave streams out with --streams"
    )]
    Mixed {
        /// A stream that would go by arrival.
        arrival: String,
        /// Why it would.
        why: String,
        /// A stream that goes by broker time.
        broker: String,
        /// How many of the first one's records were read in catch-up.
        catch_up: String,
    },
    /// The clock asked for is not there.
    #[error(
        "--clock {clock}: {without} of {records} records of {stream} have no {clock} time; give --clock auto, or leave the stream out with --streams"
    )]
    Absent {
        /// The clock asked for.
        clock: &'static str,
        /// The stream.
        stream: String,
        /// Its records without that time.
        without: u64,
        /// Its records.
        records: u64,
    },
}

/// Decides for the streams that are replayed.
///
/// # Errors
/// [`ClockError`].
pub fn choose(option: ClockOption, streams: &[StreamTimes]) -> Result<ClockDecision, ClockError> {
    let clocks = match option {
        ClockOption::Only(clock) => {
            for stream in streams {
                check_present(clock, stream)?;
            }
            vec![clock; streams.len()]
        }
        ClockOption::Auto => {
            let clocks: Vec<StreamClock> = streams.iter().map(|s| s.times.preferred_clock()).collect();
            check_mix(&clocks, streams)?;
            clocks
        }
    };
    let reasons = reasons(option, &clocks, streams);
    Ok(ClockDecision { clocks, reasons })
}

/// Why a stream's clock is what the rule makes it, in words.
fn why(times: &TimeStatistics) -> String {
    let odd = times.odd();
    match times.preferred_clock() {
        StreamClock::Append => "every record has append time".to_owned(),
        StreamClock::Create if odd == 0 => "its create times are sane".to_owned(),
        StreamClock::Create => format!("its create times are sane but for {} of {}", format_count(odd), format_count(times.records)),
        StreamClock::Arrival if times.create + times.append == 0 => "it has no broker time".to_owned(),
        StreamClock::Arrival => format!("{} of its records have no sane create time", format_percent(odd as f64 / times.records as f64)),
    }
}

fn check_mix(clocks: &[StreamClock], streams: &[StreamTimes]) -> Result<(), ClockError> {
    let with_records = || streams.iter().zip(clocks).filter(|(s, _)| s.times.records > 0);
    let Some((broker, _)) = with_records().find(|(_, c)| **c != StreamClock::Arrival) else { return Ok(()) };
    match with_records().find(|(s, c)| **c == StreamClock::Arrival && s.times.catch_up > 0) {
        None => Ok(()),
        Some((arrival, _)) => Err(ClockError::Mixed {
            arrival: arrival.name.clone(),
            why: why(&arrival.times),
            broker: broker.name.clone(),
            catch_up: format_count(arrival.times.catch_up),
        }),
    }
}

fn check_present(clock: StreamClock, stream: &StreamTimes) -> Result<(), ClockError> {
    let times = &stream.times;
    // Append time is a broker time as well: a topic that was switched holds both. Few records without any time are let
    // through with create time (they take their predecessor's).
    let (with, tolerated) = match clock {
        StreamClock::Append => (times.append, 0),
        StreamClock::Create => (times.create + times.append, times.records / 100),
        StreamClock::Arrival => (times.records, 0),
    };
    let without = times.records.saturating_sub(with);
    if without > tolerated {
        return Err(ClockError::Absent { clock: clock.name(), stream: stream.name.clone(), without, records: times.records });
    }
    Ok(())
}

fn reasons(option: ClockOption, clocks: &[StreamClock], streams: &[StreamTimes]) -> Vec<String> {
    let mut lines = Vec::new();
    for clock in [StreamClock::Append, StreamClock::Create, StreamClock::Arrival] {
        let of_clock: Vec<&StreamTimes> =
            streams.iter().zip(clocks).filter(|(s, c)| **c == clock && s.times.records > 0).map(|(s, _)| s).collect();
        let Some(first) = of_clock.first() else { continue };
        let why = if option == ClockOption::Auto { why(&first.times) } else { "asked for with --clock".to_owned() };
        let which = match of_clock.len() {
            1 => first.name.clone(),
            more => format!("{} and {} more", first.name, more - 1),
        };
        lines.push(format!("{} time for {which}: {why}", clock.name()));
        let odd: u64 = of_clock.iter().map(|s| s.times.odd()).sum();
        if clock == StreamClock::Create && odd > 0 {
            lines.push(format!("{} records without a sane create time take their predecessor's", format_count(odd)));
        }
        if clock == StreamClock::Arrival && of_clock.iter().any(|s| s.times.catch_up > 0) {
            lines.push("part of it was read in catch-up: arrival times show the reading, not the traffic".to_owned());
        }
        if clock == StreamClock::Arrival && of_clock.iter().any(|s| s.times.arrival_backwards > 0) {
            lines.push("the capture's clock was set back between two of its runs: such records take their predecessor's time".to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(name: &str, records: u64, append: u64, create: u64, insane: u64, catch_up: u64) -> StreamTimes {
        let times = TimeStatistics { records, append, create, create_insane: insane, catch_up, ..TimeStatistics::default() };
        StreamTimes { name: name.to_owned(), times }
    }

    fn auto(streams: &[StreamTimes]) -> Result<Vec<StreamClock>, ClockError> {
        choose(ClockOption::Auto, streams).map(|d| d.clocks)
    }

    #[test]
    fn append_then_sane_create_then_arrival() {
        assert_eq!(auto(&[times("a", 100, 100, 0, 0, 50)]), Ok(vec![StreamClock::Append]));
        assert_eq!(auto(&[times("a", 100, 0, 100, 1, 50)]), Ok(vec![StreamClock::Create]));
        assert_eq!(auto(&[times("a", 100, 0, 100, 2, 0)]), Ok(vec![StreamClock::Arrival]));
        assert_eq!(auto(&[times("a", 100, 0, 0, 0, 100)]), Ok(vec![StreamClock::Arrival]));
    }

    #[test]
    fn append_and_create_mix_and_arrival_only_without_catch_up() {
        let (append, create) = (times("a", 9, 9, 0, 0, 9), times("c", 9, 0, 9, 0, 9));
        assert_eq!(auto(&[append, create.clone()]), Ok(vec![StreamClock::Append, StreamClock::Create]));
        assert_eq!(auto(&[create.clone(), times("n", 9, 0, 0, 0, 0)]), Ok(vec![StreamClock::Create, StreamClock::Arrival]));
        let refused = auto(&[create, times("n", 9, 0, 0, 0, 1)]).expect_err("mixed");
        assert!(refused.to_string().contains("--clock arrival"), "{refused}");
        // A stream without records mixes with anything.
        assert_eq!(auto(&[times("e", 0, 0, 0, 0, 0), times("n", 9, 0, 0, 0, 5)]), Ok(vec![StreamClock::Append, StreamClock::Arrival]));
    }

    #[test]
    fn a_clock_that_is_not_there_is_refused() {
        let stream = [times("a/0", 10, 0, 10, 0, 0)];
        let refused = choose(ClockOption::Only(StreamClock::Append), &stream).expect_err("no append time");
        assert_eq!(refused, ClockError::Absent { clock: "append", stream: "a/0".into(), without: 10, records: 10 });
        assert_eq!(choose(ClockOption::Only(StreamClock::Arrival), &stream).map(|d| d.clocks), Ok(vec![StreamClock::Arrival]));
        assert_eq!(choose(ClockOption::Only(StreamClock::Create), &stream).map(|d| d.clocks), Ok(vec![StreamClock::Create]));
    }

    #[test]
    fn it_says_what_it_chose() {
        let said = choose(ClockOption::Auto, &[times("a/0", 200, 0, 200, 2, 0), times("a/1", 5, 0, 5, 0, 0)]).expect("sane").reasons;
        assert_eq!(
            said,
            [
                "create time for a/0 and 1 more: its create times are sane but for 2 of 200",
                "2 records without a sane create time take their predecessor's"
            ]
        );
    }
}
