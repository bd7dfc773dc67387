//! `byokd serve`: serve until SIGTERM or SIGINT.
//!
//! Invariants: the printed commands work when they are pasted into a shell in the same folder. If the audit stream goes
//! to standard output, nothing else does. A file at its size limit (`ulimit -f`) fails a write, as a full disk does, and
//! does not end the process. A signal during the start ends it with exit code 0.
//!
//! Not here: serving (`server`).

use std::fmt;

use clap::Args;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    failure::Failure, global::GlobalArgs, output, settings::SettingsArgs, shutdown::ShutdownSignals,
};
use crate::{
    demo::{Banner, Demo},
    domain::clock::Clock,
    server::Server,
    telemetry,
};

/// SIGXFSZ, whose default action is to end the process.
const FILE_TOO_LARGE: i32 = 25;

#[derive(Args, Debug, Default)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Serve a demo: a provider with made-up keys, and a data folder that is removed at the end
    #[arg(long)]
    demo: bool,
}

impl ServeArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        if self.demo {
            Demo::check(&self.settings.unchecked(global)?).map_err(Failure::local)?;
        }
        let mut config = self.settings.load(global)?;
        let exports = telemetry::install_with_exports(&config.log).map_err(Failure::local)?;
        let shutdown = ShutdownSignals::install()?;
        // With a handler, the process survives and the write fails with EFBIG.
        let _not_fatal = signal(SignalKind::from_raw(FILE_TOO_LARGE))?;
        let mut rotated = signal(SignalKind::hangup())?;
        let demo = match self.demo {
            true => Some(Demo::start(&mut config).await.map_err(Failure::local)?),
            false => None,
        };
        let data_dir = config.server.data_dir.clone();
        let stream_alone = config.audit.to_standard_output();
        let server = tokio::select! {
            started = Server::start(config, Clock::system()) => started?,
            () = shutdown.requested() => {
                tracing::info!("stopped before everything was open");
                return Ok(());
            }
        };
        let demo_banner = match &demo {
            Some(demo) => {
                let set = demo.set_platform_keys(server.url()).await;
                set.map_err(Failure::local)?;
                let folder = std::path::absolute(&data_dir)?.display().to_string();
                Some(demo.banner(&program(), &quoted(&folder)))
            }
            None => None,
        };
        let started = StartReport {
            demo: demo_banner,
            server: server.url().to_owned(),
            health: server.admin_address().to_string(),
            data_dir: data_dir.display().to_string(),
        };
        match stream_alone {
            true => output::write_stderr(&started.to_string()),
            false => global.show(&started)?,
        }
        let reopen = server.reopener();
        let reopening = async {
            while rotated.recv().await.is_some() {
                reopen();
            }
            // The runtime delivers no more signals; byokd keeps serving.
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = server.run(shutdown.requested(), shutdown.hurried()) => ended.map_err(Failure::from),
            never = reopening => never,
        };
        // The last export blocks, and needs the runtime to send.
        let sent = tokio::task::spawn_blocking(|| exports.end()).await;
        ended.and(sent.map_err(Failure::local))
    }
}

#[derive(Serialize)]
struct StartReport {
    server: String,
    health: String,
    data_dir: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    demo: Option<Banner>,
}

impl fmt::Display for StartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            health,
            data_dir,
            demo,
        } = self;
        let byokd = program();
        let folder = match data_dir.as_str() {
            "./byokd-data" => String::new(),
            other => format!(" --data-dir {}", quoted(other)),
        };
        writeln!(
            f,
            "byokd serves on {server} (health on {health}), data in {data_dir}"
        )?;
        if let Some(demo) = demo {
            return demo.fmt(f);
        }
        // With TLS, the commands need names and certificates that only the operator knows.
        let Some(address) = server.strip_prefix("http://") else {
            return Ok(());
        };
        write!(
            f,
            "\nTry next:\n\
             \x20   {byokd} workspace show acme{folder}\n\
             \x20   {byokd} key set acme openai --enable-byo{folder}\n\
             \x20   {byokd} resolve acme --provider openai{folder}\n\
             \x20   {byokd} explain acme --provider anthropic{folder}\n\
             \x20   grpcurl -plaintext -H \"authorization: Bearer $({byokd} token --role resolver --workspace \
             acme{folder})\" -d '{{\"workspace_id\": \"acme\", \"provider\": \"openai\"}}' {address} \
             byok.v1.KeyService/ResolveCredentials\n\n\
             The second command asks for an OpenAI key, tests it and stores it; the last needs grpcurl.\n"
        )
    }
}

/// The name by which this program was started, for a shell.
fn program() -> String {
    std::env::args()
        .next()
        .map_or_else(|| "byokd".to_owned(), |name| quoted(&name))
}

/// A text as one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
