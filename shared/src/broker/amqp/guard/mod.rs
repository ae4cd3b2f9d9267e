//! A guard in front of lapin's parser: no message that somebody published may end the client or its connection.
//!
//! lapin reads nested tables by recursion, so that a header table of some thousand levels, which any publisher can send, overflows a
//! stack; and it takes no short string that is not UTF-8, which RabbitMQ does. Both come again after a restart.
//!
//! Guarantees: a content header that lapin cannot read (see [`content`]) is replaced by one that it can, of the same body size,
//! whose only header tells why (see [`unreadable`]); so the message arrives in its place. Names in a delivery that are not UTF-8 have
//! `?` in place of what is no ASCII, and the content header behind it is replaced as well. Everything else passes as it came.
//!
//! Limits: a method or content header of more than [`HELD_MAX`] bytes ends the connection. Other frames are not looked into: bodies
//! pass without being copied, and so does what is no frame; lapin judges it.

mod content;
mod stream;

use std::io;
use std::sync::LazyLock;

#[cfg(feature = "source")]
use lapin::BasicProperties;
#[cfg(feature = "source")]
use lapin::types::AMQPValue;

use content::{BODY_SIZE_END, HEADERS};
pub(super) use stream::{connect, runtime};

/// The largest frame that is looked into, and so the most that is held: far beyond what brokers are set to (128 KiB).
const HELD_MAX: usize = 16 << 20;

/// A frame's type, channel and length before its payload; one octet ends it.
const HEAD: usize = 7;
const FRAME_METHOD: u8 = 1;
const FRAME_HEADER: u8 = 2;
const FRAME_BODY: u8 = 3;
const FRAME_HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 206;

/// The header by which a replaced content header is known: of this process alone and never sent, so that no publisher can forge it.
static SEAL: LazyLock<String> = LazyLock::new(|| format!("dejaq-unreadable-{}", uuid::Uuid::new_v4().simple()));

/// Why a message cannot be read, where the guard found that.
#[cfg(feature = "source")]
pub(super) fn unreadable(properties: &BasicProperties) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(SEAL.as_str())? {
        AMQPValue::LongString(why) => Some(why.to_string()),
        _ => None,
    }
}

/// Follows what a broker sends, frame by frame. Pure.
#[derive(Debug, Default)]
struct Guard {
    /// So many bytes pass before the next frame begins.
    passing: usize,
    /// The beginning of a frame that is looked into once it is whole, or of a frame's head.
    held: Vec<u8>,
    /// What is handed on before anything else, and how much of it was.
    ready: Vec<u8>,
    given: usize,
    /// The channels whose next content header belongs to a delivery with a bad name.
    marred: Vec<u16>,
}

/// What a run of bytes begins with.
struct Scanned {
    /// So many pass as they are.
    good: usize,
    /// So many behind them are held, or have something else in their place.
    taken: usize,
    /// That.
    instead: Vec<u8>,
}

/// The head of a frame.
#[derive(Clone, Copy)]
struct Head {
    kind: u8,
    channel: u16,
    /// The frame's length, head and end octet included.
    whole: usize,
}

impl Head {
    /// `None`: more bytes are needed.
    fn read(bytes: &[u8]) -> Option<Self> {
        let [kind, c0, c1, s0, s1, s2, s3] = *bytes.first_chunk::<HEAD>()?;
        let whole = if matches!(kind, FRAME_METHOD | FRAME_HEADER | FRAME_BODY | FRAME_HEARTBEAT) {
            HEAD + u32::from_be_bytes([s0, s1, s2, s3]) as usize + 1
        } else {
            // No frame: nothing that follows can be told to be one.
            usize::MAX
        };
        Some(Self { kind, channel: u16::from_be_bytes([c0, c1]), whole })
    }

    fn is_looked_into(self) -> bool {
        matches!(self.kind, FRAME_METHOD | FRAME_HEADER)
    }
}

