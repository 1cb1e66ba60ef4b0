//! Refresh tokens: used once; a second use ends the login.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::TokenFamilyId;
use gateway_core::identity::{RefreshToken, RefreshUse};
use gateway_core::store::{PlatformStore, StoreError, retry_conflicts};
use gateway_core::time::Timestamp;

use super::StoreUnderTest;
use crate::conformance::fixture::{CROWD, a_user, at_once, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "refresh":
    a_token_is_used_once_and_then_its_family_is_gone,
    an_unknown_or_expired_token_is_invalid,
    of_many_concurrent_uses_one_is_the_first,
    revoking_a_family_leaves_others_alone,
    revoking_a_user_ends_every_login,
    another_tenant_revokes_nothing,
);

fn a_token(user: u128, family: u128, hash: u8, now: Timestamp) -> RefreshToken {
    RefreshToken {
        hash: [hash; 32],
        family: TokenFamilyId::from_u128(family),
        tenant: tenant_id(user),
        user: a_user(tenant_id(user), user, now).id,
        expires_at: now.plus(Duration::from_secs(3_600)),
        used_at: None,
        created_at: now,
    }
}

/// Users 1 and 2, each in the tenant of that number.
async fn arrange(s: &StoreUnderTest, tokens: &[(u128, u128, u8)]) -> Result<Timestamp, Failure> {
    let now = s.tenants(2).await?;
    let mut tx = s.begin().await?;
    for n in [1, 2] {
        tx.insert_user(&a_user(tenant_id(n), n, now)).await?;
    }
    for (user, family, hash) in tokens {
        tx.insert_refresh(&a_token(*user, *family, *hash, now))
            .await?;
    }
    tx.commit().await?;
    Ok(now)
}

async fn show(store: &dyn PlatformStore, hash: u8) -> Result<RefreshUse, StoreError> {
    let mut tx = store.begin_platform().await?;
    let used = tx.use_refresh(&[hash; 32]).await?;
    tokio::task::yield_now().await;
    tx.commit().await?;
    Ok(used)
}

async fn is_live(s: &StoreUnderTest, tenant: u128, family: u128) -> Result<bool, Failure> {
    let mut tx = s.read().await?;
    let family = TokenFamilyId::from_u128(family);
    Ok(tx.family_is_live(tenant_id(tenant), family).await?)
}

async fn a_token_is_used_once_and_then_its_family_is_gone(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s, &[(1, 1, 1), (1, 2, 9)]).await?;
    assert!(is_live(s, 1, 1).await?);
    let first = show(&*s.store, 1).await?;
    let RefreshUse::First(token) = first else {
        return Err(Failure::new(format!("{first:?}")));
    };
    let used_at = token.used_at;
    assert_eq!(
        RefreshToken {
            used_at: None,
            ..token
        },
        a_token(1, 1, 1, now)
    );
    let mut tx = s.begin().await?;
    tx.insert_refresh(&a_token(1, 1, 2, now)).await?;
    tx.commit().await?;
    assert!(is_live(s, 1, 1).await?);

    let again = show(&*s.store, 1).await?;
    assert!(
        matches!(&again, RefreshUse::Again(token) if token.hash == [1; 32]),
        "{again:?}"
    );
    assert!(used_at.is_none_or(|at| at >= now));
    assert!(!is_live(s, 1, 1).await?);
    assert_eq!(
        show(&*s.store, 2).await?,
        RefreshUse::Invalid,
        "a descendant is revoked too"
    );
    assert!(is_live(s, 1, 2).await?, "another login goes on");
    Ok(())
}

async fn an_unknown_or_expired_token_is_invalid(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s, &[]).await?;
    let expired = RefreshToken {
        expires_at: now,
        ..a_token(1, 1, 1, now)
    };
    let mut tx = s.begin().await?;
    tx.insert_refresh(&expired).await?;
    tx.commit().await?;
    assert_eq!(show(&*s.store, 1).await?, RefreshUse::Invalid);
    assert_eq!(show(&*s.store, 2).await?, RefreshUse::Invalid);
    assert!(!is_live(s, 1, 7).await?);
    Ok(())
}

async fn of_many_concurrent_uses_one_is_the_first(s: &StoreUnderTest) -> Verdict {
    arrange(s, &[(1, 1, 1), (1, 1, 2)]).await?;
    let results = at_once(CROWD, |_| {
        let store = Arc::clone(&s.store);
        async move { retry_conflicts(1_000, || show(&*store, 1)).await }
    })
    .await;
    let (mut first, mut other) = (0, 0);
    for result in results {
        match result? {
            RefreshUse::First(_) => first += 1,
            RefreshUse::Again(_) | RefreshUse::Invalid => other += 1,
        }
    }
    assert_eq!((first, other), (1, CROWD - 1));
    assert!(!is_live(s, 1, 1).await?);
    assert_eq!(show(&*s.store, 2).await?, RefreshUse::Invalid);
    Ok(())
}

async fn revoking_a_family_leaves_others_alone(s: &StoreUnderTest) -> Verdict {
    arrange(s, &[(1, 1, 1), (1, 2, 2)]).await?;
    let mut tx = s.begin().await?;
    tx.revoke_family(tenant_id(1), TokenFamilyId::from_u128(1))
        .await?;
    tx.commit().await?;
    assert!(!is_live(s, 1, 1).await?);
    assert_eq!(show(&*s.store, 1).await?, RefreshUse::Invalid);
    assert!(matches!(show(&*s.store, 2).await?, RefreshUse::First(_)));
    Ok(())
}

async fn revoking_a_user_ends_every_login(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s, &[(1, 1, 1), (1, 2, 2), (2, 3, 3)]).await?;
    let mut tx = s.begin().await?;
    tx.revoke_user_refresh(tenant_id(1), a_user(tenant_id(1), 1, now).id)
        .await?;
    tx.commit().await?;
    for hash in [1, 2] {
        assert_eq!(show(&*s.store, hash).await?, RefreshUse::Invalid);
    }
    assert!(!is_live(s, 1, 1).await? && !is_live(s, 1, 2).await?);
    assert!(is_live(s, 2, 3).await?);
    Ok(())
}

async fn another_tenant_revokes_nothing(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s, &[(1, 1, 1)]).await?;
    let mut tx = s.begin().await?;
    tx.revoke_family(tenant_id(2), TokenFamilyId::from_u128(1))
        .await?;
    tx.revoke_user_refresh(tenant_id(2), a_user(tenant_id(1), 1, now).id)
        .await?;
    tx.commit().await?;
    assert!(
        !is_live(s, 2, 1).await?,
        "nor does it see that there is one"
    );
    assert!(is_live(s, 1, 1).await?);
    Ok(())
}
