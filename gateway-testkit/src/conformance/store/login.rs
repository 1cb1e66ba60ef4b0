//! Logins and their refresh tokens: a token is used once, and nothing outlives its login.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::TokenFamilyId;
use gateway_core::identity::{RefreshToken, RefreshUse};
use gateway_core::store::{PlatformStore, StoreError, retry_conflicts};
use gateway_core::time::Timestamp;

use super::StoreUnderTest;
use crate::conformance::fixture::{CROWD, a_login, a_refresh_token, a_user, at_once, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "login":
    a_token_is_used_once_and_the_second_use_says_when,
    nothing_outlives_its_login,
    a_login_is_extended_while_it_lasts,
    an_unknown_or_expired_token_is_invalid,
    of_many_concurrent_uses_one_is_the_first,
    revoking_a_family_leaves_others_alone,
    revoking_a_user_ends_every_login,
    another_tenant_revokes_nothing,
);

/// Users 1 and 2, each in the tenant of that number, with logins and tokens (user, login, hash).
async fn arrange(s: &StoreUnderTest, tokens: &[(u128, u128, u8)]) -> Result<Timestamp, Failure> {
    let now = s.tenants(2).await?;
    let mut tx = s.begin().await?;
    for n in [1, 2] {
        tx.insert_user(&a_user(tenant_id(n), n, now)).await?;
    }
    let logins: BTreeSet<_> = tokens
        .iter()
        .map(|(user, login, _)| (user, login))
        .collect();
    for (user, login) in logins {
        tx.insert_login(&a_login(*user, *login, now)).await?;
    }
    for (user, login, hash) in tokens {
        let token = a_refresh_token(*user, *login, *hash, now);
        tx.insert_refresh(&token).await?;
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

const fn login_id(n: u128) -> TokenFamilyId {
    TokenFamilyId::from_u128(n)
}

async fn is_live(s: &StoreUnderTest, tenant: u128, family: u128) -> Result<bool, Failure> {
    let mut tx = s.read().await?;
    Ok(tx
        .login_is_live(tenant_id(tenant), login_id(family))
        .await?)
}

async fn a_token_is_used_once_and_the_second_use_says_when(s: &StoreUnderTest) -> Verdict {
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
        a_refresh_token(1, 1, 1, now)
    );
    let mut tx = s.begin().await?;
    tx.insert_refresh(&a_refresh_token(1, 1, 2, now)).await?;
    tx.commit().await?;
    assert!(is_live(s, 1, 1).await?);

    let again = show(&*s.store, 1).await?;
    let RefreshUse::Again(token) = again else {
        return Err(Failure::new(format!("{again:?}")));
    };
    assert_eq!((token.hash, token.used_at), ([1; 32], used_at));
    assert!(used_at.is_some_and(|at| at >= now), "by the store's clock");
    assert!(
        is_live(s, 1, 1).await?,
        "what that means is not for the store to say"
    );
    Ok(())
}

async fn nothing_outlives_its_login(s: &StoreUnderTest) -> Verdict {
    arrange(s, &[(1, 1, 1), (1, 1, 2), (1, 2, 9)]).await?;
    show(&*s.store, 1).await?;
    let mut tx = s.begin().await?;
    assert!(tx.end_login(tenant_id(1), login_id(1)).await?);
    assert!(!tx.end_login(tenant_id(1), login_id(1)).await?, "once");
    assert!(!tx.end_login(tenant_id(1), login_id(7)).await?, "unknown");
    tx.commit().await?;
    assert!(!is_live(s, 1, 1).await?);
    for hash in [1, 2] {
        let shown = show(&*s.store, hash).await?;
        assert_eq!(shown, RefreshUse::Invalid, "used or not");
    }
    assert!(is_live(s, 1, 2).await?, "another login goes on");
    Ok(())
}

async fn a_login_is_extended_while_it_lasts(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s, &[(1, 1, 1)]).await?;
    let later = now.plus(Duration::from_secs(9_000));
    let mut tx = s.begin().await?;
    assert!(tx.extend_login(tenant_id(1), login_id(1), later).await?);
    assert!(!tx.extend_login(tenant_id(2), login_id(1), later).await?);
    assert!(!tx.extend_login(tenant_id(1), login_id(7), later).await?);
    tx.end_login(tenant_id(1), login_id(1)).await?;
    assert!(!tx.extend_login(tenant_id(1), login_id(1), later).await?);
    Ok(())
}

async fn an_unknown_or_expired_token_is_invalid(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s, &[(1, 1, 9)]).await?;
    let expired = RefreshToken {
        expires_at: now,
        ..a_refresh_token(1, 1, 1, now)
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
    arrange(s, &[(1, 1, 1)]).await?;
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
    Ok(())
}

async fn revoking_a_family_leaves_others_alone(s: &StoreUnderTest) -> Verdict {
    arrange(s, &[(1, 1, 1), (1, 2, 2)]).await?;
    let mut tx = s.begin().await?;
    tx.end_login(tenant_id(1), login_id(1)).await?;
    tx.commit().await?;
    assert!(!is_live(s, 1, 1).await?);
    assert_eq!(show(&*s.store, 1).await?, RefreshUse::Invalid);
    assert!(matches!(show(&*s.store, 2).await?, RefreshUse::First(_)));
    Ok(())
}

async fn revoking_a_user_ends_every_login(s: &StoreUnderTest) -> Verdict {
    let now = arrange(s, &[(1, 1, 1), (1, 2, 2), (2, 3, 3)]).await?;
    let mut tx = s.begin().await?;
    tx.end_logins_of(tenant_id(1), a_user(tenant_id(1), 1, now).id)
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
    tx.end_login(tenant_id(2), login_id(1)).await?;
    tx.end_logins_of(tenant_id(2), a_user(tenant_id(1), 1, now).id)
        .await?;
    tx.commit().await?;
    assert!(
        !is_live(s, 2, 1).await?,
        "nor does it see that there is one"
    );
    assert!(is_live(s, 1, 1).await?);
    Ok(())
}
