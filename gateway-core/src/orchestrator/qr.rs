//! Showing the code of a session that waits for a person.

use std::time::Duration;

use super::Orchestrator;
use super::report::secrets_of;
use crate::coord::PairingSecret;
use crate::id::{SessionId, TenantId};
use crate::protocol::Passkey;
use crate::session::{ChallengeKind, Desired, Observed, Phase, Session};
use crate::store::StoreError;
use crate::worker::LinkError;

/// Why there is no code, or why a passkey was not taken.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// The tenant has no such session.
    #[error("no such session")]
    UnknownSession,
    /// The session has no code at the moment.
    #[error("there is no code at the moment; {}", if retry_after.is_some() { "ask again shortly" } else { "connect the session to get one" })]
    NotAvailable {
        /// When to ask again, if a code is on its way.
        retry_after: Option<Duration>,
    },
    /// The worker did not take the assertion.
    #[error(transparent)]
    Worker(#[from] LinkError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Orchestrator {
    /// Returns the session's present code of that kind. A code that the coordinator has lost is asked for
    /// at the worker and kept again.
    ///
    /// # Errors
    /// The tenant has no such session, the session has no code, or the store fails.
    pub async fn pairing_secret(
        &self,
        tenant: TenantId,
        id: SessionId,
        kind: ChallengeKind,
    ) -> Result<PairingSecret, QrError> {
        let row = self.own(tenant, id).await?;
        let nothing = QrError::NotAvailable {
            retry_after: expected(&row),
        };
        let Phase::Active {
            owner,
            observed: Observed::QrRequired { challenge },
        } = &row.phase
        else {
            return Err(nothing);
        };
        // After an outage the coordinator may hold one that the worker has replaced meanwhile.
        let present = |secret: &PairingSecret| {
            let replaced = secret.kind == challenge.kind && secret.index < challenge.index;
            secret.epoch == row.epoch && !replaced
        };
        let kept = self.ports.coord.secret(id, kind).await.unwrap_or(None);
        if let Some(secret) = kept.filter(present) {
            return Ok(secret);
        }
        let Some(target) = self.target(owner).await? else {
            return Err(nothing);
        };
        let state = self
            .ports
            .link
            .session(&target, id, self.policy.command_limit)
            .await;
        let Ok(state) = state else {
            return Err(nothing);
        };
        let now = self.ports.store.read().await?.now().await?;
        let valid = |secret: &PairingSecret| secret.epoch == row.epoch && now < secret.expires_at;
        let mut found = secrets_of(&state, now);
        if state.sent_at.is_none() {
            // By the worker's clock, which may be wrong; of this one the report has said it.
            let known = |secret: &&mut PairingSecret| {
                (secret.kind, secret.index) == (challenge.kind, challenge.index)
            };
            for secret in found.iter_mut().filter(known) {
                secret.expires_at = challenge.expires_at;
            }
        }
        found.retain(valid);
        for secret in &found {
            if self.keep(id, secret, now).await.is_err() {
                tracing::debug!(session.id = %id, "a code could not be put back");
            }
        }
        found
            .into_iter()
            .find(|secret| secret.kind == kind)
            .ok_or(nothing)
    }

    /// Passes a passkey assertion, or its confirmation, on to the session's worker.
    ///
    /// # Errors
    /// The tenant has no such session, the session has no challenge, the worker refuses, or the store fails.
    pub async fn passkey(
        &self,
        tenant: TenantId,
        id: SessionId,
        assertion: Option<serde_json::Value>,
    ) -> Result<(), QrError> {
        let row = self.own(tenant, id).await?;
        let nothing = QrError::NotAvailable {
            retry_after: expected(&row),
        };
        let asked = matches!(
            &row.phase,
            Phase::Active { observed: Observed::QrRequired { challenge }, .. }
                if challenge.kind == ChallengeKind::Passkey
        );
        let Some(order) = row.order().filter(|_| asked) else {
            return Err(nothing);
        };
        let Some(target) = self.target(&order.owner).await? else {
            return Err(nothing);
        };
        let body = Passkey {
            epoch: order.epoch,
            incarnation: order.owner.incarnation.clone(),
            assertion,
        };
        let confirm = body.assertion.is_none();
        let limit = self.policy.command_limit;
        Ok(self
            .ports
            .link
            .passkey(&target, &order, &body, confirm, limit)
            .await?)
    }

    async fn own(&self, tenant: TenantId, id: SessionId) -> Result<Session, QrError> {
        let row = self.ports.store.read().await?.session(id).await?;
        row.filter(|row| row.tenant == tenant)
            .ok_or(QrError::UnknownSession)
    }
}

/// Returns when to ask again for the code of a session that is on its way to one.
fn expected(row: &Session) -> Option<Duration> {
    let coming = match &row.phase {
        Phase::Waiting | Phase::Starting { .. } => !row.paired,
        Phase::Active { observed, .. } => matches!(observed, Observed::QrRequired { .. }),
        Phase::Stopping { .. } => row.desired == Desired::Connected && !row.paired,
        Phase::Idle | Phase::Parked { .. } => false,
    };
    coming.then_some(Duration::from_secs(1))
}
