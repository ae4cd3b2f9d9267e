use lapin::BasicProperties;
use lapin::protocol::basic::parse_properties;
use proptest::prelude::*;
use proptest::sample::Index;

use super::content::NESTED_MAX;
use super::*;

const CHANNEL: u16 = 7;

/// A content header's payload.
fn header(properties: &[u8]) -> Vec<u8> {
    [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2][..], properties].concat()
}

/// basic.deliver's payload.
fn deliver(exchange: &[u8], routing_key: &[u8]) -> Vec<u8> {
    let short = |text: &[u8]| [&[u8::try_from(text.len()).expect("short")][..], text].concat();
    [&[0, 60, 0, 60][..], &short(b"dejaq"), &[0; 9], &short(exchange), &short(routing_key)].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes.len())[..], bytes].concat()
}

/// Properties with a header table in which arrays and tables lie, so many levels in all.
fn nested(depth: usize) -> Vec<u8> {
    let inner = (2..=depth).rev().fold(Vec::new(), |inner, level| {
        let (name, letter) = if level % 2 == 0 { (&b"\x01a"[..], b"A") } else { (&b""[..], b"F") };
        [name, letter, &long(&inner)].concat()
    });
    [&HEADERS.to_be_bytes()[..], &long(&inner)].concat()
}

fn check(properties: &[u8]) -> bool {
    content::check(&header(properties)).is_ok()
}

/// Everything that comes out when the bytes come in runs of these lengths, over and over, and the client asks for so many.
fn try_through(bytes: &[u8], runs: &[usize], room: usize) -> io::Result<Vec<u8>> {
    let (mut guard, mut out, mut rest) = (Guard::default(), Vec::new(), bytes);
    let mut runs = runs.iter().copied().cycle();
    loop {
        let mut to = vec![0; room];
        let given = guard.give(&mut to);
        out.extend_from_slice(&to[..given]);
        if given > 0 {
            continue;
        }
        if rest.is_empty() {
            return Ok(out);
        }
        let lacking = guard.lacking();
        let limit = if lacking == 0 { room } else { lacking };
        let (run, behind) = rest.split_at(runs.next().expect("endless").min(limit).min(rest.len()));
        rest = behind;
        if lacking == 0 {
            let good = guard.pass(run)?;
            out.extend_from_slice(&run[..good]);
        } else {
            guard.add(run)?;
        }
    }
}

fn through(bytes: &[u8], runs: &[usize], room: usize) -> Vec<u8> {
    try_through(bytes, runs, room).expect("none is too large")
}

/// A value with its letter, as it travels.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(b"VtbBsUuIifDLldT".to_vec()).prop_flat_map(|letter| {
        let count = match letter {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'U' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            _ => 8,
        };
        prop::collection::vec(any::<u8>(), count).prop_map(move |bytes| [&[letter][..], &bytes].concat())
    });
    let strings = (prop::sample::select(b"Sx".to_vec()), prop::collection::vec(any::<u8>(), 0..30))
        .prop_map(|(letter, bytes)| [&[letter][..], &long(&bytes)].concat());
    prop_oneof![fixed, strings].prop_recursive(5, 30, 4, |inner| {
        let array = prop::collection::vec(inner.clone(), 0..4).prop_map(|values| [&b"A"[..], &long(&values.concat())].concat());
        prop_oneof![array, table(inner).prop_map(|table| [&b"F"[..], &table].concat())]
    })
}

fn table(value: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let entries = prop::collection::vec((text(), value), 0..4);
    entries.prop_map(|entries| long(&entries.into_iter().flat_map(|(name, value)| [name, value].concat()).collect::<Vec<_>>()))
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    "\\PC{0,12}".prop_map(|text| [&[u8::try_from(text.len()).expect("short")][..], text.as_bytes()].concat())
}

