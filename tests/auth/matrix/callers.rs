//! The callers of the matrix: their proofs, and the rights of each proof, written by hand.

use byokd::domain::caller::Role;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::Cell;
use crate::support::{Byokd, Ca, Issuer, TokenKey, byokd::for_a_crowd, ca::connect};

const ISSUER: &str = "https://issuer.test";

/// The rights of one proof, written by hand.
#[derive(Clone, Copy)]
pub(super) struct Proof {
    pub(super) roles: &'static [&'static str],
    /// If not empty, only these RPCs.
    pub(super) rpcs: &'static [&'static str],
    pub(super) workspaces: &'static [&'static str],
    pub(super) purposes: &'static [&'static str],
}

/// A caller with an open connection.
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) channel: Channel,
    pub(super) token: Option<String>,
    /// The rights of its proofs, or the reason why it has none.
    pub(super) proofs: Result<Vec<Proof>, Cell>,
}

const ALL_ROLES: [(&str, Role); 4] = [
    ("resolver", Role::Resolver),
    ("viewer", Role::Viewer),
    ("admin", Role::Admin),
    ("operator", Role::Operator),
];
const ROLES: [&[&str]; 4] = [&["resolver"], &["viewer"], &["admin"], &["operator"]];
const SCOPES: [&[&str]; 2] = [&["acme", "globex"], &["*"]];
const REPLY: &[&str] = &["reply"];
const BOTH: &[&str] = &["reply", "training"];

