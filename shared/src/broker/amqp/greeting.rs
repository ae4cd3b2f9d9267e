//! The name of the cluster that a broker greets with by AMQP, which lapin keeps to itself.
//!
//! It tells whether the node that is asked by HTTP belongs to the broker that messages go through: a wrong URL, or another broker's
//! default port on the same machine, would make a replay take its source for another cluster.
//!
//! Limits: without TLS only; where the broker does not tell (or does not answer this second connection), nothing is known. The greeting
//! is not believed for more than this comparison, and is bounded.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::broker::endpoint::AmqpEndpoint;

/// How AMQP 0-9-1 is asked for.
const HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
/// How long the broker may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of a greeting.
const BYTES_MAX: usize = 64 << 10;
/// A method frame's number, and `connection.start`, the method of a greeting.
const METHOD: u8 = 1;
const START: &[u8; 4] = b"\x00\x0a\x00\x0a";
const NAME: &[u8] = b"cluster_name";

/// What the broker calls its cluster, if it tells.
pub(super) fn cluster_name(endpoint: &AmqpEndpoint) -> Option<String> {
    if endpoint.tls {
        return None;
    }
    let address = (endpoint.address.host.as_str(), endpoint.address.port).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.write_all(HEADER).ok()?;
    let mut head = [0; 7];
    stream.read_exact(&mut head).ok()?;
    let [METHOD, _, _, length @ ..] = head else { return None };
    let length = usize::try_from(u32::from_be_bytes(length)).ok().filter(|length| *length <= BYTES_MAX)?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).ok()?;
    name_in(&payload)
}

/// The cluster's name in the payload of a greeting.
fn name_in(payload: &[u8]) -> Option<String> {
    // The protocol's version, two bytes, stands before the properties.
    let mut rest = payload.strip_prefix(START)?.get(2..)?;
    let mut properties = take_long(&mut rest)?;
    while !properties.is_empty() {
        let length = usize::from(*properties.split_off_first()?);
        let name = properties.split_off(..length)?;
        let kind = *properties.split_off_first()?;
        let value = match kind {
            b'S' | b'x' | b'F' | b'A' => take_long(&mut properties)?,
            _ => properties.split_off(..width(kind)?)?,
        };
        if name == NAME && kind == b'S' {
            return String::from_utf8(value.to_vec()).ok();
        }
    }
    None
}

/// How many bytes a value of this type has, where that is fixed.
fn width(kind: u8) -> Option<usize> {
    Some(match kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'd' | b'T' => 8,
        _ => return None,
    })
}

fn take_long<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = rest.split_off(..4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    rest.split_off(..usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As RabbitMQ 3.10 greets, shortened.
    fn greeting() -> Vec<u8> {
        let mut table = Vec::new();
        let mut entry = |name: &str, kind: u8, value: &[u8]| {
            table.push(u8::try_from(name.len()).expect("short"));
            table.extend_from_slice(name.as_bytes());
            table.push(kind);
            if matches!(kind, b'S' | b'F') {
                table.extend_from_slice(&u32::try_from(value.len()).expect("short").to_be_bytes());
            }
            table.extend_from_slice(value);
        };
        entry("capabilities", b'F', b"\x12publisher_confirmst\x01");
        entry("flag", b't', b"\x01");
        entry("cluster_name", b'S', b"dejaq-prod");
        entry("version", b'S', b"3.10.8");
        let mut payload = [START.as_slice(), &[0, 9]].concat();
        payload.extend_from_slice(&u32::try_from(table.len()).expect("short").to_be_bytes());
        payload.extend_from_slice(&table);
        payload.extend_from_slice(b"\x00\x00\x00\x05PLAIN");
        payload
    }

    #[test]
    fn the_name_is_found() {
        assert_eq!(name_in(&greeting()).as_deref(), Some("dejaq-prod"));
    }

    #[test]
    fn a_greeting_that_is_cut_or_without_a_name_tells_nothing() {
        let whole = greeting();
        let end = whole.windows(10).position(|w| w == b"dejaq-prod").expect("there") + 10;
        assert!((0..end).all(|length| name_in(&whole[..length]).is_none()));
        let mut other = whole;
        other[end - 10 - 4 - 1] = b'x';
        assert_eq!(name_in(&other), None, "a name is a text");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = name_in(&bytes);
            bytes.splice(0..0, START.iter().copied().chain([0, 9, 0, 0, 0, 100]));
            let _ = name_in(&bytes);
        }
    }
}
