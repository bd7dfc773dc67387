//! The audit stream: changes, resolves, refusals, and usage counts.
//!
//! # The stream
//!
//! One JSON object a line. Every line begins with `chain` (a UUID, one for each start of a process), `seq` (1, 2, 3, … in
//! its chain), `at` (UTC) and `event`, and ends with `"mac":"` and 64 hexadecimal digits:
//!
//! ```text
//! mac = HMAC-SHA-256(key, the 32 bytes of the MAC before ‖ the line without `,"mac":"…"`)
//! ```
//!
//! where the first line of a chain comes after 32 zero bytes, and the key is the 32 bytes of `audit.key_file`.
//!
//! | `event` | what happened |
//! |---|---|
//! | `opened` | the chain begins. `follows` is the MAC of the line before it in the file, absent in an empty one |
//! | `resolved` | a credential was granted |
//! | `changed` | something was changed; without `workspace` the platform's |
//! | `repeated` | a retry was given the answer of an earlier change |
//! | `refused` | an attempt was refused, with the `reason` of the contract |
//! | `suppressed` | this many refusals of callers without identity have no line: beyond 10 a second |
//! | `lost` | this many lines could not be written |
//! | `continued` | the file is another one; `previous` is the MAC before |
//! | `closed` | the process ended in order |
//!
//! A line with `torn` comes after the beginning of one that a crash cut off.
//!
//! # Invariants
//!
//! - Buffered: on its way to the file within 100 ms, and no call waits. Durable: nothing is answered before its line is on
//!   disk; where that cannot be, the call is `AUDIT_UNAVAILABLE`.
//! - A line holds fields named one by one, bounded in length, and never a secret.
//! - What was handed out is counted once, also if the database's answer to a count was lost.
//!
//! # Absent
//!
//! Granted reads. Calls that end without an answer, because the caller or its deadline was gone. A change whose commit was
//! with an unknown outcome is a refused attempt here; the database has the outcome.

mod chain;
mod checkpoint;
mod cursor;
mod event;
mod queue;
mod report;
mod sink;
#[cfg(test)]
mod tests;
mod usage;
mod verify;
mod writer;

use std::{path::PathBuf, sync::Arc, thread, time::Duration};

use tokio::sync::oneshot;

use chain::Chain;
pub use chain::ChainKey;
pub use event::{Changed, Repeated, Resolved};
use event::{Event, Opened, Refused};
use queue::{Entry, Queue};
pub use report::{AuditFinding, ChainSummary, Note, Report};
use sink::Sink;
use usage::Usage;
pub use verify::Verifier;
use writer::Writer;

use crate::{
    domain::{
        caller::{Caller, Rpc},
        clock::Clock,
        error::{Error, Reason},
        names::WorkspaceId,
        secret::looks_like_key,
    },
    store::Store,
};

/// No line is longer, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;
/// How long a call waits for its line.
const LINE: Duration = Duration::from_secs(5);
/// How long the end of the stream may take.
const CLOSE: Duration = Duration::from_secs(5);
/// How long the database may take to hear of it.
const DATABASE_LIMIT: Duration = Duration::from_secs(3);

/// Where the stream goes, and what is promised of it.
#[derive(Debug)]
pub struct AuditSettings {
    /// The file; `None`: standard output.
    pub file: Option<PathBuf>,
    /// Nothing is answered before its line is on disk.
    pub durable: bool,
    /// For how long the database remembers.
    pub retention: time::Duration,
}

/// The record of what happens.
pub struct Audit {
    queue: Arc<Queue>,
    durable: bool,
    retention: time::Duration,
    clock: Clock,
    store: Arc<Store>,
    chain: checkpoint::ChainRow,
    usage: Usage,
}

impl Audit {
    /// Opens the stream and begins a chain.
    pub fn start(
        settings: AuditSettings,
        key: ChainKey,
        store: Arc<Store>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let AuditSettings {
            file,
            durable,
            retention,
        } = settings;
        let sink = Sink::open(file.as_deref())?;
        let (chain, queue) = (Chain::new(key), Arc::new(Queue::new()));
        let row = checkpoint::ChainRow {
            chain_id: chain.id,
            opened_at: clock.now(),
        };
        let opened = Opened {
            version: env!("CARGO_PKG_VERSION"),
            deployment: store.deployment(),
            mode: if durable { "durable" } else { "buffered" },
            follows: None,
            torn: false,
        };
        let writer = Writer {
            queue: Arc::clone(&queue),
            sink,
            chain,
            clock: clock.clone(),
            opened,
            durable,
            state: writer::State::default(),
        };
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(|| writer.run())
            .map_err(Error::internal)?;
        let usage = Usage::default();
        Ok(Self {
            queue,
            durable,
            retention,
            clock,
            store,
            chain: row,
            usage,
        })
    }

