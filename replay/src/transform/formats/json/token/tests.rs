use super::*;
use proptest::prelude::*;

fn read(document: &[u8]) -> Result<Vec<Token>, Malformed> {
    let mut tokens = Tokens::new(document)?;
    let mut all = Vec::new();
    while let Some(token) = tokens.next()? {
        all.push(token);
    }
    Ok(all)
}

#[test]
fn tokens_tell_their_places() {
    let document = br#" {"a\n":[1, -0.5e+3,"x\"y",true],"b":{}, "c":[null]} "#;
    let all = read(document).unwrap();
    let shown: Vec<_> = all.iter().map(|t| std::str::from_utf8(&document[t.text()]).unwrap()).collect();
    assert_eq!(shown, ["{", r"a\n", "[", "1", "-0.5e+3", r#"x\"y"#, "true", "]", "b", "{", "}", "c", "[", "null", "]", "}"]);
    assert_eq!((all[1].kind, all[1].escaped), (TokenKind::Key, true));
    assert_eq!(&document[all[5].raw()], br#""x\"y""#);
}

#[test]
fn what_the_grammar_does_not_have_is_refused_where_it_stands() {
    for (document, offset) in [
        ("", 0),
        (" ", 1),
        ("{", 1),
        ("[1,]", 3),
        ("[,1]", 1),
        ("{\"a\":1,}", 7),
        ("{\"a\" 1}", 5),
        ("{a:1}", 1),
        ("{\"a\":1]", 6),
        ("[1}", 2),
        ("[1 2]", 3),
        ("01", 1),
        ("+1", 0),
        ("1.", 0),
        ("[.5]", 1),
        ("1e", 0),
        ("-", 0),
        ("- 1", 0),
        ("\"a", 2),
        ("\"\\x\"", 1),
        ("\"\\u12g4\"", 1),
        ("\"\t\"", 1),
        ("12345678\"", 8),
        ("\"1234567\u{1f}\"", 8),
        ("tru", 0),
        ("truee", 4),
        ("NaN", 0),
        ("{} {}", 3),
        ("\u{feff}{}", 0),
        ("// a\n{}", 0),
        ("{'a':1}", 1),
    ] {
        assert_eq!(read(document.as_bytes()).expect_err(document).offset, offset, "{document:?}");
    }
    assert_eq!(read(b"\"a\xff\"").unwrap_err(), Malformed { offset: 2, what: "not UTF-8" });
}

#[test]
fn a_document_may_be_deep_but_not_without_end() {
    let deep = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert_eq!(read(deep(DEPTH_MAX).as_bytes()).unwrap().len(), 2 * DEPTH_MAX);
    assert_eq!(read(deep(10_000).as_bytes()).unwrap_err().offset, DEPTH_MAX);
    let mixed = [r#"{"a":["#.repeat(512), "]}".repeat(512)].concat();
    assert!(read(mixed.as_bytes()).is_ok());
}

#[test]
fn escapes_are_read() {
    let mut out = Vec::new();
    unescape(r#"\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00-\ud800-\udc00-\ud800\u0041"#.as_bytes(), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "\"\\/\u{8}\u{c}\n\r\téé😀-\u{fffd}-\u{fffd}-\u{fffd}A");
}

proptest! {
    #[test]
    fn a_string_comes_back(text in "\\PC*|[\u{0}-\u{7f}]*") {
        let (mut written, mut back) = (Vec::new(), Vec::new());
        prop_assert!(write_string(text.as_bytes(), &mut written));
        let token = read(&written).unwrap()[0];
        unescape(&written[token.text()], &mut back);
        prop_assert_eq!(String::from_utf8(back).unwrap(), text.clone());
        prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
    }

    #[test]
    fn another_parser_agrees_on_what_is_a_document(text in r#"[\[\]{}:,"\\ \n0-9a.eE+u\-]{0,24}|(\{"a":|\[1,|"b"|-?[0-9.eE]{1,4}|[\]}, ]|true|null){0,10}"#) {
        // The other refuses numbers beyond its floats, and lone surrogates; neither comes up in strings as short as these.
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(read(text.as_bytes()).is_ok(), theirs, "{}", text);
    }
}
