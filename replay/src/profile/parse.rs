//! The grammar of profiles, see the module above. Errors point at the column.

use dejaq_shared::units::{duration_ns, parse_duration, parse_rate, parse_ratio};

use super::wave::{PIECES, rate_at};
use super::{MICRO, Piece, Profile, ProfileError, Stretch};

/// Stairs of one `step`, and pieces of a whole profile.
const STAIRS_MAX: u64 = 1_000;
const PIECES_MAX: usize = 100_000;
/// The highest rate: 1G/s.
const RATE_MAX: u64 = 1_000_000_000 * MICRO;
/// The shortest period of a wave.
const PERIOD_MIN_NS: u64 = 1_000_000;

const PARTS: &str =
    "a part: ramp [RATE..]RATE DUR, hold [RATE] DUR, spike xN DUR, step RATE..RATE xN DUR, or sine RATE..RATE DUR [every DUR]";
const RATE: &str = "a rate such as 0/s, 200/s or 1.5k/s, at most 1G/s and no finer than a millionth of a message per second";
const DURATION: &str = "a duration such as 500ms, 30s or 1h30m";

/// A word and where it begins, in bytes.
#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    at: usize,
    text: &'a str,
}

pub(super) fn parse(text: &str) -> Result<Profile, ProfileError> {
    let mut reader = Reader { text, level: None, stretches: Vec::new(), len_ns: 0, area: 0, pieces: 0 };
    let mut at = 0;
    for part in text.split(',') {
        reader.part(at, part)?;
        at += part.len() + 1;
    }
    let Reader { stretches, len_ns, area, .. } = reader;
    if area == 0 {
        return Err(error(text, 0, "this profile sends nothing: every rate in it is 0"));
    }
    Ok(Profile { text: text.trim().to_owned(), stretches, len_ns, area })
}

fn error(text: &str, at: usize, what: impl Into<String>) -> ProfileError {
    ProfileError::new(text, at, what)
}

struct Reader<'a> {
    text: &'a str,
    /// The rate so far.
    level: Option<u64>,
    stretches: Vec<Stretch>,
    len_ns: u64,
    area: u128,
    pieces: usize,
}

/// The words of a part that are not read yet.
struct Words<'a> {
    rest: std::iter::Peekable<std::vec::IntoIter<Word<'a>>>,
    end: usize,
}

impl<'a> Words<'a> {
    fn of(at: usize, part: &'a str) -> Self {
        let mut words = Vec::new();
        let mut from = None;
        for (ix, c) in part.char_indices().chain([(part.len(), ' ')]) {
            match (c.is_whitespace(), from) {
                (true, Some(start)) => {
                    words.push(Word { at: at + start, text: &part[start..ix] });
                    from = None;
                }
                (false, None) => from = Some(ix),
                _ => {}
            }
        }
        let end = words.last().map_or(at, |w: &Word<'_>| w.at + w.text.len());
        Self { rest: words.into_iter().peekable(), end }
    }
}

impl<'a> Reader<'a> {
    fn part(&mut self, at: usize, part: &'a str) -> Result<(), ProfileError> {
        let mut words = Words::of(at, part);
        let Some(kind) = words.rest.next() else { return Err(self.wrong(words.end, format!("expected {PARTS}"))) };
        match kind.text {
            "ramp" => self.ramp(&mut words)?,
            "hold" => self.hold(&mut words)?,
            "spike" => self.spike(kind, &mut words)?,
            "step" => self.step(&mut words)?,
            "sine" => self.sine(&mut words)?,
            other => return Err(self.wrong(kind.at, format!("{other:?} is no part of a profile: expected {PARTS}"))),
        }
        match words.rest.next() {
            Some(extra) => Err(self.wrong(extra.at, format!("{:?} is too much here: expected a comma, or the end", extra.text))),
            None => Ok(()),
        }
    }

