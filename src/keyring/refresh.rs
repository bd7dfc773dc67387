//! Background work: creates and unwraps missing data keys, refreshes old ones, and retries failed ones.
//!
//! Invariants: every data key is refreshed, used or not; never more than `PACE` of those that are held in one round,
//! also after an outage, and never more than eight calls at once. A KMS key that fails is tried by one call, and
//! left alone otherwise. One damaged row keeps none of the others cold.
//!
//! Not here: waiting for the next round (`server`).

use std::{collections::VecDeque, pin::Pin, sync::Mutex, time::Duration};

use super::{Keyring, bucket::BUCKETS, health::TWICE_OVER};
use crate::{
    domain::{
        envelope::DataKeyId,
        error::{Error, Reason},
    },
    kms::{Allowed, KmsError, KmsFault, LookedUp},
    store::DataKeyRow,
};

/// How often the KMS is asked again what the configuration's names stand for.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);
/// The same, while there is no answer.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(5);
/// How often the rows are read, for what others did.
const READ_EVERY: Duration = Duration::from_secs(60);
/// Data keys that one round refreshes at most.
const PACE: usize = 16;
/// How long nothing is created once that failed.
const CREATE_AGAIN: Duration = Duration::from_secs(5);
/// How many data keys are created in one transaction.
const BATCH: usize = 32;

/// When what is due.
#[derive(Debug)]
pub(super) struct Rounds {
    look_up_at: Duration,
    look_up_fails: bool,
    read_at: Option<Duration>,
    read_fails: bool,
    create_at: Duration,
}

impl Rounds {
    /// `looked_up`: whether the KMS has said what the configuration's names stand for.
    pub(super) fn new(now: Duration, looked_up: bool) -> Self {
        Self {
            look_up_at: if looked_up {
                now.saturating_add(LOOK_UP_EVERY)
            } else {
                now
            },
            look_up_fails: !looked_up,
            read_at: None,
            read_fails: false,
            create_at: now,
        }
    }
}

/// When the names were looked up for the sake of a stranger, and why one of them is not known.
pub(super) type Strangers = Option<(Duration, Option<KmsError>)>;

impl Keyring {
    /// One round of the background's work. Called every second, it keeps every data key warm.
    pub async fn tick(&self) {
        // One round at a time; it is cut off between two awaits at any of them, and leaves nothing half done.
        let mut rounds = self.rounds.lock().await;
        self.held.forget_expired(self.clock.elapsed());
        self.look_up(&mut rounds).await;
        if !self.read_if_due(&mut rounds).await {
            // The set of missing data keys is unknown before the first read.
            return;
        }
        self.probe().await;
        self.create_missing(&mut rounds).await;
        self.load_each(self.missing()).await;
        let mut due = self.due();
        due.truncate(PACE);
        self.load_each(due).await;
        let now = self.clock.elapsed();
        self.health
            .end_recoveries(|arn| self.held.has_stale_under(arn, now));
    }

    /// Whether every active data key is cached, so that a KMS outage affects no call.
    pub fn is_warm(&self) -> bool {
        self.held().0 == usize::from(BUCKETS)
    }

    /// Whether the KMS failed so often that it is left alone for a while.
    pub fn kms_rests(&self) -> bool {
        self.kms.rests()
    }

    /// How many of the data keys that seal are held, and how many the database is known to have.
    pub fn held(&self) -> (usize, usize) {
        self.held.count(self.clock.elapsed())
    }

    /// Drops every data key. Each one is zeroed after its last use.
    pub fn forget(&self) {
        self.held.forget_all();
    }

    /// How long ago the oldest data key that is held was unwrapped; `None`: none is held.
    pub fn oldest_age(&self) -> Option<Duration> {
        self.held.oldest_age(self.clock.elapsed())
    }

