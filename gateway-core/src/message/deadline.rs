//! The gateway's own deadline of a send: nothing is `sending` for ever.
//!
//! A worker says `unknown` half a minute after it has heard nothing from WhatsApp. One that has crashed, or that never
//! reports, does not; so whatever is still `sending` a minute after it was accepted becomes `unknown` here, and what
//! acknowledges it later moves it on.
//!
//! No index of its own serves this: every send would pay for it. All that was recorded is looked at once, a minute
//! after, in the order in which it was recorded, and how far that has come is stored now and then. Whoever leads
//! after another one looks at a little of it again, which changes nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::log::{Fact, LogError, LogFull, MessageLog, StatusFact};
use super::{Message, MessageError, MessageStatus};
use crate::leader::LeaderTerm;
use crate::store::{PlatformStore, StoreError};
use crate::time::Timestamp;

/// How much of the past is looked at in one statement, and how many of those in one step.
const WINDOW: Duration = Duration::from_secs(60);
const WINDOWS: usize = 60;
/// The most messages that one statement returns.
const BATCH: u32 = 500;
/// How much is looked at where nobody has looked before.
const FIRST_LOOK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How far one may have come before that is stored.
const STORED_EVERY: Duration = Duration::from_secs(60);

/// Finds messages that nobody has acknowledged. Crosses tenants by design.
#[async_trait]
pub trait AckDeadlineRepo: Send {
    /// Returns outbound messages of all tenants that were recorded from `from` on and before `until` and are still
    /// `sending`, at most `limit`, in any order.
    async fn unacknowledged(
        &mut self,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError>;

    /// Returns until when everything has been looked at, as stored last.
    async fn acknowledged_until(&mut self) -> Result<Option<Timestamp>, StoreError>;

    /// Stores until when everything has been looked at.
    async fn save_acknowledged_until(&mut self, until: Timestamp) -> Result<(), StoreError>;
}

/// Ends the wait for acknowledgements that do not come. Holds how far it has come.
#[derive(Debug)]
pub struct AckDeadline {
    store: Arc<dyn PlatformStore>,
    log: Arc<dyn MessageLog>,
    /// How long after it was accepted a message may be without an acknowledgement.
    after: Duration,
    /// Everything before this was looked at; none before the first step.
    looked_until: Option<Timestamp>,
    stored_until: Option<Timestamp>,
}

/// The result of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckStep {
    /// How many messages were given up as `unknown`.
    pub given_up: u64,
    /// Whether there is more to look at already.
    pub is_behind: bool,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// Another replica has begun a later term.
    #[error("another replica has taken over")]
    TermOver,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    LogFull(#[from] LogFull),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl AckDeadline {
    /// Makes a deadline of `after` for everything in the store that the log writes.
    #[must_use]
    pub fn new(store: Arc<dyn PlatformStore>, log: Arc<dyn MessageLog>, after: Duration) -> Self {
        Self {
            store,
            log,
            after,
            looked_until: None,
            stored_until: None,
        }
    }

    /// Gives up what is past its deadline, as far as one step goes.
    ///
    /// The log writes that, outside of any term: a former leader who still does it changes nothing that the
    /// present one would not.
    ///
    /// # Errors
    /// The term is over, or the store or the log fails. The next step does it again.
    pub async fn step(&mut self, term: &LeaderTerm) -> Result<AckStep, AckError> {
        let mut tx = self.store.read_platform().await?;
        let end = tx.now().await?.minus(self.after);
        let mut from = match self.looked_until {
            Some(until) => until,
            None => {
                self.stored_until = tx.acknowledged_until().await?;
                self.stored_until.unwrap_or(end.minus(FIRST_LOOK))
            }
        };
        let mut given_up = 0;
        for _ in 0..WINDOWS {
            if from >= end {
                break;
            }
            let until = from.plus(WINDOW).min(end);
            let found = tx.unacknowledged(from, until, BATCH).await?;
            let is_all = found.len() < BATCH as usize;
            for message in found {
                self.give_up(message).await?;
                given_up += 1;
            }
            if is_all {
                from = until;
            }
        }
        drop(tx);
        self.looked_until = Some(from);
        self.store_progress(from, term).await?;
        let is_behind = from < end;
        Ok(AckStep {
            given_up,
            is_behind,
        })
    }

    async fn give_up(&self, message: Message) -> Result<(), AckError> {
        let Some(wa_message_id) = message.wa_message_id else {
            return Ok(());
        };
        let fact = StatusFact {
            id: message.id,
            tenant: message.tenant,
            session: message.session,
            epoch: message.epoch,
            wa_message_id,
            own: None,
            age: None,
            status: MessageStatus::Unknown,
            error: Some(MessageError {
                code: "not_acknowledged".to_owned(),
                message: None,
            }),
            occurred_at: None,
        };
        let place = self.log.reserve()?;
        match self.log.record(place, Fact::Status(fact)).await {
            // It would be refused for ever, and holds up no other.
            Ok(_) | Err(LogError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn store_progress(
        &mut self,
        until: Timestamp,
        term: &LeaderTerm,
    ) -> Result<(), AckError> {
        let stored = self.stored_until;
        if stored.is_some_and(|stored| until < stored.plus(STORED_EVERY)) {
            return Ok(());
        }
        let mut tx = self.store.begin_platform().await?;
        if !tx.hold_term(term).await? {
            return Err(AckError::TermOver);
        }
        tx.save_acknowledged_until(until).await?;
        tx.commit().await?;
        self.stored_until = Some(until);
        Ok(())
    }
}
