//! The signals that shut a server down.
//!
//! SIGTERM starts an orderly shutdown: load balancers need a moment to notice it. SIGINT comes from a person at the
//! keyboard and skips that delay, as does a second signal of either kind.
//!
//! Not here: the shutdown itself (`server`).

use std::{future::pending, io};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ShutdownStage {
    Running,
    Orderly,
    Immediate,
}

/// The stage that the signals so far ask for.
#[derive(Clone)]
pub(super) struct ShutdownSignals(watch::Receiver<ShutdownStage>);

impl ShutdownSignals {
    /// Installs the handlers. From now on the signals do not kill the process.
    pub(super) fn install() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (sender, receiver) = watch::channel(ShutdownStage::Running);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    Some(()) = terminate.recv() => match *sender.borrow() {
                        ShutdownStage::Running => ShutdownStage::Orderly,
                        ShutdownStage::Orderly | ShutdownStage::Immediate => ShutdownStage::Immediate,
                    },
                    Some(()) = interrupt.recv() => ShutdownStage::Immediate,
                    // The runtime delivers no more signals.
                    else => pending().await,
                };
                sender.send_replace(next);
            }
        });
        Ok(Self(receiver))
    }

    /// Waits until the server is to shut down.
    pub(super) async fn requested(&self) {
        self.reached(ShutdownStage::Orderly).await;
    }

    /// Waits until the server is to shut down without a delay.
    pub(super) async fn hurried(&self) {
        self.reached(ShutdownStage::Immediate).await;
    }

    async fn reached(&self, stage: ShutdownStage) {
        let mut receiver = self.0.clone();
        if receiver
            .wait_for(|reached| *reached >= stage)
            .await
            .is_err()
        {
            pending().await
        }
    }
}
