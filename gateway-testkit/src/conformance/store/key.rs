//! API keys of a tenant.

use std::time::Duration;

use gateway_core::id::ApiKeyId;
use gateway_core::identity::{ApiKey, Scope};
use gateway_core::store::StoreError;
use gateway_core::time::Timestamp;

use super::StoreUnderTest;
use crate::conformance::fixture::{a_card, session_id, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "api_key":
    a_key_is_kept_as_it_is,
    another_tenants_key_is_not_there,
    keys_come_in_pages_in_id_order_revoked_ones_too,
    a_save_sets_name_scopes_expiry_and_revocation,
    a_save_follows_the_stored_version,
    a_use_is_noted,
);

pub(super) fn a_key(tenant: u128, n: u8, now: Timestamp) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_u128(u128::from(n)),
        tenant: tenant_id(tenant),
        name: format!("key {n}"),
        hash: [n; 32],
        prefix: "gwk_12345678".to_owned(),
        scopes: vec![Scope::SessionsRead, Scope::MessagesSend],
        session: None,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        version: 1,
        created_at: now,
    }
}

async fn insert(s: &StoreUnderTest, keys: &[ApiKey]) -> Result<(), Failure> {
    let mut tx = s.begin().await?;
    for key in keys {
        tx.insert_key(key).await?;
    }
    Ok(tx.commit().await?)
}

async fn a_key_is_kept_as_it_is(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    s.sessions(&[a_card(tenant_id(1), 1, now)]).await?;
    let key = ApiKey {
        scopes: Scope::ALL.to_vec(),
        session: Some(session_id(1)),
        expires_at: Some(now.plus(Duration::from_micros(1))),
        revoked_at: Some(now),
        last_used_at: Some(now),
        ..a_key(1, 200, now)
    };
    insert(s, std::slice::from_ref(&key)).await?;
    let mut tx = s.read().await?;
    assert_eq!(tx.key(key.tenant, key.id).await?.as_ref(), Some(&key));
    assert_eq!(tx.key_by_hash(&key.hash).await?.as_ref(), Some(&key));
    assert_eq!(tx.key_by_hash(&[7; 32]).await?, None);
    Ok(())
}

async fn another_tenants_key_is_not_there(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let key = a_key(1, 1, now);
    insert(s, std::slice::from_ref(&key)).await?;
    let stranger = ApiKey {
        tenant: tenant_id(2),
        name: "mine now".to_owned(),
        version: 2,
        ..key.clone()
    };
    let mut tx = s.begin().await?;
    assert_eq!(tx.key(tenant_id(2), key.id).await?, None);
    assert_eq!(tx.keys(tenant_id(2), None, 9).await?, []);
    let saved = tx.save_key(&stranger).await;
    assert!(matches!(saved, Err(StoreError::Conflict)), "{saved:?}");
    drop(tx);
    let mut tx = s.begin().await?;
    tx.touch_key(tenant_id(2), key.id, now).await?;
    tx.commit().await?;
    assert_eq!(s.read().await?.key(key.tenant, key.id).await?, Some(key));
    Ok(())
}

async fn keys_come_in_pages_in_id_order_revoked_ones_too(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let mut mine: Vec<_> = [1, 3, 5, 7].map(|n| a_key(1, n, now)).into();
    mine[1].revoked_at = Some(now);
    insert(
        s,
        &[
            mine[3].clone(),
            mine[1].clone(),
            mine[0].clone(),
            mine[2].clone(),
        ],
    )
    .await?;
    insert(s, &[a_key(2, 4, now)]).await?;
    let mut tx = s.read().await?;
    assert_eq!(tx.keys(tenant_id(1), None, 3).await?, mine[..3]);
    assert_eq!(tx.keys(tenant_id(1), Some(mine[2].id), 3).await?, mine[3..]);
    Ok(())
}

async fn a_save_sets_name_scopes_expiry_and_revocation(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let key = a_key(1, 1, now);
    insert(s, std::slice::from_ref(&key)).await?;
    let changed = ApiKey {
        name: "other".to_owned(),
        scopes: vec![Scope::UsageRead],
        expires_at: Some(now),
        revoked_at: Some(now),
        version: 2,
        ..key.clone()
    };
    let mut tx = s.begin().await?;
    tx.save_key(&changed).await?;
    tx.commit().await?;
    assert_eq!(
        s.read().await?.key(key.tenant, key.id).await?,
        Some(changed)
    );
    Ok(())
}

async fn a_save_follows_the_stored_version(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let key = a_key(1, 1, now);
    insert(s, std::slice::from_ref(&key)).await?;
    let mut tx = s.begin().await?;
    tx.touch_key(key.tenant, key.id, now).await?;
    tx.commit().await?;
    for (row, version) in [(&key, 1), (&key, 3), (&a_key(1, 9, now), 2)] {
        let row = ApiKey {
            version,
            ..row.clone()
        };
        let saved = s.begin().await?.save_key(&row).await;
        assert!(
            matches!(saved, Err(StoreError::Conflict)),
            "{version}: {saved:?}"
        );
    }
    Ok(())
}

async fn a_use_is_noted(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let key = a_key(1, 1, now);
    insert(s, std::slice::from_ref(&key)).await?;
    let mut tx = s.begin().await?;
    tx.touch_key(key.tenant, key.id, now).await?;
    tx.commit().await?;
    let used = s.read().await?.key(key.tenant, key.id).await?;
    assert_eq!(used.and_then(|key| key.last_used_at), Some(now));
    Ok(())
}
