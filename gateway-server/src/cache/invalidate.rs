//! Letting the end of a credential hold at once.

use std::sync::Arc;

use gateway_core::coord::{Coordinator, Notice};
use gateway_core::id::TenantId;

use super::{Caches, Ended};

/// Makes this replica forget what has ended, and tells the others. Clones are the same.
#[derive(Clone, Debug)]
pub struct CacheInvalidator {
    /// What is remembered here.
    pub caches: Caches,
    /// The way to the other replicas.
    pub coord: Arc<dyn Coordinator>,
}

impl CacheInvalidator {
    /// Lets a change of what credentials of `tenant` may do hold: for the next request here at once, elsewhere
    /// soon. Call it when the change is committed.
    pub async fn end(&self, tenant: TenantId, ended: Ended) {
        self.caches.forget(&ended);
        if let Err(error) = self.coord.notify(&Notice::Tenant { tenant }).await {
            tracing::debug!(%error, "a hint was lost");
        }
    }
}
