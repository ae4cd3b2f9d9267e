//! Rewrites one tag of payloads, for parsers of others to look at: `tests/formats/round_trip.py` drives it.
//!
//! Input: a JSON object a line, `{"format": NAME, "tag": NAME | null, "value": BASE64}`; without a tag the payload's first one is taken.
//! Output, a line each: `{"tag": NAME, "found": N, "same": BASE64, "value": BASE64}` (found: values replaced; same: written with an
//! edit that changes nothing) or `{"error": TEXT}`.

use std::io::{BufRead as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dejaq_replay::transform::formats::{Edits, FormatKind, Parsed, Wanted, open};
use serde_json::{Value, json};

/// What tags are rewritten to.
const NEW: &[u8] = b"rewritten-1";

fn rewritten(line: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let asked: Value = serde_json::from_str(line)?;
    let kind = asked["format"].as_str().and_then(FormatKind::from_name).ok_or("no such format")?;
    let payload = STANDARD.decode(asked["value"].as_str().ok_or("no value")?)?;
    let mut format = open(kind, &Wanted::default())?;
    let mut parsed = Parsed::default();
    format.parse(&payload, &mut parsed)?;
    let first = parsed.tags.first().map(|tag| String::from_utf8_lossy(parsed.get(tag.name)).into_owned());
    let name = asked["tag"].as_str().map(str::to_owned).or(first).ok_or("no tag")?;
    let mut written = |value: Option<&[u8]>| -> Result<(usize, Vec<u8>), Box<dyn std::error::Error>> {
        let mut edits = Edits::default();
        for (tag, ix) in parsed.tags.iter().zip(0u32..).filter(|(tag, _)| parsed.get(tag.name) == name.as_bytes()) {
            edits.replace(ix, value.unwrap_or(parsed.get(tag.value)));
        }
        edits.seal();
        let mut out = Vec::new();
        format.write(&payload, &parsed, &edits, &mut out)?;
        Ok((edits.replaced().len(), out))
    };
    let (_, same) = written(None)?;
    let (found, changed) = written(Some(NEW))?;
    Ok(json!({"tag": name, "found": found, "same": STANDARD.encode(same), "value": STANDARD.encode(changed)}))
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let answer = rewritten(&line?).unwrap_or_else(|error| json!({"error": error.to_string()}));
        writeln!(out, "{answer}")?;
    }
    out.flush()
}
