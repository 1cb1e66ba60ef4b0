//! Mocks of the ports whose failure decides what becomes of a send: the routes and the message log.

use async_trait::async_trait;
use gateway_core::id::{MessageId, TenantId};
use gateway_core::message::{Fact, LogError, LogFull, LogPlace, Message, MessageLog, Recorded};
use gateway_core::session::{Route, Routes, SessionRef};
use gateway_core::store::StoreError;
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
        fn reserve(&self) -> Result<LogPlace, LogFull>;
        async fn record(&self, place: LogPlace, fact: Fact) -> Result<Recorded, LogError>;
        async fn find(&self, tenant: TenantId, id: MessageId) -> Result<Option<Message>, LogError>;
    }
}

/// A place that gives nothing back.
pub(crate) fn place() -> LogPlace {
    LogPlace::new(Box::new(()))
}