/// A property list that is in order.
fn properties() -> impl Strategy<Value = Vec<u8>> {
    let texts = || (text(), text(), text(), text());
    (any::<u16>(), texts(), texts(), (text(), text()), table(value()), any::<[u8; 10]>()).prop_map(|(flags, a, b, c, table, fixed)| {
        let (one, two, eight) = (fixed[..1].to_vec(), fixed[1..2].to_vec(), fixed[2..].to_vec());
        let all = [a.0, a.1, table, one, two, a.2, a.3, b.0, b.1, eight, b.2, b.3, c.0, c.1];
        let present = all.into_iter().enumerate().filter(|(place, _)| flags & (1 << 15 >> place) != 0);
        [&flags.to_be_bytes()[..], &present.flat_map(|(_, bytes)| bytes).collect::<Vec<_>>()].concat()
    })
}

/// A frame that passes, of any kind.
fn good_frame() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        properties().prop_map(|properties| frame(FRAME_HEADER, CHANNEL, &header(&properties))),
        ("\\PC{0,9}", "\\PC{0,9}").prop_map(|(a, b)| frame(FRAME_METHOD, CHANNEL, &deliver(a.as_bytes(), b.as_bytes()))),
        bytes().prop_map(|rest| frame(FRAME_METHOD, CHANNEL, &[&[0, 10, 0, 10][..], &rest].concat())),
        bytes().prop_map(|body| frame(FRAME_BODY, CHANNEL, &body)),
        Just(frame(FRAME_HEARTBEAT, 0, b"")),
    ]
}

fn runs() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1_usize..12, 1_usize..400], 1..20)
}

proptest! {
    #[test]
    fn what_is_in_order_comes_out_unchanged_however_it_comes_in(
        frames in prop::collection::vec(good_frame(), 0..12), runs in runs(), room in 1_usize..500,
    ) {
        let bytes = frames.concat();
        prop_assert_eq!(through(&bytes, &runs, room), bytes);
    }

    #[test]
    fn a_bad_content_header_is_replaced_and_nothing_else(
        before in prop::collection::vec(good_frame(), 0..5), after in prop::collection::vec(good_frame(), 0..5),
        runs in runs(), room in 1_usize..500,
    ) {
        let (before, after) = (before.concat(), after.concat());
        let bad = frame(FRAME_HEADER, CHANNEL, &header(&nested(500)));
        let out = through(&[&before[..], &bad, &after].concat(), &runs, room);
        prop_assert!(out.starts_with(&before) && out.ends_with(&after));
        let instead = &out[before.len()..out.len() - after.len()];
        prop_assert_eq!(Head::read(instead).map(|head| (head.kind, head.channel, head.whole)), Some((FRAME_HEADER, CHANNEL, instead.len())));
        let payload = &instead[HEAD..instead.len() - 1];
        prop_assert_eq!(&payload[..BODY_SIZE_END], &header(b"")[..]);
        prop_assert!(why(payload).is_some_and(|why| why.contains("too deep")));
    }

    /// However they are bent: what passes lapin reads to the end, and what does not it cannot.
    #[test]
    fn the_check_and_lapin_agree(
        properties in properties(), changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..3), cut in prop::option::of(any::<Index>()),
    ) {
        let mut bytes = properties;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        cut.into_iter().for_each(|at| bytes.truncate(at.index(bytes.len())));
        let read = parse_properties(&bytes[..]).is_ok_and(|(rest, _)| rest.is_empty());
        prop_assert_eq!(check(&bytes), read);
    }

    /// Frames of any kind and with anything in them, cut off, too large, or none at all.
    #[test]
    fn any_bytes_are_borne_and_come_out_the_same_however_they_come_in(
        parts in prop::collection::vec((0_u8..5, 0_u8..9, prop::collection::vec(any::<u8>(), 0..60)), 0..9),
        runs in runs(), room in 1_usize..99,
    ) {
        let bytes = parts.iter().flat_map(|(kind, fault, payload)| {
            let mut bytes = frame(*kind, CHANNEL, payload);
            match fault {
                0 => bytes[3] = 120,
                1 => bytes.truncate(payload.len()),
                _ => {}
            }
            bytes
        });
        let bytes: Vec<u8> = bytes.collect();
        let at_once = try_through(&bytes, &[bytes.len().max(1)], bytes.len().max(1)).ok();
        prop_assert_eq!(try_through(&bytes, &runs, room).ok(), at_once);
    }
}

