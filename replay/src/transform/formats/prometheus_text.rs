//! Prometheus' text exposition, format 0.0.4, and OpenMetrics text where it differs little.
//!
//! - A sample is a line `name{label="value"} 1.5 1700000000000`; its metric is the name as it stands there (with `_bucket` and
//!   its like), its tags are all labels, `le` and `quantile` too. Lines that begin with `#` are kept unread.
//! - Escaped in labels' values: backslash, quote and line feed. Any UTF-8 can be said as a value. A label's name is
//!   `[a-zA-Z_][a-zA-Z0-9_]*`; `__name__` cannot be added, nor can a name that the sample has already.
//! - A time stamp is in milliseconds; in a payload whose last line is `# EOF` (OpenMetrics) in seconds with a fraction. What
//!   OpenMetrics puts behind (` # {…} 1 1.5`, an exemplar) is kept untouched, its time stamp too.
//!
//! Not understood: names in quotes (Prometheus 3), hexadecimal values, `\r\n`.

use super::edits::Edits;
use super::kind::StampUnit;
use super::parsed::{Parsed, Sample, Span, Stamp, Tag};
use super::scan::{Scan, is_float};
use super::splice::{Patches, Site, decoded};
use super::{Format, Malformed, stamp};

/// The grammar, and memory that is used again.
#[derive(Debug)]
pub(super) struct PrometheusText {
    sites: Vec<Site>,
    /// The samples' values, in their order.
    values: Vec<Span>,
    unit: StampUnit,
    patches: Patches,
}

impl PrometheusText {
    /// With nothing read.
    pub(super) fn new() -> Self {
        Self { sites: Vec::new(), values: Vec::new(), unit: StampUnit::Milliseconds, patches: Patches::default() }
    }
}

impl Format for PrometheusText {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.sites.clear();
        self.values.clear();
        if let Err(error) = std::str::from_utf8(payload) {
            return Err(Malformed { offset: error.valid_up_to(), what: "not UTF-8" });
        }
        parsed.text.extend_from_slice(payload);
        let is_open_metrics = payload.trim_ascii_end().rsplit(|b| *b == b'\n').next() == Some(b"# EOF");
        self.unit = if is_open_metrics { StampUnit::Seconds } else { StampUnit::Milliseconds };
        Scan { payload, at: 0 }.each_line(|b| is_blank(b) || b == b'\n', |scan| self.line(scan, parsed))
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        super::refuse_known_names(parsed, edits)?;
        self.patches.clear();
        self.patches.replace(parsed, edits, |_, value, out| write_escaped(value, out))?;
        self.patches.add(edits, &self.sites, ",", |name, value, out| {
            if name == b"__name__" || !is_name(name, false) {
                return Err("not a label's name: expected [a-zA-Z_][a-zA-Z0-9_]* and not __name__");
            }
            out.extend_from_slice(name);
            out.extend_from_slice(b"=\"");
            write_escaped(value, out)?;
            out.push(b'"');
            Ok(())
        })?;
        self.patches.shift(parsed, edits, |_| self.unit)?;
        self.patches.apply(payload, out);
        Ok(())
    }
}

impl PrometheusText {
    fn line(&mut self, scan: &mut Scan<'_>, parsed: &mut Parsed) -> Result<(), Malformed> {
        let name = scan.take(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'));
        if !is_name(&scan.payload[name.clone()], true) {
            return Err(Malformed { offset: name.start, what: "not a metric's name" });
        }
        let first_tag = parsed.tags.len();
        self.sites.push(Site { at: scan.at, open: "{", close: "}" });
        scan.take(is_blank);
        if scan.eat(b'{') {
            let site = labels(scan, parsed)?;
            self.sites.pop();
            self.sites.push(site);
            scan.take(is_blank);
        }
        let value = scan.take(|b| !is_blank(b) && b != b'\n');
        if !is_float(&scan.payload[value.clone()]) {
            return Err(Malformed { offset: value.start, what: "not a sample's value" });
        }
        self.values.push(Span::new(value.start, value.end));
        scan.take(is_blank);
        let time = scan.take(|b| !is_blank(b) && !matches!(b, b'\n' | b'#'));
        if !time.is_empty() {
            let text = &scan.payload[time.clone()];
            let ns = stamp::read(text, self.unit).ok().filter(|_| self.unit == StampUnit::Seconds || !text.contains(&b'.'));
            let ns = ns.ok_or(Malformed { offset: time.start, what: "not a time stamp" })?;
            parsed.stamps.push(Stamp { raw: Span::new(time.start, time.end), ns });
            scan.take(is_blank);
        }
        if self.unit == StampUnit::Seconds && scan.peek() == Some(b'#') {
            scan.take(|b| b != b'\n');
        }
        if scan.peek().is_some_and(|b| b != b'\n') {
            return Err(scan.malformed("expected the end of the line"));
        }
        let range = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let tags = range(first_tag)..range(parsed.tags.len());
        parsed.samples.push(Sample { metric: Span::new(name.start, name.end), tags, ..Sample::default() });
        Ok(())
    }
}

/// A sample as it stands on a page.
#[derive(Debug, Clone, Copy)]
pub struct Exposed<'p> {
    /// The metric.
    pub metric: &'p [u8],
    /// Its labels with their braces, or nothing.
    pub labels: &'p [u8],
    /// The value; `None` when it is one that a double cannot be read from.
    pub value: Option<f64>,
}

