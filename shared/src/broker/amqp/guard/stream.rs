//! The guard between a connection and lapin: lapin is given a stream that reads through it.
//!
//! Guarantees: it stands behind TLS, where there is some. What is written passes as it is. Between two frames that pass, lapin reads
//! straight from the connection; a frame that is looked into and is not whole yet is read on its own.

use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use lapin::tcp::{AMQPUriTcpExt as _, AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::AMQPUri;

use super::Guard;

/// So much of a frame that is held is read at once.
const READ: usize = 16 << 10;

/// A connection as tokio has it, TLS or not.
type Bare = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// The runtime whose connections are guarded, as lapin takes it.
type Kit = RuntimeParts<Tokio, Guarding>;

/// Tokio's reactor, with guarded connections.
#[derive(Debug, Clone)]
pub(in crate::broker::amqp) struct Guarding(Tokio);

/// A connection whose messages the client can read.
pub(in crate::broker::amqp) struct Guarded {
    stream: Bare,
    guard: Guard,
    read: Box<[u8]>,
}

/// The present runtime, guarded.
pub(in crate::broker::amqp) fn runtime() -> Runtime<Kit> {
    let tokio = Tokio::current();
    Runtime::new(RuntimeParts::new(tokio.clone(), Guarding(tokio)))
}

/// Connects, with TLS where the URI says so.
///
/// # Errors
/// The network's, and TLS's.
pub(in crate::broker::amqp) async fn connect(uri: &AMQPUri, tls: &OwnedTLSConfig) -> lapin::Result<AsyncTcpStream<Guarded>> {
    let stream = uri.connect_with_config_async(tls.as_ref(), &Runtime::tokio_current()).await?;
    Ok(AsyncTcpStream::Plain(Guarded::new(stream)))
}

impl Guarded {
    fn new(stream: Bare) -> Self {
        Self { stream, guard: Guard::default(), read: vec![0; READ].into() }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let Self { stream, guard, read } = self.get_mut();
        if to.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let given = guard.give(to);
            if given > 0 {
                return Poll::Ready(Ok(given));
            }
            let lacking = guard.lacking().min(READ);
            let into = if lacking == 0 { &mut *to } else { &mut read[..lacking] };
            let count = ready!(Pin::new(&mut *stream).poll_read(context, into))?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            let passed = if lacking == 0 { guard.pass(&to[..count])? } else { guard.add(&read[..count]).map(|()| 0)? };
            if passed > 0 {
                return Poll::Ready(Ok(passed));
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, from)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

impl Reactor for Guarding {
    type TcpStream = Guarded;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move { Ok(Guarded::new(AsyncTcpStream::Plain(connecting.await?))) }
    }
}
