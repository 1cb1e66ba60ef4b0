//! The writing end of the outbox: unnumbered rows in the transaction of the change they report.

use async_trait::async_trait;
use gateway_core::event::{NewEvent, OutboxRepo, UsageDelta};
use gateway_core::id::{SessionId, TenantId};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;
use sqlx::types::Json;

use super::columns::Columns;
use super::sequencer::counts;
use super::sqlite::rows::Insertion;
use super::tx::{Query, Tx};
use super::types::{Count, Id, Time};

/// On PostgreSQL.
const APPEND: &str = "INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, data, \
         counts) \
     SELECT $1, n.tenant_id, n.session_id, n.epoch, n.name, n.data, n.counts \
     FROM unnest($2, $3, $4, $5, $6, $7) WITH ORDINALITY \
         AS n (tenant_id, session_id, epoch, name, data, counts, place) \
     ORDER BY n.place";

/// On SQLite, which numbers the rows as they stand in the statement.
static INSERT: Insertion = Insertion::new(
    "INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, data, counts) VALUES",
    "(?, ?, ?, ?, ?, ?, ?)",
    "",
);

impl Tx {
    async fn append_at_once(
        &mut self,
        events: &[NewEvent],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let all = || events.iter();
        let lists = Columns::new()
            .ids(all().map(|new| new.tenant.map(TenantId::as_u128)))
            .ids(all().map(|new| new.session.map(SessionId::as_u128)))
            .counts(all().map(|new| new.epoch.map(|epoch| epoch.0)))
            .texts(all().map(|new| new.event.name()))
            .jsons(all().map(|new| new.event.payload()))
            .counts(all().map(|new| counts(UsageDelta::of(&new.event))));
        let appending = self.query(APPEND).bind(Time(now)).columns(lists);
        appending.execute().await.map(drop)
    }
}

fn row<'q>(query: Query<'q>, (now, new): &(Time, &NewEvent)) -> Query<'q> {
    query
        .bind(*now)
        .bind(new.tenant.map(|id| Id(id.as_u128())))
        .bind(new.session.map(|id| Id(id.as_u128())))
        .bind(new.epoch.map(|epoch| Count(epoch.0)))
        .bind(new.event.name())
        .bind(new.event.payload().map(Json))
        .bind(Count(counts(UsageDelta::of(&new.event))))
}

#[async_trait]
impl OutboxRepo for Tx {
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let now = self.moment().await?;
        if self.is_postgres() {
            return self.append_at_once(events, now).await;
        }
        let rows: Vec<(Time, &NewEvent)> = events.iter().map(|new| (Time(now), new)).collect();
        self.insert_rows(&INSERT, &rows, row).await.map(drop)
    }
}
