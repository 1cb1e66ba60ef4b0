//! A grant and what revokes it, in two transactions that are open at the same time.
//!
//! Whichever comes first, nothing that was granted outlives the revocation: it is either ended by it, or
//! refused because the grant sees it.

use std::sync::atomic::{AtomicBool, Ordering};

use gateway_core::id::{ApiKeyId, TokenFamilyId};
use gateway_core::identity::{ApiKey, RefreshUse, Scope};
use gateway_core::store::{PlatformTx, StoreError};
use gateway_core::tenant::{Tenant, TenantStatus};
use gateway_core::time::Timestamp;
use gateway_core::user::User;

use super::{StoreUnderTest, TURNS, while_open};
use crate::conformance::fixture::{a_login, a_refresh_token, a_tenant, a_user, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "grant":
    a_login_that_is_being_opened_ends_with_the_users_others [SecondWriter],
    a_login_is_not_opened_on_what_was_known_before [SecondWriter],
    a_token_that_is_being_granted_ends_with_its_login [SecondWriter],
    a_token_that_is_being_granted_ends_with_the_users_logins [SecondWriter],
    no_token_is_granted_while_its_login_ends [SecondWriter],
    no_token_is_granted_while_the_users_logins_end [SecondWriter],
    a_logout_waits_for_what_its_login_is_granting [SecondWriter],
    a_new_password_waits_for_what_a_login_is_granting [SecondWriter],
    nothing_is_granted_by_a_login_that_ends [SecondWriter],
    nothing_is_granted_by_a_login_of_a_user_whose_logins_end [SecondWriter],
    a_login_grants_only_for_its_own_tenant,
    a_suspension_waits_for_what_is_being_granted [SecondWriter],
    a_grant_sees_the_suspension_it_waited_for [SecondWriter],
    a_change_does_not_take_back_a_keys_revocation [SecondWriter],
);

/// User 1 with login 1 and its token.
async fn arrange(s: &StoreUnderTest) -> Result<Timestamp, Failure> {
    let now = s.tenants(1).await?;
    let mut tx = s.begin().await?;
    tx.insert_user(&a_user(tenant_id(1), 1, now)).await?;
    tx.insert_login(&a_login(1, 1, now)).await?;
    tx.insert_refresh(&a_refresh_token(1, 1, 1, now)).await?;
    tx.commit().await?;
    Ok(now)
}

const LOGIN: TokenFamilyId = TokenFamilyId::from_u128(1);

/// Runs `second` while `first` is open, and commits `first` meanwhile.
async fn beside<T>(
    first: Box<dyn PlatformTx>,
    second: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    while_open(first.commit(), second).await
}

async fn is_live(s: &StoreUnderTest, login: TokenFamilyId) -> Result<bool, StoreError> {
    s.read().await?.login_is_live(tenant_id(1), login).await
}

/// What changing a password does: locks the user, raises the generation, ends every login.
async fn end_logins(mut tx: Box<dyn PlatformTx>, user: &User) -> Result<(), StoreError> {
    end_logins_in(&mut *tx, user).await?;
    tx.commit().await
}

async fn end_logins_in(tx: &mut dyn PlatformTx, user: &User) -> Result<(), StoreError> {
    let row = tx.lock_user(user.tenant, user.id).await?;
    let mut row = row.ok_or(StoreError::Conflict)?;
    row.token_generation += 1;
    row.version += 1;
    tx.save_user(&row).await?;
    tx.end_logins_of(user.tenant, user.id).await
}

async fn a_login_that_is_being_opened_ends_with_the_users_others(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let user = a_user(tenant_id(1), 1, now);
    let mut grant = s.begin().await?;
    grant.lock_user(user.tenant, user.id).await?;
    let opened = a_login(1, 5, now);
    grant.insert_login(&opened).await?;
    beside(grant, end_logins(s.begin().await?, &user)).await?;
    assert!(!is_live(s, LOGIN).await?);
    assert!(!is_live(s, opened.id).await?, "it was on its way");
    Ok(())
}

