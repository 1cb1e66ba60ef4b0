//! The one way to read events: pull, streams, webhooks and sinks are callers of the same port.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::{EventEnvelope, EventFilter};
use crate::id::TenantId;
use crate::store::StoreError;

/// A stretch of the event log.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    /// The events, in order of position.
    pub events: Vec<EventEnvelope>,
    /// Up to which position the log was searched: reading on after it misses nothing and repeats nothing.
    /// It lies beyond the last event of the page where events of others, or filtered ones, follow.
    pub reached: u64,
    /// When the page was read, in a count of the reader's own; to be given to [`EventReader::wait`].
    pub mark: u64,
}

/// Reads a tenant's events in order, from any position, for as long as one likes.
///
/// A reader that has come to the end waits, and reads on from the position it has reached:
///
/// ```
/// # use std::time::Duration;
/// # use gateway_core::event::{EventFilter, EventReader};
/// # use gateway_core::id::TenantId;
/// # use gateway_core::store::StoreError;
/// async fn tail(reader: &dyn EventReader, tenant: TenantId) -> Result<(), StoreError> {
///     let filter = EventFilter::default();
///     let mut position = reader.newest().await?;
///     loop {
///         let page = reader.page(tenant, &filter, position, 100).await?;
///         for event in &page.events {
///             println!("{}", event.name);
///         }
///         position = page.reached;
///         if page.events.is_empty() {
///             reader.wait(tenant, page.mark, Duration::from_secs(1)).await;
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait EventReader: Debug + Send + Sync {
    /// Returns the tenant's events after `after` that pass the filter, in order of position, at most `limit`.
    ///
    /// # Errors
    /// The store fails.
    async fn page(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError>;

    /// Returns the position of the newest event of all: reading after it is reading from now on.
    ///
    /// # Errors
    /// The store fails.
    async fn newest(&self) -> Result<u64, StoreError>;

    /// Returns when there may be more of the tenant's events than when the page with that mark was read: at
    /// once if there may be already, and after `limit` in any case. Cancelling it loses nothing.
    ///
    /// It goes by hints, which can be lost, and may return without need: only a page says what there is.
    async fn wait(&self, tenant: TenantId, mark: u64, limit: Duration);
}
