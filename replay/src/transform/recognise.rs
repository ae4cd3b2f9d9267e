//! Which format the payloads of a stream have, for `format = "auto"`.
//!
//! The first payloads of each stream ([`PAYLOADS_MAX`] of them, or [`BYTES_MAX`]) are given to the real parser of every
//! format. A format is taken if it understands at least [`SHARE_PERCENT`] of them and finds a sample in each; of several the
//! first of [`ORDER`], and the others are named, so that a person can say otherwise in the rule. That depends on the
//! recording alone. Whatever is rarer than the sample can show is not seen here: it is counted as malformed later.
//!
//! The order goes from what little else can be mistaken for to what is loose. OTLP's JSON is JSON too. Lines of Prometheus
//! without labels and with a time stamp (`load 1 1700000000`) are Graphite's as well. The other line formats exclude one another:
//! StatsD has `|`, Influx has `=` in its fields, Graphite its time stamp behind a bare number.

use dejaq_shared::record::Record;
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::walk::{each_block, each_record};

use super::formats::{Format, FormatKind, OpenError, Parsed, Wanted, open};

/// The most payloads of a stream that are looked at.
pub const PAYLOADS_MAX: u32 = 64;
/// No further payload of a stream is looked at after this many bytes.
pub const BYTES_MAX: u64 = 1 << 20;
/// No further record of a stream is looked at after this many, payloads or not.
const RECORDS_MAX: u32 = 1_024;
/// The share of the payloads that a format must understand, in percent.
pub const SHARE_PERCENT: u32 = 90;

/// The formats that are tried, the first that fits first.
pub const ORDER: [FormatKind; 8] = [
    FormatKind::PrometheusRemoteWrite,
    FormatKind::OtlpProtobuf,
    FormatKind::OtlpJson,
    FormatKind::Json,
    FormatKind::PrometheusText,
    FormatKind::Influx,
    FormatKind::DogStatsd,
    FormatKind::Graphite,
];

/// How a format is opened; tests open others.
pub(crate) type Opener = fn(FormatKind, &Wanted) -> Result<Box<dyn Format>, OpenError>;

/// What was found out about a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recognition {
    /// The format, if there is one.
    pub format: Option<FormatKind>,
    /// How many payloads were looked at.
    pub looked: u32,
    /// How many of them the format (or, without one, the best of all, `nearest`) understands.
    pub understood: u32,
    /// Other formats that understand as much.
    pub also: Vec<FormatKind>,
    /// Without a format: the one that understands most, if any understands something.
    pub nearest: Option<FormatKind>,
}

impl std::fmt::Display for Recognition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { looked, understood, .. } = self;
        match (self.format, self.nearest) {
            (Some(format), _) => write!(f, "{} ({understood} of {looked} payloads looked at)", format.name())?,
            (None, _) if *looked == 0 => f.write_str("not recognised: no payload among the records looked at")?,
            (None, Some(nearest)) => {
                write!(
                    f,
                    "not recognised: of {looked} payloads looked at {understood} are {}, fewer than {SHARE_PERCENT} %",
                    nearest.name()
                )?;
            }
            (None, None) => write!(f, "not recognised: no format understands any of {looked} payloads looked at")?,
        }
        for also in &self.also {
            write!(f, "; {} understands them as well: name it in the rule if it is that", also.name())?;
        }
        Ok(())
    }
}

/// Looks at records; see the module's words.
#[derive(Debug)]
pub struct Recogniser {
    formats: Vec<(usize, Box<dyn Format>)>,
    parsed: Parsed,
    streams: Vec<Tally>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    records: u32,
    looked: u32,
    bytes: u64,
    understood: [u32; ORDER.len()],
}

impl Recogniser {
    /// For this many streams.
    #[must_use]
    pub fn new(streams: usize) -> Self {
        Self::with(streams, open)
    }