async fn a_login_is_not_opened_on_what_was_known_before(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let user = a_user(tenant_id(1), 1, now);
    let mut grant = s.begin().await?;
    let known = grant.user(user.tenant, user.id).await?;
    assert_eq!(known.map(|row| row.token_generation), Some(0));
    let mut revocation = s.begin().await?;
    end_logins_in(&mut *revocation, &user).await?;
    let locked = beside(revocation, grant.lock_user(user.tenant, user.id)).await?;
    assert_eq!(locked.map(|row| row.token_generation), Some(1));
    Ok(())
}

async fn a_token_that_is_being_granted_ends_with_its_login(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let grant = granting(s, now).await?;
    let mut revocation = s.begin().await?;
    let ending = async {
        let ended = revocation.end_login(tenant_id(1), LOGIN).await?;
        revocation.commit().await?;
        Ok(ended)
    };
    assert!(beside(grant, ending).await?);
    is_refused(s, 2).await
}

async fn a_token_that_is_being_granted_ends_with_the_users_logins(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let grant = granting(s, now).await?;
    let user = a_user(tenant_id(1), 1, now);
    beside(grant, end_logins(s.begin().await?, &user)).await?;
    is_refused(s, 2).await
}

/// A transaction that has granted token 2 of the login.
async fn granting(s: &StoreUnderTest, now: Timestamp) -> Result<Box<dyn PlatformTx>, Failure> {
    let mut grant = s.begin().await?;
    assert!(grant.extend_login(tenant_id(1), LOGIN, now).await?);
    grant.insert_refresh(&a_refresh_token(1, 1, 2, now)).await?;
    Ok(grant)
}

async fn is_refused(s: &StoreUnderTest, token: u8) -> Verdict {
    let shown = s.begin().await?.use_refresh(&[token; 32]).await?;
    assert_eq!(shown, RefreshUse::Invalid);
    Ok(())
}

async fn no_token_is_granted_while_its_login_ends(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let mut revocation = s.begin().await?;
    assert!(revocation.end_login(tenant_id(1), LOGIN).await?);
    let mut grant = s.begin().await?;
    let extended = beside(revocation, grant.extend_login(tenant_id(1), LOGIN, now));
    assert!(!extended.await?);
    Ok(())
}

async fn no_token_is_granted_while_the_users_logins_end(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let mut revocation = s.begin().await?;
    end_logins_in(&mut *revocation, &a_user(tenant_id(1), 1, now)).await?;
    let mut grant = s.begin().await?;
    let extended = beside(revocation, grant.extend_login(tenant_id(1), LOGIN, now));
    assert!(!extended.await?);
    Ok(())
}

fn suspended(now: Timestamp) -> Tenant {
    Tenant {
        status: TenantStatus::Suspended,
        version: 2,
        ..a_tenant(1, now)
    }
}

/// Runs `revocation` while `grant` is open, and sets `granted` when it commits the grant.
async fn beside_a_grant(
    grant: Box<dyn PlatformTx>,
    granted: &AtomicBool,
    revocation: impl Future<Output = Result<(), StoreError>>,
) -> Verdict {
    let granting = async {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        granted.store(true, Ordering::SeqCst);
        grant.commit().await
    };
    let (revoked, committed) = tokio::join!(revocation, granting);
    revoked?;
    Ok(committed?)
}

/// A transaction in which login 1 grants something.
async fn granting_by_login(s: &StoreUnderTest) -> Result<Box<dyn PlatformTx>, Failure> {
    let mut grant = s.begin().await?;
    grant.tenant_for_grant(tenant_id(1)).await?;
    assert!(grant.login_for_grant(tenant_id(1), LOGIN).await?);
    Ok(grant)
}

async fn a_logout_waits_for_what_its_login_is_granting(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let grant = granting_by_login(s).await?;
    let mut logout = s.begin().await?;
    let granted = AtomicBool::new(false);
    let revoking = async {
        assert!(logout.end_login(tenant_id(1), LOGIN).await?);
        assert!(granted.load(Ordering::SeqCst), "it did not wait");
        logout.commit().await
    };
    beside_a_grant(grant, &granted, revoking).await
}

