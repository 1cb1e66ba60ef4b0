//! People who log in: one per address over all tenants.

use std::sync::Arc;

use gateway_core::store::{StoreError, Unique};
use gateway_core::user::{Role, User};

use super::StoreUnderTest;
use crate::conformance::fixture::{CROWD, a_user, at_once, tenant_id};
use crate::conformance::{Verdict, cases};

cases!(StoreUnderTest, "user":
    a_user_is_kept_as_it_is,
    another_tenants_user_is_not_there,
    an_address_is_taken_over_all_tenants,
    concurrent_registrations_of_one_address_store_one,
    a_save_follows_the_stored_version,
    a_taken_address_cannot_be_saved,
);

/// Returns whether `found` is the expected user. `User` shows nothing of itself, so rows are compared
/// without printing them.
fn same(found: Option<User>, expected: &User) -> bool {
    found.is_some_and(|found| found == *expected)
}

async fn arrange(s: &StoreUnderTest) -> Result<[User; 2], StoreError> {
    let now = s.tenants(2).await?;
    let users = [a_user(tenant_id(1), 1, now), a_user(tenant_id(2), 2, now)];
    let mut tx = s.begin().await?;
    for user in &users {
        tx.insert_user(user).await?;
    }
    tx.commit().await?;
    Ok(users)
}

async fn a_user_is_kept_as_it_is(s: &StoreUnderTest) -> Verdict {
    let [user, _] = arrange(s).await?;
    let mut tx = s.read().await?;
    assert!(same(tx.user(user.tenant, user.id).await?, &user));
    assert!(same(tx.user_by_email(&user.email).await?, &user));
    drop(tx);
    let changed = User {
        name: None,
        role: Role::Admin,
        token_generation: 1 << 33,
        version: 2,
        last_login_at: Some(user.created_at),
        password_hash: "other".to_owned(),
        ..user.clone()
    };
    let mut tx = s.begin().await?;
    tx.save_user(&changed).await?;
    tx.commit().await?;
    assert!(same(
        s.read().await?.user(user.tenant, user.id).await?,
        &changed
    ));
    Ok(())
}

async fn another_tenants_user_is_not_there(s: &StoreUnderTest) -> Verdict {
    let [user, other] = arrange(s).await?;
    let mut tx = s.read().await?;
    assert!(tx.user(other.tenant, user.id).await?.is_none());
    assert!(tx.user(user.tenant, other.id).await?.is_none());
    Ok(())
}

async fn an_address_is_taken_over_all_tenants(s: &StoreUnderTest) -> Verdict {
    let [user, other] = arrange(s).await?;
    let now = user.created_at;
    let again = User {
        email: user.email.clone(),
        ..a_user(other.tenant, 3, now)
    };
    let inserted = s.begin().await?.insert_user(&again).await;
    assert!(
        matches!(inserted, Err(StoreError::Duplicate(Unique::Email))),
        "{inserted:?}"
    );
    let unknown = a_user(other.tenant, 4, now).email;
    assert!(s.read().await?.user_by_email(&unknown).await?.is_none());
    Ok(())
}

async fn concurrent_registrations_of_one_address_store_one(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let email = a_user(tenant_id(1), 1, now).email;
    let results = at_once(CROWD, |index| {
        let store = Arc::clone(&s.store);
        let user = User {
            email: email.clone(),
            ..a_user(tenant_id(1), index as u128, now)
        };
        async move {
            let mut tx = store.begin_platform().await?;
            tx.insert_user(&user).await?;
            tx.commit().await
        }
    })
    .await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    let taken =
        |result: &&Result<_, _>| matches!(result, Err(StoreError::Duplicate(Unique::Email)));
    assert_eq!(
        (won, results.iter().filter(taken).count()),
        (1, CROWD - 1),
        "{results:?}"
    );
    Ok(())
}

async fn a_save_follows_the_stored_version(s: &StoreUnderTest) -> Verdict {
    let [user, other] = arrange(s).await?;
    let unknown = a_user(other.tenant, 9, user.created_at);
    for (row, version) in [(&user, 1), (&user, 3), (&unknown, 2)] {
        let row = User {
            version,
            ..row.clone()
        };
        let saved = s.begin().await?.save_user(&row).await;
        assert!(
            matches!(saved, Err(StoreError::Conflict)),
            "{version}: {saved:?}"
        );
    }
    Ok(())
}

async fn a_taken_address_cannot_be_saved(s: &StoreUnderTest) -> Verdict {
    let [user, other] = arrange(s).await?;
    let row = User {
        version: 2,
        email: other.email.clone(),
        ..user
    };
    let saved = s.begin().await?.save_user(&row).await;
    assert!(
        matches!(saved, Err(StoreError::Duplicate(Unique::Email))),
        "{saved:?}"
    );
    Ok(())
}
