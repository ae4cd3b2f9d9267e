//! Which time of a record counts: decided once, for every stream, before anything is sent, and said.
//!
//! `auto`: append time, else sane create time, else arrival. Create times are sane when 99 % of a stream's records lie
//! between 2000-01-01 and arrival + 1 h, and at most 5 min behind the largest before them; never judged by their distance
//! to arrival, which is wrong after a catch-up. Append and create time may mix across streams; arrival mixes with them
//! only where no record was read in catch-up, else the choice is refused. Pure.

use dejaq_shared::units::{format_count, format_percent};

/// One stream's times, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamTimes {
    /// Its name, for people.
    pub name: String,
    /// Its records.
    pub records: u64,
    /// Those with append time.
    pub append: u64,
    /// Those with create time.
    pub create: u64,
    /// Those of `create` that are insane by the rule above.
    pub insane: u64,
    /// Records read while the capture was behind, whose arrival time says little.
    pub catch_up: u64,
}

/// A clock of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Clock {
    /// The broker's clock at appending.
    Append,
    /// The producer's clock.
    Create,
    /// The capture's clock.
    Arrival,
}

impl Clock {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Create => "create",
            Self::Arrival => "arrival",
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockOption {
    /// The rule above.
    #[default]
    Auto,
    /// This clock, for every stream.
    Only(Clock),
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
    pub clocks: Vec<Clock>,
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

/// The share of insane create times that a stream may have, in hundredths.
const INSANE_PERCENT_MAX: u64 = 1;

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
            let clocks: Vec<Clock> = streams.iter().map(|s| automatic(s).0).collect();
            check_mix(&clocks, streams)?;
            clocks
        }
    };
    let reasons = reasons(option, &clocks, streams);
    Ok(ClockDecision { clocks, reasons })
}

/// A stream's clock by the rule, and why in words.
fn automatic(stream: &StreamTimes) -> (Clock, String) {
    let StreamTimes { records, append, create, insane, .. } = stream;
    if *records == 0 {
        return (Clock::Append, "no records".to_owned());
    }
    if append == records {
        return (Clock::Append, "every record has append time".to_owned());
    }
    // Records without any time count as insane: they take their predecessor's.
    let odd = insane + (records - append - create);
    let timed = create + append;
    if timed > 0 && odd.saturating_mul(100) <= records.saturating_mul(INSANE_PERCENT_MAX) {
        let sane =
            if odd == 0 { "its create times are sane".to_owned() } else { format!("its create times are sane but for {odd} of {records}") };
        return (Clock::Create, sane);
    }
    if timed == 0 {
        return (Clock::Arrival, "it has no broker time".to_owned());
    }
    (Clock::Arrival, format!("{} of its create times are not sane", format_percent(odd as f64 / *records as f64)))
}

fn check_mix(clocks: &[Clock], streams: &[StreamTimes]) -> Result<(), ClockError> {
    let with_records = || streams.iter().zip(clocks).filter(|(s, _)| s.records > 0);
    let Some((broker, _)) = with_records().find(|(_, c)| **c != Clock::Arrival) else { return Ok(()) };
    match with_records().find(|(s, c)| **c == Clock::Arrival && s.catch_up > 0) {
        None => Ok(()),
        Some((arrival, _)) => Err(ClockError::Mixed {
            arrival: arrival.name.clone(),
            why: automatic(arrival).1,
            broker: broker.name.clone(),
            catch_up: format_count(arrival.catch_up),
        }),
    }
}

fn check_present(clock: Clock, stream: &StreamTimes) -> Result<(), ClockError> {
    let with = match clock {
        Clock::Append => stream.append,
        // Append time answers "when did the broker have it", which create time bounds: a stream may hold both.
        Clock::Create => stream.create + stream.append,
        Clock::Arrival => stream.records,
    };
    // A few without time are let through by create time (they take their predecessor's), not by append time.
    let without = stream.records.saturating_sub(with);
    let tolerated = if clock == Clock::Create { stream.records / 100 } else { 0 };
    if without > tolerated {
        return Err(ClockError::Absent { clock: clock.name(), stream: stream.name.clone(), without, records: stream.records });
    }
    Ok(())
}