    async fn look_up(&self, rounds: &mut Rounds) {
        let (now, before) = (self.clock.elapsed(), self.kms.current());
        if now < rounds.look_up_at {
            return;
        }
        let failure = self.ask_names(now, &before).await;
        let current = self.kms.current();
        let failed_before = std::mem::replace(&mut rounds.look_up_fails, failure.is_some());
        match failure {
            Some(error) if !failed_before && error.fault() == KmsFault::Denied => {
                tracing::error!(%error, "the KMS refuses to say which keys the configuration names");
            }
            Some(error) if !failed_before => {
                tracing::warn!(%error, "the KMS does not say which keys the configuration names");
            }
            Some(_) | None => {}
        }
        let after = match rounds.look_up_fails {
            true => LOOK_UP_AGAIN,
            false if self.health.has_bad_state(&current) => TWICE_OVER,
            false => LOOK_UP_EVERY,
        };
        rounds.look_up_at = now.saturating_add(after);
    }

    /// Asks what the names stand for, and takes note of how the current KMS key does. Returns why a name is not known.
    async fn ask_names(&self, now: Duration, before: &str) -> Option<KmsError> {
        let LookedUp {
            current: answer,
            previous,
        } = self.kms.look_up().await;
        let current = self.kms.current();
        if before != current {
            self.held
                .forgive(|arn| self.kms.allows(arn) == Allowed::Yes);
            // `DescribeKey` no longer covers it: only its own calls show its health.
            self.health.described_good(before);
            if self.kms.allows(before) != Allowed::Yes {
                // Move the health recorded under the name to the ARN.
                self.health.succeeded(before);
            }
        }
        match &answer {
            Ok(()) => self.health.described_good(&current),
            Err(error) if error.fault() == KmsFault::KeyState => {
                if self.health.described_bad(&current, error, now) {
                    self.close(&current, error);
                }
            }
            Err(_) => {}
        }
        let mut failures = [answer, previous].into_iter().filter_map(Result::err);
        failures.find(|error| error.fault() != KmsFault::KeyState)
    }

    /// Whether a KMS key is none of those that the configuration names. Before that is said, the KMS is asked once more:
    /// the alias may have moved, and another process its data keys.
    pub(super) async fn is_strangers(&self, kms_key_arn: &str) -> Result<bool, KmsError> {
        let is_unknown = || self.kms.allows(kms_key_arn) == Allowed::No;
        if !is_unknown() || !kms_key_arn.starts_with("arn:") {
            return Ok(is_unknown());
        }
        let mut asked = self.strangers.lock().await;
        let now = self.clock.elapsed();
        let lately = asked
            .as_ref()
            .is_some_and(|(at, _)| now.saturating_sub(*at) < LOOK_UP_AGAIN);
        if is_unknown() && !lately {
            *asked = Some((now, self.ask_names(now, &self.kms.current()).await));
        }
        match asked.as_ref().and_then(|(_, failure)| failure.clone()) {
            Some(failure) if is_unknown() => Err(failure),
            Some(_) | None => Ok(is_unknown()),
        }
    }

