//! Mocks of the ports that a send goes through.

use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{MessageId, SessionId, TenantId};
use gateway_core::message::{Fact, LogError, LogFull, Message, MessageLog, Place, Recorded};
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::{Order, Route, Routes, SessionRef};
use gateway_core::store::StoreError;
use gateway_core::worker::{LinkError, Target, WorkerLink};
use mockall::mock;

mock! {
    #[derive(Debug)]
    pub(crate) Routes {}

    #[async_trait]
    impl Routes for Routes {
        async fn route(
            &self,
            tenant: TenantId,
            reference: &SessionRef,
            fresh: bool,
        ) -> Result<Option<Route>, StoreError>;
    }
}

mock! {
    #[derive(Debug)]
    pub(crate) Log {}

    #[async_trait]
    impl MessageLog for Log {
        fn reserve(&self) -> Result<Place, LogFull>;
        async fn record(&self, place: Place, fact: Fact) -> Result<Recorded, LogError>;
        async fn find(&self, tenant: TenantId, id: MessageId) -> Result<Option<Message>, LogError>;
    }
}

mock! {
    #[derive(Debug)]
    pub(crate) Link {}

    #[async_trait]
    impl WorkerLink for Link {
        async fn start(
            &self,
            target: &Target,
            body: &StartSession,
            limit: Duration,
        ) -> Result<Accepted, LinkError>;
        async fn session(
            &self,
            target: &Target,
            session: SessionId,
            limit: Duration,
        ) -> Result<SessionState, LinkError>;
        async fn send(
            &self,
            target: &Target,
            session: SessionId,
            body: &SendMessage,
            limit: Duration,
        ) -> Result<Sent, LinkError>;
        async fn release(
            &self,
            target: &Target,
            order: &Order,
            limit: Duration,
        ) -> Result<Released, LinkError>;
        async fn logout(
            &self,
            target: &Target,
            order: &Order,
            limit: Duration,
        ) -> Result<Released, LinkError>;
        async fn forget(
            &self,
            target: &Target,
            order: &Order,
            limit: Duration,
        ) -> Result<Released, LinkError>;
        async fn passkey(
            &self,
            target: &Target,
            order: &Order,
            body: &Passkey,
            confirm: bool,
            limit: Duration,
        ) -> Result<(), LinkError>;
        async fn health(&self, target: &Target, limit: Duration) -> Result<Health, LinkError>;
    }
}

/// A place that gives nothing back.
pub(crate) fn place() -> Place {
    Place::new(Box::new(()))
}
