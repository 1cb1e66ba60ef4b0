//! The round over everything that grows old, step by step.

use std::sync::Arc;
use std::time::Duration;

use super::{AgedRows, DAY, RetentionPolicy};
use crate::id::TenantId;
use crate::leader::LeaderTerm;
use crate::state::{StateError, StateStore};
use crate::store::{PlatformStore, PlatformTx, StoreError};
use crate::time::Timestamp;

/// How many tenants one step looks at.
const TENANTS_AT_ONCE: u32 = 50;

/// Forgets what has grown old. Holds where the round stands.
#[derive(Debug)]
pub struct Retention {
    store: Arc<dyn PlatformStore>,
    state: Arc<dyn StateStore>,
    policy: RetentionPolicy,
    stage: Stage,
}

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The round is at the kind with this index in [`AgedRows::ALL`].
    Rows(usize),
    /// The round is at the messages of the tenant after this one.
    Messages(Option<TenantId>),
    Credentials,
}

const BEGINNING: Stage = Stage::Rows(0);

impl Stage {
    /// Returns the stage at which the next kind is forgotten.
    const fn next(self) -> Self {
        match self {
            Self::Rows(index) if index + 1 < AgedRows::ALL.len() => Self::Rows(index + 1),
            Self::Rows(_) => Self::Messages(None),
            Self::Messages(_) => Self::Credentials,
            Self::Credentials => BEGINNING,
        }
    }
}

/// The result of one step of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepStep {
    /// What was forgotten, for metrics and logs.
    pub kind: &'static str,
    /// How much of it.
    pub rows: u64,
    /// Whether the round is over; the next step begins another one.
    pub is_last: bool,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Another replica has begun a later term.
    #[error("another replica has taken over")]
    TermOver,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Retention {
    /// Creates a sweep that begins a round with its first step.
    #[must_use]
    pub fn new(
        store: Arc<dyn PlatformStore>,
        state: Arc<dyn StateStore>,
        policy: RetentionPolicy,
    ) -> Self {
        Self {
            store,
            state,
            policy,
            stage: BEGINNING,
        }
    }

    /// Forgets at most [`RetentionPolicy::batch`] rows of one kind. After a step that fails the round goes on
    /// with the next kind, so that one that cannot be forgotten keeps no other; it is tried again in the
    /// next round.
    ///
    /// # Errors
    /// The term is over, or a store fails.
    pub async fn step(&mut self, term: &LeaderTerm) -> Result<SweepStep, SweepError> {
        let step = self.try_step(term).await;
        if let Err(SweepError::Store(_) | SweepError::State(_)) = step {
            self.stage = self.stage.next();
        }
        step
    }

    async fn try_step(&mut self, term: &LeaderTerm) -> Result<SweepStep, SweepError> {
        match self.stage {
            Stage::Rows(index) => match AgedRows::ALL.get(index) {
                Some(rows) => self.sweep_rows(*rows, term).await,
                None => self.sweep_messages(None, term).await,
            },
            Stage::Messages(after) => self.sweep_messages(after, term).await,
            Stage::Credentials => self.sweep_credentials(term).await,
        }
    }

    async fn sweep_rows(
        &mut self,
        rows: AgedRows,
        term: &LeaderTerm,
    ) -> Result<SweepStep, SweepError> {
        let (mut tx, now) = self.begin(term).await?;
        let before = now.minus(self.policy.age_of(rows));
        let deleted = tx.delete_aged(rows, before, self.policy.batch).await?;
        tx.commit().await?;
        if deleted < u64::from(self.policy.batch) {
            self.stage = self.stage.next();
        }
        Ok(done(rows.name(), deleted))
    }

    async fn sweep_messages(
        &mut self,
        after: Option<TenantId>,
        term: &LeaderTerm,
    ) -> Result<SweepStep, SweepError> {
        let (mut tx, now) = self.begin(term).await?;
        let tenants = tx.tenants_after(after, TENANTS_AT_ONCE).await?;
        let is_last_page = tenants.len() < TENANTS_AT_ONCE as usize;
        let (mut left, mut next) = (self.policy.batch, Stage::Credentials);
        let mut done_until = after;
        for tenant in tenants {
            let Some(age) = history(&mut *tx, tenant).await? else {
                done_until = Some(tenant);
                continue;
            };
            let deleted = tx.delete_messages(tenant, now.minus(age), left).await?;
            left = left.saturating_sub(u32::try_from(deleted).unwrap_or(u32::MAX));
            if left == 0 {
                // This tenant may have more.
                next = Stage::Messages(done_until);
                break;
            }
            done_until = Some(tenant);
        }
        if left > 0 && !is_last_page {
            next = Stage::Messages(done_until);
        }
        tx.commit().await?;
        self.stage = next;
        Ok(done("messages", u64::from(self.policy.batch - left)))
    }

    async fn sweep_credentials(&mut self, term: &LeaderTerm) -> Result<SweepStep, SweepError> {
        // State is not written in this transaction. Forgetting an archive twice does no harm.
        let (tx, now) = self.begin(term).await?;
        drop(tx);
        let before = now.minus(self.policy.archived_credentials);
        let forgotten = self
            .state
            .forget_archived(before, self.policy.batch)
            .await?;
        let is_last = forgotten < u64::from(self.policy.batch);
        if is_last {
            self.stage = self.stage.next();
        }
        Ok(SweepStep {
            is_last,
            ..done("archived_credentials", forgotten)
        })
    }

    /// Opens a transaction in which the term holds until its end.
    async fn begin(
        &self,
        term: &LeaderTerm,
    ) -> Result<(Box<dyn PlatformTx>, Timestamp), SweepError> {
        let mut tx = self.store.begin_platform().await?;
        if !tx.hold_term(term).await? {
            return Err(SweepError::TermOver);
        }
        let now = tx.now().await?;
        Ok((tx, now))
    }
}

/// Returns how long the plan of a tenant keeps messages; none if the plan is not there. The tenant stays on it
/// until the transaction ends, so nothing is deleted by a plan that it has just left.
async fn history(
    tx: &mut dyn PlatformTx,
    tenant: TenantId,
) -> Result<Option<Duration>, StoreError> {
    let Some(tenant) = tx.tenant_for_grant(tenant).await? else {
        return Ok(None);
    };
    let tier = tx.tier(&tenant.tier).await?;
    Ok(tier.map(|tier| DAY.saturating_mul(tier.history_days)))
}

const fn done(kind: &'static str, rows: u64) -> SweepStep {
    SweepStep {
        kind,
        rows,
        is_last: false,
    }
}
