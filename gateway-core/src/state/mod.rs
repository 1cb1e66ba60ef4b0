//! Session state (credentials, ratchets) as a port: a snapshot and a write-through journal.
//!
//! The bytes are opaque. Every write is a compare-and-set on epoch and sequence and is answered only
//! when it is durable; a new owner *seals* the state to its epoch before it reads it, so that a late
//! write of the former owner fails even before the new owner's first one. State never goes back:
//! ratchets that do use a cipher counter twice.

pub mod cipher;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::id::{Epoch, SessionId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// The size of the largest snapshot, compressed.
pub const MAX_SNAPSHOT_BYTES: usize = 16 * 1024 * 1024;

/// The size of the largest journal entry.
pub const MAX_ENTRY_BYTES: usize = 256 * 1024;

/// How far a session's state has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateVersion {
    /// The epoch it is sealed to.
    pub epoch: Epoch,
    /// The sequence of its newest write; 0 before the first.
    pub seq: u64,
}

/// A session's state as its owner reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredState {
    /// Epoch and newest sequence.
    pub version: StateVersion,
    /// The newest snapshot and the sequence it contains.
    pub snapshot: Option<(u64, Vec<u8>)>,
    /// The entries after the snapshot, in order, each with its sequence.
    pub journal: Vec<(u64, Vec<u8>)>,
}

/// Why state was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The state is sealed to a higher epoch.
    #[error("the session's state is sealed to epoch {current}")]
    StaleEpoch { current: Epoch },
    /// The write does not follow the newest one.
    #[error("the session's state is at sequence {current}")]
    SeqConflict { current: u64 },
    /// The session is not there, or not any more.
    #[error("no such session; stop it")]
    UnknownSession,
    /// More bytes than allowed.
    #[error("at most {max} bytes are allowed")]
    TooLarge { max: usize },
    /// What is stored cannot be decrypted or does not fit together.
    #[error("the stored state cannot be read: {why}")]
    Corrupt { why: String },
    /// The store behind it failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps session state durably.
///
/// State begins only for a session that is there: the first seal or write of one that was deleted is refused
/// with [`StateError::UnknownSession`], so nothing comes back after [`StateStore::erase`]. A deletion waits
/// for a state that begins at the same moment.
#[async_trait]
pub trait StateStore: Debug + Send + Sync {
    /// Seals the state to `epoch` and returns it.
    ///
    /// From the moment this returns, no write of a lower epoch succeeds. Refused with
    /// [`StateError::StaleEpoch`] if it is sealed to a higher one. Sealing again is harmless.
    async fn seal(&self, session: SessionId, epoch: Epoch) -> Result<StoredState, StateError>;

    /// Returns epoch and newest sequence of the state; the default value for a session without state.
    async fn version(&self, session: SessionId) -> Result<StateVersion, StateError>;

    /// Appends entries with the sequences `after + 1 …`, all or none; returns the newest sequence.
    ///
    /// Durable when it returns. The first write at an epoch seals the state to it. Repeating a write
    /// whose answer was lost is [`StateError::SeqConflict`] with the sequence it reached.
    async fn append(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        entries: &[Vec<u8>],
    ) -> Result<u64, StateError>;

    /// Stores a snapshot that contains everything up to the newest sequence, which must be `after`, and
    /// takes the sequence `after + 1`; the journal before it is dropped. Durable when it returns.
    async fn put_snapshot(
        &self,
        session: SessionId,
        epoch: Epoch,
        after: u64,
        bytes: &[u8],
    ) -> Result<u64, StateError>;

    /// Shows that state can be stored at this moment: writes as a snapshot and a journal entry are written, and
    /// leaves nothing behind.
    async fn probe(&self) -> Result<(), StateError>;

    /// Sets the state aside if it is sealed to `upto` or less: a later seal finds none. State of a
    /// later epoch belongs to another account and stays, however late this call comes. Idempotent.
    async fn archive(&self, session: SessionId, upto: Epoch) -> Result<(), StateError>;

    /// Removes the bytes of states that were archived before `before`, oldest first, at most `limit`
    /// states; returns how many were removed. Their epochs are kept, so they bar former owners as before.
    /// Idempotent.
    ///
    /// A state whose bytes cannot be removed stays and does not keep others from being removed; it is an
    /// error only if none was removed.
    async fn forget_archived(&self, before: Timestamp, limit: u32) -> Result<u64, StateError>;

    /// Removes everything stored of the session, the archive included. Idempotent.
    async fn erase(&self, session: SessionId) -> Result<(), StateError>;
}
