//! A value that is taken is named, so that nobody is told to choose another of something else.

use gateway_core::identity::ApiKey;
use gateway_core::session::Session;
use gateway_core::store::{StoreError, Unique};
use gateway_core::user::User;
use gateway_core::worker::{Lease, Worker};

use super::StoreUnderTest;
use super::key::a_key;
use crate::conformance::fixture::{
    LEASE, a_card, a_login, a_refresh_token, a_tenant, a_user, a_worker, session_name, tenant_id,
    worker_id,
};
use crate::conformance::{Verdict, cases};

cases!(StoreUnderTest, "unique":
    a_taken_value_of_an_account_is_named,
    a_taken_value_of_a_worker_is_named,
    a_taken_id_of_a_session_is_not_a_taken_name,
);

fn is_taken(inserted: &Result<(), StoreError>, what: Unique) {
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

async fn a_taken_value_of_a_worker_is_named(s: &StoreUnderTest) -> Verdict {
    let held = s.worker("w", 3).await?;
    let now = s.now().await?;
    let endpoint = a_worker("w", 3, now).endpoint;
    assert!(endpoint.is_some());

    let same_id = Worker::pending(worker_id("w"), 3, now);
    let again = s.begin().await?.insert_worker(&same_id).await;
    is_taken(&again, Unique::WorkerId);
    let same_place = Worker {
        endpoint,
        ..a_worker("other", 3, now)
    };
    let again = s.begin().await?.insert_worker(&same_place).await;
    is_taken(&again, Unique::WorkerEndpoint);
    let lease = Lease::new(held, LEASE, now);
    let again = s.begin().await?.insert_lease(&lease).await;
    is_taken(&again, Unique::Incarnation);
    Ok(())
}

async fn a_taken_id_of_a_session_is_not_a_taken_name(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let same_id = Session {
        name: session_name("other"),
        ..card
    };
    let mut tx = s.begin().await?;
    let again = tx.insert_session(&same_id, None).await.map(drop);
    is_taken(&again, Unique::SessionId);
    Ok(())
}
