//! `header` of RabbitMQ's records: the entries of the AMQP header table are tags, in the properties as dejaq encodes them.
//!
//! Tags are strings, integers and bools; those of a table in the table by a path, `outer.inner`. Arrays, floats, decimals,
//! time stamps, bytes and void are no tags. A new value keeps the entry's type where its text is of that type (`17` for an
//! integer that holds 17, `true` and `false` for a bool), else it becomes a string. A tag that is added is a string at the
//! end of the table. Everything else stays byte for byte.

use dejaq_shared::amqp::{DEPTH_MAX, Properties, Table, Value};

use super::{Edits, Format, Malformed, Parsed, Sample, Span, Tag};

/// The grammar of header tables. What it keeps is of the payload that was parsed last.
#[derive(Debug, Default)]
pub struct AmqpHeader {
    /// The tables, in the order of their beginnings.
    tables: Vec<TableAt>,
    /// By how much the payload has grown before each replaced value, and after the last.
    grown: Vec<i64>,
    /// Where each replaced value began.
    starts: Vec<usize>,
}

/// Where a table lies in the payload: the four bytes of its length begin at `length`.
#[derive(Debug, Clone, Copy)]
struct TableAt {
    length: usize,
    end: usize,
}

/// The bit of the header table in the properties' first two bytes.
const HEADERS_BIT: u16 = 1 << 2;

impl Format for AmqpHeader {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.tables.clear();
        let properties = Properties::parse(payload).map_err(|e| Malformed { offset: e.offset, what: e.what })?;
        parsed.text.extend_from_slice(payload);
        if let Some(headers) = properties.basic().headers {
            self.walk(payload, headers, parsed);
        }
        let tags = 0..u32::try_from(parsed.tags.len()).unwrap_or(u32::MAX);
        parsed.samples.push(Sample { tags, ..Sample::default() });
        Ok(())
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let begin = out.len();
        self.grown.clear();
        self.starts.clear();
        self.grown.push(0);
        let mut at = 0;
        for (_, tag, value) in edits.changes(parsed) {
            let raw = tag.raw.range();
            out.extend_from_slice(&payload[at..raw.start]);
            retyped(payload[raw.start], value).write(out);
            at = raw.end;
            self.starts.push(raw.start);
            self.grown.push(difference(out.len() - begin, at));
        }
        let headers = self.tables.first().copied();
        if !edits.added().is_empty() {
            let (end, created) = match headers {
                Some(table) => (table.end, None),
                None => (begin_of_headers(payload), Some(payload.first_chunk().map_or(0, |bits| u16::from_le_bytes(*bits)))),
            };
            // Before the first property there are the two bytes that say which are there; without any, not even these.
            match created {
                Some(0) => out.extend_from_slice(&HEADERS_BIT.to_le_bytes()),
                _ => out.extend_from_slice(&payload[at..end]),
            }
            at = end.min(payload.len());
            let length_at = out.len();
            if let Some(present) = created {
                out[begin..begin + 2].copy_from_slice(&(present | HEADERS_BIT).to_le_bytes());
                out.extend_from_slice(&[0; 4]);
            }
            let start = out.len();
            for added in edits.added() {
                let name = edits.get(added.name);
                let length = u8::try_from(name.len()).map_err(|_| Malformed { offset: at, what: "a name of more than 255 bytes" })?;
                out.push(length);
                out.extend_from_slice(name);
                Value::String(edits.get(added.value)).write(out);
            }
            let added = out.len() - start;
            if created.is_some() {
                put_length(out, length_at, added);
            }
            if let Some(table) = headers {
                let new = grow(table.end - table.length - 4, self.growth_in(table)) + added;
                put_length(out, begin + grow(table.length, self.growth_before(table.length)), new);
            }
        } else if let Some(table) = headers {
            let new = grow(table.end - table.length - 4, self.growth_in(table));
            put_length(out, begin + grow(table.length, self.growth_before(table.length)), new);
        }
        out.extend_from_slice(&payload[at..]);
        for table in self.tables.iter().skip(1) {
            let new = grow(table.end - table.length - 4, self.growth_in(*table));
            put_length(out, begin + grow(table.length, self.growth_before(table.length)), new);
        }
        Ok(())
    }
}

