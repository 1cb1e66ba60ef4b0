//! The writing end of the outbox: unnumbered rows in the transaction of the change they report.

use async_trait::async_trait;
use gateway_core::event::{NewEvent, OutboxRepo, UsageDelta};
use gateway_core::id::{SessionId, TenantId};
use gateway_core::store::StoreError;

use super::columns::Columns;
use super::sequencer::counts;
use super::tx::{Sql, Tx};
use super::types::Time;

const APPEND: Sql = Sql {
    postgres: "INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, data, \
             counts) \
         SELECT $1, n.tenant_id, n.session_id, n.epoch, n.name, n.data, n.counts \
         FROM unnest($2, $3, $4, $5, $6, $7) WITH ORDINALITY \
             AS n (tenant_id, session_id, epoch, name, data, counts, place) \
         ORDER BY n.place",
    sqlite: "INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, data, \
             counts) \
         SELECT $1, unhex(value->>0), unhex(value->>1), value->>2, value->>3, value->>4, \
             value->>5 \
         FROM json_each($2) ORDER BY key",
};

#[async_trait]
impl OutboxRepo for Tx {
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let now = self.moment().await?;
        let all = || events.iter();
        let lists = Columns::new()
            .ids(all().map(|new| new.tenant.map(TenantId::as_u128)))
            .ids(all().map(|new| new.session.map(SessionId::as_u128)))
            .counts(all().map(|new| new.epoch.map(|epoch| epoch.0)))
            .texts(all().map(|new| new.event.name()))
            .jsons(all().map(|new| new.event.payload()))
            .counts(all().map(|new| counts(UsageDelta::of(&new.event))));
        self.query(APPEND)
            .bind(Time(now))
            .columns(lists)
            .execute()
            .await
            .map(drop)
    }
}
