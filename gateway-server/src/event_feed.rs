//! Reading events on this replica: pages from the store, and waiting for more by the hints of whoever
//! publishes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::coord::{Coordinator, Notice};
use gateway_core::event::{EventFilter, EventPage, EventPages, EventReader};
use gateway_core::id::TenantId;
use gateway_core::store::{PlatformStore, StoreError};
use tokio::sync::watch;

/// The one reader of events, which pull, streams, webhooks and sinks share.
///
/// It counts hints instead of trusting positions in them: one that is lost, late or wrong costs a reader a
/// wait or a page, never an event.
#[derive(Debug)]
pub struct EventFeed {
    pages: EventPages,
    hints: watch::Sender<u64>,
}

impl EventFeed {
    /// Makes a feed that reads events from this store and QR codes from this coordinator.
    #[must_use]
    pub fn new(store: Arc<dyn PlatformStore>, coord: Arc<dyn Coordinator>) -> Self {
        Self {
            pages: EventPages::new(store, coord),
            hints: watch::Sender::new(0),
        }
    }

    /// Wakes the waiting readers if the notice says that there are new events.
    pub fn hear(&self, notice: &Notice) {
        if *notice == Notice::Published {
            self.wake();
        }
    }

    /// Wakes all waiting readers, because notices may have been missed.
    pub fn wake(&self) {
        self.hints.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl EventReader for EventFeed {
    async fn page(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        // Before the store is read: a hint that comes meanwhile may be about events that the page misses.
        let mark = *self.hints.borrow();
        let page = self.pages.page(tenant, filter, after, limit).await?;
        Ok(EventPage { mark, ..page })
    }

    async fn newest(&self) -> Result<u64, StoreError> {
        self.pages.newest().await
    }

    async fn wait(&self, _tenant: TenantId, mark: u64, limit: Duration) {
        let mut hints = self.hints.subscribe();
        let hinted = hints.wait_for(|count| *count > mark);
        let _ = tokio::time::timeout(limit, hinted).await;
    }
}

#[cfg(test)]
mod tests {
    use gateway_testkit::clock::ManualClock;
    use gateway_testkit::memory::{MemoryCoordinator, MemoryStore};

    use super::*;

    const TENANT: TenantId = TenantId::from_u128(1);
    /// Longer than the test: who waits for this long was not woken.
    const FOR_EVER: Duration = Duration::from_secs(3_600);

    fn feed() -> EventFeed {
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        EventFeed::new(store, Arc::new(MemoryCoordinator::new(clock)))
    }

    async fn mark(feed: &EventFeed) -> u64 {
        let page = feed.page(TENANT, &EventFilter::default(), 0, 9).await;
        page.expect("a page").mark
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_hint_of_new_events_and_by_no_other() {
        let feed = feed();
        let mark = mark(&feed).await;
        let mut waiting = std::pin::pin!(feed.wait(TENANT, mark, FOR_EVER));
        feed.hear(&Notice::Outbox);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        feed.hear(&Notice::Published);
        waiting.await;
    }

    #[tokio::test]
    async fn a_hint_that_came_since_the_page_was_read_is_not_lost() {
        let feed = feed();
        let before = mark(&feed).await;
        feed.hear(&Notice::Published);
        feed.wait(TENANT, before, FOR_EVER).await;
        let after = mark(&feed).await;
        let mut waiting = std::pin::pin!(feed.wait(TENANT, after, FOR_EVER));
        assert!(futures_util::poll!(&mut waiting).is_pending(), "once");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_limit() {
        let feed = feed();
        let mark = mark(&feed).await;
        feed.wait(TENANT, mark, Duration::from_secs(1)).await;
    }
}
