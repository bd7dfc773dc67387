//! Every attempt has its line: grants, changes, refusals; and no line has a secret.

use byokd::{
    contract::v1,
    domain::caller::{Role, Rpc},
};
use serde_json::{Value, json};

use crate::{
    auth::roles::{call, may_call, names_a_workspace},
    support::{
        Byokd, Reply, ask, lines, lines_until, new_key, openai_key, reason, stream::verified,
    },
};

fn count(lines: &[Value], event: &str) -> usize {
    lines.iter().filter(|line| line["event"] == event).count()
}

#[tokio::test]
async fn every_rpc_that_is_refused_has_a_line_with_its_reason() {
    let byokd = Byokd::start().await;
    let mut expected = Vec::new();
    for rpc in Rpc::ALL.iter().copied() {
        let name = rpc.as_str();
        let workspace = if names_a_workspace(name) {
            json!("acme")
        } else {
            Value::Null
        };
        let wrong = Role::ALL
            .into_iter()
            .find(|role| !may_call(name).contains(role));
        if let Some(wrong) = wrong {
            let token = byokd.token(&[wrong], "*", &[]);
            call(rpc, byokd.keys_with(&token), byokd.platform_with(&token))
                .await
                .unwrap_err();
            expected.push(json!([name, "tests", workspace, "ROLE_REQUIRED"]));
        }
        if names_a_workspace(name) {
            let token = byokd.token(&[may_call(name)[0]], "globex", &[]);
            call(rpc, byokd.keys_with(&token), byokd.platform_with(&token))
                .await
                .unwrap_err();
            expected.push(json!([name, "tests", workspace, "WORKSPACE_MISMATCH"]));
        }
    }
    assert!(expected.len() > 2 * 14);
    let seen = lines_until(&byokd, "all are refused", |lines| {
        count(lines, "refused") == expected.len()
    })
    .await;
    let refused = seen.iter().filter(|line| line["event"] == "refused");
    let logged: Vec<Value> = refused
        .map(|line| {
            json!([
                line["rpc"],
                line["actor"],
                line["workspace"],
                line["reason"]
            ])
        })
        .collect();
    assert_eq!(logged, expected);
}

/// The clock of the test stands still, so all calls are within one second.
#[tokio::test]
async fn refusals_without_a_caller_are_counted_beyond_ten_a_second() {
    let byokd = Byokd::start().await;
    for rpc in Rpc::ALL.iter().copied() {
        call(rpc, byokd.keys_with("x"), byokd.platform_with("x"))
            .await
            .unwrap_err();
    }
    let seen = lines_until(&byokd, "ten are refused", |lines| {
        count(lines, "refused") == 10
    })
    .await;
    for line in seen.iter().filter(|line| line["event"] == "refused") {
        assert_eq!(
            (&line["reason"], &line["actor"]),
            (&json!("CREDENTIALS_INVALID"), &Value::Null)
        );
    }
    byokd.pass(std::time::Duration::from_secs(1));
    let seen = lines_until(&byokd, "the others are counted", |lines| {
        count(lines, "suppressed") == 1
    })
    .await;
    let suppressed = seen
        .iter()
        .find(|line| line["event"] == "suppressed")
        .unwrap();
    assert_eq!(suppressed["count"], Rpc::ALL.len() - 10);
}

#[tokio::test]
async fn a_resolve_has_a_line_with_key_model_and_payer() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    byokd.set_key("globex", "openai", &openai_key(2)).await;
    byokd.toggle("globex", true).await;
    let credits = byokd.resolve("acme", "", "openai").await.unwrap();
    let byo = byokd.resolve("globex", "", "openai").await.unwrap();
    let local = byokd.resolve("acme", "llama", "").await.unwrap();
    let free = byokd
        .resolver()
        .resolve_credentials(ask("acme", "small", "", "training"))
        .await
        .unwrap();
    let answers = [credits, byo, local, free.into_inner()];
    let seen = lines_until(&byokd, "all are resolved", |lines| {
        count(lines, "resolved") == 4
    })
    .await;
    let logged: Vec<&Value> = seen
        .iter()
        .filter(|line| line["event"] == "resolved")
        .collect();
    let payers = [
        ("acme", "reply", "CREDITS", "platform"),
        ("globex", "reply", "BYO", "workspace"),
        ("acme", "reply", "UNMETERED", "none"),
        ("acme", "training", "UNMETERED", "platform"),
    ];
    for ((line, answer), (workspace, purpose, billing, source)) in
        logged.iter().zip(answers).zip(payers)
    {
        let key = answer.key.unwrap();
        let expected = json!({
            "chain": line["chain"], "seq": line["seq"], "at": "2030-06-15T12:00:00Z", "mac": line["mac"],
            "event": "resolved", "actor": "tests", "workspace": workspace, "purpose": purpose,
            "provider": answer.provider, "model": answer.model, "billing": billing, "key_source": source,
            "generation": key.generation, "degraded": false, "resolution_id": answer.resolution_id,
        });
        let mut line = (*line).clone();
        let key_id = line
            .as_object_mut()
            .unwrap()
            .remove("key_id")
            .unwrap_or(json!(""));
        assert_eq!((line, key_id), (expected, json!(key.key_id)));
    }
}

