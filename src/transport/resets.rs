//! Calls that a client gave up on, counted for each connection as they come in: its frames RST_STREAM.
//!
//! A call that is given up frees its stream at once, so a limit on streams does not bound how many a client can begin.
//! Counting what was dropped unanswered would miss most of them: a call whose message never came whole is answered, with
//! an error, the moment it is given up.
//!
//! Not here: any other frame; hyper judges them.

use std::{
    io,
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

/// Before each frame stand its length, type, flags and stream (RFC 9113, section 4.1).
const HEADER: usize = 9;
/// RFC 9113, section 6.4.
const RST_STREAM: u8 = 3;

/// Counts for one connection.
pub(super) struct Resets {
    allowed: DefaultDirectRateLimiter,
    too_many: Notify,
}

impl Resets {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self {
            allowed: RateLimiter::direct(Quota::per_second(per_second)),
            too_many: Notify::new(),
        }
    }

    /// Resolves once the client has given up on more than it may.
    pub(super) async fn too_many(&self) {
        self.too_many.notified().await;
    }

    fn count(&self) {
        if self.allowed.check().is_err() {
            self.too_many.notify_one();
        }
    }
}

/// A connection whose preface has been read: it is given again, and what comes behind it is looked through.
pub(super) struct Counted<S> {
    stream: S,
    /// What is still to be given of the preface.
    preface: &'static [u8],
    resets: Arc<Resets>,
    /// As much of a frame's header as has come.
    header: Vec<u8>,
    /// How much of a frame is still to come, its header left out.
    rest: usize,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, preface: &'static [u8], resets: Arc<Resets>) -> Self {
        Self {
            stream,
            preface,
            resets,
            header: Vec::with_capacity(HEADER),
            rest: 0,
        }
    }

    fn look(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let (passed, left) = bytes.split_at(self.rest.min(bytes.len()));
                self.rest = self.rest.saturating_sub(passed.len());
                bytes = left;
                continue;
            }
            let wanted = HEADER.saturating_sub(self.header.len());
            let (come, left) = bytes.split_at(wanted.min(bytes.len()));
            self.header.extend_from_slice(come);
            bytes = left;
            if let &[high, middle, low, kind, _, _, _, _, _] = self.header.as_slice() {
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.rest = usize::try_from(length).unwrap_or(usize::MAX);
                self.header.clear();
                if kind == RST_STREAM {
                    self.resets.count();
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.preface.is_empty() {
            let (given, left) = self
                .preface
                .split_at(self.preface.len().min(buffer.remaining()));
            buffer.put_slice(given);
            self.preface = left;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let come = buffer.filled().get(before..).unwrap_or_default();
        self.look(come);
        Poll::Ready(Ok(()))
    }
}

/// Passed on as it is.
impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    /// However the bytes come, and whatever stands in other frames.
    #[tokio::test]
    async fn frames_are_told_apart() {
        let tricky = [RST_STREAM; 70_000];
        let sent = [
            frame(4, &[]),
            frame(RST_STREAM, &[0, 0, 0, 8]),
            frame(0, &tricky),
            frame(1, &frame(RST_STREAM, &[0; 4])),
            frame(RST_STREAM, &[0, 0, 0, 8]),
        ]
        .concat();
        for at_once in [1, 2, 8, 9, 10, 13, 4096, sent.len()] {
            for (allowed, too_many) in [(1, true), (2, false)] {
                let resets = Arc::new(Resets::new(NonZeroU32::new(allowed).unwrap()));
                let mut counted = Counted::new(sent.as_slice(), b"PREFACE", Arc::clone(&resets));
                let (mut buffer, mut come) = (vec![0; at_once], Vec::new());
                loop {
                    match counted.read(&mut buffer).await.unwrap() {
                        0 => break,
                        count => come.extend_from_slice(&buffer[..count]),
                    }
                }
                assert_eq!(come, [b"PREFACE", sent.as_slice()].concat());
                let outcome =
                    std::pin::pin!(resets.too_many()).poll(&mut Context::from_waker(Waker::noop()));
                assert_eq!(
                    outcome.is_ready(),
                    too_many,
                    "{at_once} at once, {allowed} allowed"
                );
                assert!(counted.header.is_empty() && counted.rest == 0);
            }
        }
    }
}
