//! The signals that end a server.
//!
//! SIGTERM comes from a process manager, so load balancers get a delay to notice. SIGINT comes from a person at the
//! keyboard and skips the delay, and so does a second signal of either kind.
//!
//! Absent: what is done about it (`server`).

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Whether the server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ShutdownStage {
    No,
    InOrder,
    WithoutDelay,
}

/// What the signals said so far.
#[derive(Clone)]
pub(super) struct End(watch::Receiver<ShutdownStage>);

impl End {
    /// From now on the signals do not kill the process.
    pub(super) fn on_signals() -> io::Result<Self> {
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let (sender, wanted) = watch::channel(ShutdownStage::No);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    Some(()) = terminate.recv() => match *sender.borrow() {
                        ShutdownStage::No => ShutdownStage::InOrder,
                        ShutdownStage::InOrder | ShutdownStage::WithoutDelay => ShutdownStage::WithoutDelay,
                    },
                    Some(()) = interrupt.recv() => ShutdownStage::WithoutDelay,
                    // The system delivers no more signals.
                    else => std::future::pending().await,
                };
                sender.send_replace(next);
            }
        });
        Ok(Self(wanted))
    }

    /// The server is to end.
    pub(super) async fn wanted(&self) {
        self.reached(ShutdownStage::InOrder).await;
    }

    /// The server is to end without a delay.
    pub(super) async fn hurried(&self) {
        self.reached(ShutdownStage::WithoutDelay).await;
    }

    async fn reached(&self, stage: ShutdownStage) {
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
