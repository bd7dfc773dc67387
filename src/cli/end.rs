//! The signals that end a server.
//!
//! SIGTERM comes from whoever routes calls here, or from somebody who tells them: they need a moment to notice. SIGINT
//! comes from a person at the keyboard, who waits for nobody; and a second signal of either kind means the same.
//!
//! Absent: what is done about it (`server`).

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Whether the server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    No,
    InOrder,
    WithoutDelay,
}

/// What the signals said so far.
#[derive(Clone)]
pub(super) struct End(watch::Receiver<Wanted>);

impl End {
    /// From now on the signals do not kill the process.
    pub(super) fn on_signals() -> io::Result<Self> {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let (told, wanted) = watch::channel(Wanted::No);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    Some(()) = terminate.recv() => match *told.borrow() {
                        Wanted::No => Wanted::InOrder,
                        Wanted::InOrder | Wanted::WithoutDelay => Wanted::WithoutDelay,
                    },
                    Some(()) = interrupt.recv() => Wanted::WithoutDelay,
                    // The system tells no more signals.
                    else => std::future::pending().await,
                };
                told.send_replace(next);
            }
        });
        Ok(Self(wanted))
    }

    /// The server is to end.
    pub(super) async fn wanted(&self) {
        self.reached(Wanted::InOrder).await;
    }

    /// The server is to end without a delay.
    pub(super) async fn hurried(&self) {
        self.reached(Wanted::WithoutDelay).await;
    }

    async fn reached(&self, stage: Wanted) {
        if self
            .0
            .clone()
            .wait_for(|wanted| *wanted >= stage)
            .await
            .is_err()
        {
            std::future::pending().await
        }
    }
}
