//! JSON documents; tags are paths.
//!
//! - A payload is one document, by the strict grammar of `token`; it is one sample without a metric. What is not edited keeps
//!   every byte, blanks and order included.
//! - A tag is a string, a number or a boolean; its value is the text (of a string: what it stands for). `null` has no value and
//!   is no tag. Asked for paths, a tag's name is the path as it was asked for, and a path with `[*]` gives a tag for each scalar
//!   that it leads to; of members of one name in an object each counts. Asked for all, the name is the path with `[*]` for every
//!   element; the names of one document may come to [`NAMES_BYTES_MAX`].
//! - A new value of a string is a string. A new value of a number is a number if JSON reads it as one, else a string; of a
//!   boolean likewise. It has to be UTF-8.
//! - A tag is added by a path that ends in a member's name, as a string: each object that the path before it leads to gets a
//!   new last member, unless it has one of this name. That none does is an error.
//! - A time stamp is a number or a string by the unit asked for, without exponent or escapes; `null` there is none. An RFC 3339
//!   time that nanoseconds cannot count (`0001-01-01T00:00:00Z`) means "never" and stays; a number like that is an error, since
//!   the unit must be wrong. A field that is a tag and a stamp takes a new value rather than a shift.

mod path;
pub(crate) mod token;

use self::path::{Path, Step, write_member};
use self::token::{Token, TokenKind, Tokens, is_number, unescape, write_string};
use super::edits::Edits;
use super::kind::{StampUnit, Wanted};
use super::parsed::{Parsed, Sample, Span, Stamp, Tag};
use super::splice::{Patches, decoded};
use super::stamp::{self, Unreadable};
use super::{Format, Malformed, OpenError};

/// The most bytes that the names of one document's tags may come to, where all scalars are tags: in a deep document they are
/// much longer than the document.
const NAMES_BYTES_MAX: usize = 16 << 20;

/// How many paths of tags to add are remembered.
const ADDING_MAX: usize = 64;

/// What a path leads to.
#[derive(Debug)]
enum Goal {
    /// A tag, and its name.
    Tag(String),
    Stamp(StampUnit),
}

/// An array or object that is open.
#[derive(Debug)]
struct Level {
    /// In an array: the number of the next element.
    element: Option<usize>,
    /// Where all scalars are tags: the path of this object, or of this array's elements.
    name: Span,
}

/// The grammar, and memory that is used again.
#[derive(Debug)]
pub(super) struct Json {
    paths: Vec<Path>,
    goals: Vec<Goal>,
    is_all: bool,
    matched: Vec<usize>,
    names: Vec<Span>,
    units: Vec<StampUnit>,
    levels: Vec<Level>,
    key: Vec<u8>,
    adding: Vec<(Vec<u8>, Path)>,
    /// The empty objects that an earlier path to add has put a member into.
    filled: Vec<usize>,
    patches: Patches,
}

impl Json {
    /// Looks for what is wanted.
    ///
    /// # Errors
    /// [`OpenError::Path`].
    pub(super) fn new(wanted: &Wanted) -> Result<Self, OpenError> {
        let tags = wanted.tags.iter().flatten().map(|tag| (tag.as_str(), Goal::Tag(tag.clone())));
        let stamps = wanted.stamps.iter().map(|stamp| (stamp.path.as_str(), Goal::Stamp(stamp.unit)));
        let (mut paths, mut goals) = (Vec::new(), Vec::new());
        for (path, goal) in tags.chain(stamps) {
            paths.push(Path::parse(path)?);
            goals.push(goal);
        }
        Ok(Self {
            matched: vec![0; paths.len()],
            paths,
            goals,
            is_all: wanted.tags.is_none(),
            names: Vec::new(),
            units: Vec::new(),
            levels: Vec::new(),
            key: Vec::new(),
            adding: Vec::new(),
            filled: Vec::new(),
            patches: Patches::default(),
        })
    }
}

