//! Placing a session: pick, reserve, assign.
//!
//! The pick works on this replica's picture of the fleet and may be wrong; the reservation is one
//! conditional write in the store and cannot be. Losing a race tries the next best worker.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::Orchestrator;
use super::apply::{ApplyError, events, gather};
use crate::balance::{Choice, Fleet, Request};
use crate::id::{SessionId, WorkerId};
use crate::session::{Effect, Input, Owner, Phase, Placement, Reason, Session, decide};
use crate::store::StoreError;
use crate::time::Timestamp;

/// How many workers are tried before the session goes back to waiting.
const TRIES: usize = 8;

enum Attempt {
    Placed(Vec<Effect>),
    /// The worker turned out to have no room.
    Lost,
    /// The session has changed since it was read.
    Changed,
}

/// What a session asks of the fleet.
struct Wish {
    /// What it would like: not to come back to a worker on which it has just failed to start.
    prefers: Request,
    /// What it takes where nobody has room who would be preferred.
    needs: Request,
}

/// A worker's place that is promised to a session in this replica's picture of the fleet.
///
/// It is taken back when this value is dropped, as when whoever waits for the placement gives it up.
struct Promise<'a> {
    fleet: &'a Mutex<Fleet>,
    choice: Choice,
    is_kept: bool,
}

impl<'a> Promise<'a> {
    const fn of(fleet: &'a Mutex<Fleet>, choice: Choice) -> Self {
        Self {
            fleet,
            choice,
            is_kept: false,
        }
    }

    /// Notes that the place is assigned.
    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        let mut fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_kept {
            fleet.confirm(&self.choice.worker);
        } else {
            fleet.release(&self.choice.worker);
        }
    }
}

/// How one round over the workers has ended.
enum Round {
    /// The session is placed, or waits no more.
    Over(Vec<Effect>),
    NoRoom {
        /// When the session was due as it was last read.
        due_at: Option<Timestamp>,
    },
}

impl Orchestrator {
    /// Finds a worker for a session in `WAITING`; does nothing in any other phase.
    pub(super) async fn place(&self, id: SessionId) -> Result<Vec<Effect>, ApplyError> {
        let due_at = match self.round(id).await? {
            Round::Over(effects) => return Ok(effects),
            Round::NoRoom { due_at } => due_at,
        };
        // Whoever moved `due_at` meanwhile has made room, or claims the row: it must not wait again.
        let waiting = |row: &Session| matches!(row.phase, Phase::Waiting) && row.due_at == due_at;
        let Some(done) = self.apply(id, &Input::NoCapacity, waiting).await? else {
            return Ok(Vec::new());
        };
        let mut effects = done.effects;
        // Whoever made room since the round found the session awake and did not wake it; from now on it would be
        // woken. So this look finds what that one has missed.
        if let Round::Over(more) = self.round(id).await? {
            gather(&mut effects, more);
        }
        Ok(effects)
    }

    /// Tries workers until one takes the session or none is left.
    async fn round(&self, id: SessionId) -> Result<Round, ApplyError> {
        let (mut exclude, mut due_at) = (BTreeSet::new(), None);
        for _ in 0..TRIES {
            let Some((row, wish)) = self.placeable(id, &exclude).await? else {
                return Ok(Round::Over(Vec::new()));
            };
            due_at = row.due_at;
            let Some(promise) = self.pick(&wish).await? else {
                break;
            };
            match self.assign(&row, &promise.choice).await? {
                Attempt::Placed(effects) => {
                    promise.keep();
                    self.announce(id).await;
                    return Ok(Round::Over(effects));
                }
                Attempt::Lost => {
                    exclude.insert(promise.choice.worker.clone());
                }
                Attempt::Changed => {}
            }
        }
        Ok(Round::NoRoom { due_at })
    }

    /// Returns the session and what it needs of a worker, if it may be placed now.
    async fn placeable(
        &self,
        id: SessionId,
        exclude: &BTreeSet<WorkerId>,
    ) -> Result<Option<(Session, Wish)>, StoreError> {
        let mut tx = self.ports.store.read().await?;
        let waiting = |row: &Session| matches!(row.phase, Phase::Waiting);
        let Some(row) = tx.session(id).await?.filter(waiting) else {
            return Ok(None);
        };
        let mut avoided = BTreeSet::new();
        if row.not_before.is_some() || !row.setbacks.failed_starts.is_empty() {
            let now = tx.now().await?;
            if row.not_before.is_some_and(|at| now < at) {
                return Ok(None);
            }
            avoided = row.setbacks.avoided(now, self.policy.session.avoid);
        }
        let needs = Request {
            exclude: exclude.clone(),
            state_format: row.state_format.clone().filter(|_| row.paired),
            min_protocol_version: self.policy.min_protocol_version,
            spread: Some(tx.tenant_spread(row.tenant).await?),
            ..Request::default()
        };
        let mut prefers = needs.clone();
        prefers.exclude.extend(avoided);
        Ok(Some((row, Wish { prefers, needs })))
    }

    /// Picks and reserves a worker in the picture of the fleet. Updates the picture once before it does without
    /// what the session would prefer, or gives up.
    async fn pick(&self, wish: &Wish) -> Result<Option<Promise<'_>>, StoreError> {
        if let Some(promise) = self.promise(&wish.prefers) {
            return Ok(Some(promise));
        }
        self.follow_fleet().await?;
        let preferred = self.promise(&wish.prefers);
        Ok(preferred.or_else(|| self.promise(&wish.needs)))
    }

    fn promise(&self, request: &Request) -> Option<Promise<'_>> {
        let mut fleet = self.fleet();
        match fleet.pick(request, &*self.ports.entropy) {
            Ok(choice) => {
                fleet.reserve(&choice.worker);
                Some(Promise::of(&self.fleet, choice))
            }
            Err(nobody) => {
                tracing::debug!(%nobody, "no worker for a session");
                None
            }
        }
    }

    async fn assign(&self, row: &Session, choice: &Choice) -> Result<Attempt, ApplyError> {
        let owner = Owner {
            worker: choice.worker.clone(),
            incarnation: choice.incarnation.clone(),
        };
        let mut tx = self.ports.store.begin().await?;
        if !tx.reserve_slot(&owner).await? {
            return Ok(Attempt::Lost);
        }
        let worker = tx.worker(&owner.worker).await?;
        let state_format = worker.and_then(|worker| worker.engine.state_format);
        let now = tx.now().await?;
        let input = Input::Placed {
            owner: owner.clone(),
            state_format,
        };
        let decision = decide(&self.policy.session, row, &input, now)?;
        let Some(next) = &decision.row else {
            return Ok(Attempt::Changed);
        };
        match tx.save_sessions(std::slice::from_ref(next)).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Ok(Attempt::Changed),
            Err(error) => return Err(error.into()),
        }
        tx.insert_placement(&placement(row, next, owner, choice, now))
            .await?;
        tx.append_events(&events(row, &decision)).await?;
        match tx.commit().await {
            Ok(()) => Ok(Attempt::Placed(decision.effects)),
            Err(StoreError::Conflict) => Ok(Attempt::Changed),
            Err(error) => Err(error.into()),
        }
    }
}

fn placement(
    before: &Session,
    row: &Session,
    owner: Owner,
    choice: &Choice,
    now: Timestamp,
) -> Placement {
    Placement {
        session: row.id,
        tenant: row.tenant,
        epoch: row.epoch,
        owner,
        why: before.reason.clone().unwrap_or(Reason::Starting),
        explanation: serde_json::to_value(&choice.explanation).unwrap_or_default(),
        placed_at: now,
        ended: None,
    }
}
