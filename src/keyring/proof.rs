//! The proof at start that the KMS key belongs to this database.
//!
//! Not here: the wait for the proof (`keyring`).

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::{
    Keyring,
    refresh::{Work, at_once},
};
use crate::{
    domain::error::{Error, Reason},
    store::DataKeyRow,
};

impl Keyring {
    /// Refuses a KMS key of the right name that unwraps none of the data keys: new ones would be made under it.
    pub(super) async fn refuse_another_key(&self, rows: Vec<DataKeyRow>) -> Result<(), Error> {
        let (proven, refused) = (AtomicBool::new(rows.is_empty()), Mutex::new(None));
        let try_one = |row: DataKeyRow| -> Work<'_> {
            let (proven, refused) = (&proven, &refused);
            Box::pin(async move {
                if proven.load(Ordering::Relaxed) {
                    return;
                }
                match self.load(row).await {
                    Err(error) if error.reason() == Reason::RecordCorrupt => {
                        *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                    // One that unwraps is proof enough; and an outage is no proof of anything.
                    Ok(_) | Err(_) => proven.store(true, Ordering::Relaxed),
                }
            })
        };
        let mut rows = rows.into_iter();
        // Mostly the first one settles it.
        if let Some(first) = rows.next() {
            try_one(first).await;
        }
        at_once(rows.map(try_one)).await;
        match refused.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) if !proven.into_inner() => Err(Error::new(
                Reason::KmsUnavailable,
                "the KMS key has the right name but unwraps none of the database's data keys: it is another key; \
                 restore the one that belongs to this database",
            )
            .caused_by(error)),
            _ => Ok(()),
        }
    }
}