    /// Refuses what must not begin, because its end could not be put on record.
    pub fn ready(&self) -> Result<(), Error> {
        if self.refuses() {
            self.queue.lose(1);
            return Err(unavailable("nothing was done"));
        }
        Ok(())
    }

    /// A credential is about to be given.
    pub async fn resolved(&self, resolved: Resolved) -> Result<(), Error> {
        self.ready()?;
        self.record(Event::Resolved(Box::new(resolved)), "nothing was given")
            .await
    }

    /// A change was committed. It stays, also if this fails; its line is written later then.
    pub async fn changed(&self, changed: Changed) -> Result<(), Error> {
        self.record(
            Event::Changed(Box::new(changed)),
            "the change was made; read before you try it again",
        )
        .await
    }

    /// A retry is about to get its answer again.
    pub async fn repeated(&self, repeated: Repeated) -> Result<(), Error> {
        self.ready()?;
        self.record(Event::Repeated(Box::new(repeated)), "try again")
            .await
    }

    /// An attempt was refused. `workspace` is what the caller wrote in its place.
    pub async fn refused(
        &self,
        rpc: Rpc,
        actor: Option<Arc<Caller>>,
        workspace: &str,
        reason: Reason,
    ) -> Result<(), Error> {
        if reason == Reason::AuditUnavailable {
            // It was counted where it was made.
            return Ok(());
        }
        if actor.is_none()
            && !self
                .queue
                .admits_unauthenticated(self.clock.elapsed().as_secs())
        {
            return Ok(());
        }
        self.ready()?;
        // A key that was pasted in its place has the same form.
        let workspace = WorkspaceId::parse(workspace)
            .ok()
            .filter(|_| !looks_like_key(workspace));
        let refused = Refused {
            rpc,
            actor,
            workspace,
            reason: reason.as_str(),
        };
        self.record(Event::Refused(Box::new(refused)), "the call was refused")
            .await
    }

    /// Opens the file again after a rename.
    pub fn reopen(&self) {
        self.queue.order(|orders| orders.reopen = true);
    }

    /// Whether the last attempt to write succeeded. The first one is made at once, to begin the chain.
    pub fn is_writable(&self) -> bool {
        self.queue.written() && !self.queue.broken()
    }

    /// Whether what cannot be put on record is refused, and nothing can.
    pub fn refuses(&self) -> bool {
        self.durable && self.queue.broken()
    }

    /// How long the oldest line has waited that is not written yet.
    pub fn lag(&self) -> Duration {
        let since = self.queue.unwritten_since();
        since.map_or(Duration::ZERO, |since| {
            self.clock.elapsed().saturating_sub(since)
        })
    }

    /// How many lines were lost since the start.
    pub fn lines_lost(&self) -> u64 {
        self.queue.lost_in_all()
    }

    async fn record(&self, event: Event, outcome: &str) -> Result<(), Error> {
        let (at, since) = (self.clock.now(), self.clock.elapsed());
        if !self.durable {
            self.queue.push(
                Entry {
                    at,
                    since,
                    event,
                    waiter: None,
                },
                false,
            );
            return Ok(());
        }
        let (waiter, written) = oneshot::channel();
        if !self.queue.push(
            Entry {
                at,
                since,
                event,
                waiter: Some(waiter),
            },
            true,
        ) {
            return Err(unavailable(outcome));
        }
        match Box::pin(tokio::time::timeout(LINE, written)).await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(unavailable(outcome)),
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.queue.order(|orders| orders.abandoned = true);
    }
}

fn unavailable(outcome: &str) -> Error {
    Error::new(
        Reason::AuditUnavailable,
        format!(
            "what happens cannot be put on record; {outcome}. The operator's log has the cause"
        ),
    )
    .retry_after(Duration::from_secs(1))
}
