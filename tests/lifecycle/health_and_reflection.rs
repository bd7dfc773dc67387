//! Health on both ports, reflection in both versions, both without a token.

use byokd::config::{EmbeddedSigner, Plaintext, Reflection};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{Byokd, until};

#[tokio::test]
async fn health_is_served_on_both_ports() {
    let byokd = Byokd::start().await;
    let admin = Endpoint::from_shared(format!("http://{}", byokd.admin_address()))
        .unwrap()
        .connect()
        .await
        .unwrap();
    for channel in [byokd.channel(), admin.clone()] {
        for service in ["", "byok.v1.KeyService", "byok.v1.PlatformService"] {
            let request = HealthCheckRequest {
                service: service.to_owned(),
            };
            let mut health = HealthClient::new(channel.clone());
            until("it serves", async || {
                let status = health
                    .check(request.clone())
                    .await
                    .unwrap()
                    .into_inner()
                    .status();
                (status == ServingStatus::Serving).then_some(())
            })
            .await;
        }
    }
    // The admin port serves nothing else.
    let mut keys = byokd::contract::v1::key_service_client::KeyServiceClient::new(admin);
    let status = keys
        .get_workspace(byokd::contract::v1::GetWorkspaceRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

async fn reflected(byokd: &Byokd) -> Option<Vec<String>> {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(byokd.channel());
    let mut answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .ok()?
        .into_inner();
    match answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap()
    {
        MessageResponse::ListServicesResponse(list) => {
            Some(list.service.into_iter().map(|one| one.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

async fn reflected_alpha(byokd: &Byokd) -> bool {
    use v1alpha::server_reflection_request::MessageRequest;
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "byok.v1.KeyService".to_owned(),
        )),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(byokd.channel());
    match client
        .server_reflection_info(tokio_stream::once(request))
        .await
    {
        Ok(answers) => answers.into_inner().message().await.unwrap().is_some(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn the_contract_can_be_read_from_the_server_in_both_versions() {
    let byokd = Byokd::start().await;
    let services = reflected(&byokd).await.unwrap();
    for service in [
        "byok.v1.KeyService",
        "byok.v1.PlatformService",
        "grpc.health.v1.Health",
    ] {
        assert!(
            services.iter().any(|name| name == service),
            "{service} not in {services:?}"
        );
    }
    assert!(reflected_alpha(&byokd).await);
}

#[tokio::test]
async fn reflection_is_off_where_it_is_switched_off_and_off_loopback() {
    let off = Byokd::start_with(|config| config.server.reflection = Reflection::Off).await;
    assert!(reflected(&off).await.is_none() && !reflected_alpha(&off).await);
    let open = Byokd::start_with(|config| {
        config.server.listen = "0.0.0.0:0".parse().unwrap();
        config.server.plaintext = Plaintext::Mesh;
        config.auth.embedded = EmbeddedSigner::Allow;
    })
    .await;
    assert!(reflected(&open).await.is_none());
}
