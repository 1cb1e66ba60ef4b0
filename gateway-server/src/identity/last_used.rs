//! When API keys were last used, to the minute.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::id::{ApiKeyId, TenantId};
use gateway_core::identity::ApiKey;
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::time::Timestamp;
use tokio::runtime::Handle;

use crate::shutdown::Shutdown;

const MINUTE_MICROS: i64 = 60_000_000;
/// Beyond this many keys in one minute, some are noted more than once.
const REMEMBERED: usize = 10_000;

/// Records the last use of API keys: one write per key and minute, however many requests come in.
#[derive(Debug)]
pub struct LastUsed {
    store: Arc<dyn PlatformStore>,
    shutdown: Shutdown,
    control: Handle,
    noted: Mutex<BTreeMap<ApiKeyId, i64>>,
}

impl LastUsed {
    /// Makes a recorder that writes to `store`, in tasks on `control` that `shutdown` waits for.
    #[must_use]
    pub fn new(store: Arc<dyn PlatformStore>, shutdown: Shutdown, control: Handle) -> Self {
        Self {
            store,
            shutdown,
            control,
            noted: Mutex::default(),
        }
    }

    /// Notes a use of `key` at `now`, unless a use in the same minute is noted already. The request does not
    /// wait for it and does not fail with it: a failure is only logged.
    pub(crate) fn note(&self, key: &ApiKey, now: Timestamp) {
        let minute = now.as_micros().div_euclid(MINUTE_MICROS);
        let stored = key
            .last_used_at
            .map(|at| at.as_micros().div_euclid(MINUTE_MICROS));
        if stored.is_some_and(|stored| stored >= minute) || !self.is_first(key.id, minute) {
            return;
        }
        let at = Timestamp::from_micros(minute * MINUTE_MICROS);
        let (store, tenant, id) = (Arc::clone(&self.store), key.tenant, key.id);
        let noting = async move {
            if let Err(error) = write(&*store, tenant, id, at).await {
                tracing::warn!(%error, "the use of an API key was not noted");
            }
        };
        drop(self.shutdown.spawn_send_on(&self.control, noting));
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

async fn write(
    store: &dyn PlatformStore,
    tenant: TenantId,
    id: ApiKeyId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = store.begin_platform().await?;
    tx.touch_key(tenant, id, at).await?;
    tx.commit().await
}
