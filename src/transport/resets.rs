//! Calls that a client gave up on, counted for each connection as they come in: its frames RST_STREAM.
//!
//! A call that is given up frees its stream at once, so a limit on streams does not bound how many a client can begin.
//! Counting what was dropped unanswered would miss most of them: a call whose message never came whole is answered, with
//! an error, the moment it is given up.
//!
//! Absent: any other frame; hyper judges them.

use std::{
    io,
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::{
    io::{AsyncRead, ReadBuf},
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
        Self { allowed: RateLimiter::direct(Quota::per_second(per_second)), too_many: Notify::new() }
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

/// What a client sends behind its preface.
pub(super) struct Counted<R> {
    reader: R,
    resets: Arc<Resets>,
    /// As much of a frame's header as has come.
    header: Vec<u8>,
    /// How much of a frame is still to come, its header left out.
    rest: usize,
}

impl<R> Counted<R> {
    pub(super) fn new(reader: R, resets: Arc<Resets>) -> Self {
        Self { reader, resets, header: Vec::with_capacity(HEADER), rest: 0 }
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

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(context, buffer))?;
        let come = buffer.filled().get(before..).unwrap_or_default();
        self.look(come);
        Poll::Ready(Ok(()))
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
                let mut counted = Counted::new(sent.as_slice(), Arc::clone(&resets));
                let mut buffer = vec![0; at_once];
                while counted.read(&mut buffer).await.unwrap() > 0 {}
                let told = std::pin::pin!(resets.too_many()).poll(&mut Context::from_waker(Waker::noop()));
                assert_eq!(told.is_ready(), too_many, "{at_once} at once, {allowed} allowed");
                assert!(counted.header.is_empty() && counted.rest == 0);
            }
        }
    }
}
