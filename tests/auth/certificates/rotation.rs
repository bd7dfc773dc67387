//! Certificates that are replaced while byokd serves: file by file, as Kubernetes does it, and wrongly.

use std::{fs, os::unix::fs::symlink, path::PathBuf, sync::Arc, time::Instant};

use byokd::contract::v1::key_service_client::KeyServiceClient;
use serde_json::json;
use tokio::sync::Semaphore;
use tonic::Request;

use super::{assert_cut, configured, resolve};
use crate::support::{Ca, Issued, Process, Reply, Site, ca::connect, new_key, openai_key, until};

const AGENT: &str = "spiffe://test/agent";
const CHANGED: &str = "the TLS files have changed; new connections use them";
const UNUSABLE: &str = "the TLS files have changed and cannot be used";

/// Two authorities: one signs the server's certificate, the other the callers'.
struct Signers {
    servers: Ca,
    callers: Ca,
}

impl Signers {
    fn new() -> Self {
        Self {
            servers: Ca::new("servers"),
            callers: Ca::new("callers"),
        }
    }
}

/// A byokd whose certificate files are replaced.
struct Rotated {
    site: Site,
    process: Process,
}

impl Rotated {
    /// The files are where Kubernetes puts those of a secret: behind a link to a folder.
    async fn start(first: &Signers) -> Self {
        let site = Site::new().await;
        fs::create_dir(site.path("tls")).unwrap();
        let file = |name: &str| site.path("tls").join(name);
        write_secret(&site, "..1", first);
        symlink("..1", file("..data")).unwrap();
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(format!("..data/{name}"), file(name)).unwrap();
        }
        let tls = json!({"cert_file": file("tls.crt"), "key_file": file("tls.key"), "client_ca_file": file("ca.crt")});
        let process = configured(&site, &tls).await;
        Self { site, process }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.path("tls").join(name)
    }

    /// Replaces a file atomically.
    fn put(&self, name: &str, text: &str) {
        fs::write(self.file("new"), text).unwrap();
        fs::rename(self.file("new"), self.file(name)).unwrap();
    }

    fn address(&self) -> &str {
        self.process.address.strip_prefix("https://").unwrap()
    }

    /// Whether a new connection with this root and certificate is served.
    async fn serves(&self, servers: &Ca, shown: &Issued) -> bool {
        match connect(self.address(), &servers.pem(), Some(shown)).await {
            Ok(channel) => resolve(channel, None).await.is_ok(),
            Err(_) => false,
        }
    }

    /// The number of log lines with this text.
    fn logged(&self, what: &str) -> usize {
        self.process
            .said()
            .lines()
            .filter(|line| line.contains(what))
            .count()
    }
}

fn write_secret(site: &Site, folder: &str, signers: &Signers) {
    let folder = site.path("tls").join(folder);
    fs::create_dir(&folder).unwrap();
    let server = signers.servers.server();
    fs::write(folder.join("tls.crt"), &server.certificate).unwrap();
    fs::write(folder.join("tls.key"), &server.key).unwrap();
    fs::write(folder.join("ca.crt"), signers.callers.pem()).unwrap();
}

#[tokio::test]
async fn a_secret_is_replaced_under_open_connections() {
    let (first, second) = (Signers::new(), Signers::new());
    let byokd = Rotated::start(&first).await;
    let (old, new) = (first.callers.client(AGENT), second.callers.client(AGENT));
    let open = connect(byokd.address(), &first.servers.pem(), Some(&old))
        .await
        .unwrap();
    resolve(open.clone(), None).await.unwrap();
    // A call that runs all the while.
    let gate = Arc::new(Semaphore::new(0));
    byokd
        .site
        .provider
        .on_list(Reply::models(&["small-2030"]).behind(&gate));
    let mut setting = Request::new(new_key("acme", "openai", &openai_key(1)));
    setting.set_timeout(std::time::Duration::from_secs(60));
    let mut keys = KeyServiceClient::new(open.clone());
    let running = tokio::spawn(async move { keys.set_key(setting).await.unwrap() });
    until("the call has reached the provider", async || {
        (!byokd.site.provider.requests().is_empty()).then_some(())
    })
    .await;

    write_secret(&byokd.site, "..2", &second);
    symlink("..2", byokd.file("..data_tmp")).unwrap();
    fs::rename(byokd.file("..data_tmp"), byokd.file("..data")).unwrap();
    until("the new files are served", async || {
        byokd.serves(&second.servers, &new).await.then_some(())
    })
    .await;

    assert!(
        !byokd.serves(&second.servers, &old).await,
        "a certificate of the CA that is gone"
    );
    assert!(
        !byokd.serves(&first.servers, &new).await,
        "the certificate that is gone"
    );
    // The open connection continues.
    resolve(open.clone(), None).await.unwrap();
    gate.add_permits(100);
    running.await.unwrap();
    resolve(open, None).await.unwrap();
    assert_eq!((byokd.logged(CHANGED), byokd.logged(UNUSABLE)), (1, 0));
}