impl AmqpHeader {
    /// Finds the tags of a table that was checked, and of the tables in it.
    fn walk(&mut self, payload: &[u8], headers: Table<'_>, parsed: &mut Parsed) {
        let base = payload.as_ptr().addr();
        // What is left of each table that is open, and the length of the path to it.
        let mut open = [(Table::EMPTY, 0); DEPTH_MAX];
        let mut path = Vec::new();
        open[0] = (headers, 0);
        self.open_table(base, headers);
        let mut depth = 1;
        while depth > 0 {
            let (rest, path_len) = open[depth - 1];
            let Some((name, value, after)) = rest.split_first() else {
                depth -= 1;
                continue;
            };
            open[depth - 1].0 = after;
            path.truncate(path_len);
            if let Value::Table(table) = value {
                path.extend_from_slice(name);
                path.push(b'.');
                self.open_table(base, table);
                if let Some(inner) = open.get_mut(depth) {
                    *inner = (table, path.len());
                    depth += 1;
                }
                continue;
            }
            let start = name.as_ptr().addr() - base + name.len();
            let raw = Span::new(start, start + value.encoded_bytes());
            let Some(value) = tag_value(value, raw, parsed) else { continue };
            let name_start = name.as_ptr().addr() - base;
            let name = if path.is_empty() {
                Span::new(name_start, name_start + name.len())
            } else {
                let start = parsed.text.len();
                parsed.text.extend_from_slice(&path);
                parsed.text.extend_from_slice(name);
                Span::new(start, parsed.text.len())
            };
            parsed.tags.push(Tag { name, value, raw });
        }
    }

    fn open_table(&mut self, base: usize, table: Table<'_>) {
        let start = table.as_bytes().as_ptr().addr() - base;
        self.tables.push(TableAt { length: start - 4, end: start + table.as_bytes().len() });
    }

    /// How much was added to the payload before this place of it.
    fn growth_before(&self, place: usize) -> i64 {
        self.grown[self.starts.partition_point(|start| *start < place)]
    }

    fn growth_in(&self, table: TableAt) -> i64 {
        self.growth_before(table.end) - self.growth_before(table.length)
    }
}

/// The text of a value that can be a tag.
fn tag_value(value: Value<'_>, raw: Span, parsed: &mut Parsed) -> Option<Span> {
    use std::io::Write as _;
    let start = parsed.text.len();
    // Writing into memory does not fail.
    let _ = match value {
        // Letter and length stand before a string.
        Value::String(bytes) => return Some(Span { start: raw.start + 5, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }),
        Value::Bool(value) => write!(parsed.text, "{value}"),
        Value::I8(value) => write!(parsed.text, "{value}"),
        Value::U8(value) => write!(parsed.text, "{value}"),
        Value::I16(value) => write!(parsed.text, "{value}"),
        Value::U16(value) => write!(parsed.text, "{value}"),
        Value::I32(value) => write!(parsed.text, "{value}"),
        Value::U32(value) => write!(parsed.text, "{value}"),
        Value::I64(value) => write!(parsed.text, "{value}"),
        _ => return None,
    };
    Some(Span::new(start, parsed.text.len()))
}

/// The new value in the type of the old one, whose letter this is; a string where its text is not of that type.
fn retyped(letter: u8, text: &[u8]) -> Value<'_> {
    /// Only what is written as this type writes it: `+1` and `007` are texts.
    fn exact<'t, T: std::str::FromStr + ToString>(text: &[u8], make: fn(T) -> Value<'t>) -> Option<Value<'t>> {
        let value: T = std::str::from_utf8(text).ok()?.parse().ok()?;
        (value.to_string().as_bytes() == text).then(|| make(value))
    }
    let typed = match letter {
        b't' => exact(text, Value::Bool),
        b'b' => exact(text, Value::I8),
        b'B' => exact(text, Value::U8),
        b's' => exact(text, Value::I16),
        b'u' => exact(text, Value::U16),
        b'I' => exact(text, Value::I32),
        b'i' => exact(text, Value::U32),
        b'l' => exact(text, Value::I64),
        _ => None,
    };
    typed.unwrap_or(Value::String(text))
}

/// Where a header table would begin in properties that have none.
fn begin_of_headers(payload: &[u8]) -> usize {
    let basic = Properties::from_checked(payload).basic();
    let before = [basic.content_type, basic.content_encoding];
    2 + before.into_iter().flatten().map(|s| 1 + s.len()).sum::<usize>()
}

fn difference(new: usize, old: usize) -> i64 {
    i64::try_from(new).unwrap_or(i64::MAX).saturating_sub(i64::try_from(old).unwrap_or(i64::MAX))
}

fn grow(place: usize, growth: i64) -> usize {
    usize::try_from(i64::try_from(place).unwrap_or(i64::MAX).saturating_add(growth)).unwrap_or(0)
}

fn put_length(out: &mut [u8], at: usize, length: usize) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }
}

#[cfg(test)]
#[path = "amqp_header_tests.rs"]
mod tests;
