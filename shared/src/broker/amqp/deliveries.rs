//! Deliveries, taken from a consumer as they come.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream as _;
use lapin::Consumer;
use lapin::message::Delivery;

/// Why a consumer gives nothing any more.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was cancelled, by us or by the broker.
    Cancelled,
    /// The connection or the channel is gone.
    Broken(lapin::Error),
}

/// What is there, at least one unless the consumer has ended, and at most `most`. Given up before it is done, it has taken nothing.
pub(super) async fn take(consumer: &mut Consumer, most: usize) -> (Vec<Delivery>, Option<Ended>) {
    let mut deliveries = Vec::new();
    let mut consumer = Pin::new(consumer);
    let ended = poll_fn(|context| {
        while deliveries.len() < most {
            match consumer.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(delivery))) => deliveries.push(delivery),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Ended::Broken(error))),
                Poll::Ready(None) => return Poll::Ready(Some(Ended::Cancelled)),
                Poll::Pending if deliveries.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(None)
    })
    .await;
    (deliveries, ended)
}