#[tokio::test]
async fn a_partial_rotation_changes_nothing_until_it_is_complete() {
    let (first, second) = (Signers::new(), Signers::new());
    let byokd = Rotated::start(&first).await;
    let (old, new) = (first.callers.client(AGENT), second.callers.client(AGENT));
    let server = second.servers.server();
    let key = fs::read_to_string(byokd.file("tls.key")).unwrap();
    let certificate = fs::read_to_string(byokd.file("tls.crt")).unwrap();
    let mut faults = 0;
    for (what, file, content, good) in [
        // The same failure is not logged twice in a row.
        (
            "a certificate without its key",
            "tls.crt",
            server.certificate.as_str(),
            certificate.as_str(),
        ),
        (
            "a CA that is none",
            "ca.crt",
            "garbage",
            &first.callers.pem(),
        ),
        (
            "a key without its certificate",
            "tls.key",
            &server.key,
            &key,
        ),
        (
            "half a certificate",
            "tls.crt",
            &certificate[..certificate.len() / 2],
            &certificate,
        ),
        (
            "a CA that is no certificate",
            "ca.crt",
            &key,
            &first.callers.pem(),
        ),
        ("an empty key", "tls.key", "", &key),
    ] {
        byokd.put(file, content);
        faults += 1;
        until(what, async || {
            (byokd.logged(UNUSABLE) == faults).then_some(())
        })
        .await;
        assert!(byokd.serves(&first.servers, &old).await, "{what}");
        byokd.put(file, good);
    }
    fs::remove_file(byokd.file("tls.key")).unwrap();
    faults += 1;
    until("a missing file", async || {
        (byokd.logged(UNUSABLE) == faults).then_some(())
    })
    .await;
    // No failure is logged twice: byokd reads the files every second.
    let begun = Instant::now();
    until("some looks later", async || {
        (begun.elapsed().as_secs() >= 4).then_some(())
    })
    .await;
    assert_eq!(byokd.logged(UNUSABLE), faults);
    assert!(byokd.serves(&first.servers, &old).await && !byokd.serves(&second.servers, &new).await);
    // The other files of the rotation follow, in any order.
    byokd.put("ca.crt", &second.callers.pem());
    byokd.put("tls.key", &server.key);
    byokd.put("tls.crt", &server.certificate);
    until("it heals", async || {
        byokd.serves(&second.servers, &new).await.then_some(())
    })
    .await;
    assert!(!byokd.serves(&second.servers, &old).await);
    assert!(!byokd.process.said().contains("PRIVATE KEY"));
    let foreign = Ca::new("others").client(AGENT);
    let channel = connect(byokd.address(), &second.servers.pem(), Some(&foreign)).await;
    let answer = match channel {
        Ok(channel) => resolve(channel, None).await,
        Err(error) => Err(tonic::Status::unavailable(error.to_string())),
    };
    assert_cut(answer, "another CA");
}

#[tokio::test]
async fn files_that_cannot_be_served_stop_the_start() {
    let site = Site::new().await;
    let (servers, callers) = (Ca::new("servers"), Ca::new("callers"));
    let (certificate, key) = servers.server().write(&site.path(""), "server");
    let (_, foreign) = servers.server().write(&site.path(""), "other");
    fs::write(site.path("callers.crt"), callers.pem()).unwrap();
    fs::write(site.path("garbage"), "garbage").unwrap();
    let good = json!({"cert_file": certificate, "key_file": key, "client_ca_file": site.path("callers.crt")});
    for (setting, file, named) in [
        ("key_file", foreign.clone(), "server.crt"),
        ("key_file", site.path("none"), "none"),
        ("cert_file", site.path("garbage"), "garbage"),
        ("cert_file", foreign, "other.key"),
        ("client_ca_file", site.path("garbage"), "garbage"),
    ] {
        let mut tls = good.clone();
        tls[setting] = json!(file);
        let file =
            toml::to_string(&json!({"tls": tls, "auth": {"rules": super::rules()}})).unwrap();
        fs::write(site.path("byokd.toml"), file).unwrap();
        let said = site.refused(site.serve()).await;
        assert!(
            said.contains("TLS cannot be served") && said.contains(named),
            "{said}"
        );
    }
}
