//! Wakes this replica's readers of events whenever a replica has published some.
//!
//! A step wakes everybody: the frame steps at the start and after falling behind, when nobody knows which
//! notices were missed. The pace is long, because a reader that nobody wakes looks again by itself.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::coord::Notice;

use super::frame::{Job, JobError, Next, Pace};
use crate::event_feed::EventFeed;

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct WakeEventReaders {
    pub(crate) events: Arc<EventFeed>,
}

impl Job for WakeEventReaders {
    const NAME: &'static str = "wake_event_readers";
    const LISTENS: bool = true;

    fn pace(&self) -> Pace {
        Pace::of(LONGEST_PAUSE)
    }

    fn wakes_on(&mut self, notice: &Notice) -> bool {
        self.events.hear(notice);
        false
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        self.events.wake();
        Ok(Next::AtPace)
    }
}