    fn ramp(&mut self, words: &mut Words<'a>) -> Result<(), ProfileError> {
        let word = self.word(words, "a rate, or two as in 1k/s..50k/s")?;
        let (from, to) = match word.text.contains("..") {
            true => self.rates(word)?,
            false => (self.so_far(word, "ramp 1k/s..50k/s 10m")?, self.rate(word)?),
        };
        let (len_ns, at) = self.duration(words)?;
        self.level = Some(to);
        self.add(at, len_ns, 1, &[(len_ns, from, to)])
    }

    fn hold(&mut self, words: &mut Words<'a>) -> Result<(), ProfileError> {
        let given = words.rest.peek().copied().filter(|w| w.text.contains('/'));
        let rate = match given {
            Some(word) => {
                words.rest.next();
                self.rate(word)?
            }
            None => {
                let at = words.rest.peek().map_or(words.end, |w| w.at);
                self.so_far(Word { at, text: "" }, "hold 5k/s 10m")?
            }
        };
        let (len_ns, at) = self.duration(words)?;
        self.level = Some(rate);
        self.add(at, len_ns, 1, &[(len_ns, rate, rate)])
    }

    fn spike(&mut self, kind: Word<'a>, words: &mut Words<'a>) -> Result<(), ProfileError> {
        let level = self.so_far(kind, "hold 5k/s 10m, spike x5 30s")?;
        let word = self.word(words, "how many times the rate, such as x5")?;
        let factor = word.text.strip_prefix('x').and_then(|n| parse_ratio(n).ok());
        let Some(factor) = factor else {
            return Err(self.wrong(word.at, format!("{:?} is not how many times the rate: expected x and a number, such as x5", word.text)));
        };
        let rate = u128::from(level) * u128::from(factor.num()) / u128::from(factor.den());
        let Some(rate) = u64::try_from(rate).ok().filter(|r| *r <= RATE_MAX) else {
            return Err(self.wrong(word.at, "that comes to more than 1G/s"));
        };
        let (len_ns, at) = self.duration(words)?;
        self.add(at, len_ns, 1, &[(len_ns, rate, rate)])
    }

    fn step(&mut self, words: &mut Words<'a>) -> Result<(), ProfileError> {
        let word = self.word(words, "two rates, such as 1k/s..5k/s")?;
        let (from, to) = self.rates(word)?;
        let word = self.word(words, "how many stairs, such as x5")?;
        let stairs = word.text.strip_prefix('x').and_then(|n| n.parse::<u64>().ok()).filter(|n| (2..=STAIRS_MAX).contains(n));
        let Some(stairs) = stairs else {
            return Err(self.wrong(word.at, format!("{:?} is not a number of stairs: expected x2 to x{STAIRS_MAX}", word.text)));
        };
        let (len_ns, at) = self.duration(words)?;
        let share = |whole: u64, k: u64, of: u64| u64::try_from(u128::from(whole) * u128::from(k) / u128::from(of)).unwrap_or(u64::MAX);
        let rise = |k| share(from.abs_diff(to), k, stairs - 1);
        let level = |k| if to >= from { from + rise(k) } else { from - rise(k) };
        let pieces: Vec<_> = (0..stairs).map(|k| (share(len_ns, k + 1, stairs) - share(len_ns, k, stairs), level(k), level(k))).collect();
        self.level = Some(to);
        self.add(at, len_ns, 1, &pieces)
    }

    fn sine(&mut self, words: &mut Words<'a>) -> Result<(), ProfileError> {
        let word = self.word(words, "two rates, such as 1k/s..5k/s")?;
        let (from, to) = self.rates(word)?;
        let (len_ns, at) = self.duration(words)?;
        let mut period = (len_ns, at);
        if let Some(every) = words.rest.next() {
            if every.text != "every" {
                return Err(self.wrong(every.at, format!("{:?} is too much here: expected every DUR, a comma, or the end", every.text)));
            }
            period = self.duration(words)?;
        }
        let (period_ns, at) = period;
        if period_ns < PERIOD_MIN_NS {
            return Err(self.wrong(at, "a wave has a period of at least 1ms"));
        }
        if !len_ns.is_multiple_of(period_ns) {
            return Err(self.wrong(at, "the wave must last a whole number of periods"));
        }
        let node = |k: u64| u64::try_from(u128::from(period_ns) * u128::from(k) / u128::from(PIECES)).unwrap_or(u64::MAX);
        let pieces: Vec<_> = (0..PIECES).map(|k| (node(k + 1) - node(k), rate_at(from, to, k), rate_at(from, to, k + 1))).collect();
        self.level = Some(from);
        self.add(at, period_ns, len_ns / period_ns, &pieces)
    }

