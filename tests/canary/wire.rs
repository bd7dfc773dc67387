//! Bytes that no proper client sends, to both ports: broken frames and messages, unknown paths, too much
//! data.

use super::{captured::Captured, stage::Stage};
use crate::support::requests::Bearer;
use byokd::domain::caller::Role;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// A gRPC message with these bytes.
fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

pub(super) async fn walk(stage: &Stage, captured: &mut Captured, key: &str) {
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .unwrap();
    let contract = stage.process.address.clone();
    let admin = stage.admin_address();
    let token = stage.token(Role::Admin, "*");
    let bytes = key.as_bytes();
    let set_key = "byok.v1.KeyService/SetKey";
    let in_a_path = url::form_urlencoded::byte_serialize(bytes).collect::<String>();
    let mut field = vec![0x1a, u8::try_from(bytes.len()).unwrap()];
    field.extend(bytes);
    for (way, path, body) in [
        ("no frame", set_key, bytes.to_vec()),
        ("a frame of no message", set_key, frame(bytes)),
        (
            "a key that is not UTF-8",
            set_key,
            frame(&[&[0x1a, 4, 0xff], bytes].concat()),
        ),
        ("a message cut off", set_key, frame(&field)[..20].to_vec()),
        (
            "a compressed frame that is not",
            set_key,
            [&[1], &frame(bytes)[1..]].concat(),
        ),
        (
            "a wrong type",
            set_key,
            frame(&[&[0x18, 1], bytes].concat()),
        ),
        (
            "a message of a megabyte",
            set_key,
            frame(&bytes.repeat(12_000)),
        ),
        (
            "two frames",
            set_key,
            [frame(&field), frame(&field)].concat(),
        ),
        ("an unknown path", in_a_path.as_str(), frame(&field)),
    ] {
        for address in [&contract, &admin] {
            let request = client
                .post(format!("{address}/{path}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("authorization", format!("Bearer {token}"))
                .body(body.clone());
            match request.send().await {
                Ok(answer) => {
                    captured.add(
                        format!("wire, {way}: head"),
                        format!("{:?} {:?}", answer.status(), answer.headers()),
                    );
                    captured.add(
                        format!("wire, {way}: body"),
                        answer.bytes().await.unwrap_or_default().to_vec(),
                    );
                }
                // The client itself produces these errors.
                Err(_broken) => captured.add(format!("wire, {way}"), "broken off"),
            }
        }
    }
    for address in [contract, admin] {
        let channel = tonic::transport::Endpoint::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap();
        let mut health = HealthClient::with_interceptor(channel, Bearer::new(&token));
        for service in ["", key] {
            let request = HealthCheckRequest {
                service: service.to_owned(),
            };
            captured.answer("Health", health.check(request).await);
        }
    }
}
