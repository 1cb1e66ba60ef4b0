//! What fills caches is what the single reads say.

use std::time::Duration;

use gateway_core::change::UserStanding;
use gateway_core::fill::{KeyFill, LoginFill, RouteFill};
use gateway_core::id::{ApiKeyId, TokenFamilyId};
use gateway_core::identity::{ApiKey, Login, Scope};
use gateway_core::session::SessionRef;
use gateway_core::store::StoreError;
use gateway_core::tenant::Tier;
use gateway_core::time::Timestamp;
use gateway_core::user::User;

use super::StoreUnderTest;
use crate::conformance::fixture::{
    a_card, a_tenant, a_user, connected, session_name, tenant_id, tier_name,
};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "fill":
    a_key_comes_with_its_tenant_and_plan,
    a_login_comes_with_its_tenant_and_plan_while_it_lasts,
    a_session_comes_with_the_worker_that_holds_it,
    a_tenant_without_its_plan_is_an_error,
);

fn a_key(tenant: u128, now: Timestamp) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_u128(5),
        tenant: tenant_id(tenant),
        name: "key".to_owned(),
        hash: [5; 32],
        prefix: "gwk_12345678".to_owned(),
        scopes: vec![Scope::SessionsRead],
        session: None,
        expires_at: Some(now),
        revoked_at: Some(now),
        last_used_at: None,
        version: 1,
        created_at: now,
    }
}

fn basic() -> Tier {
    let mut tiers = Tier::defaults().into_iter();
    let basic = tiers.find(|tier| tier.name == tier_name("BASIC"));
    basic.expect("there is such a plan")
}

async fn a_key_comes_with_its_tenant_and_plan(s: &StoreUnderTest) -> Verdict {
    let before = s.tenants(2).await?;
    let key = a_key(2, before);
    let mut tx = s.begin().await?;
    tx.insert_key(&key).await?;
    tx.commit().await?;
    let found = s.read().await?.fill_key(&key.hash).await?;
    let found = found.ok_or_else(|| Failure::new("the key is not found".to_owned()))?;
    let after = s.now().await?;
    assert!(before <= found.now && found.now <= after, "{found:?}");
    let expected = KeyFill {
        key,
        tenant: a_tenant(2, before),
        tier: basic(),
        now: found.now,
    };
    assert_eq!(found, expected, "revoked or expired, too");
    assert_eq!(s.read().await?.fill_key(&[6; 32]).await?, None);
    Ok(())
}

async fn a_login_comes_with_its_tenant_and_plan_while_it_lasts(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let (user, tenant) = (a_user(tenant_id(1), 1, now), tenant_id(1));
    let (family, other) = (TokenFamilyId::from_u128(7), TokenFamilyId::from_u128(8));
    let login = Login {
        id: family,
        tenant,
        user: user.id,
        created_at: now,
        expires_at: now.plus(Duration::from_secs(60)),
        ended_at: None,
    };
    let mut tx = s.begin().await?;
    tx.insert_user(&user).await?;
    tx.insert_login(&login).await?;
    tx.commit().await?;
    let User { role, version, .. } = user;
    let expected = LoginFill {
        user: UserStanding {
            user: user.id,
            tenant,
            role,
            token_generation: user.token_generation,
            version,
        },
        tenant: a_tenant(1, now),
        tier: basic(),
    };
    let fill = async |tenant, user, family| -> Result<Option<LoginFill>, StoreError> {
        let mut tx = s.read().await?;
        tx.fill_login(tenant, user, family).await
    };
    assert_eq!(fill(tenant, user.id, family).await?, Some(expected));
    assert_eq!(fill(tenant, user.id, other).await?, None);
    assert_eq!(fill(tenant_id(2), user.id, family).await?, None);
    let stranger = a_user(tenant, 2, now).id;
    assert_eq!(fill(tenant, stranger, family).await?, None);
    let mut tx = s.begin().await?;
    tx.end_login(tenant, family).await?;
    tx.commit().await?;
    assert_eq!(fill(tenant, user.id, family).await?, None);
    Ok(())
}

async fn a_session_comes_with_the_worker_that_holds_it(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let held = s.worker("w", 1).await?;
    s.worker("v", 1).await?;
    let there = connected(a_card(tenant_id(1), 1, now), &held);
    let nowhere = a_card(tenant_id(1), 2, now);
    s.sessions(&[there.clone(), nowhere.clone()]).await?;
    let worker = s.read().await?.worker(&held.worker).await?;
    assert!(worker.is_some());
    for (session, worker) in [(there, worker), (nowhere, None)] {
        let expected = RouteFill {
            session: session.clone(),
            worker,
        };
        let names = [
            SessionRef::Id(session.id),
            SessionRef::Name(session.name.clone()),
        ];
        for name in names {
            let mut tx = s.read().await?;
            let found = tx.fill_route(tenant_id(1), &name).await?;
            assert_eq!(found.as_ref(), Some(&expected));
            let mut tx = s.read().await?;
            assert_eq!(tx.fill_route(tenant_id(2), &name).await?, None);
        }
    }
    let nobody = SessionRef::Name(session_name("nobody"));
    let mut tx = s.read().await?;
    assert_eq!(tx.fill_route(tenant_id(1), &nobody).await?, None);
    Ok(())
}

async fn a_tenant_without_its_plan_is_an_error(s: &StoreUnderTest) -> Verdict {
    let now = s.now().await?;
    let key = a_key(1, now);
    let mut tx = s.begin().await?;
    tx.insert_tenant(&a_tenant(1, now)).await?;
    tx.insert_key(&key).await?;
    tx.commit().await?;
    let found = s.read().await?.fill_key(&key.hash).await;
    let named = matches!(
        found,
        Err(StoreError::Corrupt {
            table: "tenants",
            ..
        })
    );
    assert!(named, "{found:?}");
    Ok(())
}