/// Reads a page of metrics for its values.
///
/// # Errors
/// [`Malformed`] when any part of it is not of this format.
pub fn read_exposition(page: &[u8], each: &mut dyn FnMut(Exposed<'_>)) -> Result<(), Malformed> {
    let (mut format, mut parsed) = (PrometheusText::new(), Parsed::default());
    format.parse(page, &mut parsed)?;
    for (sample, value) in parsed.samples.iter().zip(&format.values) {
        let (metric, value) = (sample.metric.range(), value.range());
        let labels = page[metric.end..value.start].trim_ascii();
        let value = std::str::from_utf8(&page[value]).ok().and_then(|text| text.parse().ok());
        each(Exposed { metric: &page[metric], labels, value });
    }
    Ok(())
}

/// Reads labels up to the closing brace and over it; where further ones go.
fn labels(scan: &mut Scan<'_>, parsed: &mut Parsed) -> Result<Site, Malformed> {
    let mut open = "";
    loop {
        let behind = scan.at;
        scan.take(is_blank);
        if scan.peek() == Some(b'}') {
            scan.at += 1;
            // Right behind the last label or its comma, before blanks.
            return Ok(Site { at: behind, open, close: "" });
        }
        if open == "," && !scan.eat(b',') {
            return Err(scan.malformed("expected a comma or a closing brace"));
        }
        if open == "," {
            open = "";
            continue;
        }
        let name = scan.take(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name(&scan.payload[name.clone()], false) {
            return Err(Malformed { offset: name.start, what: "not a label's name" });
        }
        scan.take(is_blank);
        let equals = scan.eat(b'=');
        scan.take(is_blank);
        if !equals || !scan.eat(b'"') {
            return Err(scan.malformed("expected a label's value in quotes"));
        }
        let raw = label_value(scan)?;
        let value = decoded(&mut parsed.text, raw.range(), |text| {
            let mut at = raw.range();
            while let Some(i) = at.next() {
                let byte = match text[i] {
                    b'\\' => match at.next().map(|i| text[i]) {
                        Some(b'n') | None => b'\n',
                        Some(other) => other,
                    },
                    byte => byte,
                };
                text.push(byte);
            }
        });
        parsed.tags.push(Tag { name: Span::new(name.start, name.end), value, raw });
        open = ",";
    }
}

/// Steps over a label's value and its closing quote; where it stands without quotes.
fn label_value(scan: &mut Scan<'_>) -> Result<Span, Malformed> {
    let start = scan.at;
    loop {
        scan.take(|b| !matches!(b, b'"' | b'\\' | b'\n'));
        match (scan.peek(), scan.payload.get(scan.at + 1)) {
            (Some(b'"'), _) => {
                scan.at += 1;
                return Ok(Span::new(start, scan.at - 1));
            }
            (Some(b'\\'), Some(b'\\' | b'"' | b'n')) => scan.at += 2,
            (Some(b'\\'), _) => return Err(scan.malformed("not an escape of a label's value")),
            _ => return Err(scan.malformed("a label's value without an end")),
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_name(name: &[u8], colons: bool) -> bool {
    let first = name.first().is_some_and(|b| !b.is_ascii_digit());
    first && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || colons && *b == b':')
}

fn write_escaped(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if std::str::from_utf8(value).is_err() {
        return Err("a label's value must be UTF-8");
    }
    for &byte in value {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.push(byte),
        }
    }
    Ok(())
}
