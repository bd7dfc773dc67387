//! An issuer's keys over time: read at the start, read again now and then, and when a token names a key that is not
//! there.
//!
//! Invariants: one read at a time and none within 30 s of the one before, however many unknown keys are asked for; who
//! asks waits for that one read at the most. While reads fail the last good set is used, up to a day old; an old one
//! is dropped, not trusted. What is read is bounded.
//!
//! Not here: discovery (`/.well-known/openid-configuration`): where the keys are is the operator's to say, not the
//! network's.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jsonwebtoken::Algorithm;
use tokio::{
    fs::File,
    io::AsyncReadExt as _,
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use url::Url;
use zeroize::Zeroizing;

use super::key_set::KeySet;
use crate::domain::clock::Clock;

/// The least time between two reads.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest time between two reads.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// How old the last good set may be.
const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one read may take.
const READ: Duration = Duration::from_secs(5);
/// The longest set, in bytes; those of the large clouds have 10 KB.
const LONGEST: usize = 256 * 1024;

/// Where a key set is.
#[derive(Clone, Debug)]
pub enum JwksSource {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url {
        /// The set's address.
        url: Url,
        /// Who fetches it, guarded.
        client: reqwest::Client,
        /// A file with the bearer token that the address asks for, as Kubernetes' API server does.
        token_file: Option<PathBuf>,
    },
}

/// The keys of one issuer.
pub(super) struct IssuerKeys {
    issuer: String,
    source: JwksSource,
    algorithms: Vec<Algorithm>,
    clock: Clock,
    held: RwLock<Option<Held>>,
    asked: Notify,
    /// Whether being asked leads to a read at once.
    idle: AtomicBool,
    /// How many reads have ended.
    reads: watch::Sender<u64>,
}

struct Held {
    set: Arc<KeySet>,
    text: Vec<u8>,
    read_at: Duration,
    generation: u64,
}

impl IssuerKeys {
    /// Nothing read yet.
    pub(super) fn new(
        issuer: String,
        source: JwksSource,
        algorithms: Vec<Algorithm>,
        clock: Clock,
    ) -> Self {
        Self {
            issuer,
            source,
            algorithms,
            clock,
            held: RwLock::default(),
            asked: Notify::new(),
            idle: AtomicBool::new(false),
            reads: watch::Sender::new(0),
        }
    }

    /// The keys and their generation, if they are not too old.
    pub(super) fn current(&self) -> Option<(Arc<KeySet>, u64)> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref()?;
        let age = self.clock.elapsed().saturating_sub(held.read_at);
        (age <= OLDEST).then(|| (Arc::clone(&held.set), held.generation))
    }

    /// Asks for a read and waits for it, if one may come now: another one, or the first.
    pub(super) async fn ask(&self) {
        let mut reads = self.reads.subscribe();
        let waits = self.idle.load(Ordering::Acquire) || *reads.borrow() == 0;
        self.asked.notify_one();
        if waits {
            // Whether it came or not, the caller looks at what is there now.
            let _in_time = timeout(READ, reads.changed()).await;
        }
    }

    /// Reads, again and again; never ends.
    pub(super) async fn follow(&self) {
        let mut failing = false;
        loop {
            match self.read().await {
                Ok(text) => {
                    if failing {
                        tracing::info!(issuer = self.issuer, "the issuer's keys can be read again");
                    }
                    failing = false;
                    self.take(text);
                }
                Err(why) => {
                    if !failing {
                        tracing::warn!(
                            issuer = self.issuer,
                            why,
                            "the issuer's keys cannot be read"
                        );
                    }
                    failing = true;
                }
            }
            self.reads
                .send_modify(|count| *count = count.saturating_add(1));
            sleep(PAUSE).await;
            if failing {
                continue;
            }
            self.idle.store(true, Ordering::Release);
            let _asked = timeout(REFRESH.saturating_sub(PAUSE), self.asked.notified()).await;
            self.idle.store(false, Ordering::Release);
        }
    }

    async fn read(&self) -> Result<(KeySet, Vec<u8>), String> {
        let text = match &self.source {
            JwksSource::File(path) => {
                let read = timeout(READ, bounded(path)).await;
                read.map_err(|_| format!("{}: no answer within {READ:?}", path.display()))??
            }
            JwksSource::Url {
                url,
                client,
                token_file,
            } => {
                let fetched = timeout(READ, fetch(url, client, token_file.as_ref())).await;
                fetched
                    .map_err(|_| format!("{url}: no answer within {READ:?}"))?
                    .map_err(|why| format!("{url}: {why}"))?
            }
        };
        if text.len() > LONGEST {
            return Err(format!("longer than {LONGEST} bytes"));
        }
        Ok((KeySet::parse(&text, &self.algorithms)?, text))
    }

    fn take(&self, (set, text): (KeySet, Vec<u8>)) {
        let read_at = self.clock.elapsed();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            // The same keys: what was verified by them stays verified.
            Some(held) if held.text == text => held.read_at = read_at,
            _ => {
                let generation = held
                    .as_ref()
                    .map_or(0, |held| held.generation)
                    .saturating_add(1);
                *held = Some(Held {
                    set: Arc::new(set),
                    text,
                    read_at,
                    generation,
                });
            }
        }
    }
}

/// A file, as far as it may be long and one byte more.
async fn bounded(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("{}: {error}", path.display());
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    // Room for a token at once: bytes that grow leave copies behind.
    let mut content = Vec::with_capacity(16 * 1024);
    let file = File::open(path).await.map_err(unreadable)?;
    file.take(most)
        .read_to_end(&mut content)
        .await
        .map_err(unreadable)?;
    Ok(content)
}

async fn fetch(
    url: &Url,
    client: &reqwest::Client,
    token_file: Option<&PathBuf>,
) -> Result<Vec<u8>, String> {
    let mut request = client
        .get(url.clone())
        .header("accept", "application/jwk-set+json, application/json");
    if let Some(path) = token_file {
        let token = Zeroizing::new(bounded(path).await?);
        let token = std::str::from_utf8(&token)
            .map_err(|_| format!("{} holds no token", path.display()))?;
        request = request.bearer_auth(token.trim());
    }
    // Without the URL, which stands before the message already.
    let mut response = request
        .send()
        .await
        .map_err(|error| error_chain(&error.without_url()))?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("answered {}", response.status().as_u16()));
    }
    let mut text = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| error_chain(&error.without_url()))?
    {
        if text.len().saturating_add(chunk.len()) > LONGEST {
            return Err(format!("longer than {LONGEST} bytes"));
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

/// The texts of an error and of its causes.
fn error_chain(error: &reqwest::Error) -> String {
    let mut chain = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        chain.push_str(": ");
        chain.push_str(&inner.to_string());
        cause = inner.source();
    }
    chain
}
