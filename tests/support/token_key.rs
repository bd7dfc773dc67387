//! Keys that sign tokens, and tokens made by hand: with any header and any claims, good or bad.

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData as _};
use serde_json::{Value, json};

/// One of an issuer's keys.
#[derive(Clone)]
pub(crate) struct TokenKey {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    signing: EncodingKey,
    public: Value,
    /// The public key as PKCS #1 or a point, and as a `SubjectPublicKeyInfo`, in DER.
    ders: [Vec<u8>; 2],
}

impl TokenKey {
    pub(crate) fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let point = pair.public_key().as_ref().to_vec();
        // RFC 8410, section 10.1.
        let whole = [
            b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
            point.as_slice(),
        ]
        .concat();
        Self::new(
            kid,
            Algorithm::EdDSA,
            EncodingKey::from_ed_der(document.as_ref()),
            [point, whole],
        )
    }

    pub(crate) fn es256(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self::new(
            kid,
            Algorithm::ES256,
            EncodingKey::from_ec_der(pair.serialized_der()),
            ders(&pair),
        )
    }

    pub(crate) fn rs256(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        // The library signs with the PKCS #1 document that follows a fixed prefix in the PKCS #8 one.
        Self::new(
            kid,
            Algorithm::RS256,
            EncodingKey::from_rsa_der(&pair.serialized_der()[26..]),
            ders(&pair),
        )
    }

    fn new(kid: &str, algorithm: Algorithm, signing: EncodingKey, ders: [Vec<u8>; 2]) -> Self {
        let mut public =
            serde_json::to_value(Jwk::from_encoding_key(&signing, algorithm).unwrap()).unwrap();
        public["kid"] = json!(kid);
        public["use"] = json!("sig");
        Self {
            kid: kid.to_owned(),
            algorithm,
            signing,
            public,
            ders,
        }
    }

    /// Every form of the public key that an implementation may mistake for a secret.
    pub(crate) fn public_forms(&self) -> Vec<Vec<u8>> {
        let mut forms = self.ders.to_vec();
        for der in &self.ders {
            let lines: Vec<String> = STANDARD
                .encode(der)
                .as_bytes()
                .chunks(64)
                .map(|line| String::from_utf8_lossy(line).into())
                .collect();
            let pem = format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
                lines.join("\n")
            );
            forms.extend([pem.clone().into_bytes(), format!("{pem}\n").into_bytes()]);
        }
        forms.push(self.public.to_string().into_bytes());
        forms
    }

    /// As an issuer publishes it.
    pub(crate) fn public(&self) -> Value {
        self.public.clone()
    }

    /// The header of its tokens.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.kid})
    }

    /// A good token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.signed(self.header(), claims)
    }

    /// A token with a good signature, whatever its header and claims are.
    pub(crate) fn signed(&self, header: impl ToString, claims: impl ToString) -> String {
        self.sign(&message(header, claims))
    }

    /// Appends the signature.
    pub(crate) fn sign(&self, message: &str) -> String {
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.signing, self.algorithm);
        format!("{message}.{}", signature.unwrap())
    }
}

fn ders(pair: &KeyPair) -> [Vec<u8>; 2] {
    [
        pair.public_key_raw().to_vec(),
        pair.subject_public_key_info(),
    ]
}

/// The signed part of a token.
pub(crate) fn message(header: impl ToString, claims: impl ToString) -> String {
    format!(
        "{}.{}",
        encoded(header.to_string()),
        encoded(claims.to_string())
    )
}

/// A token signed with a secret.
pub(crate) fn with_secret(
    secret: &[u8],
    algorithm: Algorithm,
    kid: &str,
    claims: &Value,
) -> String {
    let message = message(
        json!({"alg": format!("{algorithm:?}"), "typ": "JWT", "kid": kid}),
        claims,
    );
    let secret = EncodingKey::from_secret(secret);
    format!(
        "{message}.{}",
        jsonwebtoken::crypto::sign(message.as_bytes(), &secret, algorithm).unwrap()
    )
}

/// A key set of these keys.
pub(crate) fn key_set(keys: &[&TokenKey]) -> Value {
    json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()})
}

/// The encoding of a token's parts.
pub(crate) fn encoded(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}