/// A byokd with every kind of caller.
pub(super) struct World {
    byokd: Byokd,
    _issuer: Issuer,
    key: TokenKey,
    anonymous: Channel,
    /// Connections with a certificate, and the rights by its rule.
    certified: Vec<(String, Channel, Result<Proof, Cell>)>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) async fn start() -> Self {
        let (servers, ca, key) = (
            Ca::new("servers"),
            Ca::new("callers"),
            TokenKey::ed25519("1"),
        );
        let issuer = Issuer::start(ISSUER, &[&key]).await;
        let folder = tempfile::tempdir().unwrap();
        let (certificate, private) = servers.server().write(folder.path(), "server");
        let ca_file = folder.path().join("callers.crt");
        std::fs::write(&ca_file, ca.pem()).unwrap();
        let mut rules = vec![
            json!({"issuer": ISSUER, "roles_claim": "roles", "workspaces_claim": "org", "purposes_claim": "for"}),
        ];
        let mut proofs = Vec::new();
        for roles in ROLES {
            for (at, workspaces) in SCOPES.into_iter().enumerate() {
                let purposes = if at == 0 { REPLY } else { BOTH };
                let name = format!("spiffe://test/{}/{at}", roles[0]);
                rules.push(json!({"certificate": name, "roles": roles, "workspaces": workspaces, "purposes": purposes}));
                proofs.push((
                    name,
                    Ok(Proof {
                        roles,
                        rpcs: &[],
                        workspaces,
                        purposes,
                    }),
                ));
            }
        }
        // A service that may do one thing only.
        rules.push(json!({"certificate": "one.test", "roles": ["admin"], "rpcs": ["GetWorkspace"], "workspaces": ["*"]}));
        let one = Proof {
            roles: &["admin"],
            rpcs: &["GetWorkspace"],
            workspaces: &["*"],
            purposes: REPLY,
        };
        proofs.push(("one.test".to_owned(), Ok(one)));
        proofs.push(("stranger.test".to_owned(), Err(Cell::CredentialsInvalid)));
        let config = issuer.config();
        let byokd = Byokd::start_with(|settings| {
            settings.tls.cert_file = certificate;
            settings.tls.key_file = private;
            settings.tls.client_ca_file = ca_file;
            settings.tls.client_certificates = byokd::config::ClientCertificates::Optional;
            settings.auth.issuers = vec![config];
            for_a_crowd(settings);
            settings.auth.rules = serde_json::from_value(Value::Array(rules)).unwrap();
        })
        .await;
        let (address, trusted) = (byokd.address(), servers.pem());
        let mut certified = Vec::new();
        for (name, proof) in proofs {
            let channel = connect(address, &trusted, Some(&ca.client(&name)))
                .await
                .unwrap();
            certified.push((name, channel, proof));
        }
        let anonymous = connect(address, &trusted, None).await.unwrap();
        Self {
            byokd,
            _issuer: issuer,
            key,
            anonymous,
            certified,
            _folder: folder,
        }
    }

    fn embedded(&self, roles: &[&str], workspace: &str, purposes: &[&str]) -> String {
        let roles: Vec<Role> = ALL_ROLES
            .iter()
            .filter(|(name, _)| roles.contains(name))
            .map(|(_, role)| *role)
            .collect();
        self.byokd.token(&roles, workspace, purposes)
    }

    fn outside(&self, proof: Proof) -> String {
        let now = self.byokd.clock.now().unix_timestamp();
        self.key
            .token(&json!({"iss": ISSUER, "aud": "byokd", "sub": "x", "exp": now + 600, "roles": proof.roles,
                               "org": proof.workspaces, "for": proof.purposes}))
    }

    /// All callers.
    pub(super) fn callers(&self) -> Vec<Caller> {
        let (mut found, mut tokens) = (Vec::new(), Vec::new());
        let foreign = TokenKey::ed25519("1").token(
            &json!({"iss": ISSUER, "aud": "byokd", "sub": "x", "roles": ["admin"],
            "exp": self.byokd.clock.now().unix_timestamp() + 600, "org": "acme", "for": "reply"}),
        );
        for roles in ROLES {
            for workspaces in [&["acme"][..], &["*"]] {
                for purposes in [REPLY, BOTH] {
                    let proof = Proof {
                        roles,
                        rpcs: &[],
                        workspaces,
                        purposes,
                    };
                    let name = format!("{roles:?} of {workspaces:?} for {purposes:?}");
                    tokens.push((
                        format!("embedded {name}"),
                        self.embedded(roles, workspaces[0], purposes),
                        Ok(proof),
                    ));
                }
            }
            for workspaces in [&["acme"][..], &["globex", "initech"]] {
                let proof = Proof {
                    roles,
                    rpcs: &[],
                    workspaces,
                    purposes: BOTH,
                };
                tokens.push((
                    format!("outside {roles:?} of {workspaces:?}"),
                    self.outside(proof),
                    Ok(proof),
                ));
            }
        }
        let several = Proof {
            roles: &["resolver", "operator"],
            rpcs: &[],
            workspaces: &["acme", "globex"],
            purposes: REPLY,
        };
        tokens.push((
            "outside with two roles".to_owned(),
            self.outside(several),
            Ok(several),
        ));
        let everywhere = Proof {
            workspaces: &["*"],
            ..several
        };
        tokens.push((
            "outside of *".to_owned(),
            self.outside(everywhere),
            Err(Cell::CredentialsInvalid),
        ));
        tokens.push(("foreign".to_owned(), foreign, Err(Cell::CredentialsInvalid)));
        found.push(Caller {
            name: "anonymous".to_owned(),
            channel: self.anonymous.clone(),
            token: None,
            proofs: Err(Cell::CredentialsMissing),
        });
        for (name, token, proof) in &tokens {
            found.push(Caller {
                name: name.clone(),
                channel: self.anonymous.clone(),
                token: Some(token.clone()),
                proofs: proof.map(|proof| vec![proof]),
            });
        }
        for (name, channel, service) in &self.certified {
            found.push(Caller {
                name: name.clone(),
                channel: channel.clone(),
                token: None,
                proofs: service.map(|proof| vec![proof]),
            });
            // Each proof of a pair has met every cell alone; here are the rights that both have.
            for (user, token, proof) in tokens
                .iter()
                .filter(|(name, ..)| !name.ends_with(&format!("{REPLY:?}")))
            {
                let both = service.and_then(|service| proof.map(|user| vec![service, user]));
                found.push(Caller {
                    name: format!("{name} with {user}"),
                    channel: channel.clone(),
                    token: Some(token.clone()),
                    proofs: both,
                });
            }
        }
        found
    }
}
