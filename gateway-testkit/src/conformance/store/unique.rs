//! A value that is taken is named, so that nobody is told to choose another of something else.

use gateway_core::identity::ApiKey;
use gateway_core::store::{StoreError, Unique};
use gateway_core::user::User;

use super::StoreUnderTest;
use super::key::a_key;
use crate::conformance::fixture::{a_login, a_refresh_token, a_tenant, a_user, tenant_id};
use crate::conformance::{Verdict, cases};

cases!(StoreUnderTest, "unique":
    a_taken_value_of_an_account_is_named,
);

pub(super) fn is_taken(inserted: &Result<(), StoreError>, what: Unique) {
    let named = matches!(inserted, Err(StoreError::Duplicate(named)) if *named == what);
    assert!(named, "{what:?}: {inserted:?}");
}

async fn a_taken_value_of_an_account_is_named(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let user = a_user(tenant_id(1), 1, now);
    let other = a_user(tenant_id(1), 2, now);
    let key = a_key(1, 5, now);
    let (login, token) = (a_login(1, 3, now), a_refresh_token(1, 3, 7, now));
    let mut tx = s.begin().await?;
    tx.insert_user(&user).await?;
    tx.insert_key(&key).await?;
    tx.insert_login(&login).await?;
    tx.insert_refresh(&token).await?;
    tx.commit().await?;

    let again = s.begin().await?.insert_tenant(&a_tenant(1, now)).await;
    is_taken(&again, Unique::TenantId);
    let same_id = User {
        id: user.id,
        ..other.clone()
    };
    let again = s.begin().await?.insert_user(&same_id).await;
    is_taken(&again, Unique::UserId);
    let same_address = User {
        email: user.email,
        ..other
    };
    let again = s.begin().await?.insert_user(&same_address).await;
    is_taken(&again, Unique::Email);
    let same_id = ApiKey {
        id: key.id,
        ..a_key(1, 6, now)
    };
    let again = s.begin().await?.insert_key(&same_id).await;
    is_taken(&again, Unique::ApiKeyId);
    let same_hash = ApiKey {
        hash: key.hash,
        ..a_key(1, 6, now)
    };
    let again = s.begin().await?.insert_key(&same_hash).await;
    is_taken(&again, Unique::ApiKey);
    let again = s.begin().await?.insert_login(&login).await;
    is_taken(&again, Unique::LoginId);
    let again = s.begin().await?.insert_refresh(&token).await;
    is_taken(&again, Unique::RefreshToken);
    Ok(())
}
