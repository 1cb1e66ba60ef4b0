//! Work that one replica does at a time.
//!
//! Requests, placements and moves need no leader: every write of theirs is a compare-and-set. What sweeps
//! over everything, such as retention, is done by one replica, which says so in a row: who leads, in which
//! term, until when. The row saves work, it does not make anything safe by itself: a replica that was frozen
//! may believe for a while that it still leads. Therefore every transaction in which a led job writes begins
//! with [`LeaderRepo::hold_term`], which fails once another replica has begun a new term and keeps one from
//! beginning before that transaction ends.

use std::time::Duration;

use async_trait::async_trait;

use crate::id::ReplicaId;
use crate::store::StoreError;

/// A stretch of time in which one replica leads one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderTerm {
    pub job: String,
    pub holder: ReplicaId,
    /// Grows by one whenever another replica takes over.
    pub number: u64,
}

/// Keeps which replica leads which job.
#[async_trait]
pub trait LeaderRepo: Send {
    /// Takes or keeps the lead of `job` for `lease` from now, by the store's clock. Returns none while
    /// another replica leads.
    ///
    /// The lead is free when nobody ever took it, when it was resigned, and when its lease is over. Whoever
    /// takes it from another replica begins a new term; whoever keeps its own stays in it.
    async fn lead(
        &mut self,
        job: &str,
        holder: ReplicaId,
        lease: Duration,
    ) -> Result<Option<LeaderTerm>, StoreError>;

    /// Returns whether nobody has begun a later term, and keeps everybody from it until this transaction
    /// ends.
    async fn hold_term(&mut self, term: &LeaderTerm) -> Result<bool, StoreError>;

    /// Ends the term, so that another replica can lead at once. Does nothing if a later term has begun.
    async fn resign(&mut self, term: &LeaderTerm) -> Result<(), StoreError>;
}