async fn a_new_password_waits_for_what_a_login_is_granting(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let grant = granting_by_login(s).await?;
    let (mut change, user) = (s.begin().await?, a_user(tenant_id(1), 1, now));
    let granted = AtomicBool::new(false);
    let revoking = async {
        end_logins_in(&mut *change, &user).await?;
        assert!(granted.load(Ordering::SeqCst), "it did not wait");
        change.commit().await
    };
    beside_a_grant(grant, &granted, revoking).await
}

async fn nothing_is_granted_by_a_login_that_ends(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let mut logout = s.begin().await?;
    assert!(logout.end_login(tenant_id(1), LOGIN).await?);
    let mut grant = s.begin().await?;
    let live = beside(logout, grant.login_for_grant(tenant_id(1), LOGIN));
    assert!(!live.await?);
    Ok(())
}

async fn nothing_is_granted_by_a_login_of_a_user_whose_logins_end(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let mut change = s.begin().await?;
    end_logins_in(&mut *change, &a_user(tenant_id(1), 1, now)).await?;
    let mut grant = s.begin().await?;
    let live = beside(change, grant.login_for_grant(tenant_id(1), LOGIN));
    assert!(!live.await?);
    Ok(())
}

async fn a_login_grants_only_for_its_own_tenant(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let mut grant = s.begin().await?;
    assert!(!grant.login_for_grant(tenant_id(2), LOGIN).await?);
    let unknown = TokenFamilyId::from_u128(9);
    assert!(!grant.login_for_grant(tenant_id(1), unknown).await?);
    assert!(grant.login_for_grant(tenant_id(1), LOGIN).await?);
    Ok(())
}

async fn a_suspension_waits_for_what_is_being_granted(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let mut grant = s.begin().await?;
    let tenant = grant.tenant_for_grant(tenant_id(1)).await?;
    assert_eq!(
        tenant.map(|tenant| tenant.status),
        Some(TenantStatus::Active)
    );
    let mut suspension = s.begin().await?;
    let row = suspended(now);
    let granted = AtomicBool::new(false);
    let revoking = async {
        suspension.save_tenant(&row).await?;
        assert!(granted.load(Ordering::SeqCst), "it did not wait");
        suspension.commit().await
    };
    beside_a_grant(grant, &granted, revoking).await
}

async fn a_grant_sees_the_suspension_it_waited_for(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let mut suspension = s.begin().await?;
    suspension.save_tenant(&suspended(now)).await?;
    let mut grant = s.begin().await?;
    let tenant = beside(suspension, grant.tenant_for_grant(tenant_id(1))).await?;
    assert_eq!(tenant, Some(suspended(now)));
    assert_eq!(grant.tenant_for_grant(tenant_id(9)).await?, None);
    Ok(())
}

async fn a_change_does_not_take_back_a_keys_revocation(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let key = ApiKey {
        id: ApiKeyId::from_u128(1),
        tenant: tenant_id(1),
        name: "key".to_owned(),
        hash: [1; 32],
        prefix: "gwk_12345678".to_owned(),
        scopes: vec![Scope::SessionsRead],
        session: None,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        version: 1,
        created_at: now,
    };
    let mut tx = s.begin().await?;
    tx.insert_key(&key).await?;
    tx.commit().await?;
    let revoked = ApiKey {
        revoked_at: Some(now),
        version: 2,
        ..key.clone()
    };
    let renamed = ApiKey {
        name: "other".to_owned(),
        version: 2,
        ..key
    };
    let mut revocation = s.begin().await?;
    revocation.save_key(&revoked).await?;
    let mut change = s.begin().await?;
    let saved = beside(revocation, change.save_key(&renamed)).await;
    assert!(matches!(saved, Err(StoreError::Conflict)), "{saved:?}");
    drop(change);
    let mut revocation = s.begin().await?;
    let again = ApiKey {
        version: 3,
        ..revoked.clone()
    };
    revocation.save_key(&again).await?;
    let mut change = s.begin().await?;
    let locked = beside(revocation, change.lock_key(again.tenant, again.id)).await?;
    assert_eq!(locked.as_ref(), Some(&again), "the newest form");
    assert_eq!(change.lock_key(tenant_id(2), again.id).await?, None);
    drop(change);
    let kept = s.read().await?.key(again.tenant, again.id).await?;
    assert_eq!(kept, Some(again));
    Ok(())
}
