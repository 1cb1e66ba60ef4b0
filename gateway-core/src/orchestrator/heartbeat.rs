//! Heartbeats: renew the lease, keep the load, tell the worker what it may have missed.

use std::collections::BTreeMap;

use super::{Done, Orchestrator};
use crate::id::{Epoch, SessionId};
use crate::protocol::{Beat, BeatAnswer, Dropped, HeldSession, StartSession};
use crate::session::{Effect, Owner, Phase, Session, StartOrder};
use crate::store::StoreError;
use crate::worker::{Renewal, WorkerReport, WorkerStatus};

/// Why a heartbeat was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BeatError {
    /// The incarnation has ended: close everything, take a new one, register as empty.
    #[error("this incarnation has ended; close its sessions and register with a new one")]
    Ended,
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Orchestrator {
    /// Takes a heartbeat of `owner`.
    ///
    /// # Errors
    /// The incarnation has ended, or the store's.
    pub async fn heartbeat(
        &self,
        owner: &Owner,
        beat: &Beat,
    ) -> Result<Done<BeatAnswer>, BeatError> {
        let renewal = self.ports.leases.renew(owner, &report(beat)).await?;
        let Renewal::Granted { lease } = renewal else {
            return Err(BeatError::Ended);
        };
        let mut tx = self.ports.store.begin().await?;
        let worker = tx.worker(&owner.worker).await?.ok_or(BeatError::Ended)?;
        let rows = tx.sessions_of(owner).await?;
        let mut effects = Vec::new();
        if worker.status == WorkerStatus::Suspect
            && tx
                .shift_worker(&worker.id, WorkerStatus::Suspect, WorkerStatus::Active)
                .await?
        {
            let event = super::fence::worker_event(&worker.id, WorkerStatus::Active, "renewed");
            tx.append_events(&[event]).await?;
            tx.wake_waiting(worker.max_sessions.saturating_sub(worker.assigned))
                .await?;
            tx.commit().await?;
            self.announce_worker(&worker.id).await;
            effects.push(Effect::Nudge);
        }
        let answer = BeatAnswer {
            lease_seconds: lease.as_secs(),
            dropped: dropped(&rows, beat.held.as_deref().unwrap_or_default()),
            start: starts(&rows, beat.held.as_deref()),
            drain: worker.status == WorkerStatus::Draining,
            send_held: differs(&rows, beat.held_digest.as_deref()),
        };
        Ok(Done {
            value: answer,
            effects,
        })
    }
}

/// What the heartbeat says of the worker. Shares above 1 are percentages of simple workers.
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

/// What the worker must stop: what it was told to stop, and what it holds without right.
fn dropped(rows: &[Session], held: &[HeldSession]) -> Vec<Dropped> {
    let right: BTreeMap<SessionId, Epoch> = rows.iter().map(|row| (row.id, row.epoch)).collect();
    let told = rows
        .iter()
        .filter(|row| matches!(row.phase, Phase::Stopping { .. }))
        .map(|row| Dropped {
            session_id: row.id,
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

/// Orders to start that the worker has not reported on and, as far as it says, does not hold.
fn starts(rows: &[Session], held: Option<&[HeldSession]>) -> Vec<StartSession> {
    let holds = |row: &Session| {
        held.unwrap_or_default()
            .iter()
            .any(|held| held.session_id == row.id && held.epoch == row.epoch)
    };
    rows.iter()
        .filter(|row| matches!(row.phase, Phase::Starting { .. }) && !holds(row))
        .filter_map(StartOrder::of)
        .map(|start| StartSession::from(&start))
        .collect()
}

/// Whether the digest does not fit what the rows say.
fn differs(rows: &[Session], digest: Option<&str>) -> bool {
    let Some(digest) = digest else { return false };
    let expected: Vec<HeldSession> = rows
        .iter()
        .map(|row| HeldSession {
            session_id: row.id,
            epoch: row.epoch,
            status: row.status().status.name().to_owned(),
        })
        .collect();
    HeldSession::digest(&expected) != digest
}
