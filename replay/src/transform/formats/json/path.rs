//! Paths into JSON documents: `$`, then steps.
//!
//! `.name` and `['any name']` (or `["any name"]`; a quote or backslash in it behind a backslash) are a member of an object,
//! `[3]` is an element of an array and `[*]` is each of them. A name without brackets ends before `.`, `[`, `]`, a quote or a
//! blank. `$` alone is the document.

use crate::transform::formats::OpenError;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Into the member of this name.
    Member(Vec<u8>),
    /// Into the element of this number, from 0.
    Element(usize),
    /// Into each element.
    AnyElement,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// [`OpenError::Path`].
    pub(super) fn parse(text: &str) -> Result<Self, OpenError> {
        let refuse = |rest: &str, what| {
            let column = text[..text.len() - rest.len()].chars().count() + 1;
            OpenError::Path { path: text.to_owned(), column, what }
        };
        let mut rest = text.strip_prefix('$').ok_or_else(|| refuse(text, "it must begin with $"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, behind) = if let Some(name) = rest.strip_prefix('.') {
                let end = name.find(|c: char| !is_plain(c)).unwrap_or(name.len());
                if end == 0 {
                    return Err(refuse(name, "expected a name"));
                }
                (Step::Member(name.as_bytes()[..end].to_vec()), &name[end..])
            } else if let Some(inside) = rest.strip_prefix('[') {
                bracket(inside).map_err(|(at, what)| refuse(at, what))?
            } else {
                return Err(refuse(rest, "expected . or [ or the end; a name with such a character goes into ['…']"));
            };
            steps.push(step);
            rest = behind;
        }
        Ok(Self { steps })
    }
}

/// Reads what follows an opening bracket; or where and what is wrong.
fn bracket(inside: &str) -> Result<(Step, &str), (&str, &'static str)> {
    let close = |rest: &'_ str| -> Option<usize> { rest.starts_with(']').then_some(1) };
    let (step, rest) = match inside.as_bytes().first() {
        Some(b'*') => (Step::AnyElement, &inside[1..]),
        Some(quote @ (b'\'' | b'"')) => {
            let (mut name, mut escaped) = (Vec::new(), false);
            let mut end = None;
            for (at, byte) in inside.bytes().enumerate().skip(1) {
                match byte {
                    b'\\' if !escaped => escaped = true,
                    _ if byte == *quote && !escaped => {
                        end = Some(at + 1);
                        break;
                    }
                    _ => {
                        escaped = false;
                        name.push(byte);
                    }
                }
            }
            (Step::Member(name), &inside[end.ok_or((inside, "a quote without its end"))?..])
        }
        Some(b'0'..=b'9') => {
            let end = inside.find(|c: char| !c.is_ascii_digit()).unwrap_or(inside.len());
            (Step::Element(inside[..end].parse().map_err(|_| (inside, "too large a number"))?), &inside[end..])
        }
        _ => return Err((inside, "expected *, a number, or a name in quotes")),
    };
    let end = close(rest).ok_or((rest, "expected ]"))?;
    Ok((step, &rest[end..]))
}

fn is_plain(c: char) -> bool {
    !matches!(c, '.' | '[' | ']' | '\'' | '"' | '\\') && !c.is_whitespace() && !c.is_control()
}

/// Appends the step into a member as a path says it: with brackets only where they are needed.
pub(super) fn write_member(name: &[u8], out: &mut Vec<u8>) {
    let is_plain = std::str::from_utf8(name).is_ok_and(|name| !name.is_empty() && name.chars().all(is_plain));
    if is_plain {
        out.push(b'.');
        out.extend_from_slice(name);
        return;
    }
    out.extend_from_slice(b"['");
    for &byte in name {
        if matches!(byte, b'\'' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.extend_from_slice(b"']");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_read() {
        let member = |name: &str| Step::Member(name.as_bytes().to_vec());
        for (text, steps) in [
            ("$", vec![]),
            ("$.a.b-c_1", vec![member("a"), member("b-c_1")]),
            ("$['id.orig_h']", vec![member("id.orig_h")]),
            (r#"$["a b"]['it\'s \\']"#, vec![member("a b"), member(r"it's \")]),
            ("$.items[*].host", vec![member("items"), Step::AnyElement, member("host")]),
            ("$[3][0].ü", vec![Step::Element(3), Step::Element(0), member("ü")]),
            ("$['']", vec![member("")]),
        ] {
            assert_eq!(Path::parse(text).expect(text).steps, steps);
        }
    }

    #[test]
    fn what_is_no_path_is_refused_at_its_column() {
        for (text, at) in [
            ("", 1),
            ("a", 1),
            ("$a", 2),
            ("$.", 3),
            ("$..a", 3),
            ("$.ü.[", 5),
            ("$.a b", 4),
            ("$[", 3),
            ("$[a]", 3),
            ("$['a", 3),
            ("$['a'", 6),
            ("$[1", 4),
            ("$[-1]", 3),
            ("$[99999999999999999999]", 3),
            ("$.*a['", 6),
        ] {
            let OpenError::Path { column, path, .. } = Path::parse(text).expect_err(text);
            assert_eq!((column, path.as_str()), (at, text));
        }
    }

    proptest! {
        #[test]
        fn a_member_that_was_written_is_read(name in "\\PC{0,6}|['\\\\.\\[ a]{0,6}") {
            let mut text = b"$".to_vec();
            write_member(name.as_bytes(), &mut text);
            let path = Path::parse(std::str::from_utf8(&text).unwrap()).unwrap();
            prop_assert_eq!(path.steps, vec![Step::Member(name.into_bytes())]);
        }
    }
}
