//! When keys were last used, to the minute.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use gateway_core::id::{ApiKeyId, TenantId};
use gateway_core::identity::ApiKey;
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use crate::app::App;

const MINUTE_MICROS: i64 = 60_000_000;
/// Beyond this many keys in one minute, some are noted more than once.
const REMEMBERED: usize = 10_000;

/// Writes one use per key and minute, however many requests come in at once.
#[derive(Debug, Default)]
pub(crate) struct LastUsed {
    noted: Mutex<BTreeMap<ApiKeyId, i64>>,
}

impl LastUsed {
    /// Notes a use of `key` unless this minute's is noted, after the request and whatever becomes of it: it is
    /// not about this. A failure is only logged.
    pub(super) fn note(&self, app: &App, key: &ApiKey, now: Timestamp) {
        let minute = now.as_micros().div_euclid(MINUTE_MICROS);
        let stored = key
            .last_used_at
            .map(|at| at.as_micros().div_euclid(MINUTE_MICROS));
        if stored.is_some_and(|stored| stored >= minute) || !self.is_first(key.id, minute) {
            return;
        }
        let at = Timestamp::from_micros(minute * MINUTE_MICROS);
        let (shared, tenant, id) = (app.clone(), key.tenant, key.id);
        let noting = async move {
            if let Err(error) = write(&shared, tenant, id, at).await {
                tracing::warn!(%error, "the use of an API key was not noted");
            }
        };
        drop(app.shutdown.spawn_send_on(&app.control, noting));
    }

    fn is_first(&self, key: ApiKeyId, minute: i64) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted
            .insert(key, minute)
            .is_none_or(|before| before < minute)
    }
}

async fn write(app: &App, tenant: TenantId, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
    let mut tx = app.store.begin_platform().await?;
    tx.touch_key(tenant, id, at).await?;
    tx.commit().await
}
