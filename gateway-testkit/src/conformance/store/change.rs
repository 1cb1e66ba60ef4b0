//! What changed since a moment: every write that a cache cares about, and no other.

use std::time::Duration;

use gateway_core::change::{Changes, Deleted};
use gateway_core::id::{ApiKeyId, SessionId, TokenFamilyId};
use gateway_core::identity::{ApiKey, Scope};
use gateway_core::session::Session;
use gateway_core::tenant::{Tenant, TenantStatus, Tier};
use gateway_core::time::Timestamp;
use gateway_core::user::{Role, User};
use gateway_core::worker::{Worker, WorkerReport, WorkerStatus};

use super::StoreUnderTest;
use crate::conformance::fixture::{
    LEASE, a_card, a_login, a_refresh_token, a_tenant, a_user, a_worker, next, owner, session_id,
    session_name, tenant_id, waiting, worker_id,
};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "change":
    what_is_made_is_a_change,
    what_is_saved_is_a_change,
    a_suspect_worker_is_a_change,
    a_revoked_login_is_a_change,
    a_deleted_session_is_remembered,
    what_caches_do_not_hold_is_no_change,
    a_change_is_seen_when_it_is_committed,
    a_write_that_met_another_one_changes_nothing,
    sessions_come_by_id_as_they_are,
);

fn a_key(now: Timestamp) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_u128(7),
        tenant: tenant_id(1),
        name: "key".to_owned(),
        hash: [7; 32],
        prefix: "gwk_12345678".to_owned(),
        scopes: vec![Scope::MessagesSend],
        session: None,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        version: 1,
        created_at: now,
    }
}

/// Returns a moment after everything that was written so far.
pub(super) async fn later(s: &StoreUnderTest) -> Result<Timestamp, Failure> {
    s.orchestration().later().await
}

async fn since(s: &StoreUnderTest, at: Timestamp) -> Result<Changes, Failure> {
    Ok(s.read().await?.changes_since(at).await?)
}

/// Stores one row of every kind, and returns a moment after that.
async fn arrange(s: &StoreUnderTest) -> Result<Timestamp, Failure> {
    let now = s.tenants(1).await?;
    s.worker("alpha", 5).await?;
    s.sessions(&[a_card(tenant_id(1), 1, now)]).await?;
    let mut tx = s.begin().await?;
    tx.insert_user(&a_user(tenant_id(1), 1, now)).await?;
    tx.insert_key(&a_key(now)).await?;
    for family in [1, 2] {
        tx.insert_login(&a_login(1, family, now)).await?;
    }
    for (hash, family) in [(1, 1), (2, 1), (3, 2)] {
        let token = a_refresh_token(1, family, hash, now);
        tx.insert_refresh(&token).await?;
    }
    tx.commit().await?;
    later(s).await
}

async fn what_is_made_is_a_change(s: &StoreUnderTest) -> Verdict {
    let before = later(s).await?;
    let after = arrange(s).await?;
    let changes = since(s, before).await?;
    assert_eq!(changes.tiers.len(), 3);
    assert_eq!(changes.tenants[0].id, tenant_id(1));
    assert_eq!(changes.users[0].role, Role::User);
    assert_eq!(changes.keys[0].hash, [7; 32]);
    assert_eq!(changes.workers[0].id, worker_id("alpha"));
    assert_eq!(changes.sessions, [(session_id(1), 1)]);
    assert_eq!((changes.families, changes.deleted), (vec![], vec![]));
    assert_eq!(since(s, after).await?, Changes::default());
    Ok(())
}

async fn what_is_saved_is_a_change(s: &StoreUnderTest) -> Verdict {
    let at = arrange(s).await?;
    let mut tx = s.begin().await?;
    let [basic, ..] = Tier::defaults();
    let tier = Tier {
        requests_per_hour: 3,
        ..basic
    };
    tx.put_tier(&tier).await?;
    let tenant = Tenant {
        status: TenantStatus::Suspended,
        version: 2,
        ..a_tenant(1, at)
    };
    tx.save_tenant(&tenant).await?;
    let user = User {
        role: Role::Admin,
        token_generation: 4,
        version: 2,
        ..a_user(tenant_id(1), 1, at)
    };
    tx.save_user(&user).await?;
    let key = ApiKey {
        revoked_at: Some(at),
        version: 2,
        ..a_key(at)
    };
    tx.save_key(&key).await?;
    let worker = Worker {
        cordoned: true,
        row_version: 2,
        ..a_worker("alpha", 5, at)
    };
    tx.save_worker(&worker).await?;
    tx.commit().await?;
    let card = s.session(&a_card(tenant_id(1), 1, at)).await?;
    let renamed = Session {
        name: session_name("renamed"),
        ..next(&card)
    };
    let mut tx = s.begin().await?;
    tx.save_sessions(&[renamed]).await?;
    tx.commit().await?;
    let changes = since(s, at).await?;
    assert_eq!(changes.tiers, [tier]);
    assert_eq!(changes.tenants, [tenant]);
    let standing = &changes.users[0];
    assert_eq!((standing.user, standing.tenant), (user.id, tenant_id(1)));
    assert_eq!((standing.role, standing.token_generation), (Role::Admin, 4));
    assert_eq!(standing.version, 2);
    assert_eq!(changes.keys[0].revoked_at, Some(at));
    assert!(changes.workers[0].cordoned);
    assert_eq!(changes.sessions, [(session_id(1), 2)]);
    Ok(())
}

