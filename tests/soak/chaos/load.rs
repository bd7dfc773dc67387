//! A steady, bounded load on every replica; each answer is checked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use byokd::contract::v1::{self};
use tokio::task::JoinSet;
use tonic::Status;

use crate::support::{ask, byokd::Keys};

use super::{
    deployment::REPLICAS,
    expected::{Call, Seen},
    ledger::{Answer, Change, Tracked},
    record::{Begun, Recorder},
    requests::{is_missing, make, meaning, workspace},
};

const CALLERS: usize = 3;
const PACE: Duration = Duration::from_millis(70);
const PACE_OF_CHANGES: Duration = Duration::from_millis(150);

/// State that all callers share.
pub(super) struct World {
    pub(super) recorder: Recorder,
    pub(super) clients: Vec<Keys>,
    /// BYO is on; no caller changes them.
    pub(super) calm: Vec<Arc<Tracked>>,
    /// The same, asked for once on each replica.
    pub(super) stock: Vec<Arc<Tracked>>,
    /// For `VerifyKey`.
    pub(super) verified: Vec<Arc<Tracked>>,
    /// For each caller: a workspace whose keys are replaced (BYO stays on), one that is toggled, and one
    /// whose keys are set and deleted.
    pub(super) changing: Vec<Arc<Tracked>>,
    taken: [AtomicUsize; REPLICAS],
    /// Cold resolves take from the stock.
    pub(super) sampling: AtomicBool,
}

impl World {
    pub(super) fn new(clients: Vec<Keys>, stock: u32) -> Self {
        let mut numbers = 0..;
        let mut group = |name: &str, count: u32| -> Vec<Arc<Tracked>> {
            let numbers = numbers.by_ref().take(count as usize);
            numbers
                .map(|number| Arc::new(Tracked::new(format!("{name}-{number}"), number)))
                .collect()
        };
        Self {
            recorder: Recorder::new(),
            clients,
            calm: group("calm", 4),
            verified: group("verified", 3),
            changing: group("changing", (CALLERS * 3) as u32),
            stock: group("stock", stock),
            taken: Default::default(),
            sampling: AtomicBool::new(false),
        }
    }

    pub(super) fn everyone(&self) -> impl Iterator<Item = &Arc<Tracked>> {
        self.calm
            .iter()
            .chain(&self.verified)
            .chain(&self.changing)
            .chain(&self.stock)
    }

