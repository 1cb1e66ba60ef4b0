//! Letting the end of a credential hold at once.

use std::sync::Arc;

use gateway_core::account::Committed;
use gateway_core::coord::{Coordinator, Notice};

use super::Caches;

/// Makes this replica forget what has ended, and tells the others. Clones share the same caches.
#[derive(Clone, Debug)]
pub struct CacheInvalidator {
    /// The caches of this replica.
    pub caches: Caches,
    /// The way to the other replicas.
    pub coord: Arc<dyn Coordinator>,
}

impl CacheInvalidator {
    /// Lets what an operation has ended hold, for the next request here at once and elsewhere soon, and returns
    /// the operation's value.
    pub async fn settle<T>(&self, done: Committed<T>) -> T {
        let Committed { value, ended } = done;
        if let Some(ended) = ended {
            self.caches.forget(&ended);
            let tenant = ended.tenant();
            if let Err(error) = self.coord.notify(&Notice::Tenant { tenant }).await {
                tracing::debug!(%error, "a hint was lost");
            }
        }
        value
    }
}