    pub(crate) fn with(streams: usize, opener: Opener) -> Self {
        let opened = ORDER.into_iter().enumerate().filter_map(|(ix, kind)| Some((ix, opener(kind, &Wanted::default()).ok()?)));
        Self { formats: opened.collect(), parsed: Parsed::default(), streams: vec![Tally::default(); streams] }
    }

    /// Whether another record of a stream would be looked at.
    #[must_use]
    pub fn wants(&self, stream: usize) -> bool {
        let enough = |t: &Tally| t.looked >= PAYLOADS_MAX || t.bytes >= BYTES_MAX || t.records >= RECORDS_MAX;
        self.streams.get(stream).is_some_and(|tally| !enough(tally))
    }

    /// Looks at a record of a stream, if it is wanted.
    pub fn take(&mut self, stream: usize, record: &Record<'_>) {
        if !self.wants(stream) {
            return;
        }
        let Some(tally) = self.streams.get_mut(stream) else { return };
        tally.records += 1;
        let Some(payload) = record.value.filter(|value| !value.is_empty()) else { return };
        tally.looked += 1;
        tally.bytes += payload.len() as u64;
        // A bare number or string is a JSON document, and says nothing of a format.
        let container = payload.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| matches!(b, b'{' | b'['));
        for (ix, format) in &mut self.formats {
            let understood = (ORDER[*ix] != FormatKind::Json || container)
                && format.parse(payload, &mut self.parsed).is_ok()
                && !self.parsed.samples.is_empty();
            tally.understood[*ix] += u32::from(understood);
        }
    }

    /// What was found out, by stream.
    #[must_use]
    pub fn finish(self) -> Vec<Recognition> {
        self.streams.iter().map(Tally::recognition).collect()
    }
}

impl Tally {
    fn recognition(&self) -> Recognition {
        let fits = |ix: &usize| self.looked > 0 && self.understood[*ix] * 100 >= self.looked * SHARE_PERCENT;
        let looked = self.looked;
        let mut fitting = (0..ORDER.len()).filter(fits);
        if let Some(ix) = fitting.next() {
            let format = ORDER[ix];
            let known = |also: &FormatKind| (format, *also) == (FormatKind::OtlpJson, FormatKind::Json);
            let also = fitting.map(|ix| ORDER[ix]).filter(|also| !known(also)).collect();
            return Recognition { format: Some(format), looked, understood: self.understood[ix], also, nearest: None };
        }
        let nearest = (0..ORDER.len()).rev().max_by_key(|ix| self.understood[*ix]).filter(|ix| self.understood[*ix] > 0);
        let understood = nearest.map_or(0, |ix| self.understood[ix]);
        Recognition { looked, understood, nearest: nearest.map(|ix| ORDER[ix]), ..Recognition::default() }
    }
}

/// Looks at the first payloads of each stream of a recording. Of most blocks only the streams are read; damaged ones are left out.
///
/// # Errors
/// I/O, or a block that must be understood.
pub fn formats(recording: &Recording) -> Result<Vec<Recognition>, SegmentError> {
    let mut recogniser = Recogniser::new(recording.streams.len());
    let first = first_blocks(recording)?;
    each_record::<SegmentError>(
        recording,
        |ix| first[ix],
        |stream, record| {
            recogniser.take(stream as usize, record);
            Ok(())
        },
    )?;
    Ok(recogniser.finish())
}

