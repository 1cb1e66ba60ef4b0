//! The writing end of the outbox: unnumbered rows in the transaction of the change they report.

use async_trait::async_trait;
use gateway_core::event::{NewEvent, OutboxRepo};
use gateway_core::store::StoreError;

use super::tx::Tx;

#[async_trait]
impl OutboxRepo for Tx {
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.append_rows(events).await
    }
}
