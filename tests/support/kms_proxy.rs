//! A proxy before moto that speaks the KMS's protocol: it records every call, checks each, and fails on demand.
//!
//! ```ignore
//! let kms = KmsProxy::start().await;
//! let key = kms.create_key().await;
//! kms.set(KmsFault::Throttle);
//! kms.set_for(&key, KmsFault::Disabled);
//! assert_eq!(kms.count("Decrypt"), 0);
//! kms.assert_clean();
//! ```
//!
//! Not here: signatures. moto checks none, and neither does this.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, Response},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    kms_call::KmsCall,
    kms_fault::{KmsFault, answer, refuse},
    postgres::service,
};

const LONGEST_REQUEST: usize = 64 * 1024;
pub(crate) const REGION: &str = "eu-central-1";
/// moto reads the service and the region from it, and nothing else.
pub(crate) const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20300101/eu-central-1/kms/aws4_request, \
                                        SignedHeaders=host, Signature=00";

/// A KMS of a test's own on `127.0.0.1`, with keys of its own. It ends with the value.
pub(crate) struct KmsProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    moto: String,
    client: reqwest::Client,
    state: Mutex<Inside>,
}

struct Inside {
    fault: KmsFault,
    /// By the ARN of a KMS key; overrides `fault`.
    fault_of: HashMap<String, KmsFault>,
    /// ARNs, aliases and ARNs of aliases, each with the ARN of its KMS key.
    known: HashMap<String, String>,
    calls: Vec<KmsCall>,
    violations: Vec<String>,
}

impl KmsProxy {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            moto: service("BYOKD_TEST_MOTO"),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            state: Mutex::new(Inside {
                fault: KmsFault::Pass,
                fault_of: HashMap::new(),
                known: HashMap::new(),
                calls: Vec::new(),
                violations: Vec::new(),
            }),
        });
        let router = Router::new()
            .fallback(proxied)
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            shared,
            server,
        }
    }

    /// For `kms.endpoint_url`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The fault of every KMS key without its own.
    pub(crate) fn set(&self, fault: KmsFault) {
        self.state().fault = fault;
    }

    /// The fault of one KMS key, by any of its names; `Pass` counts as one.
    pub(crate) fn set_for(&self, arn: &str, fault: KmsFault) {
        self.state().fault_of.insert(arn.to_owned(), fault);
    }

    /// Removes all faults.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.fault = KmsFault::Pass;
        state.fault_of.clear();
    }

    /// A new KMS key; its ARN.
    pub(crate) async fn create_key(&self) -> String {
        let created = self.ask("CreateKey", &json!({})).await;
        let arn = created["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        self.state().known.insert(arn.clone(), arn.clone());
        arn
    }

    /// A new alias of a KMS key, `alias/…`.
    pub(crate) async fn create_alias(&self, arn: &str) -> String {
        let alias = format!("alias/byokd-{}", uuid::Uuid::new_v4());
        self.ask(
            "CreateAlias",
            &json!({ "AliasName": alias, "TargetKeyId": arn }),
        )
        .await;
        self.know_alias(&alias, arn);
        alias
    }

    /// Points an alias at another KMS key.
    pub(crate) async fn update_alias(&self, alias: &str, arn: &str) {
        self.ask(
            "UpdateAlias",
            &json!({ "AliasName": alias, "TargetKeyId": arn }),
        )
        .await;
        self.know_alias(alias, arn);
    }

    fn know_alias(&self, alias: &str, arn: &str) {
        let alias_arn = format!("{}:{alias}", arn.rsplit_once(':').unwrap().0);
        self.state()
            .known
            .extend([alias.to_owned(), alias_arn].map(|name| (name, arn.to_owned())));
    }

    /// Asks moto itself: not recorded, no faults. Panics unless it succeeds.
    pub(crate) async fn ask(&self, operation: &str, body: &Value) -> Value {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-amz-target",
            format!("TrentService.{operation}").parse().unwrap(),
        );
        headers.insert(
            "content-type",
            "application/x-amz-json-1.1".parse().unwrap(),
        );
        headers.insert("authorization", AUTHORIZATION.parse().unwrap());
        let (status, answer) = self.shared.forward(headers, body.to_string()).await;
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// The calls so far, in order; failed ones, too.
    pub(crate) fn calls(&self) -> Vec<KmsCall> {
        self.state().calls.clone()
    }

    /// The number of calls of an operation.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.state()
            .calls
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }

    /// The number of calls of each operation.
    pub(crate) fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for call in &self.state().calls {
            *counts.entry(call.operation.clone()).or_default() += 1;
        }
        counts
    }

    pub(crate) fn forget_calls(&self) {
        self.state().calls.clear();
    }

    /// Violations in the calls so far: see [`KmsCall`].
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    pub(crate) fn assert_clean(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }

    fn state(&self) -> MutexGuard<'_, Inside> {
        self.shared.state.lock().unwrap()
    }
}

impl Drop for KmsProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Inside {
    /// Records a call and returns its fault.
    fn take(&mut self, call: KmsCall) -> KmsFault {
        self.violations.extend(call.violations(&self.known));
        let fault_of = |name: &str| {
            let id = format!(":key/{name}");
            let by_id = || self.known.values().find(|arn| arn.ends_with(&id));
            let arn = self
                .known
                .get(name)
                .or_else(by_id)
                .map_or(name, String::as_str);
            self.fault_of.get(arn).copied()
        };
        let own: Vec<KmsFault> = call.keys().filter_map(fault_of).collect();
        self.calls.push(call);
        // Of two keys the one that fails decides.
        own.iter()
            .copied()
            .find(|fault| *fault != KmsFault::Pass)
            .unwrap_or(if own.is_empty() {
                self.fault
            } else {
                KmsFault::Pass
            })
    }
}

impl Shared {
    async fn forward(&self, mut headers: HeaderMap, body: String) -> (u16, Value) {
        for of_the_connection in ["host", "content-length", "connection", "transfer-encoding"] {
            headers.remove(of_the_connection);
        }
        let answer = self
            .client
            .post(&self.moto)
            .headers(headers)
            .body(body)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        // Some operations answer nothing.
        (
            status,
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(),
        )
    }
}

async fn proxied(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LONGEST_REQUEST)
        .await
        .unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let target = head
        .headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .unwrap_or_default();
    let operation = target
        .strip_prefix("TrentService.")
        .unwrap_or(target)
        .to_owned();
    let fault = shared
        .state
        .lock()
        .unwrap()
        .take(KmsCall::new(&operation, &body));
    match fault {
        // Ends this connection's task, and with it the connection, without a message on standard error.
        KmsFault::Dead => std::panic::resume_unwind(Box::new(())),
        KmsFault::Hang => std::future::pending().await,
        KmsFault::Slow(time) => tokio::time::sleep(time).await,
        _ => {}
    }
    if let Some((status, exception)) = fault.refusal(&operation) {
        return refuse(status, exception).await;
    }
    let (mut status, mut said) = shared.forward(head.headers, body.to_string()).await;
    fault.correct(&operation, &mut status, &mut said);
    answer(status, &said).await
}
