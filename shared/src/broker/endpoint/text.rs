//! The text of an endpoint: percent-encoding, user and password, hosts, and what may be shown of it.

use std::fmt;

#[cfg(feature = "amqp")]
use super::EndpointError;
use super::{Address, Secret};

/// A URL without its password, whatever else is wrong with it.
#[must_use]
pub fn redact(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let Some(end) = url[start..].rfind('@').map(|at| start + at) else { return url.to_owned() };
    match url[start..end].find(':') {
        Some(colon) => format!("{}:***{}", &url[..start + colon], &url[end..]),
        None => url.to_owned(),
    }
}

pub(super) fn no_nul(text: String, what: &str) -> Result<String, String> {
    if text.contains('\0') { Err(format!("{what} has a NUL byte in it, which the client cannot take")) } else { Ok(text) }
}

/// `user` or `user:password`, percent-encoded.
pub(super) fn parse_userinfo(info: &str, expected: &str) -> Result<(String, Option<Secret>), String> {
    let (user, password) = match info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (info, None),
    };
    let user = decode(user, "the user")?;
    if user.is_empty() {
        return Err(format!("there is an '@' and no user before it; {expected}"));
    }
    let password = password.map(|password| decode(password, "the password")).transpose()?;
    Ok((user, password.map(Secret::new)))
}

/// A percent-encoded part of a URL.
pub(super) fn decode(text: &str, what: &str) -> Result<String, String> {
    let text = percent_decode(text).ok_or_else(|| format!("{what}'s percent-encoding is broken (expected %XX of UTF-8)"))?;
    no_nul(text, what)
}

/// `host` or `host:port`.
pub(super) fn parse_address(text: &str, port_default: u16, expected: &str) -> Result<Address, String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| format!("no ']' in the address {text:?}"))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("{host:?} in brackets is not an IPv6 address"));
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(format!("{after:?} after the address {text:?}; expected :PORT")),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err(format!("a host is empty; {expected}"));
    }
    if let Some(bad) = host.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '%')) {
        return Err(format!("{bad:?} in the host {host:?}"));
    }
    let port = match port {
        None => port_default,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("port {port:?} of host {host:?} is not a number from 1 to 65535")),
        },
    };
    Ok(Address { host: host.to_owned(), port })
}

fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let (hex, after) = after.split_at_checked(2)?;
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            out.push(digit(hex[0])? << 4 | digit(hex[1])?);
            rest = after;
        } else {
            out.push(first);
            rest = after;
        }
    }
    String::from_utf8(out).ok()
}

/// The inverse of `decode`; nothing but letters, digits and `-._~` stands for itself.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A user and their password.
#[cfg(feature = "amqp")]
pub(crate) type UserInfo = (String, Option<Secret>);

/// A URL of another service without its user and password, and these, percent-decoded.
///
/// # Errors
/// [`EndpointError`] when user or password cannot be read.
#[cfg(feature = "amqp")]
pub(crate) fn split_userinfo(url: &str) -> Result<(String, Option<UserInfo>), EndpointError> {
    let whole = || Ok((url.to_owned(), None));
    let Some((scheme, rest)) = url.split_once("://") else { return whole() };
    let Some((info, hosts)) = rest.rsplit_once('@') else { return whole() };
    match parse_userinfo(info, "expected USER:PASSWORD@ before the host") {
        Ok(parsed) => Ok((format!("{scheme}://{hosts}"), Some(parsed))),
        Err(problem) => Err(EndpointError { url: redact(url), problem }),
    }
}
