//! RabbitMQ → RabbitMQ: what a broker would refuse, or must write itself, is stripped; everything else stays byte for byte.

use dejaq_shared::amqp::{Basic, Properties, TableBuf};
use dejaq_shared::units::Ratio;

use super::counts::{Loss, Losses};
use super::owned::{are_routes, is_owned, is_route};
use super::{Buffers, ExpirationMode};
use crate::digits::push_decimal;

/// What to strip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stripping {
    pub(super) expiration: ExpirationMode,
    /// What a scaled expiration is divided by.
    pub(super) speed: Ratio,
    pub(super) reply_to: bool,
}

/// The properties to send. `out` keeps them where they differ.
pub(super) fn strip<'r>(properties: Properties<'r>, how: &Stripping, out: &'r mut Buffers, losses: &mut Losses) -> Properties<'r> {
    let recorded = properties.basic();
    let Buffers { table, text, bytes, .. } = out;
    let mut basic = recorded;
    if basic.user_id.take().is_some() {
        losses.add(Loss::UserId);
    }
    if how.reply_to && basic.reply_to.take().is_some() {
        losses.add(Loss::ReplyTo);
    }
    basic.expiration = recorded.expiration.and_then(|recorded| expiration(recorded, how, text, losses));
    basic.headers = headers(&recorded, table, losses);
    if losses.is_empty() && basic.expiration == recorded.expiration {
        return properties;
    }
    bytes.clear();
    // Only a short string of more than 255 bytes is refused, and none became longer than it was recorded.
    match basic.write(bytes) {
        Ok(()) => Properties::from_checked(bytes),
        Err(_) => properties,
    }
}

/// The most that RabbitMQ takes: 2^32 - 1 ms.
fn ttl_ms(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn expiration<'r>(recorded: &'r [u8], how: &Stripping, text: &'r mut Vec<u8>, losses: &mut Losses) -> Option<&'r [u8]> {
    let Some(ms) = ttl_ms(recorded) else {
        losses.add(Loss::BadExpiration);
        return None;
    };
    match how.expiration {
        ExpirationMode::Keep => Some(recorded),
        ExpirationMode::Strip => {
            losses.add(Loss::Expiration);
            None
        }
        ExpirationMode::Scale => {
            // Rounded up: what was not to expire at once does not now.
            let scaled = (u128::from(ms) * u128::from(how.speed.den())).div_ceil(u128::from(how.speed.num()));
            text.clear();
            push_decimal(text, u64::try_from(scaled).unwrap_or(u64::MAX).min(u32::MAX.into()), 0);
            Some(text)
        }
    }
}

fn headers<'r>(recorded: &Basic<'r>, table: &'r mut TableBuf, losses: &mut Losses) -> Option<dejaq_shared::amqp::Table<'r>> {
    let headers = recorded.headers?;
    let bad_route = |name: &[u8], value| is_route(name) && !are_routes(value);
    if !headers.iter().any(|(name, value)| is_owned(name) || bad_route(name, value)) {
        return Some(headers);
    }
    table.clear();
    let mut left = 0;
    for (name, value) in headers.iter() {
        if is_owned(name) {
            losses.add(Loss::BrokerHeaders);
        } else if bad_route(name, value) {
            losses.add(Loss::BadRoutes);
        } else {
            table.name(name).value(value);
            left += 1;
        }
    }
    // A table that held nothing else was the broker's, too.
    if left == 0 { None } else { table.as_table().ok() }
}
