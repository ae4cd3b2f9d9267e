//! What the tests of the binary formats share.

use crate::transform::formats::{Edits, Format, Malformed, Parsed};

/// The payload with the edits made that `choose` asks for.
pub(in crate::transform::formats) fn edited(
    format: &mut dyn Format,
    payload: &[u8],
    choose: impl FnOnce(&Parsed, &mut Edits),
) -> Result<Vec<u8>, Malformed> {
    let (mut parsed, mut edits, mut out) = (Parsed::default(), Edits::default(), Vec::new());
    format.parse(payload, &mut parsed)?;
    choose(&parsed, &mut edits);
    edits.seal();
    format.write(payload, &parsed, &edits, &mut out)?;
    Ok(out)
}

/// Every sample as text: its metric, then its tags, the shared ones first.
pub(in crate::transform::formats) fn said(format: &mut dyn Format, payload: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut parsed = Parsed::default();
    format.parse(payload, &mut parsed)?;
    let text = |span| String::from_utf8_lossy(parsed.get(span)).into_owned();
    let tags = |sample| parsed.tags_of(sample).map(|(_, t)| format!(" {}={}", text(t.name), text(t.value))).collect::<String>();
    Ok(parsed.samples.iter().map(|s| text(s.metric) + &tags(s)).collect())
}

/// Whatever a damaged payload is: no panic; and if it is understood, it comes back as it was without edits, can be edited
/// (unless the format says why not), and then says what it was given.
pub(in crate::transform::formats) fn withstands(format: &mut dyn Format, payload: &[u8]) {
    let Ok(before) = said(format, payload) else { return };
    assert_eq!(edited(format, payload, |_, _| {}).expect("no edit"), payload);
    let mut tags = 0;
    let new = edited(format, payload, |parsed, edits| {
        tags = u32::try_from(parsed.tags.len()).expect("few");
        for tag in 0..tags {
            edits.replace(tag, format!("a new value of the tag {tag}").as_bytes());
        }
        for sample in 0..u32::try_from(parsed.samples.len()).expect("few") {
            edits.add(sample, b"brand_new", b"added");
        }
    });
    let Ok(new) = new else { return };
    let after = said(format, &new).expect("what was written parses");
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|s| s.contains(" brand_new=added")), "{after:?}");
    // Not only what samples say: a resource without data points has tags as well.
    let mut parsed = Parsed::default();
    format.parse(&new, &mut parsed).expect("what was written parses");
    for tag in 0..tags {
        let text = format!("a new value of the tag {tag}");
        assert!(parsed.tags.iter().any(|t| parsed.get(t.value) == text.as_bytes()), "{text} in {after:?}");
    }
}