impl Guard {
    /// Takes bytes that follow on those before, while nothing is held and nothing is ready. So many of them, from the first one, are
    /// to be handed on as they stand; the rest is taken over.
    ///
    /// # Errors
    /// When a frame is too large.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let first = self.scan(bytes)?;
        self.ready.extend_from_slice(&first.instead);
        self.take_over(&bytes[first.good + first.taken..])?;
        Ok(first.good)
    }

    /// So many bytes of a frame that is held are not there yet; 0: none is held.
    fn lacking(&self) -> usize {
        match Head::read(&self.held) {
            _ if self.held.is_empty() => 0,
            None => HEAD - self.held.len(),
            Some(head) if head.is_looked_into() => head.whole - self.held.len(),
            Some(_) => 0,
        }
    }

    /// Takes bytes of the frame that is held: no more than it lacks.
    ///
    /// # Errors
    /// When the frame is too large.
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        let large = Head::read(&self.held).is_some_and(|head| head.is_looked_into() && head.whole > HELD_MAX);
        if self.lacking() == 0 || large {
            let mut held = std::mem::take(&mut self.held);
            self.take_over(&held)?;
            held.clear();
            self.held = held;
        }
        Ok(())
    }

    /// Moves what is ready to `to`; how much that was.
    fn give(&mut self, to: &mut [u8]) -> usize {
        let left = &self.ready[self.given..];
        let count = left.len().min(to.len());
        to[..count].copy_from_slice(&left[..count]);
        self.given += count;
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
        }
        count
    }

    fn take_over(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let next = self.scan(bytes)?;
            self.ready.extend_from_slice(&bytes[..next.good]);
            self.ready.extend_from_slice(&next.instead);
            bytes = &bytes[next.good + next.taken..];
        }
        Ok(())
    }

    /// Goes on until something does not pass.
    fn scan(&mut self, bytes: &[u8]) -> io::Result<Scanned> {
        let mut good = 0;
        loop {
            let passed = self.passing.min(bytes.len() - good);
            self.passing -= passed;
            good += passed;
            let rest = &bytes[good..];
            if rest.is_empty() {
                return Ok(Scanned { good, taken: 0, instead: Vec::new() });
            }
            match Head::read(rest) {
                Some(head) if !head.is_looked_into() => self.passing = head.whole,
                Some(head) if head.whole > HELD_MAX => {
                    let text = format!("a frame of {} bytes came; more than {HELD_MAX} are not taken", head.whole);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                Some(head) if head.whole <= rest.len() => match self.instead_of(head, &rest[HEAD..head.whole - 1]) {
                    None => good += head.whole,
                    Some(instead) => return Ok(Scanned { good, taken: head.whole, instead }),
                },
                // It is not whole yet.
                _ => {
                    self.held.extend_from_slice(rest);
                    return Ok(Scanned { good, taken: rest.len(), instead: Vec::new() });
                }
            }
        }
    }

    /// The frame that takes this one's place; `None`: it passes.
    fn instead_of(&mut self, head: Head, payload: &[u8]) -> Option<Vec<u8>> {
        if head.kind == FRAME_METHOD {
            let payload = content::delivery_in_utf8(payload)?;
            if !self.marred.contains(&head.channel) {
                self.marred.push(head.channel);
            }
            return Some(frame(FRAME_METHOD, head.channel, &payload));
        }
        let marred = self.marred.iter().position(|channel| *channel == head.channel).map(|at| self.marred.swap_remove(at));
        let why = match (marred, content::check(payload)) {
            (Some(_), _) => "the name of its exchange, or its routing key, is not UTF-8".to_owned(),
            (None, Err(malformed)) => malformed.to_string(),
            (None, Ok(())) => return None,
        };
        // Without them it is no content header, and lapin says so.
        let before = payload.get(..BODY_SIZE_END)?;
        Some(frame(FRAME_HEADER, head.channel, &[before, &HEADERS.to_be_bytes(), &sealed(&why, content::stream_offset(payload))].concat()))
    }
}

/// A header table that says why, and the offset of a message of a stream.
fn sealed(why: &str, stream_offset: Option<i64>) -> Vec<u8> {
    let name = SEAL.as_bytes();
    let (name_len, why_len) = (u8::try_from(name.len()).unwrap_or_default(), length(why.len()));
    let mut entry = [&[name_len], name, b"S", &why_len, why.as_bytes()].concat();
    if let Some(offset) = stream_offset {
        entry.extend_from_slice(b"\x0fx-stream-offsetl");
        entry.extend_from_slice(&offset.to_be_bytes());
    }
    [&length(entry.len())[..], &entry].concat()
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    [&[kind][..], &channel.to_be_bytes(), &length(payload.len()), payload, &[FRAME_END]].concat()
}

/// A length as it travels; nothing that is made here is longer than what was held.
fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(all(test, feature = "source"))]
mod tests;
