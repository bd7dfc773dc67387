//! Every call with its answer, judged at once, and the figures of the run.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::{
    expected::{Call, Fault, Seen, expected, in_between},
    pressure::Pressure,
};

/// From the commit of a revocation to the last resolve with the old key: in the worst fault, and without a
/// fault.
pub(super) const WORST: Duration = Duration::from_secs(35);
pub(super) const HEALTHY: Duration = Duration::from_secs(5);
const REPLICAS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Healthy,
    /// The fault exists, and not all replicas feel it yet.
    Coming,
    /// Felt: the table counts.
    Felt,
    Healing,
}

/// A part of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    number: u32,
    fault: Fault,
    stage: Stage,
}

/// A call in flight.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    pub(super) at: Instant,
    phase: Phase,
}

#[derive(Default)]
pub(super) struct Stats {
    pub(super) seen: BTreeMap<Seen, usize>,
    pub(super) took: Vec<Duration>,
}

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Figures {
    pub(super) calls: u64,
    pub(super) resolves: u64,
    pub(super) reads: u64,
    pub(super) acknowledged: u64,
    pub(super) in_doubt: u64,
    pub(super) refused: u64,
    pub(super) settled: u64,
    /// Short waits for the database that expired on a machine without free processors.
    pub(super) starved: u64,
    pub(super) lag_in_health: Duration,
    pub(super) lag_in_faults: Duration,
}

pub(super) struct Recorder(Mutex<Inner>);