    /// Starts the callers; they end with the value.
    pub(super) fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for replica in 0..REPLICAS {
            let world = Arc::clone(self);
            tasks.spawn(async move {
                for turn in 0.. {
                    world
                        .resolve(Call::Warm, replica, &world.calm[turn % world.calm.len()])
                        .await;
                    tokio::time::sleep(PACE).await;
                }
            });
            let world = Arc::clone(self);
            tasks.spawn(async move {
                for turn in 0.. {
                    world
                        .resolve(
                            Call::Changing,
                            replica,
                            &world.changing[turn % world.changing.len()],
                        )
                        .await;
                    tokio::time::sleep(PACE).await;
                }
            });
            let world = Arc::clone(self);
            tasks.spawn(async move {
                loop {
                    world.resolve_cold(replica).await;
                    tokio::time::sleep(PACE * 2).await;
                }
            });
            let world = Arc::clone(self);
            tasks.spawn(async move {
                for turn in 0.. {
                    world.look(replica, turn).await;
                    tokio::time::sleep(PACE * 2).await;
                }
            });
        }
        for caller in 0..CALLERS {
            let world = Arc::clone(self);
            tasks.spawn(async move {
                for step in 0.. {
                    // Every change meets every replica within nine steps.
                    let (kind, replica) = ((step + caller) % 3, (step / 3 + caller) % REPLICAS);
                    world
                        .change(kind, replica, &world.changing[caller * 3 + kind])
                        .await;
                    tokio::time::sleep(PACE_OF_CHANGES).await;
                }
            });
        }
        tasks
    }

    async fn resolve(&self, call: Call, replica: usize, tracked: &Tracked) -> Seen {
        let begun = self.recorder.begin();
        let mut keys = self.clients[replica].clone();
        let result = keys
            .resolve_credentials(ask(&tracked.id, "", "openai", ""))
            .await;
        let (seen, answer) = self.answered(call, replica, begun, result);
        if let Some(answer) = answer {
            let checked = answer
                .and_then(|answer| tracked.resolved(begun.at, &answer, self.recorder.bound(begun)));
            self.recorder.checked(begun, checked);
        }
        seen
    }

    async fn resolve_cold(&self, replica: usize) {
        let taken = &self.taken[replica];
        if self.sampling.load(Ordering::SeqCst)
            && let Some(tracked) = self.stock.get(taken.load(Ordering::SeqCst))
        {
            let seen = self.resolve(Call::Cold, replica, tracked).await;
            if seen == Seen::Ok {
                taken.fetch_add(1, Ordering::SeqCst);
            }
            return;
        }
        let never_seen = Tracked::new(format!("new-{}", uuid::Uuid::new_v4()), 0);
        self.resolve(Call::Cold, replica, &never_seen).await;
    }

    /// Notes the content of a resolve; an answer that contradicts itself has none.
    fn answered(
        &self,
        call: Call,
        replica: usize,
        begun: Begun,
        result: Result<tonic::Response<v1::ResolveCredentialsResponse>, Status>,
    ) -> (Seen, Option<Result<Answer, String>>) {
        let (seen, said, answer) = match result {
            Ok(response) => {
                let response = response.into_inner();
                let seen = if response.degraded {
                    Seen::Degraded
                } else {
                    Seen::Ok
                };
                (seen, String::new(), Some(meaning(&response)))
            }
            Err(status) if is_missing(&status) => {
                (Seen::Ok, String::new(), Some(Ok(Answer::KeyMissing)))
            }
            Err(status) => (Seen::of(&status), status.message().to_owned(), None),
        };
        self.recorder.note(call, replica, begun, seen, &said);
        (seen, answer)
    }

    /// The reads of a settings page.
    async fn look(&self, replica: usize, turn: usize) {
        let begun = self.recorder.begin();
        let mut keys = self.clients[replica].clone();
        let (call, result) = match turn % 3 {
            0 => {
                let tracked = &self.changing[turn / 3 % self.changing.len()];
                let result = self.read(&mut keys, tracked).await;
                (Call::GetWorkspace, result)
            }
            1 => {
                let workspace_id = self.calm[0].id.clone();
                let request = v1::ListModelsRequest {
                    workspace_id,
                    ..Default::default()
                };
                (
                    Call::ListModels,
                    keys.list_models(request).await.map(|_| ()),
                )
            }
            _ => {
                let workspace_id = self.verified[replica].id.clone();
                let request = v1::VerifyKeyRequest {
                    workspace_id,
                    provider: "openai".to_owned(),
                    ..Default::default()
                };
                (Call::VerifyKey, keys.verify_key(request).await.map(|_| ()))
            }
        };
        self.note(call, replica, begun, result.as_ref().err());
    }

    async fn read(&self, keys: &mut Keys, tracked: &Tracked) -> Result<(), Status> {
        let asked = Instant::now();
        let shown = workspace(keys, tracked).await?;
        self.recorder
            .must(tracked.read(asked, &shown), |figures| figures.reads += 1);
        Ok(())
    }

    fn note(&self, call: Call, replica: usize, begun: Begun, failed: Option<&Status>) -> Seen {
        let seen = failed.map_or(Seen::Ok, Seen::of);
        self.recorder.note(
            call,
            replica,
            begun,
            seen,
            &failed
                .map(|status| status.message().to_owned())
                .unwrap_or_default(),
        );
        seen
    }

    /// One change: 0 replaces a key and 1 toggles, each with the same request id until the outcome is known;
    /// 2 sets and deletes keys without a retry.
    async fn change(&self, kind: usize, replica: usize, tracked: &Tracked) {
        let mut turn = tracked.turn.lock().await;
        let mut sent = match turn.again.take() {
            Some(sent) => sent,
            None => {
                turn.steps += 1;
                let change = match kind {
                    1 => Change::Toggle(!tracked.byo_is_on()),
                    2 if turn.steps % 4 != 0 => Change::Delete,
                    _ => {
                        turn.last_key += 1;
                        Change::Set(turn.last_key)
                    }
                };
                tracked.sending(change)
            }
        };
        if kind == 2 {
            sent.request_id.clear();
        }
        let begun = self.recorder.begin();
        let (call, result) = make(self.clients[replica].clone(), tracked, &sent).await;
        let seen = self.note(call, replica, begun, result.as_ref().err());
        match result {
            Ok(shown) => {
                let checked = tracked.acknowledged(&sent, &shown);
                self.recorder
                    .must(checked, |figures| figures.acknowledged += 1);
            }
            // Nothing was written, unless an earlier try of the same change was.
            Err(_) if !sent.in_doubt && matches!(seen, Seen::Provider | Seen::Kms) => {
                tracked.refused(&sent);
                self.recorder.must(Ok(()), |figures| figures.refused += 1);
            }
            Err(_) => {
                let news = u64::from(!sent.in_doubt);
                self.recorder
                    .must(Ok(()), |figures| figures.in_doubt += news);
                sent.in_doubt = true;
                turn.again = (kind != 2).then_some(sent);
            }
        }
    }
}
