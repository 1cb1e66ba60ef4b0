//! Publishes what is committed: gives the events of the outbox their numbers.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::coord::{Coordinator, Notice};
use gateway_core::event::{Sequenced, TENANT_SHARD, sequence};
use gateway_core::store::PlatformStore;

use super::frame::{Job, JobError, Next, Pace};
use crate::telemetry::metrics::LoopMetrics;

/// How long the outbox may lie when a notice was lost.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The most events that one step publishes.
const MOST: u32 = 5_000;
/// How many events a step still tries when larger steps fail.
const FEWEST: u32 = 50;

#[derive(Debug)]
pub(crate) struct PublishEvents {
    sequencing: Arc<dyn PlatformStore>,
    coord: Arc<dyn Coordinator>,
    metrics: LoopMetrics,
    limit: u32,
}

impl PublishEvents {
    /// Publishes over `sequencing`, which is best a connection that no request can hold.
    pub(crate) fn new(
        sequencing: Arc<dyn PlatformStore>,
        coord: Arc<dyn Coordinator>,
        metrics: LoopMetrics,
    ) -> Self {
        Self {
            sequencing,
            coord,
            metrics,
            limit: MOST,
        }
    }

    /// Tells the readers of events on every replica that there are new ones.
    async fn announce(&self) {
        if let Err(error) = self.coord.notify(&Notice::Published).await {
            tracing::debug!(%error, "readers of events find new ones a little later");
        }
    }
}

impl Job for PublishEvents {
    const NAME: &'static str = "publish_events";
    const LISTENS: bool = true;

    fn pace(&self) -> Pace {
        Pace::of(LONGEST_PAUSE)
    }

    fn wakes_on(&mut self, notice: &Notice) -> bool {
        *notice == Notice::Outbox
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        match sequence(&*self.sequencing, TENANT_SHARD, self.limit).await {
            Ok(Sequenced::Published { count, more }) => {
                self.limit = (self.limit * 2).min(MOST);
                self.metrics.published.increment(count as u64);
                if count > 0 {
                    self.announce().await;
                }
                Ok(if more { Next::AtOnce } else { Next::AtPace })
            }
            Ok(Sequenced::Busy) => Ok(Next::AtPace),
            Err(error) => {
                // A step that took too long takes less time with fewer events.
                self.limit = (self.limit / 2).max(FEWEST);
                Err(error.into())
            }
        }
    }
}
