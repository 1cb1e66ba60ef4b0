//! What an event adds to the usage of its session.

use super::{Event, MessageStatusChanged};
use crate::message::{Direction, MessageSource, MessageStatus};

/// What is counted per tenant, session and hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageDelta {
    /// Messages sent through the gateway that were seen for the first time.
    pub sent: u64,
    /// Messages sent through the gateway that failed.
    pub failed: u64,
    pub received: u64,
}

impl UsageDelta {
    /// Returns what one event adds.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        match event {
            Event::MessageStatus(change) if is_through_gateway(change) => Self {
                sent: u64::from(change.previous.is_none()),
                failed: u64::from(change.status == MessageStatus::Failed),
                received: 0,
            },
            Event::MessageReceived(_) => Self {
                received: 1,
                ..Self::default()
            },
            Event::MessageStatus(_)
            | Event::MessageSent(_)
            | Event::SessionCreated(_)
            | Event::SessionStatus(_)
            | Event::SessionQr(_)
            | Event::SessionDeleted(_)
            | Event::WorkerStatus(_) => Self::default(),
        }
    }
}

fn is_through_gateway(change: &MessageStatusChanged) -> bool {
    change.direction == Direction::Outbound && change.source != Some(MessageSource::Phone)
}