    /// Reads the rows periodically, and before a refresh. `false`: the rows were never read.
    async fn read_if_due(&self, rounds: &mut Rounds) -> bool {
        let now = self.clock.elapsed();
        let lately = rounds
            .read_at
            .is_some_and(|at| now.saturating_sub(at) < READ_EVERY);
        let creates = !self.health.fails(&self.kms.current())
            && !self.held.buckets_without_active().is_empty();
        if lately && !creates && self.due().is_empty() {
            return true;
        }
        match self.read_rows().await {
            Ok(()) => {
                rounds.read_at = Some(now);
                rounds.read_fails = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut rounds.read_fails, true) {
                    tracing::warn!(
                        ?error,
                        "the data keys' rows cannot be read; byokd works with those it knows"
                    );
                }
            }
        }
        rounds.read_at.is_some()
    }

    /// Refuses data keys under a KMS key that was taken back at once: a database read would not help, and the
    /// background tries the KMS.
    pub(super) fn refuse_closed(&self, id: Option<DataKeyId>) -> Result<(), Error> {
        let row = id.and_then(|id| self.held.row(id));
        match row.and_then(|row| self.health.closed(&row.kms_key_arn)) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// What is not held and can be. A retired data key whose KMS key was given up seals nothing that lives.
    fn missing(&self) -> Vec<DataKeyRow> {
        let mut missing = self.held.not_loaded(self.clock.elapsed());
        missing.retain(|row| row.active || self.kms.allows(&row.kms_key_arn) != Allowed::No);
        missing
    }

    /// Data keys that need a refresh and can have one.
    fn due(&self) -> Vec<DataKeyRow> {
        let mut due = self.held.due(self.clock.elapsed());
        due.retain(|row| !self.health.fails(&row.kms_key_arn));
        due
    }

    /// Tries each KMS key that fails, by one call.
    async fn probe(&self) {
        let now = self.clock.elapsed();
        for arn in self.health.to_probe(now) {
            if let Some(row) = self.held.sample(&arn, now) {
                let _told = self
                    .in_lane_of(&row, self.unwrap_and_hold(row.clone()))
                    .await;
            } else if arn == self.kms.current()
                && let Some(bucket) = self.held.buckets_without_active().first()
            {
                let _told = self.create_in_lanes(&[*bucket]).await;
            }
        }
    }

    async fn create_missing(&self, rounds: &mut Rounds) {
        let now = self.clock.elapsed();
        if now < rounds.create_at {
            return;
        }
        for batch in self.held.buckets_without_active().chunks(BATCH) {
            if self.health.fails(&self.kms.current()) {
                return;
            }
            if let Err(error) = self.create_in_lanes(batch).await {
                rounds.create_at = now.saturating_add(CREATE_AGAIN);
                // `health` has logged the failing KMS.
                if error.reason() != Reason::KmsUnavailable {
                    tracing::warn!(?error, "data keys could not be made");
                }
                return;
            }
        }
    }

    async fn create_in_lanes(&self, buckets: &[u16]) -> Result<(), Error> {
        let mut lanes = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            lanes.push(self.lanes.of(*bucket)?.take().await);
        }
        // Who was in a lane before may have made one.
        let missing = self.held.buckets_without_active();
        let buckets: Vec<u16> = buckets
            .iter()
            .copied()
            .filter(|bucket| missing.contains(bucket))
            .collect();
        self.create(&buckets).await
    }

    async fn load_each(&self, rows: Vec<DataKeyRow>) {
        let load = |row: DataKeyRow| -> Work<'_> {
            Box::pin(async move {
                if !self.health.fails(&row.kms_key_arn) {
                    let _told = self.in_lane_of(&row, self.load_unless_done(&row)).await;
                }
            })
        };
        at_once(rows.into_iter().map(load)).await;
    }

    /// The hot path may have been here while this waited for the lane.
    async fn load_unless_done(&self, row: &DataKeyRow) -> Result<(), Error> {
        if self.held.needs(row.id, self.clock.elapsed()) {
            self.load(row.clone()).await?;
        }
        Ok(())
    }

    async fn in_lane_of<T>(
        &self,
        row: &DataKeyRow,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let _lane = self.lanes.of(row.id.bucket)?.take().await;
        work.await
    }
}

/// Work that is done among other work of its kind.
pub(super) type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Does all of it, eight at once.
pub(super) async fn at_once<'a>(work: impl Iterator<Item = Work<'a>>) {
    let queue = Mutex::new(work.collect::<VecDeque<_>>());
    let next = || {
        queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop_front()
    };
    let worker = || async {
        while let Some(work) = next() {
            work.await;
        }
    };
    tokio::join!(
        worker(),
        worker(),
        worker(),
        worker(),
        worker(),
        worker(),
        worker(),
        worker()
    );
}
