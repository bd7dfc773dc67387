//! Malformed keys: they are refused before a request to a provider.

use tonic::Code;

use super::{refused_twice, repeats_nothing, standing, untouched};
use crate::support::{anthropic_key, new_key, openai_key};

#[tokio::test]
async fn a_malformed_key_is_refused_and_not_repeated() {
    let byokd = standing().await;
    let rows = [
        ("empty", String::new()),
        ("white space", " \t\r\n ".into()),
        ("513 bytes", "k".repeat(513)),
        ("60 kB", "SYNTHETIC".repeat(60_000 / 9)),
        ("a NUL", "sk-SYNTHETIC\0-abcdefgh".into()),
        ("an escape", "sk-SYNTHETIC\u{1b}[31m".into()),
        ("a space inside", "sk-SYNTHETIC abcdefgh".into()),
        ("a line break inside", "sk-SYNTHETIC\r\nX-Evil: 1".into()),
        ("Bearer in front", format!("Bearer {}", openai_key(2))),
        ("quotes", format!("\"{}\"", openai_key(2))),
        ("a zero-width space", "sk-SYNTHETIC\u{200b}abcdefgh".into()),
    ];
    for (what, key) in rows {
        refused_twice(&byokd, "openai", &key, "KEY_MALFORMED", what).await;
    }
}

#[tokio::test]
async fn a_request_beyond_64_kib_is_refused_by_the_transport() {
    let byokd = standing().await;
    let key = "SYNTHETIC".repeat(66_000 / 9);
    let status = byokd
        .admin()
        .set_key(new_key("acme", "openai", &key))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    repeats_nothing(&status, &key);
    untouched(&byokd, "66 kB").await;
}

#[tokio::test]
async fn white_space_around_a_key_is_trimmed() {
    let byokd = standing().await;
    for (n, around) in [("", "\n"), (" \t", "\r\n"), ("\n\n", " ")]
        .into_iter()
        .enumerate()
    {
        let key = openai_key(20 + u32::try_from(n).unwrap());
        byokd
            .set_key("acme", "openai", &format!("{}{key}{}", around.0, around.1))
            .await;
        assert_eq!(byokd.secret("acme", "openai").await.unwrap(), key);
        let seen = &byokd.provider.requests()[0];
        assert_eq!(seen.headers["authorization"], format!("Bearer {key}"));
        byokd.provider.forget_requests();
    }
}

#[tokio::test]
async fn a_key_of_another_kind_is_not_sent() {
    let byokd = standing().await;
    let rows = [
        ("Anthropic's key for OpenAI", "openai", anthropic_key(2)),
        (
            "Anthropic's key for OpenAI's protocol",
            "groq",
            anthropic_key(2),
        ),
        ("OpenAI's key for Anthropic", "anthropic", openai_key(2)),
        (
            "OpenAI's admin key",
            "openai",
            "sk-admin-SYNTHETIC-abcdefgh".into(),
        ),
        (
            "Anthropic's admin key",
            "anthropic",
            "sk-ant-admin01-SYNTHETIC-abcdefgh".into(),
        ),
        (
            "Anthropic's OAuth token",
            "anthropic",
            "sk-ant-oat01-SYNTHETIC-abcdefgh".into(),
        ),
        (
            "Groq's key for OpenAI",
            "openai",
            "gsk_SYNTHETIC0123456789".into(),
        ),
    ];
    for (what, provider, key) in rows {
        refused_twice(&byokd, provider, &key, "KEY_WRONG_KIND", what).await;
    }
}
