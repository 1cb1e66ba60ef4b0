//! Erasing the credentials of deleted sessions.
//!
//! The transaction that deletes a session's row notes that its credentials are still to be erased. The note
//! goes when they are, so a crash at any moment leaves either nothing or something that is erased later.

use std::time::Duration;

use super::Orchestrator;
use crate::id::SessionId;
use crate::state::StateError;
use crate::store::StoreError;

/// The effect of a deletion erases at once; what is older than this was lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// How many sessions one call erases.
const AT_ONCE: u32 = 100;

impl Orchestrator {
    /// Erases credentials of deleted sessions whose effect was lost, a few at a time. Returns whether there
    /// may be more. Any number of replicas may do it at once.
    ///
    /// # Errors
    /// The store fails; nothing is lost by calling again.
    pub async fn erase_deleted(&self) -> Result<bool, StoreError> {
        let mut tx = self.ports.store.read().await?;
        let before = tx.now().await?.minus(LOST_AFTER);
        let sessions = tx.sessions_to_erase(before, AT_ONCE).await?;
        drop(tx);
        let mut erased = 0;
        for session in &sessions {
            match self.erase(*session).await {
                Ok(()) => erased += 1,
                Err(error) => {
                    tell(*session, &error);
                    self.postpone_erasure(*session).await?;
                }
            }
        }
        Ok(sessions.len() == AT_ONCE as usize && erased > 0)
    }

    /// Puts a session that could not be erased behind all others, so that it keeps none of them waiting.
    async fn postpone_erasure(&self, session: SessionId) -> Result<(), StoreError> {
        let mut tx = self.ports.store.begin().await?;
        tx.postpone_erasure(session).await?;
        tx.commit().await
    }

    /// Erases what is stored of a deleted session, and then the note that it has to be done.
    pub(super) async fn erase(&self, session: SessionId) -> Result<(), StateError> {
        self.drop_secrets(session).await;
        self.ports.state.erase(session).await?;
        let mut tx = self.ports.store.begin().await?;
        tx.note_erased(session).await?;
        Ok(tx.commit().await?)
    }
}

fn tell(session: SessionId, error: &StateError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(session.id = %session, error, "credentials are erased later");
}
