//! Waiting for a session to have something to show.
//!
//! Woken by the coordinator's hints, which may be lost; so the row is looked at again now and then, and
//! always once more at the end.

use std::time::Duration;

use futures_util::StreamExt;
use gateway_core::coord::{Coordinator, Notice, Notices};
use gateway_core::id::{SessionId, TenantId};
use gateway_core::session::{Observed, Phase, Session, SessionRef};
use gateway_core::store::PlatformStore;
use gateway_core::time::Timestamp;

use crate::http::problem::{ApiResult, Problem};

/// How long a lost notice may go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Waits for one session to settle. Make it before the observed operation begins, so that no notice is
/// missed.
pub(super) struct Watch<'a> {
    store: &'a dyn PlatformStore,
    tenant: TenantId,
    session: SessionId,
    notices: Notices,
}

impl<'a> Watch<'a> {
    pub(super) async fn begin(
        store: &'a dyn PlatformStore,
        coord: &dyn Coordinator,
        session: &Session,
    ) -> ApiResult<Self> {
        Ok(Self {
            store,
            tenant: session.tenant,
            session: session.id,
            notices: coord.notices().await?,
        })
    }

    /// Waits until the session is settled, for at most `limit`. Returns its row as it then stands, with
    /// the store's time.
    pub(super) async fn settled(mut self, limit: Duration) -> ApiResult<(Session, Timestamp)> {
        match tokio::time::timeout(limit, self.wait()).await {
            Ok(outcome) => outcome,
            Err(_) => look(self.store, self.tenant, self.session).await,
        }
    }

    async fn wait(&mut self) -> ApiResult<(Session, Timestamp)> {
        loop {
            let (session, now) = look(self.store, self.tenant, self.session).await?;
            if is_settled(&session) {
                return Ok((session, now));
            }
            // Whether a hint came or not, the row says how it stands.
            let _ = tokio::time::timeout(LOOK_AGAIN, self.hint()).await;
        }
    }

    async fn hint(&mut self) {
        let ours = Notice::Session {
            session: self.session,
        };
        while let Some(notice) = self.notices.next().await {
            if notice == ours {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

async fn look(
    store: &dyn PlatformStore,
    tenant: TenantId,
    id: SessionId,
) -> ApiResult<(Session, Timestamp)> {
    let mut tx = store.read_platform().await?;
    let row = tx.card(tenant, &SessionRef::Id(id)).await?;
    let session = row.ok_or_else(|| Problem::not_found("session"))?;
    Ok((session, tx.now().await?))
}

/// Returns whether the next step is somebody else's: connected, waiting for a person, or given up.
fn is_settled(session: &Session) -> bool {
    match &session.phase {
        Phase::Active { observed, .. } => match observed {
            Observed::QrRequired { .. } | Observed::Connected => true,
            Observed::Connecting { .. } | Observed::Reconnecting { .. } => false,
        },
        Phase::Idle | Phase::Parked { .. } => true,
        Phase::Waiting | Phase::Starting { .. } | Phase::Stopping { .. } => false,
    }
}
