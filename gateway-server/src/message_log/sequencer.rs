//! Publishes what the outbox holds. The rules are the core's; here is only the repetition.

use gateway_core::entropy::Entropy;
use gateway_core::event::{Sequenced, sequence};
use gateway_core::store::{PlatformStore, StoreError};

/// Numbers and publishes until the shard's outbox is empty or another replica holds the shard; answers
/// how many events were published.
///
/// Safe to drop at any await: a step that was not committed is made again.
///
/// # Errors
/// The store's, after whatever was published before.
pub async fn publish_all(
    store: &dyn PlatformStore,
    entropy: &dyn Entropy,
    shard: u16,
    step: u32,
) -> Result<usize, StoreError> {
    let mut published = 0;
    loop {
        match sequence(store, entropy, shard, step).await? {
            Sequenced::Busy => return Ok(published),
            Sequenced::Published { count, more } => {
                published += count;
                if !more {
                    return Ok(published);
                }
            }
        }
    }
}