/// Which blocks hold the first [`RECORDS_MAX`] records of a stream.
fn first_blocks(recording: &Recording) -> Result<Vec<bool>, SegmentError> {
    let mut first = vec![false; recording.blocks.len()];
    let mut left: Vec<u64> = recording.streams.iter().map(|s| s.records.min(u64::from(RECORDS_MAX))).collect();
    each_block(recording, |ix, block, lanes| {
        for (row, lane) in block.head.streams.iter().zip(lanes) {
            let left = &mut left[*lane as usize];
            first[ix] |= *left > 0;
            *left = left.saturating_sub(u64::from(row.records));
        }
    })?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;
    use crate::transform::formats::{Edits, Malformed, Sample, Span};
    use dejaq_shared::record::Headers;

    /// A grammar for tests: what begins with one of these letters.
    #[derive(Debug)]
    struct Letters(&'static [u8]);

    impl Format for Letters {
        fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
            parsed.clear();
            if !payload.first().is_some_and(|b| self.0.contains(b)) {
                return Err(Malformed { offset: 0, what: "another letter" });
            }
            if payload != b"empty" {
                parsed.samples.push(Sample { metric: Span::default(), ..Sample::default() });
            }
            Ok(())
        }

        fn write(&mut self, _: &[u8], _: &Parsed, _: &Edits, _: &mut Vec<u8>) -> Result<(), Malformed> {
            Ok(())
        }
    }

    fn letters(kind: FormatKind, _: &Wanted) -> Result<Box<dyn Format>, OpenError> {
        match kind {
            FormatKind::PrometheusText => Ok(Box::new(Letters(b"pe"))),
            FormatKind::Graphite => Ok(Box::new(Letters(b"pg"))),
            FormatKind::Json => Ok(Box::new(Letters(b"{5"))),
            FormatKind::OtlpJson => Ok(Box::new(Letters(b"{"))),
            other => Err(OpenError::Path { path: other.name().to_owned(), column: 1, what: "not in this test" }),
        }
    }

    fn looked_at(payloads: &[&[u8]]) -> Recognition {
        let mut recogniser = Recogniser::with(1, letters);
        for payload in payloads {
            recogniser.take(0, &record(None, Some(payload), Headers::default()));
        }
        recogniser.finish().remove(0)
    }

    #[test]
    fn the_first_that_fits_is_taken_and_the_others_are_named() {
        let found = looked_at(&[&b"p"[..]; 20]);
        assert_eq!((found.format, &found.also[..]), (Some(FormatKind::PrometheusText), &[FormatKind::Graphite][..]));
        assert!(found.to_string().contains("20 of 20") && found.to_string().contains("graphite understands them as well"), "{found}");
        assert_eq!(looked_at(&[&b"{"[..]; 3]).also, [], "OTLP's JSON is JSON, that is no doubt");
    }

    #[test]
    fn a_few_others_are_borne_and_more_are_not() {
        let mixed = |others: usize| {
            let mut payloads: Vec<&[u8]> = vec![b"g"; 20];
            payloads[..others].fill(b"?");
            looked_at(&payloads)
        };
        assert_eq!((mixed(2).format, mixed(2).understood), (Some(FormatKind::Graphite), 18));
        let found = mixed(3);
        assert_eq!((found.format, found.nearest), (None, Some(FormatKind::Graphite)));
        assert!(found.to_string().contains("17 are graphite"), "{found}");
    }

    #[test]
    fn what_says_nothing_is_not_recognised() {
        assert_eq!(looked_at(&[]).to_string(), "not recognised: no payload among the records looked at");
        assert_eq!(looked_at(&[b""]).looked, 0);
        assert_eq!(looked_at(&[&b"empty"[..]; 9]).format, None, "understood, but nothing in it");
        assert_eq!(looked_at(&[&b"?"[..]; 9]).to_string(), "not recognised: no format understands any of 9 payloads looked at");
        assert_eq!(looked_at(&[&b"5"[..]; 9]).format, None, "a bare number is no JSON to speak of");
    }

    #[test]
    fn the_sample_is_bounded() {
        let mut recogniser = Recogniser::with(3, letters);
        let large = vec![b'p'; usize::try_from(BYTES_MAX).expect("small")];
        for _ in 0..2_000 {
            recogniser.take(0, &record(None, Some(b"p"), Headers::default()));
            recogniser.take(1, &record(None, Some(&large), Headers::default()));
            recogniser.take(2, &record(None, None, Headers::default()));
        }
        assert!((0..3).all(|stream| !recogniser.wants(stream)));
        assert_eq!(recogniser.finish().iter().map(|r| r.looked).collect::<Vec<_>>(), [PAYLOADS_MAX, 1, 0]);
    }
}