fn reasons(option: ClockOption, clocks: &[Clock], streams: &[StreamTimes]) -> Vec<String> {
    let mut lines = Vec::new();
    for clock in [Clock::Append, Clock::Create, Clock::Arrival] {
        let of_clock: Vec<&StreamTimes> =
            streams.iter().zip(clocks).filter(|(s, c)| **c == clock && s.records > 0).map(|(s, _)| s).collect();
        let Some(first) = of_clock.first() else { continue };
        let why = if option == ClockOption::Auto { automatic(first).1 } else { "asked for with --clock".to_owned() };
        let which = match of_clock.len() {
            1 => first.name.clone(),
            more => format!("{} and {} more", first.name, more - 1),
        };
        lines.push(format!("{} time for {which}: {why}", clock.name()));
        if clock == Clock::Create {
            let odd: u64 = of_clock.iter().map(|s| s.insane + (s.records - s.append - s.create)).sum();
            if odd > 0 {
                lines.push(format!("{} records without a sane create time take their predecessor's", format_count(odd)));
            }
        }
        if clock == Clock::Arrival && of_clock.iter().any(|s| s.catch_up > 0) {
            lines.push("part of it was read in catch-up: arrival times show the reading, not the traffic".to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(name: &str, records: u64, append: u64, create: u64, insane: u64, catch_up: u64) -> StreamTimes {
        StreamTimes { name: name.to_owned(), records, append, create, insane, catch_up }
    }

    fn auto(streams: &[StreamTimes]) -> Result<Vec<Clock>, ClockError> {
        choose(ClockOption::Auto, streams).map(|d| d.clocks)
    }

    #[test]
    fn append_then_sane_create_then_arrival() {
        assert_eq!(auto(&[times("a", 100, 100, 0, 0, 50)]), Ok(vec![Clock::Append]));
        assert_eq!(auto(&[times("a", 100, 0, 100, 1, 50)]), Ok(vec![Clock::Create]));
        assert_eq!(auto(&[times("a", 100, 0, 100, 2, 0)]), Ok(vec![Clock::Arrival]));
        assert_eq!(auto(&[times("a", 100, 0, 0, 0, 100)]), Ok(vec![Clock::Arrival]));
    }

    #[test]
    fn append_and_create_mix_and_arrival_only_without_catch_up() {
        let (append, create) = (times("a", 9, 9, 0, 0, 9), times("c", 9, 0, 9, 0, 9));
        assert_eq!(auto(&[append.clone(), create.clone()]), Ok(vec![Clock::Append, Clock::Create]));
        assert_eq!(auto(&[create.clone(), times("n", 9, 0, 0, 0, 0)]), Ok(vec![Clock::Create, Clock::Arrival]));
        let refused = auto(&[create, times("n", 9, 0, 0, 0, 1)]).expect_err("mixed");
        assert!(refused.to_string().contains("--clock arrival"), "{refused}");
        // A stream without records mixes with anything.
        assert_eq!(auto(&[times("e", 0, 0, 0, 0, 0), times("n", 9, 0, 0, 0, 5)]), Ok(vec![Clock::Append, Clock::Arrival]));
    }

    #[test]
    fn a_clock_that_is_not_there_is_refused() {
        let stream = [times("a/0", 10, 0, 10, 0, 0)];
        let refused = choose(ClockOption::Only(Clock::Append), &stream).expect_err("no append time");
        assert_eq!(refused, ClockError::Absent { clock: "append", stream: "a/0".into(), without: 10, records: 10 });
        assert_eq!(choose(ClockOption::Only(Clock::Arrival), &stream).map(|d| d.clocks), Ok(vec![Clock::Arrival]));
        assert_eq!(choose(ClockOption::Only(Clock::Create), &stream).map(|d| d.clocks), Ok(vec![Clock::Create]));
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
