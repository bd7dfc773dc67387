//! The change log, followed: what others commit ends the entries concerned.
//!
//! Invariants: a poll counts from when it began, and only once its changes were applied. A poll that fails, or that
//! another server answers, ends the epoch; a log that does not continue what was seen ends the history, and the place
//! in it is forgotten. Joining the log mid-way also starts a new history, because earlier entries are not delivered. The
//! log has one line when polling fails, and one when it works again.
//!
//! Not here: what an entry is worth (`slot`), and who else wants to hear of changes.

use std::time::Duration;

use super::{NOT_THE_SAME, WorkspaceCache};
use crate::{
    domain::error::{Error, Reason},
    store::{LogPage, LogPlace, ServerIdentity},
};

/// How often the log is looked at where no hint comes.
const EVERY: Duration = Duration::from_millis(500);
/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(1);

/// How far the log was followed.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Where to look on from; `None`: from the end of the log as it will be found.
    place: Option<LogPlace>,
    /// Who answered the last good look.
    server: Option<ServerIdentity>,
    failing: bool,
}

impl WorkspaceCache {
    /// Follows the log for ever: twice a second, and at once when a hint comes.
    pub async fn follow(&self) {
        loop {
            let polled = self.poll().await;
            // Hints do not hurry a database that fails.
            let hint = async {
                match polled {
                    Ok(()) => self.shared.store.wait_for_hint().await,
                    Err(Failing) => std::future::pending().await,
                }
            };
            let _hint_or_time = tokio::time::timeout(EVERY, hint).await;
        }
    }

    /// Looks at the log once, and at all that is new in it.
    pub async fn poll(&self) -> Result<(), Failing> {
        let mut followed = self.followed.lock().await;
        loop {
            match self.look(&mut followed).await {
                Ok(Looked::More) => {}
                Ok(Looked::Done) => {
                    if std::mem::take(&mut followed.failing) {
                        tracing::info!("the database's change log can be read again");
                    }
                    return Ok(());
                }
                Err(error) => {
                    self.shared.epochs.next_epoch();
                    if !std::mem::replace(&mut followed.failing, true) {
                        tracing::warn!(
                            ?error,
                            "the database's change log cannot be read; until it can, every workspace is read again \
                             on its next use"
                        );
                    }
                    return Err(Failing);
                }
            }
        }
    }

    async fn look(&self, followed: &mut Followed) -> Result<Looked, Error> {
        let (began, store) = (self.shared.clock.elapsed(), &self.shared.store);
        let from = match followed.place {
            Some(place) => place,
            None => limited(store.log_end()).await?,
        };
        let page = limited(store.log_after(from)).await?;
        Ok(self.take_in(followed, began, page))
    }

    /// Draws the consequences of a look that began at `began`.
    pub(super) fn take_in(
        &self,
        followed: &mut Followed,
        began: Duration,
        page: LogPage,
    ) -> Looked {
        let epochs = &self.shared.epochs;
        let known = followed.server.as_ref();
        if page.broken || known.is_some_and(|known| known.history != page.server.history) {
            epochs.next_history();
            (followed.place, followed.server) = (None, None);
            tracing::warn!(server = ?page.server, "{NOT_THE_SAME}");
            return Looked::Done;
        }
        match known {
            None => epochs.next_history(),
            Some(known) if known.started != page.server.started => epochs.next_epoch(),
            Some(_) => {}
        }
        for (scope, revision) in &page.changes {
            self.logged(scope, *revision);
        }
        (followed.place, followed.server) = (Some(page.end), Some(page.server));
        if page.more {
            return Looked::More;
        }
        epochs.polled(began);
        Looked::Done
    }
}

/// The change log could not be read. The failure was logged.
#[derive(Debug)]
pub struct Failing;

/// Whether there is more to look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Looked {
    More,
    Done,
}

async fn limited<T>(look: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(LIMIT, look).await.unwrap_or_else(|_| {
        Err(Error::new(
            Reason::StoreUnavailable,
            "the database did not answer in time; try again",
        )
        .caused_by(format!(
            "a look at the change log took longer than {LIMIT:?}"
        )))
    })
}