pub(super) struct Inner {
    phase: Phase,
    began: Instant,
    /// By fault, call and whether the replica is the affected one.
    cells: HashMap<(&'static str, Call, bool), Stats>,
    last: HashMap<(Call, usize), (Instant, Seen)>,
    last_bad: Instant,
    pressure: Pressure,
    /// Excuses: their number, and the first one's text.
    pub(super) starved: BTreeMap<(&'static str, Stage, Call, Seen), (u64, String)>,
    pub(super) violations: Vec<String>,
    pub(super) figures: Figures,
}

impl Recorder {
    pub(super) fn new() -> Self {
        let phase = Phase {
            number: 0,
            fault: Fault::None,
            stage: Stage::Coming,
        };
        let now = Instant::now();
        Self(Mutex::new(Inner {
            phase,
            began: now,
            cells: HashMap::new(),
            last: HashMap::new(),
            last_bad: now,
            pressure: Pressure::default(),
            starved: BTreeMap::new(),
            violations: Vec::new(),
            figures: Figures::default(),
        }))
    }

    pub(super) fn enter(&self, fault: Fault, stage: Stage) {
        let mut inner = self.inner();
        inner.phase = Phase {
            number: inner.phase.number + 1,
            fault,
            stage,
        };
        inner.began = Instant::now();
    }

    pub(super) fn begin(&self) -> Begun {
        Begun {
            phase: self.inner().phase,
            at: Instant::now(),
        }
    }

    /// A call has ended.
    pub(super) fn note(&self, call: Call, replica: usize, begun: Begun, seen: Seen, said: &str) {
        let mut inner = self.inner();
        inner.figures.calls += 1;
        inner.pressure.look();
        inner.last.insert((call, replica), (begun.at, seen));
        if seen != Seen::Ok {
            inner.last_bad = Instant::now();
        }
        let (first, last) = (begun.phase, inner.phase);
        let steady =
            first.number == last.number && matches!(first.stage, Stage::Healthy | Stage::Felt);
        let right = if steady {
            let fault = if first.stage == Stage::Healthy {
                Fault::None
            } else {
                first.fault
            };
            let struck = fault.struck() == Some(replica);
            let stats = inner.cells.entry((fault.name(), call, struck)).or_default();
            *stats.seen.entry(seen).or_default() += 1;
            stats.took.push(begun.at.elapsed());
            expected(fault, call, struck).may.contains(&seen)
        } else {
            [first.fault, last.fault]
                .into_iter()
                .any(|fault| in_between(fault, call, replica, seen))
        };
        if !right && matches!(seen, Seen::Degraded | Seen::Store) && inner.pressure.is_high() {
            inner.figures.starved += 1;
            let when = (last.fault.name(), last.stage, call, seen);
            let of = inner
                .starved
                .entry(when)
                .or_insert_with(|| (0, said.to_owned()));
            of.0 += 1;
        } else if !right {
            let took = begun.at.elapsed();
            inner.violations.push(format!(
                "{} of replica {replica} answered {} after {took:?} ({said}); {:?}, {:?} to {:?}",
                call.name(),
                seen.word(),
                last.fault,
                first.stage,
                last.stage
            ));
        }
    }

    /// The allowed age of a resolve's state.
    pub(super) fn bound(&self, begun: Begun) -> Duration {
        match begun.phase.stage {
            Stage::Healthy => HEALTHY,
            _ => WORST,
        }
    }

    /// A resolve was checked.
    pub(super) fn checked(&self, begun: Begun, result: Result<Duration, String>) {
        let mut inner = self.inner();
        inner.figures.resolves += 1;
        match result {
            Ok(lag) if begun.phase.stage == Stage::Healthy => {
                inner.figures.lag_in_health = inner.figures.lag_in_health.max(lag);
            }
            Ok(lag) => inner.figures.lag_in_faults = inner.figures.lag_in_faults.max(lag),
            Err(broken) => inner.broken(broken),
        }
    }

    /// Anything else was checked.
    pub(super) fn must(&self, result: Result<(), String>, counted: impl FnOnce(&mut Figures)) {
        let mut inner = self.inner();
        counted(&mut inner.figures);
        if let Err(broken) = result {
            inner.broken(broken);
        }
    }

    /// Whether every cell has its required answers, on every replica; for changes, on one of them.
    pub(super) fn felt(&self, fault: Fault) -> bool {
        let inner = self.inner();
        let shows = |call: Call, replica: usize| {
            let must = expected(fault, call, fault.struck() == Some(replica)).must;
            let last = inner
                .last
                .get(&(call, replica))
                .filter(|(at, _)| *at > inner.began);
            last.is_some_and(|(_, seen)| must.is_none_or(|must| must == *seen))
        };
        Call::ALL.iter().all(|call| match call.changes() {
            true => (0..REPLICAS)
                .any(|replica| fault.struck() != Some(replica) && shows(*call, replica)),
            false => (0..REPLICAS).all(|replica| shows(*call, replica)),
        })
    }

    /// The missing answers of the sample; empty: it is complete.
    pub(super) fn lacks(&self, fault: Fault) -> Vec<String> {
        let inner = self.inner();
        let mut lacks = Vec::new();
        for call in Call::ALL {
            for struck in [false, true] {
                let enough = match (struck, fault.struck()) {
                    (true, None) => continue,
                    (true, Some(_)) => 1,
                    (false, _) => call.enough(),
                };
                let stats = inner.cells.get(&(fault.name(), call, struck));
                let count = stats.map_or(0, |stats| stats.took.len());
                let must = expected(fault, call, struck).must;
                let shown = |must| stats.is_some_and(|stats| stats.seen.contains_key(&must));
                if count < enough || must.is_some_and(|must| !shown(must)) {
                    let whom = if struck {
                        "the struck replica"
                    } else {
                        "the replicas"
                    };
                    let must = must.map_or("any answer", Seen::word);
                    lacks.push(format!(
                        "{} of {whom}: {count} of {enough}, {must} expected",
                        call.name()
                    ));
                }
            }
        }
        lacks
    }

    /// Whether every call on every replica has succeeded since this phase began, and all have for a second.
    pub(super) fn well(&self) -> Result<(), String> {
        let inner = self.inner();
        let mut ill = Vec::new();
        for call in Call::ALL {
            for replica in 0..REPLICAS {
                let last = inner
                    .last
                    .get(&(call, replica))
                    .filter(|(at, _)| *at > inner.began);
                if last.is_none_or(|(_, seen)| *seen != Seen::Ok) {
                    ill.push(format!("{} of replica {replica}: {last:?}", call.name()));
                }
            }
        }
        match inner.last_bad.max(inner.began).elapsed() {
            quiet if ill.is_empty() && quiet >= Duration::from_secs(1) => Ok(()),
            quiet => Err(format!("quiet for {quiet:?}; {ill:?}")),
        }
    }

    /// The figures of one cell, if there are any.
    pub(super) fn cell<T>(
        &self,
        fault: Fault,
        call: Call,
        struck: bool,
        look: impl FnOnce(&mut Stats) -> T,
    ) -> Option<T> {
        self.inner()
            .cells
            .get_mut(&(fault.name(), call, struck))
            .map(look)
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Inner {
    pub(super) fn broken(&mut self, what: String) {
        let (fault, stage) = (self.phase.fault, self.phase.stage);
        self.violations
            .push(format!("{what}; {fault:?}, {stage:?}"));
    }
}
