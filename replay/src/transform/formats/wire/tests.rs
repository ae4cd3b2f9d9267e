use super::*;

fn fields(bytes: &[u8]) -> Result<Vec<(u32, Value, Range<usize>)>, Malformed> {
    let (mut fields, mut found) = (Fields::new(bytes, 0..bytes.len()), Vec::new());
    while let Some(field) = fields.next()? {
        found.push((field.number, field.value, field.at..field.end));
    }
    Ok(found)
}

#[test]
fn every_wire_type_is_read_and_placed() {
    let bytes = [0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0x25, 0, 0, 0, 0];
    let expected = [(1, Value::Varint(150), 0..3), (2, Value::Fixed64(1), 3..12), (3, Value::Bytes, 12..16), (4, Value::Fixed32, 16..21)];
    assert_eq!(fields(&bytes).expect("fields"), expected);
}

#[test]
fn numbers_longer_than_needed_are_read() {
    // Field 1 with a head of three bytes, a length of four.
    let field = Fields::new(&[0x8a, 0x80, 0x00, 0x82, 0x80, 0x80, 0x00, b'h', b'i'], 0..9).next().expect("read").expect("a field");
    assert_eq!((field.number, field.head_end, field.range(), field.end), (1, 3, 7..9, 9));
}

#[test]
fn groups_are_one_field_and_must_close_as_they_opened() {
    // Group 5 around a varint, a group 6 and a string.
    let bytes = [0x2b, 0x08, 0x01, 0x33, 0x34, 0x12, 0x01, b'x', 0x2c, 0x08, 0x07];
    assert_eq!(fields(&bytes).expect("fields"), [(5, Value::Group, 0..9), (1, Value::Varint(7), 9..11)]);
    assert_eq!(fields(&[0x2b, 0x33, 0x2c]).expect_err("crossed").what, "another group ends than the one that started");
    assert_eq!(fields(&[0x2b, 0x08, 0x01]).expect_err("open").what, "a group does not end");
    assert_eq!(fields(&[0x2c]).expect_err("closed").what, "a group ends that did not start");
    let deep = [[0x2b; GROUPS_MAX], [0x2c; GROUPS_MAX]].concat();
    assert_eq!(fields(&deep).expect("as deep as may be").len(), 1);
    assert_eq!(fields(&[0x2b; 10_000]).expect_err("deep"), Malformed { offset: GROUPS_MAX, what: "groups are nested too deep" });
}

#[test]
fn what_is_no_field_is_refused_where_it_stands() {
    let refused = |bytes: &[u8]| fields(bytes).expect_err("no field");
    assert_eq!(refused(&[0x08, 0x01, 0x0a, 3, b'h', b'i']).offset, 4, "longer than the message");
    assert_eq!(refused(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).offset, 11, "a huge length");
    assert_eq!(refused(&[0x08, 0x80]).offset, 1, "a number that is cut off");
    assert_eq!(refused(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).offset, 1, "more than 64 bits");
    assert_eq!(refused(&[0x00, 0x01]).offset, 0, "field 0");
    assert_eq!(refused(&[0x80, 0x80, 0x80, 0x80, 0x10, 0x01]).offset, 0, "field 2^29");
    assert_eq!(refused(&[0x0e]).offset, 1, "wire type 6");
    assert_eq!(refused(&[0x09, 1, 2]).offset, 1, "eight bytes cut off");
    assert_eq!(refused(&[0x0d, 1, 2]).offset, 1, "four bytes cut off");
}

#[test]
fn sizes_are_those_of_what_is_written() {
    for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
        let mut out = Vec::new();
        varint::write_u64(&mut out, value);
        assert_eq!(varint_bytes(value), out.len(), "{value}");
    }
    for len in [0, 1, 127, 128, 20_000] {
        let (text, mut out) = (vec![b'x'; len], Vec::new());
        write_text(&mut out, 15, &text);
        assert_eq!(text_bytes(&text), out.len(), "{len}");
    }
}
