//! Events into the outbox in one statement over lists.

use gateway_core::event::NewEvent;
use gateway_core::id::{SessionId, TenantId};
use gateway_core::store::StoreError;

use super::super::columns::Columns;
use super::super::sequencer::counts;
use super::super::tx::Tx;
use super::super::types::Time;

const APPEND: &str = "INSERT INTO outbox (created_at, tenant_id, session_id, epoch, name, version, \
         data, counts) \
     SELECT $1, n.tenant_id, n.session_id, n.epoch, n.name, n.version, n.data, n.counts \
     FROM unnest($2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY \
         AS n (tenant_id, session_id, epoch, name, version, data, counts, place) \
     ORDER BY n.place";

/// Appends events in their order.
pub(in super::super) async fn append(tx: &mut Tx, events: &[NewEvent]) -> Result<(), StoreError> {
    let now = tx.moment().await?;
    let all = || events.iter();
    let lists = Columns::new()
        .ids(all().map(|new| new.tenant.map(TenantId::as_u128)))
        .ids(all().map(|new| new.session.map(SessionId::as_u128)))
        .counts(all().map(|new| new.epoch.map(|epoch| epoch.0)))
        .texts(all().map(|new| new.name.as_ref()))
        .counts(all().map(|new| u64::from(new.version)))
        .jsons(all().map(|new| new.data.as_raw().to_owned()))
        .counts(all().map(|new| counts(new.usage)));
    let appending = tx.query(APPEND).bind(Time(now)).columns(lists);
    appending.execute().await.map(drop)
}