    /// Adds pieces (length, from, to) of one period, repeated.
    fn add(&mut self, at: usize, period_ns: u64, times: u64, pieces: &[(u64, u64, u64)]) -> Result<(), ProfileError> {
        let mut stretch = Stretch { at_ns: self.len_ns, at: self.area, period_ns, period: 0, pieces: Vec::with_capacity(pieces.len()) };
        let mut piece_at_ns = 0;
        for &(len_ns, from, to) in pieces.iter().filter(|(len_ns, ..)| *len_ns > 0) {
            let piece = Piece { at_ns: piece_at_ns, len_ns, at: stretch.period, from, to };
            piece_at_ns += len_ns;
            stretch.period += piece.area();
            stretch.pieces.push(piece);
        }
        self.pieces += stretch.pieces.len();
        if self.pieces > PIECES_MAX {
            return Err(self.wrong(at, format!("the profile has more than {PIECES_MAX} pieces")));
        }
        let len_ns = period_ns.checked_mul(times).and_then(|len| self.len_ns.checked_add(len));
        let Some(len_ns) = len_ns else { return Err(self.wrong(at, "with this the profile is longer than 584 years")) };
        let area = stretch.period.checked_mul(u128::from(times)).and_then(|area| self.area.checked_add(area));
        let most = u128::from(u64::MAX) * super::MESSAGE;
        let Some(area) = area.filter(|area| *area <= most) else {
            return Err(self.wrong(at, "with this the profile has more messages than can be counted (2^64)"));
        };
        (self.len_ns, self.area) = (len_ns, area);
        self.stretches.push(stretch);
        Ok(())
    }

    fn word(&self, words: &mut Words<'a>, expected: &str) -> Result<Word<'a>, ProfileError> {
        words.rest.next().ok_or_else(|| self.wrong(words.end, format!("something is missing here: expected {expected}")))
    }

    fn so_far(&self, word: Word<'a>, such_as: &str) -> Result<u64, ProfileError> {
        self.level
            .ok_or_else(|| self.wrong(word.at, format!("there is no rate so far that this could start from: begin as in {such_as:?}")))
    }

    fn rates(&self, word: Word<'a>) -> Result<(u64, u64), ProfileError> {
        let Some((from, to)) = word.text.split_once("..") else {
            return Err(self.wrong(word.at, format!("{:?} is not two rates: expected them as in 1k/s..5k/s", word.text)));
        };
        Ok((self.rate(Word { at: word.at, text: from })?, self.rate(Word { at: word.at + from.len() + 2, text: to })?))
    }

    fn rate(&self, word: Word<'a>) -> Result<u64, ProfileError> {
        let nothing = word.text.strip_suffix("/s").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b == b'0'));
        if nothing {
            return Ok(0);
        }
        let micro = parse_rate(word.text).ok().and_then(|rate| {
            let micro = u128::from(rate.num()) * u128::from(MICRO);
            let whole = micro.is_multiple_of(u128::from(rate.den()));
            u64::try_from(micro / u128::from(rate.den())).ok().filter(|micro| whole && *micro <= RATE_MAX)
        });
        micro.ok_or_else(|| self.wrong(word.at, format!("{:?} is not {RATE}", word.text)))
    }

    fn duration(&self, words: &mut Words<'a>) -> Result<(u64, usize), ProfileError> {
        let word = self.word(words, DURATION)?;
        let ns = parse_duration(word.text).ok().map(duration_ns).filter(|ns| *ns > 0);
        let ns = ns.ok_or_else(|| self.wrong(word.at, format!("{:?} is not {DURATION}", word.text)))?;
        Ok((ns, word.at))
    }

    fn wrong(&self, at: usize, what: impl Into<String>) -> ProfileError {
        error(self.text, at, what)
    }
}