async fn a_suspect_worker_is_a_change(s: &StoreUnderTest) -> Verdict {
    let at = arrange(s).await?;
    let mut tx = s.begin().await?;
    let (id, from) = (worker_id("alpha"), WorkerStatus::Active);
    assert!(tx.shift_worker(&id, from, WorkerStatus::Suspect).await?);
    tx.commit().await?;
    let changes = since(s, at).await?;
    assert_eq!(changes.workers[0].status, WorkerStatus::Suspect);
    Ok(())
}

async fn a_revoked_login_is_a_change(s: &StoreUnderTest) -> Verdict {
    let at = arrange(s).await?;
    let family = TokenFamilyId::from_u128(1);
    let mut tx = s.begin().await?;
    tx.end_login(tenant_id(1), family).await?;
    tx.commit().await?;
    assert_eq!(since(s, at).await?.families, [(tenant_id(1), family)]);
    Ok(())
}

async fn a_deleted_session_is_remembered(s: &StoreUnderTest) -> Verdict {
    let at = arrange(s).await?;
    let mut tx = s.begin().await?;
    tx.delete_session(session_id(1), 1).await?;
    drop(tx);
    assert_eq!(since(s, at).await?, Changes::default(), "rolled back");
    let mut tx = s.begin().await?;
    tx.delete_session(session_id(1), 1).await?;
    tx.commit().await?;
    let changes = since(s, at).await?;
    assert_eq!(changes.deleted, [Deleted::Session(session_id(1))]);
    assert_eq!(changes.sessions, []);
    Ok(())
}

async fn what_caches_do_not_hold_is_no_change(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let row = waiting(a_card(tenant_id(1), 2, now), now);
    s.sessions(std::slice::from_ref(&row)).await?;
    let at = later(s).await?;
    let alpha = owner("alpha", 1);
    let mut tx = s.begin().await?;
    let claimed = tx.claim_due_sessions(at.plus(Duration::from_secs(5)), 9);
    assert_eq!(claimed.await?.len(), 1);
    assert_eq!(tx.wake_waiting(1).await?, 1);
    assert!(tx.reserve_slot(&alpha).await?);
    tx.release_slots(&alpha.worker, 1).await?;
    let renewed = tx
        .renew_lease(&alpha, LEASE, &WorkerReport::default())
        .await?;
    assert!(renewed.is_some());
    tx.touch_key(tenant_id(1), ApiKeyId::from_u128(7), at)
        .await?;
    tx.use_refresh(&[3; 32]).await?;
    let (login, expires) = (TokenFamilyId::from_u128(2), at.plus(Duration::from_secs(5)));
    assert!(tx.extend_login(tenant_id(1), login, expires).await?);
    tx.commit().await?;
    assert_eq!(since(s, at).await?, Changes::default());
    Ok(())
}

async fn a_change_is_seen_when_it_is_committed(s: &StoreUnderTest) -> Verdict {
    let at = arrange(s).await?;
    let card = s.session(&a_card(tenant_id(1), 1, at)).await?;
    let mut tx = s.begin().await?;
    tx.save_sessions(&[next(&card)]).await?;
    assert_eq!(since(s, at).await?.sessions, []);
    tx.commit().await?;
    assert_eq!(since(s, at).await?.sessions, [(card.id, 2)]);
    Ok(())
}

async fn a_write_that_met_another_one_changes_nothing(s: &StoreUnderTest) -> Verdict {
    let at = arrange(s).await?;
    let mut tx = s.begin().await?;
    assert!(tx.save_tenant(&a_tenant(1, at)).await.is_err());
    drop(tx);
    let mut tx = s.begin().await?;
    let (id, from) = (worker_id("alpha"), WorkerStatus::Draining);
    assert!(!tx.shift_worker(&id, from, WorkerStatus::Suspect).await?);
    tx.commit().await?;
    assert_eq!(since(s, at).await?, Changes::default());
    Ok(())
}

async fn sessions_come_by_id_as_they_are(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let cards = [a_card(tenant_id(1), 1, now), a_card(tenant_id(2), 2, now)];
    s.sessions(&cards).await?;
    let [one, two] = &cards;
    let asked = [two.id, SessionId::from_u128(99), one.id];
    let mut tx = s.read().await?;
    assert_eq!(tx.sessions_by_id(&asked).await?, cards);
    assert_eq!(tx.sessions_by_id(&[]).await?, []);
    Ok(())
}
