//! Which two ids belong to one person, as each session has learnt it.

use gateway_core::id::{SessionId, TenantId};
use gateway_core::message::{MAX_PERSON_IDS, PersonPair};
use gateway_core::store::StoreError;

use super::tx::Tx;
use super::types::{Id, Time};

/// Two statements in one, because one condition on either column would go over all persons of the session.
const FIND: &str = "SELECT found.lid, found.phone FROM (\
       SELECT lid, phone, learnt_at FROM persons \
       WHERE tenant_id = $1 AND session_id = $2 AND lid IN ($3, $4, $5, $6) \
       UNION SELECT lid, phone, learnt_at FROM persons \
       WHERE tenant_id = $1 AND session_id = $2 AND phone IN ($3, $4, $5, $6)) AS found \
     ORDER BY found.learnt_at DESC, found.lid DESC";

const SAVE: &str = "INSERT INTO persons (session_id, lid, tenant_id, phone, learnt_at) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (session_id, lid) DO UPDATE \
     SET phone = excluded.phone, learnt_at = excluded.learnt_at \
     WHERE persons.tenant_id = excluded.tenant_id";

/// What is known of the persons of a session that is deleted.
pub(super) const FORGET: &str = "DELETE FROM persons WHERE session_id = $1";

impl Tx {
    /// The pairs of a session in which one of the ids stands, the one that was learnt last first.
    pub(super) async fn persons(
        &mut self,
        (tenant, session): (TenantId, SessionId),
        ids: &[&str],
    ) -> Result<Vec<PersonPair>, StoreError> {
        let mut query = self
            .query(FIND)
            .bind(Id(tenant.as_u128()))
            .bind(Id(session.as_u128()));
        // No id is empty.
        for place in 0..MAX_PERSON_IDS {
            query = query.bind(ids.get(place).copied().unwrap_or(""));
        }
        let rows: Vec<(String, String)> = query.all().await?;
        let pair = |(lid, phone)| PersonPair { lid, phone };
        Ok(rows.into_iter().map(pair).collect())
    }

    /// Remembers a pair, in place of what was known of its LID.
    pub(super) async fn save_person(
        &mut self,
        (tenant, session): (TenantId, SessionId),
        pair: &PersonPair,
    ) -> Result<(), StoreError> {
        let now = self.moment().await?;
        self.query(SAVE)
            .bind(Id(session.as_u128()))
            .bind(pair.lid.as_str())
            .bind(Id(tenant.as_u128()))
            .bind(pair.phone.as_str())
            .bind(Time(now))
            .execute()
            .await
            .map(drop)
    }
}
