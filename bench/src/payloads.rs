//! The messages that every row is measured with.
//!
//! Real ones decide: a constant or random payload says nothing about compression. Without a file it makes log lines by
//! itself, from a fixed seed, and says so in every output; such figures compare builds, they are no claim.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, bail};

/// Messages to measure with.
pub(crate) struct Payloads {
    /// What they are, for the table.
    pub(crate) name: String,
    /// Whether they were made up.
    pub(crate) synthetic: bool,
    /// Time (microseconds since 1970) and bytes of each.
    pub(crate) messages: Vec<(i64, Vec<u8>)>,
}

/// How many messages are made up.
const SYNTHETIC_MESSAGES: usize = 150_000;

impl Payloads {
    /// Reads NDJSON (`.zst` or plain), one object with `value` (text, or anything else as its JSON) and `ts_us` a line.
    ///
    /// # Errors
    /// I/O, and lines that are no such object.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let text: Box<dyn Read> =
            if path.extension().is_some_and(|e| e == "zst") { Box::new(zstd::stream::read::Decoder::new(file)?) } else { Box::new(file) };
        let mut messages = Vec::new();
        for (number, line) in BufReader::new(text).lines().enumerate() {
            let place = || format!("{}, line {}", path.display(), number + 1);
            let line: serde_json::Value = serde_json::from_str(&line.with_context(place)?).with_context(place)?;
            let value = match line.get("value") {
                Some(serde_json::Value::String(text)) => text.clone().into_bytes(),
                Some(other) => other.to_string().into_bytes(),
                None => bail!("{}: no \"value\"", place()),
            };
            messages.push((line.get("ts_us").and_then(serde_json::Value::as_i64).unwrap_or(0), value));
        }
        if messages.is_empty() {
            bail!("{}: no messages", path.display());
        }
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok(Self { name, synthetic: false, messages })
    }

    /// Log lines as JSON: fixed words, Zipf-like hosts, rising times, random ids.
    #[must_use]
    pub(crate) fn made_up() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut ts_us = 1_700_000_000_000_000;
        let messages = (0..SYNTHETIC_MESSAGES)
            .map(|_| {
                ts_us += i64::try_from(random(16_000)).unwrap_or(0);
                let host = random(200).min(random(200)).min(random(200));
                let line = format!(
                    r#"{{"ts":"{}.{:06}","uid":"C{:016x}","host":"app-{host:03}.example.com","level":"{}","path":"/api/v1/{}/{}","status":{},"took_us":{},"bytes":{},"agent":"client/{}.{}"}}"#,
                    ts_us / 1_000_000,
                    ts_us % 1_000_000,
                    random(u64::MAX),
                    ["info", "info", "info", "warn", "error"][usize::try_from(random(5)).unwrap_or(0)],
                    ["orders", "users", "items", "search"][usize::try_from(random(4)).unwrap_or(0)],
                    random(100_000),
                    [200, 200, 200, 201, 304, 404, 500][usize::try_from(random(7)).unwrap_or(0)],
                    random(250_000),
                    random(60_000),
                    random(4),
                    random(30),
                );
                (ts_us, line.into_bytes())
            })
            .collect();
        Self { name: "SYNTHETIC log lines".into(), synthetic: true, messages }
    }

    /// The same messages, each cut to at most `bytes`.
    #[must_use]
    pub(crate) fn cut(&self, bytes: usize) -> Self {
        let messages = self.messages.iter().map(|(ts, value)| (*ts, value[..value.len().min(bytes)].to_vec())).collect();
        Self { name: format!("{} cut to {bytes} B", self.name), synthetic: self.synthetic, messages }
    }

    /// All their bytes.
    #[must_use]
    pub(crate) fn bytes(&self) -> u64 {
        self.messages.iter().map(|(_, value)| value.len() as u64).sum()
    }

    /// Their mean size in bytes, rounded.
    #[must_use]
    pub(crate) fn mean_bytes(&self) -> u64 {
        let count = self.messages.len() as u64;
        (self.bytes() + count / 2) / count
    }
}
