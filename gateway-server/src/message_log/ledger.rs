//! What the message log needs of a database.
//!
//! Smaller than the store's transaction and apart from it: a group is one or two statements, and whoever
//! tests the writer wants a database that fails at the right moment.

use std::fmt::Debug;

use async_trait::async_trait;
use gateway_core::id::{MessageId, SessionId, TenantId};
#[cfg(doc)]
use gateway_core::message::MessageLog;
use gateway_core::message::{Fact, Message, PersonPair, Recorded};
use gateway_core::store::StoreError;

/// The key of a message: every statement names the tenant.
pub type MessageKey = (TenantId, MessageId);

/// Writes groups of facts and reads groups of rows.
#[async_trait]
pub trait Ledger: Debug + Send + Sync {
    /// Folds every fact into its row and appends the events, durably and together. Returns one answer per
    /// fact, in their order. May be called again with the same facts after any error.
    ///
    /// # Errors
    /// [`StoreError::Refused`]: the data of at least one fact. Otherwise nothing is said about any of
    /// them, and some may have been written.
    async fn write(&self, facts: &[Fact]) -> Result<Vec<Recorded>, StoreError>;

    /// Returns the rows of these keys that exist, in any order.
    async fn read(&self, keys: &[MessageKey]) -> Result<Vec<Message>, StoreError>;

    /// Returns the pairs of a session in which one of the ids stands, as [`MessageLog::persons`] says.
    async fn persons(
        &self,
        of: (TenantId, SessionId),
        ids: &[&str],
    ) -> Result<Vec<PersonPair>, StoreError> {
        let _ = (of, ids);
        Ok(Vec::new())
    }

    /// Remembers a pair, as [`MessageLog::remember_person`] says.
    async fn remember_person(
        &self,
        of: (TenantId, SessionId),
        pair: &PersonPair,
    ) -> Result<(), StoreError> {
        let _ = (of, pair);
        Ok(())
    }
}
