//! The metadata of every call: the token and the deadline.

use std::time::Duration;

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// How long a call may take.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Adds the token and the deadline to every call.
#[derive(Clone)]
pub struct Bearer {
    /// Absent: the certificate of the connection is the caller's identity.
    pub(super) authorization: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.set_timeout(CALL_DEADLINE);
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_carries_a_sensitive_token_and_a_deadline()
    -> Result<(), Box<dyn std::error::Error>> {
        let mut authorization: MetadataValue<Ascii> = "Bearer abc".parse()?;
        authorization.set_sensitive(true);
        let request = Bearer {
            authorization: Some(authorization),
        }
        .call(Request::new(()))?;
        let sent = request.metadata().get("authorization").ok_or("no token")?;
        assert!(sent.is_sensitive());
        assert_eq!(sent.to_str()?, "Bearer abc");
        assert!(request.metadata().contains_key("grpc-timeout"));
        Ok(())
    }
}