/// Why this content header's message cannot be read, as the capture sees it.
fn why(payload: &[u8]) -> Option<String> {
    let (_, properties) = parse_properties(&payload[BODY_SIZE_END..]).expect("lapin reads it");
    unreadable(&properties)
}

#[test]
fn tables_pass_as_deep_as_is_said_and_no_deeper() {
    assert!(check(&nested(NESTED_MAX)));
    assert!(!check(&nested(NESTED_MAX + 1)));
    assert!(parse_properties(&nested(NESTED_MAX)[..]).is_ok());
    // As deep as a frame of the usual size can hold.
    assert!(!check(&nested(18_000)));
}

#[test]
fn a_name_that_is_not_utf8_stands_in_the_delivery_bent_and_its_message_is_unreadable() {
    let bytes = |exchange: &[u8], key: &[u8]| {
        let (delivery, properties) = (deliver(exchange, key), header(&0_u16.to_be_bytes()));
        [frame(FRAME_METHOD, CHANNEL, &delivery), frame(FRAME_HEADER, CHANNEL, &properties), frame(FRAME_BODY, CHANNEL, b"body")]
    };
    let [delivery, good, body] = bytes(b"news", b"a??.\xc3\xa4");
    let other = frame(FRAME_HEADER, CHANNEL + 1, &header(&0_u16.to_be_bytes()));
    for (exchange, key, mended) in
        [(&b"news"[..], &b"a\xff\xfe"[..], deliver(b"news", b"a??")), (b"n\xff", "\u{e4}".as_bytes(), deliver(b"n?", "\u{e4}".as_bytes()))]
    {
        let [bad, properties, _] = bytes(exchange, key);
        // One of another channel comes between.
        let come = [&bad[..], &other, &properties, &body, &delivery, &good].concat();
        let out = through(&come, &[11], 1000);
        let before = [&frame(FRAME_METHOD, CHANNEL, &mended)[..], &other].concat();
        let after = [&body[..], &delivery, &good].concat();
        assert!(out.starts_with(&before) && out.ends_with(&after));
        let instead = &out[before.len()..out.len() - after.len()];
        assert!(why(&instead[HEAD..instead.len() - 1]).is_some_and(|why| why.contains("routing key")));
    }
}

#[test]
fn what_is_no_frame_is_left_to_lapin() {
    let bytes = [&b"AMQP\x00\x00\x09\x01"[..], &frame(FRAME_HEADER, CHANNEL, &header(&nested(99)))].concat();
    assert_eq!(through(&bytes, &[3, 50], 64), bytes);
}

#[test]
fn a_frame_too_large_to_be_held_ends_the_connection() {
    let head = [&[FRAME_HEADER, 0, 1][..], &length(HELD_MAX)].concat();
    assert!(Guard::default().pass(&head).is_err());
    let mut guard = Guard::default();
    assert!(matches!(guard.pass(&head[..5]), Ok(0)));
    assert!(guard.add(&head[5..]).is_err());
}

#[test]
fn a_header_of_the_same_kind_from_elsewhere_is_no_seal() {
    use lapin::types::{AMQPValue, FieldTable};
    let mut headers = FieldTable::default();
    headers.insert("dejaq-unreadable".into(), AMQPValue::LongString("forged".into()));
    assert_eq!(unreadable(&BasicProperties::default().with_headers(headers)), None);
    assert_eq!(unreadable(&BasicProperties::default()), None);
}
