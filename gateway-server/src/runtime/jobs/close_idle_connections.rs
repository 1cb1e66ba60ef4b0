//! Closes connections to workers that a burst has left over.
//!
//! The connections belong to several runtimes; closing them is one job all the same, because it only drops
//! them.

use super::frame::{Job, JobError, Next, Pace};
use crate::worker_link::http::HttpLink;

#[derive(Debug)]
pub(crate) struct CloseIdleConnections {
    pub(crate) link: HttpLink,
}

impl Job for CloseIdleConnections {
    const NAME: &'static str = "close_idle_connections";

    fn pace(&self) -> Pace {
        Pace::of(self.link.idle_timeout())
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        self.link.close_idle();
        Ok(Next::AtPace)
    }
}
