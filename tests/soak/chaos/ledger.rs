//! The possible states of each workspace, and the check of every answer against them.
//!
//! A state is possible from the moment a change to it was sent until another change was acknowledged. An
//! answer is right if it shows a state that was possible when it was asked for, or, for a resolve, shortly
//! before.
//!
//! Not here: calls.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use byokd::contract::v1;

/// Past states are kept for longer than any bound, so that a message can name them.
const KEPT: Duration = Duration::from_secs(120);
const PREFIX: &str = "sk-proj-SYNTHETIC-";
pub(super) const PLATFORM_KEY: &str = "sk-proj-SYNTHETIC-PLATFORM-0000000000";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    byo: bool,
    /// Of the newest key, deleted or not.
    generation: u64,
    key: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// Sets this key and switches BYO on.
    Set(u32),
    Toggle(bool),
    Delete,
}

/// The content of a resolve's answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Own { generation: u64, api_key: String },
    Platform,
    KeyMissing,
}

/// A workspace whose every change goes through one caller.
pub(super) struct Tracked {
    pub(super) id: String,
    number: u32,
    /// One change at a time.
    pub(super) turn: tokio::sync::Mutex<Turn>,
    states: Mutex<Vec<Possible>>,
}

/// The next steps of the caller.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) steps: u32,
    pub(super) last_key: u32,
    /// A change with an unknown outcome, which the caller retries.
    pub(super) again: Option<Sent>,
}

/// A change that was sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) change: Change,
    pub(super) request_id: String,
    pub(super) in_doubt: bool,
    added: Vec<State>,
    after: Vec<State>,
}

#[derive(Debug)]
struct Possible {
    state: State,
    gone: Option<Instant>,
}

impl State {
    fn after(self, change: Change) -> Self {
        match change {
            Change::Set(key) => Self {
                byo: true,
                generation: self.generation + 1,
                key: Some(key),
            },
            Change::Toggle(byo) => Self { byo, ..self },
            Change::Delete => Self { key: None, ..self },
        }
    }

    fn shown_by(self, workspace: &v1::Workspace) -> bool {
        let entry = workspace
            .providers
            .iter()
            .find(|entry| entry.provider == "openai");
        let key = match (self.key, entry.and_then(|entry| entry.key.as_ref())) {
            (None, None) => true,
            (Some(number), Some(key)) => {
                key.generation == self.generation
                    && key.masked.ends_with(&format!("{:04}", number % 10_000))
            }
            _ => false,
        };
        key && workspace.byo_enabled == self.byo
    }
}

impl Tracked {
    /// A workspace without changes.
    pub(super) fn new(id: String, number: u32) -> Self {
        let untouched = State {
            byo: false,
            generation: 0,
            key: None,
        };
        let states = Mutex::new(vec![Possible {
            state: untouched,
            gone: None,
        }]);
        Self {
            id,
            number,
            turn: tokio::sync::Mutex::default(),
            states,
        }
    }

    /// A key that names its workspace.
    pub(super) fn key(&self, number: u32) -> String {
        format!("{PREFIX}{:06}-{number:010}", self.number)
    }

    pub(super) fn byo_is_on(&self) -> bool {
        self.states()
            .iter()
            .any(|possible| possible.gone.is_none() && possible.state.byo)
    }

    pub(super) fn sending(&self, change: Change) -> Sent {
        let mut states = self.states();
        states.retain(|possible| possible.gone.is_none_or(|gone| gone.elapsed() < KEPT));
        let live: Vec<State> = live(&states).collect();
        let (mut after, mut added) = (Vec::new(), Vec::new());
        for state in live.iter().map(|state| state.after(change)) {
            if !after.contains(&state) {
                after.push(state);
            }
            if !live.contains(&state) && !added.contains(&state) {
                added.push(state);
            }
        }
        states.extend(added.iter().map(|state| Possible {
            state: *state,
            gone: None,
        }));
        let request_id = uuid::Uuid::new_v4().to_string();
        Sent {
            change,
            request_id,
            in_doubt: false,
            added,
            after,
        }
    }

    /// The change was acknowledged with this workspace.
    pub(super) fn acknowledged(&self, sent: &Sent, shown: &v1::Workspace) -> Result<(), String> {
        self.narrow(shown, |state| sent.after.contains(&state))
    }

    /// The change was refused for good before anything was written.
    pub(super) fn refused(&self, sent: &Sent) {
        self.states()
            .retain(|possible| possible.gone.is_some() || !sent.added.contains(&possible.state));
    }

    /// No change is in flight, and the database shows this.
    pub(super) fn settled(&self, shown: &v1::Workspace) -> Result<(), String> {
        self.narrow(shown, |_| true)
    }

    fn narrow(&self, shown: &v1::Workspace, fits: impl Fn(State) -> bool) -> Result<(), String> {
        let mut states = self.states();
        let right = |state: State| fits(state) && state.shown_by(shown);
        if !live(&states).any(right) {
            return Err(format!(
                "an acknowledged change is lost: {shown:?} is shown, possible is {states:?}"
            ));
        }
        for possible in states.iter_mut().filter(|possible| possible.gone.is_none()) {
            if !right(possible.state) {
                possible.gone = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// A settings page reads the database: it shows every change that was acknowledged before.
    pub(super) fn read(&self, asked: Instant, shown: &v1::Workspace) -> Result<(), String> {
        let states = self.states();
        let possible = |possible: &&Possible| possible.gone.is_none_or(|gone| gone >= asked);
        match states
            .iter()
            .filter(possible)
            .any(|possible| possible.state.shown_by(shown))
        {
            true => Ok(()),
            false => Err(format!(
                "GetWorkspace shows {shown:?}, possible is {states:?}"
            )),
        }
    }

    /// Checks a resolve; returns the age of the state that it shows.
    pub(super) fn resolved(
        &self,
        asked: Instant,
        answer: &Answer,
        bound: Duration,
    ) -> Result<Duration, String> {
        let number = match answer {
            Answer::Own { api_key, .. } => {
                let own = format!("{PREFIX}{:06}-", self.number);
                let number = api_key
                    .strip_prefix(&own)
                    .and_then(|number| number.parse::<u32>().ok());
                Some(number.ok_or_else(|| format!("a foreign key for {}: {api_key}", self.id))?)
            }
            Answer::Platform | Answer::KeyMissing => None,
        };
        let shows = |state: State| match answer {
            Answer::Own { generation, .. } => {
                state.byo && state.key == number && state.generation == *generation
            }
            Answer::Platform => !state.byo,
            Answer::KeyMissing => state.byo && state.key.is_none(),
        };
        let states = self.states();
        let lag = |possible: &Possible| {
            possible
                .gone
                .map_or(Duration::ZERO, |gone| asked - gone.min(asked))
        };
        let lag = states
            .iter()
            .filter(|possible| shows(possible.state))
            .map(lag)
            .min();
        match lag {
            Some(lag) if lag <= bound => Ok(lag),
            late => Err(format!(
                "{}: {answer:?}, {late:?} late, possible is {states:?}",
                self.id
            )),
        }
    }

    fn states(&self) -> MutexGuard<'_, Vec<Possible>> {
        self.states.lock().unwrap()
    }
}

fn live(states: &[Possible]) -> impl Iterator<Item = State> {
    states
        .iter()
        .filter(|possible| possible.gone.is_none())
        .map(|possible| possible.state)
}