impl Format for Json {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.levels.clear();
        self.units.clear();
        self.names.clear();
        self.matched.fill(0);
        let mut tokens = Tokens::new(payload)?;
        parsed.text.extend_from_slice(payload);
        for goal in &self.goals {
            let name = if let Goal::Tag(name) = goal { name.as_bytes() } else { &[] };
            self.names.push(append(&mut parsed.text, name));
        }
        let root = append(&mut parsed.text, b"$");
        let mut names_bytes = 0;
        while let Some(token) = tokens.next()? {
            match token.kind {
                TokenKind::Key => read_key(payload, &token, &mut self.key),
                TokenKind::ObjectClose | TokenKind::ArrayClose => {
                    self.levels.pop();
                    for matched in &mut self.matched {
                        *matched = (*matched).min(self.levels.len().saturating_sub(1));
                    }
                }
                _ => {
                    let name = if self.is_all { self.child_name(root, parsed, &mut names_bytes) } else { root };
                    if names_bytes > NAMES_BYTES_MAX {
                        return Err(Malformed { offset: token.start, what: "the paths of its scalars come to more than 16 MiB" });
                    }
                    self.value(payload, &token, name, parsed)?;
                }
            }
        }
        let tags = 0..u32::try_from(parsed.tags.len()).unwrap_or(u32::MAX);
        parsed.samples.push(Sample { metric: Span::default(), tags, ..Sample::default() });
        Ok(())
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.patches.clear();
        self.patches.replace(parsed, edits, |tag, value, out| {
            let raw = parsed.tags[tag as usize].raw.range();
            let is_bare = match payload[raw.start] {
                b'"' => false,
                b't' | b'f' => matches!(value, b"true" | b"false"),
                _ => is_number(value),
            };
            if is_bare {
                out.extend_from_slice(value);
                return Ok(());
            }
            if write_string(value, out) { Ok(()) } else { Err(NOT_UTF8) }
        })?;
        self.add(payload, edits)?;
        self.patches.shift(parsed, edits, |i| self.units[i])?;
        self.patches.apply(payload, out);
        Ok(())
    }
}

const NOT_UTF8: &str = "a new value must be UTF-8";

impl Json {
    /// Takes a value: a scalar that is wanted, or an array or object that paths may lead into.
    fn value(&mut self, payload: &[u8], token: &Token, name: Span, parsed: &mut Parsed) -> Result<(), Malformed> {
        let depth = self.levels.len();
        let element = self.levels.last_mut().and_then(Level::count);
        let is_scalar = !matches!(token.kind, TokenKind::ObjectOpen | TokenKind::ArrayOpen);
        let mut read = None;
        if self.is_all && is_scalar && token.kind != TokenKind::Null {
            push_tag(payload, token, name, &mut read, parsed);
        }
        for i in 0..self.paths.len() {
            let steps = &self.paths[i].steps;
            if !leads_to(steps, self.matched[i], depth, element, &self.key) {
                continue;
            }
            if !is_scalar {
                self.matched[i] = depth;
            } else if steps.len() == depth && token.kind != TokenKind::Null {
                match self.goals[i] {
                    Goal::Tag(_) => push_tag(payload, token, self.names[i], &mut read, parsed),
                    Goal::Stamp(unit) => self.stamp(token, unit, parsed)?,
                }
            }
        }
        if !is_scalar {
            let is_array = token.kind == TokenKind::ArrayOpen;
            let name = if self.is_all && is_array {
                let start = parsed.text.len();
                parsed.text.extend_from_within(name.range());
                parsed.text.extend_from_slice(b"[*]");
                Span::new(start, parsed.text.len())
            } else {
                name
            };
            self.levels.push(Level { element: is_array.then_some(0), name });
        }
        Ok(())
    }

    /// The path of the value that comes now.
    fn child_name(&self, root: Span, parsed: &mut Parsed, names_bytes: &mut usize) -> Span {
        let Some(level) = self.levels.last() else { return root };
        if level.element.is_some() {
            *names_bytes += 3;
            return level.name;
        }
        let start = parsed.text.len();
        parsed.text.extend_from_within(level.name.range());
        write_member(&self.key, &mut parsed.text);
        // An array's elements have a name of their own, as long as this one.
        *names_bytes += 2 * (parsed.text.len() - start);
        Span::new(start, parsed.text.len())
    }

    fn stamp(&mut self, token: &Token, unit: StampUnit, parsed: &mut Parsed) -> Result<(), Malformed> {
        let text = token.text();
        match stamp::read(&parsed.text[text.clone()], unit) {
            Ok(ns) => {
                parsed.stamps.push(Stamp { raw: Span::new(text.start, text.end), ns });
                self.units.push(unit);
                Ok(())
            }
            Err(Unreadable::Range) if unit == StampUnit::Rfc3339 => Ok(()),
            Err(Unreadable::Range) => Err(Malformed { offset: text.start, what: "a time beyond the year 2261: is the unit right?" }),
            Err(Unreadable::Form) => Err(Malformed { offset: text.start, what: "not a time stamp of the unit asked for" }),
        }
    }

