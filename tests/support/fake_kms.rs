//! A fake AWS KMS: an HTTP server on its own port that speaks KMS's JSON protocol.
//!
//! It has KMS keys and aliases, wraps data keys, and checks what AWS checks: the key, its state, and the encryption
//! context. What it was asked is kept; what is scripted with `fail` is answered instead.
//!
//! ```ignore
//! let kms = FakeKms::start().await;
//! let arn = kms.add_key("alias/byokd");
//! kms.set_state(&arn, "Disabled");
//! kms.fail(Some(Failure::Dead));
//! assert_eq!(kms.count("Decrypt"), 256);
//! ```
#![allow(
    dead_code,
    reason = "a vocabulary for all tests, not for those of today only"
)]

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response},
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinHandle};
use uuid::Uuid;

pub(crate) const REGION: &str = "eu-central-1";

/// A KMS on `127.0.0.1`. It ends with the value.
pub(crate) struct FakeKms {
    address: SocketAddr,
    state: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

/// A call as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// E.g. `Decrypt`.
    pub(crate) operation: String,
    /// `KeyId`, or `SourceKeyId` of a `ReEncrypt`.
    pub(crate) key_id: String,
    /// `EncryptionContext`, or the source's.
    pub(crate) context: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// The fault of every call.
#[derive(Clone)]
pub(crate) enum Failure {
    /// The connection breaks.
    Dead,
    /// There is never an answer.
    Hang,
    /// An answer of AWS, e.g. 400 `ThrottlingException`.
    Answer(u16, &'static str),
    /// The same, for one operation only.
    Only(&'static str, u16, &'static str),
    /// No failure, but `DescribeKey` reports this state.
    Described(&'static str),
    /// No failure, but only once the gate has a permit.
    Behind(Arc<Semaphore>),
}

#[derive(Default)]
struct Inner {
    /// ARN → state.
    keys: BTreeMap<String, String>,
    aliases: HashMap<String, String>,
    /// Wrapped, in base64 → the KMS key, the context, and the data key in base64.
    wrapped: HashMap<String, (String, BTreeMap<String, String>, String)>,
    failure: Option<Failure>,
    calls: Vec<Call>,
}

impl FakeKms {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<Inner>>::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            state,
            server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A new KMS key; the alias points at it from now on.
    pub(crate) fn add_key(&self, alias: &str) -> String {
        let arn = format!("arn:aws:kms:{REGION}:111122223333:key/{}", Uuid::new_v4());
        let mut inner = self.inner();
        inner.keys.insert(arn.clone(), "Enabled".to_owned());
        inner.aliases.insert(alias.to_owned(), arn.clone());
        arn
    }

    /// `Enabled`, `Disabled`, `PendingDeletion`, ….
    pub(crate) fn set_state(&self, arn: &str, state: &str) {
        self.inner().keys.insert(arn.to_owned(), state.to_owned());
    }

    /// The fault of every call from now on; `None`: no fault.
    pub(crate) fn fail(&self, failure: Option<Failure>) {
        self.inner().failure = failure;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        self.inner()
            .calls
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }

    pub(crate) fn forget_calls(&self) {
        self.inner().calls.clear();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap()
    }
}

impl Drop for FakeKms {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(state): State<Arc<Mutex<Inner>>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let target = head.headers["x-amz-target"].to_str().unwrap().to_owned();
    let operation = target.strip_prefix("TrentService.").unwrap().to_owned();
    let body = axum::body::to_bytes(body, 1024 * 1024)
        .await
        .unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let (failure, call) = {
        let mut inner = state.lock().unwrap();
        let call = Call::new(operation, body);
        inner.calls.push(call.clone());
        (inner.failure.clone(), call)
    };
    match failure {
        Some(Failure::Dead) => return broken(),
        Some(Failure::Hang) => std::future::pending().await,
        Some(Failure::Answer(status, code)) => return error(status, code),
        Some(Failure::Only(operation, status, code)) if operation == call.operation => {
            return error(status, code);
        }
        Some(Failure::Behind(gate)) => drop(gate.acquire().await.unwrap()),
        Some(Failure::Described(described)) if call.operation == "DescribeKey" => {
            let mut answered = state.lock().unwrap().answer(&call).unwrap();
            answered["KeyMetadata"]["KeyState"] = json!(described);
            return reply(200, &answered);
        }
        Some(Failure::Only(..) | Failure::Described(_)) | None => {}
    }
    let answered = state.lock().unwrap().answer(&call);
    match answered {
        Ok(body) => reply(200, &body),
        Err(code) => error(400, code),
    }
}

impl Call {
    fn new(operation: String, body: Value) -> Self {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let context = [&body["EncryptionContext"], &body["SourceEncryptionContext"]];
        let context = context
            .into_iter()
            .find_map(|context| serde_json::from_value(context.clone()).ok());
        Self {
            key_id: text("KeyId")
                .or_else(|| text("SourceKeyId"))
                .unwrap_or_default(),
            context: context.unwrap_or_default(),
            operation,
            body,
        }
    }
}

impl Inner {
    fn answer(&mut self, call: &Call) -> Result<Value, &'static str> {
        let arn = self.resolve(&call.key_id)?;
        let state = self.keys[&arn].clone();
        if call.operation == "DescribeKey" {
            let metadata = json!({
                "KeyId": arn.rsplit('/').next(), "Arn": arn, "KeyState": state, "KeyUsage": "ENCRYPT_DECRYPT",
                "KeySpec": "SYMMETRIC_DEFAULT", "Enabled": state == "Enabled"
            });
            return Ok(json!({ "KeyMetadata": metadata }));
        }
        Self::usable(&state)?;
        let blob = call.body["CiphertextBlob"].as_str().unwrap_or_default();
        match call.operation.as_str() {
            "GenerateDataKey" => {
                assert_eq!(call.body["KeySpec"], "AES_256");
                let plain = base64_of_32_bytes();
                let blob = self.wrap(&arn, &call.context, &plain);
                Ok(json!({ "KeyId": arn, "Plaintext": plain, "CiphertextBlob": blob }))
            }
            "Decrypt" => {
                let plain = self.unwrap(blob, &arn, &call.context)?;
                Ok(
                    json!({ "KeyId": arn, "Plaintext": plain, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT" }),
                )
            }
            "ReEncrypt" => {
                let plain = self.unwrap(blob, &arn, &call.context)?;
                let to = self.resolve(call.body["DestinationKeyId"].as_str().unwrap())?;
                Self::usable(&self.keys[&to])?;
                let context =
                    serde_json::from_value(call.body["DestinationEncryptionContext"].clone())
                        .unwrap();
                let blob = self.wrap(&to, &context, &plain);
                Ok(json!({ "KeyId": to, "SourceKeyId": arn, "CiphertextBlob": blob }))
            }
            _ => Err("UnsupportedOperationException"),
        }
    }

    fn resolve(&self, name: &str) -> Result<String, &'static str> {
        let arn = self.aliases.get(name).map_or(name, String::as_str);
        self.keys
            .contains_key(arn)
            .then(|| arn.to_owned())
            .ok_or("NotFoundException")
    }

    fn usable(state: &str) -> Result<(), &'static str> {
        match state {
            "Enabled" => Ok(()),
            "Disabled" => Err("DisabledException"),
            _ => Err("KMSInvalidStateException"),
        }
    }

    fn wrap(&mut self, arn: &str, context: &BTreeMap<String, String>, plain: &str) -> String {
        let blob = base64(120);
        self.wrapped.insert(
            blob.clone(),
            (arn.to_owned(), context.clone(), plain.to_owned()),
        );
        blob
    }

    fn unwrap(
        &self,
        blob: &str,
        arn: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<String, &'static str> {
        match self.wrapped.get(blob) {
            Some((own, _, _)) if own != arn => Err("IncorrectKeyException"),
            Some((_, bound, plain)) if bound == context => Ok(plain.clone()),
            _ => Err("InvalidCiphertextException"),
        }
    }
}

fn reply(status: u16, body: &Value) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1");
    response.body(Body::from(body.to_string())).unwrap()
}

fn error(status: u16, code: &str) -> Response<Body> {
    reply(
        status,
        &json!({ "__type": code, "message": format!("the fake says {code}") }),
    )
}

/// Promises a body and breaks the connection.
fn broken() -> Response<Body> {
    let cut = tokio_stream::iter([Err::<Vec<u8>, _>(io::Error::other("the fake is dead"))]);
    Response::builder()
        .status(200)
        .header("content-length", "100")
        .body(Body::from_stream(cut))
        .unwrap()
}

/// Random characters that encode three bytes in four.
fn base64(length: usize) -> String {
    let alphabet: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(['+', '/'])
        .collect();
    let mut random = Vec::new();
    while random.len() < length {
        random.extend(Uuid::new_v4().into_bytes());
    }
    random
        .iter()
        .take(length)
        .map(|byte| alphabet[usize::from(byte % 64)])
        .collect()
}

fn base64_of_32_bytes() -> String {
    // The last of 43 characters encodes four bits.
    format!("{}Q=", base64(42))
}
