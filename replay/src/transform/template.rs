//! Texts with placeholders in braces; `{{` and `}}` are braces.

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<P> {
    /// Text as it stands.
    Text(Vec<u8>),
    /// What stands in braces.
    Hole(P),
}

/// Splits a template; `hole` reads what stands in braces.
pub(super) fn pieces<P>(text: &str, hole: impl Fn(&str) -> Result<P, String>) -> Result<Vec<Piece<P>>, String> {
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.extend_from_slice(&rest.as_bytes()[..at]);
        let (brace, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        if after.as_bytes().first() == Some(&brace) {
            plain.push(brace);
            rest = &after[1..];
            continue;
        }
        let inside = if brace == b'{' { after.split_once('}') } else { None };
        let Some((inside, after)) = inside else {
            return Err("a brace without its partner; write {{ or }} for a brace".to_owned());
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Hole(hole(inside)?));
        rest = after;
    }
    plain.extend_from_slice(rest.as_bytes());
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}