#[tokio::test]
async fn every_change_has_a_line_and_granted_reads_have_none() {
    let byokd = Byokd::start().await;
    let (mut admin, mut operator) = (byokd.admin(), byokd.operator());
    let set = v1::SetKeyRequest {
        enable_byo: true,
        request_id: "request-7".into(),
        on_behalf_of: "jane@acme.example".into(),
        ..new_key("acme", "openai", &openai_key(1))
    };
    admin.set_key(set.clone()).await.unwrap();
    admin.set_key(set).await.unwrap();
    let (workspace_id, provider) = ("acme".to_owned(), "openai".to_owned());
    let select = v1::SelectModelRequest {
        workspace_id: workspace_id.clone(),
        model: "small".into(),
        ..Default::default()
    };
    admin.select_model(select).await.unwrap();
    byokd
        .provider
        .on_generate(Reply::openai_wrong_key(&openai_key(1)));
    byokd
        .provider
        .on_list(Reply::openai_wrong_key(&openai_key(1)));
    let verify = v1::VerifyKeyRequest {
        workspace_id: workspace_id.clone(),
        provider: provider.clone(),
        ..Default::default()
    };
    admin.verify_key(verify).await.unwrap();
    byokd.toggle("acme", false).await;
    let delete = v1::DeleteKeyRequest {
        workspace_id: workspace_id.clone(),
        provider: provider.clone(),
        ..Default::default()
    };
    admin.delete_key(delete.clone()).await.unwrap();
    // This request changes nothing.
    admin.delete_key(delete).await.unwrap();
    byokd.toggle("acme", true).await;
    admin
        .delete_workspace(v1::DeleteWorkspaceRequest {
            workspace_id,
            ..Default::default()
        })
        .await
        .unwrap();
    let delete = v1::DeletePlatformKeyRequest {
        provider,
        ..Default::default()
    };
    operator.delete_platform_key(delete).await.unwrap();
    byokd.workspace("acme").await;
    let byokd = byokd.restart().await;
    let seen = lines(&byokd.config.audit_file().unwrap());
    let logged: Vec<Value> = seen
        .iter()
        .filter(|line| !["opened", "closed"].contains(&line["event"].as_str().unwrap()))
        .map(|line| {
            json!([
                line["event"],
                line["rpc"],
                line["workspace"],
                line["revision"],
                line["verdict"]
            ])
        })
        .collect();
    assert_eq!(
        logged,
        [
            json!(["changed", "SetKey", "acme", 1, "VALID"]),
            json!(["repeated", "SetKey", "acme", null, null]),
            json!(["changed", "SelectModel", "acme", 2, null]),
            json!(["changed", "VerifyKey", "acme", 3, "INVALID"]),
            json!(["changed", "ToggleByo", "acme", 4, null]),
            json!(["changed", "DeleteKey", "acme", 5, null]),
            json!(["changed", "ToggleByo", "acme", 6, null]),
            json!(["changed", "DeleteWorkspace", "acme", 7, null]),
        ]
    );
    let first = seen.iter().find(|line| line["event"] == "changed").unwrap();
    assert_eq!(
        (
            &first["actor"],
            &first["on_behalf_of"],
            &first["request_id"],
            &first["provider"]
        ),
        (
            &json!("tests"),
            &json!("jane@acme.example"),
            &json!("request-7"),
            &json!("openai")
        )
    );
    assert_eq!(
        (
            &first["before"]["byo_enabled"],
            &first["after"]["byo_enabled"]
        ),
        (&json!(false), &json!(true))
    );
    let report = verified(
        &byokd.config.audit_key_file(),
        &[&byokd.config.audit_file().unwrap()],
    );
    assert!(report.sound(), "{report:#?}");
    assert_eq!(
        report.chains.iter().filter(|chain| chain.closed).count(),
        1,
        "{report:#?}"
    );
}

#[tokio::test]
async fn no_line_holds_a_secret_pasted_into_any_field() {
    let byokd = Byokd::start().await;
    let secret = openai_key(7);
    byokd.set_key("acme", "openai", &secret).await;
    byokd.toggle("acme", true).await;
    byokd.resolve("acme", "", "openai").await.unwrap();
    let token = byokd.token(&[Role::Admin, Role::Resolver], "*", &[]);
    let mut keys = byokd.keys_with(&token);
    keys.resolve_credentials(ask(&secret, "", "openai", ""))
        .await
        .unwrap_err();
    keys.resolve_credentials(ask("acme", &secret, "openai", ""))
        .await
        .unwrap_err();
    keys.resolve_credentials(ask("acme", "", &secret, ""))
        .await
        .unwrap_err();
    let anyone = byokd
        .keys_with(&secret)
        .resolve_credentials(ask(&secret, "", "", ""))
        .await
        .unwrap_err();
    assert_eq!(reason(&anyone), "CREDENTIALS_INVALID");
    let wrong = v1::SetKeyRequest {
        on_behalf_of: secret.clone(),
        ..new_key(&secret, "anthropic", &secret)
    };
    keys.set_key(wrong).await.unwrap_err();
    let seen = lines_until(&byokd, "five are refused", |lines| {
        count(lines, "refused") == 5
    })
    .await;
    assert!(
        seen.iter()
            .filter(|line| line["event"] == "refused")
            .any(|line| line["workspace"] == "acme")
    );
    let text = std::fs::read_to_string(byokd.config.audit_file().unwrap()).unwrap();
    for planted in [secret.as_str(), secret.get(..12).unwrap(), token.as_str()] {
        assert!(!text.contains(planted), "{planted}");
    }
    assert!(text.contains("efgh"), "the masked form is there");
}
