//! Connections, as many as there is room for.
//!
//! Not here: what is said on them.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::transport::server::Connected;

/// How long nothing is accepted after that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections that come in; one for which there is no room is closed at once.
pub(super) fn bounded(
    listener: TcpListener,
    room: usize,
) -> impl Stream<Item = io::Result<Placed>> {
    let room = Arc::new(Semaphore::new(room));
    let mut failing = false;
    let accepted = TcpListenerStream::new(listener).then(move |accepted| {
        let first = accepted.is_err() && !failing;
        failing = accepted.is_err();
        async move {
            let error = match accepted {
                Ok(stream) => return Some(stream),
                Err(error) => error,
            };
            if first {
                tracing::warn!(%error, "the admin port takes no connections");
            }
            // Without file descriptors the next one fails at once, too.
            tokio::time::sleep(PAUSE).await;
            None
        }
    });
    accepted.filter_map(move |stream| {
        let place = Arc::clone(&room).try_acquire_owned().ok()?;
        Some(Ok(Placed {
            stream: stream?,
            _place: place,
        }))
    })
}

/// A connection, and its place among all.
pub(super) struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connected for Placed {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
