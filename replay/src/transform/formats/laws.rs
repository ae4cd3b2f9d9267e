//! What every format promises, held against one payload: for property tests and fuzz targets alike.

use super::{Edits, FormatKind, Parsed, Sample, Wanted, open};

/// Values to give and to add, from plain to hardly sayable.
const VALUES: [&[u8]; 8] = [b"v-1", b"12", b"a b", "é".as_bytes(), b"", b"true", b"a,b=c|d;e\"f\\g\n", b"\xff\\"];

/// One second.
const SECOND_NS: i64 = 1_000_000_000;

/// Parses a payload and writes it with edits that `pick` chooses; whether it was of the format.
///
/// # Panics
/// When a promise of [`Format`](super::Format) does not hold.
#[expect(clippy::panic, reason = "the panic is what it is for; no release has it")]
pub fn hold(kind: FormatKind, wanted: &Wanted, payload: &[u8], pick: u8) -> bool {
    let Ok(mut format) = open(kind, wanted) else { return false };
    let (mut before, mut after) = (Parsed::default(), Parsed::default());
    if format.parse(payload, &mut before).is_err() {
        return false;
    }
    let mut change = |edits: &mut Edits, after: &mut Parsed| -> Option<Vec<u8>> {
        edits.seal();
        let mut again = Parsed::default();
        format.parse(payload, &mut again).expect("as before");
        let mut out = Vec::new();
        format.write(payload, &again, edits, &mut out).ok()?;
        format.parse(&out, after).unwrap_or_else(|e| panic!("what was written is malformed {e}: {}", out.escape_ascii()));
        Some(out)
    };
    let pick = usize::from(pick);
    let value = VALUES[pick % VALUES.len()];

    let mut edits = Edits::default();
    for (i, tag) in before.tags.iter().enumerate() {
        edits.replace(u32::try_from(i).expect("few"), before.get(tag.value));
    }
    let same = change(&mut edits, &mut after).expect("no effective edit");
    assert!(same == payload, "written without edits: {}", same.escape_ascii());

    if let Some(chosen) = pick.checked_rem(before.tags.len()) {
        let mut edits = Edits::default();
        edits.replace(u32::try_from(chosen).expect("few"), value);
        let written = change(&mut edits, &mut after);
        // A routing key has 255 bytes at most.
        let full = kind == FormatKind::RoutingKey && payload.len() + value.len() > 255;
        assert!(written.is_some() || value != VALUES[0] || full, "a plain value can be said");
        if written.is_some() {
            assert_eq!(before.tags.len(), after.tags.len());
            for (old, new) in before.tags.iter().zip(&after.tags) {
                assert_eq!(before.get(old.name), after.get(new.name));
                let expected = if old.raw == before.tags[chosen].raw { value } else { before.get(old.value) };
                assert_eq!(expected.escape_ascii().to_string(), after.get(new.value).escape_ascii().to_string());
            }
            same_frame(&before, &after, 0);
        }
    }
    if let Some(chosen) = pick.checked_rem(before.samples.len()) {
        let name: &[u8] = if kind == FormatKind::Json { b"$.added_here" } else { b"added_here" };
        let mut edits = Edits::default();
        edits.add(u32::try_from(chosen).expect("few"), name, value);
        if change(&mut edits, &mut after).is_some() {
            same_frame(&before, &after, 0);
            for (i, (old, new)) in before.samples.iter().zip(&after.samples).enumerate() {
                let mut tags = tags_of(&before, old);
                if i == chosen && (kind != FormatKind::Json || wanted.tags.is_none()) {
                    tags.push((name.to_vec(), value.to_vec()));
                }
                tags.sort();
                let mut found = tags_of(&after, new);
                found.sort();
                assert_eq!(tags, found);
            }
        }
    }
    for shift_ns in [SECOND_NS * (1 + i64::try_from(pick).expect("small")), -3 * SECOND_NS / 2] {
        let mut edits = Edits::default();
        edits.shift(shift_ns);
        if change(&mut edits, &mut after).is_some() {
            same_frame(&before, &after, shift_ns);
        }
    }
    true
}

fn tags_of(parsed: &Parsed, sample: &Sample) -> Vec<(Vec<u8>, Vec<u8>)> {
    parsed.tags_of(sample).map(|(_, tag)| (parsed.get(tag.name).to_vec(), parsed.get(tag.value).to_vec())).collect()
}

/// Samples, metrics and time stamps are as they were, but for a shift: exact for whole seconds, else short by less than one.
fn same_frame(before: &Parsed, after: &Parsed, shift_ns: i64) {
    let metrics = |parsed: &Parsed| parsed.samples.iter().map(|s| parsed.get(s.metric).to_vec()).collect::<Vec<_>>();
    assert_eq!(metrics(before), metrics(after));
    assert_eq!(before.stamps.len(), after.stamps.len());
    for (old, new) in before.stamps.iter().zip(&after.stamps) {
        let missing = shift_ns - (new.ns - old.ns);
        let exact = shift_ns % SECOND_NS == 0;
        assert!(if exact { missing == 0 } else { (0..SECOND_NS).contains(&missing) }, "{old:?} became {new:?}");
    }
}