    fn add(&mut self, payload: &[u8], edits: &Edits) -> Result<(), Malformed> {
        if self.adding.len() > ADDING_MAX {
            self.adding.clear();
        }
        self.filled.clear();
        for added in edits.added() {
            let (name, value) = (edits.get(added.name), edits.get(added.value));
            let known = self.adding.iter().position(|(known, _)| known == name);
            let ix = match known {
                Some(ix) => ix,
                None => {
                    let path = std::str::from_utf8(name).ok().and_then(|name| Path::parse(name).ok());
                    self.adding.push((name.to_vec(), path.ok_or(Malformed { offset: 0, what: "a tag to add whose name is no path" })?));
                    self.adding.len() - 1
                }
            };
            let Some((Step::Member(member), parents)) = self.adding[ix].1.steps.split_last() else {
                return Err(Malformed { offset: 0, what: "a path to add must end in a member's name" });
            };
            let before = self.filled.len();
            let mut places = 0;
            each_object(payload, parents, member, &mut self.key, |at, is_empty| {
                places += 1;
                let is_first = is_empty && self.filled[..before].binary_search(&at).is_err();
                if is_first {
                    self.filled.push(at);
                }
                self.patches.put(at..at, |out| {
                    if !is_first {
                        out.push(b',');
                    }
                    write_string(member, out);
                    out.push(b':');
                    if write_string(value, out) { Ok(()) } else { Err(Malformed { offset: at, what: NOT_UTF8 }) }
                })
            })?;
            if places == 0 {
                return Err(Malformed { offset: 0, what: "no object where the path to add leads, or all have the member" });
            }
            self.filled.sort_unstable();
        }
        Ok(())
    }
}

impl Level {
    /// The number of the element that comes now; `None` in an object.
    fn count(&mut self) -> Option<usize> {
        let element = self.element.as_mut()?;
        *element += 1;
        Some(*element - 1)
    }
}

/// Whether a path of which the first `matched` steps lead to the innermost open array or object leads on into the value that
/// comes now, below `depth` open ones.
fn leads_to(steps: &[Step], matched: usize, depth: usize, element: Option<usize>, key: &[u8]) -> bool {
    let Some(above) = depth.checked_sub(1) else { return true };
    matched == above
        && steps.get(above).is_some_and(|step| match (step, element) {
            (Step::Member(name), None) => name == key,
            (Step::Element(number), Some(element)) => *number == element,
            (Step::AnyElement, Some(_)) => true,
            _ => false,
        })
}

/// Goes to each object that a path leads to and that has no such member: where a further member goes, and whether it is empty.
fn each_object(
    payload: &[u8],
    parents: &[Step],
    member: &[u8],
    key: &mut Vec<u8>,
    mut place: impl FnMut(usize, bool) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut tokens = Tokens::new(payload)?;
    let mut elements = [0_usize; token::DEPTH_MAX];
    let (mut matched, mut has_member, mut is_empty, mut is_parent) = (0, false, true, false);
    while let Some(token) = tokens.next()? {
        let depth = tokens.depth();
        match token.kind {
            TokenKind::Key => {
                read_key(payload, &token, key);
                if is_parent && depth == parents.len() + 1 {
                    is_empty = false;
                    has_member |= *key == member;
                }
            }
            TokenKind::ObjectClose | TokenKind::ArrayClose => {
                if is_parent && depth == parents.len() {
                    if token.kind == TokenKind::ObjectClose && !has_member {
                        place(token.start, is_empty)?;
                    }
                    is_parent = false;
                }
                matched = matched.min(depth.saturating_sub(1));
            }
            _ => {
                let is_open = matches!(token.kind, TokenKind::ObjectOpen | TokenKind::ArrayOpen);
                let above = if is_open { depth - 1 } else { depth };
                let element = above.checked_sub(1).filter(|_| !tokens.is_below_object(above)).map(|level| {
                    elements[level] += 1;
                    elements[level] - 1
                });
                if is_open {
                    elements[depth - 1] = 0;
                    if leads_to(parents, matched, above, element, key) {
                        matched = above;
                        if above == parents.len() {
                            (is_parent, is_empty, has_member) = (true, true, false);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

fn push_tag(payload: &[u8], token: &Token, name: Span, read: &mut Option<Tag>, parsed: &mut Parsed) {
    let tag = read.get_or_insert_with(|| {
        let text = token.text();
        let value = decoded(&mut parsed.text, text.clone(), |out| unescape(&payload[text], out));
        Tag { name: Span::default(), value, raw: Span::new(token.start, token.end) }
    });
    parsed.tags.push(Tag { name, ..*tag });
}

fn read_key(payload: &[u8], token: &Token, key: &mut Vec<u8>) {
    key.clear();
    if token.escaped { unescape(&payload[token.text()], key) } else { key.extend_from_slice(&payload[token.text()]) }
}

fn append(text: &mut Vec<u8>, piece: &[u8]) -> Span {
    let start = text.len();
    text.extend_from_slice(piece);
    Span::new(start, text.len())
}
