//! Heartbeats: renew the lease, keep the load, tell the worker what it may have missed.
//!
//! They are the most frequent write of a large fleet and nearly always find nothing changed, so such a one is
//! a single exchange with the store; rows are read only where the worker must be told something of them.

use std::collections::BTreeMap;

use super::silence::tell_sessions;
use super::{ATTEMPTS, Done, Orchestrator};
use crate::coord::Notice;
use crate::id::{Epoch, SessionId};
use crate::protocol::{Beat, BeatAnswer, Dropped, HeldSession, StartSession};
use crate::session::{Effect, Input, Order, Owner, Session, StartOrder};
use crate::store::{StoreError, retry_conflicts};
use crate::worker::{HeldPhase, HeldRow, Renewal, WorkerReport, WorkerStatus};

/// Why a heartbeat was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BeatError {
    /// The incarnation has ended. The worker must close its sessions, take a new incarnation and register
    /// as empty.
    #[error("this incarnation has ended; close its sessions and register with a new one")]
    Ended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Orchestrator {
    /// Takes a heartbeat of `owner`.
    ///
    /// # Errors
    /// The incarnation has ended, or the store fails.
    pub async fn heartbeat(
        &self,
        owner: &Owner,
        beat: &Beat,
    ) -> Result<Done<BeatAnswer>, BeatError> {
        let renewal = self.ports.leases.renew(owner, &report(beat)).await?;
        let Renewal::Granted { lease, renewed } = renewal else {
            return Err(BeatError::Ended);
        };
        let mut effects = Vec::new();
        if renewed.status == WorkerStatus::Suspect && self.trust_again(owner, renewed.room).await? {
            effects.push(Effect::Nudge);
        }
        let holds = &renewed.holds;
        let differences = self
            .held_watch()
            .compare(owner, holds, beat.held.as_deref());
        effects.extend(differences.not_held.into_iter().map(|(session, epoch)| {
            Effect::NotHeld(Order {
                session,
                owner: owner.clone(),
                epoch,
            })
        }));
        let held = beat.held.as_deref().unwrap_or_default();
        let start = if holds.iter().any(|row| must_start(row, held)) {
            self.starts(owner, held).await?
        } else {
            Vec::new()
        };
        let answer = BeatAnswer {
            lease_seconds: lease.as_secs(),
            dropped: dropped(holds, held),
            start,
            drain: renewed.status == WorkerStatus::Draining,
            send_held: differences.unsure || differs(holds, beat.held_digest.as_deref()),
        };
        Ok(Done {
            value: answer,
            effects,
        })
    }

    /// Makes a suspect worker that has renewed its lease `ACTIVE` again. Returns whether this call did.
    async fn trust_again(&self, owner: &Owner, room: u32) -> Result<bool, StoreError> {
        let trusted = retry_conflicts(ATTEMPTS, || self.try_trust_again(owner, room)).await?;
        if trusted {
            self.announce_worker(&owner.worker).await;
            self.hint(&Notice::Outbox).await;
        }
        Ok(trusted)
    }

    async fn try_trust_again(&self, owner: &Owner, room: u32) -> Result<bool, StoreError> {
        let id = &owner.worker;
        let mut tx = self.ports.store.begin().await?;
        let shifted = tx.shift_worker(id, WorkerStatus::Suspect, WorkerStatus::Active);
        if !shifted.await? {
            return Ok(false);
        }
        let event = super::fence::worker_event(id, WorkerStatus::Active, "renewed");
        tx.append_events(&[event]).await?;
        let now = tx.now().await?;
        let policy = &self.policy.session;
        tell_sessions(&mut *tx, policy, owner, &Input::OwnerHeard, now).await?;
        tx.wake_waiting(room).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Returns the orders to start that the worker has not reported on and, as far as it says, does not
    /// hold.
    async fn starts(
        &self,
        owner: &Owner,
        held: &[HeldSession],
    ) -> Result<Vec<StartSession>, StoreError> {
        let rows = self.ports.store.read().await?.sessions_of(owner).await?;
        let wanted = |row: &&Session| HeldRow::of(row).is_some_and(|row| must_start(&row, held));
        let orders = rows.iter().filter(wanted).filter_map(StartOrder::of);
        Ok(orders.map(|start| StartSession::from(&start)).collect())
    }
}

/// Returns what the heartbeat says of the worker. Shares above 1 are taken for percentages, which simple
/// workers send.
fn report(beat: &Beat) -> WorkerReport {
    let share = |value: Option<f64>| {
        let value = value.filter(|value| value.is_finite() && *value >= 0.0)?;
        Some(if value > 1.0 {
            (value / 100.0).min(1.0)
        } else {
            value
        })
    };
    let counts = beat.sessions;
    WorkerReport {
        cpu: share(beat.cpu_usage),
        memory: share(beat.memory_usage),
        uptime_seconds: beat.uptime_seconds,
        total: counts.map(|counts| counts.total).or(beat.session_count),
        connected: counts.map(|counts| counts.connected),
        disconnected: counts.map(|counts| counts.disconnected),
        qr_required: counts.map(|counts| counts.qr_required),
        error: counts.map(|counts| counts.error),
        applied_seq: beat.applied_seq,
        persist_ok: beat.persist_ok,
    }
}

/// Returns what the worker must stop: what it was told to stop, and what it holds without right.
fn dropped(rows: &[HeldRow], held: &[HeldSession]) -> Vec<Dropped> {
    let right: BTreeMap<SessionId, Epoch> =
        rows.iter().map(|row| (row.session, row.epoch)).collect();
    let told = rows
        .iter()
        .filter(|row| row.phase == HeldPhase::Stopping)
        .map(|row| Dropped {
            session_id: row.session,
            epoch: row.epoch,
        });
    let without_right = held
        .iter()
        .filter(|held| right.get(&held.session_id) != Some(&held.epoch))
        .map(|held| Dropped {
            session_id: held.session_id,
            epoch: held.epoch,
        });
    let mut all: Vec<Dropped> = told.chain(without_right).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns whether, as far as the worker says, the order to start has not arrived.
fn must_start(row: &HeldRow, held: &[HeldSession]) -> bool {
    let holds = |held: &HeldSession| held.session_id == row.session && held.epoch == row.epoch;
    row.phase == HeldPhase::Starting && !held.iter().any(holds)
}

/// Returns whether the digest differs from that of the rows.
fn differs(rows: &[HeldRow], digest: Option<&str>) -> bool {
    let Some(digest) = digest else { return false };
    let expected: Vec<HeldSession> = rows
        .iter()
        .map(|row| HeldSession {
            session_id: row.session,
            epoch: row.epoch,
            status: row.status.name().to_owned(),
        })
        .collect();
    HeldSession::digest(&expected) != digest
}
