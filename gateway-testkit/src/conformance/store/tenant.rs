//! Tenants and tiers.

use std::sync::Arc;

use gateway_core::store::StoreError;
use gateway_core::tenant::{Tenant, TenantStatus, Tier};

use super::StoreUnderTest;
use crate::conformance::fixture::{CROWD, a_tenant, at_once, tenant_id, tier_name};
use crate::conformance::{Verdict, cases};

cases!(StoreUnderTest, "tenant":
    a_tenant_is_kept_as_it_is,
    a_save_follows_the_stored_version,
    one_of_many_concurrent_saves_wins,
    tiers_are_data_in_order_of_priority_and_name,
    a_tier_is_replaced_by_name,
    a_missing_tier_is_added_and_one_that_is_there_stays,
);

async fn a_tenant_is_kept_as_it_is(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let changed = Tenant {
        name: "Größe ☃ & Söhne".to_owned(),
        tier: tier_name("MAX"),
        status: TenantStatus::Suspended,
        version: 2,
        ..a_tenant(1, now)
    };
    assert_eq!(
        s.read().await?.tenant(tenant_id(1)).await?,
        Some(a_tenant(1, now))
    );
    let mut tx = s.begin().await?;
    tx.save_tenant(&changed).await?;
    tx.commit().await?;
    assert_eq!(s.read().await?.tenant(tenant_id(1)).await?, Some(changed));
    assert_eq!(s.read().await?.tenant(tenant_id(2)).await?, None);
    Ok(())
}

async fn a_save_follows_the_stored_version(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    for (n, version) in [(1, 1), (1, 3), (2, 2)] {
        let row = Tenant {
            version,
            ..a_tenant(n, now)
        };
        let saved = s.begin().await?.save_tenant(&row).await;
        assert!(
            matches!(saved, Err(StoreError::Conflict)),
            "{n} {version}: {saved:?}"
        );
    }
    Ok(())
}

async fn one_of_many_concurrent_saves_wins(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let results = at_once(CROWD, |index| {
        let store = Arc::clone(&s.store);
        let name = format!("name {index}");
        let row = Tenant {
            version: 2,
            name,
            ..a_tenant(1, now)
        };
        async move {
            let mut tx = store.begin_platform().await?;
            tx.save_tenant(&row).await?;
            tx.commit().await
        }
    })
    .await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    let lost = results
        .iter()
        .filter(|result| matches!(result, Err(StoreError::Conflict)));
    assert_eq!((won, lost.count()), (1, CROWD - 1), "{results:?}");
    Ok(())
}

async fn tiers_are_data_in_order_of_priority_and_name(s: &StoreUnderTest) -> Verdict {
    s.tenants(0).await?;
    let [basic, pro, max] = Tier::defaults();
    let own = Tier {
        name: tier_name("ACME"),
        ..pro.clone()
    };
    let mut tx = s.begin().await?;
    tx.put_tier(&own).await?;
    tx.commit().await?;
    let mut tx = s.read().await?;
    assert_eq!(tx.tiers().await?, [basic, own.clone(), pro, max]);
    assert_eq!(tx.tier(&tier_name("ACME")).await?, Some(own));
    assert_eq!(tx.tier(&tier_name("NONE")).await?, None);
    Ok(())
}

async fn a_tier_is_replaced_by_name(s: &StoreUnderTest) -> Verdict {
    s.tenants(0).await?;
    let [_, pro, _] = Tier::defaults();
    let changed = Tier {
        name: pro.name.clone(),
        sessions: 7,
        requests_per_hour: 1 << 40,
        webhook_endpoints: 8,
        history_days: 9,
        priority: 200,
    };
    let mut tx = s.begin().await?;
    tx.put_tier(&changed).await?;
    tx.commit().await?;
    let mut tx = s.read().await?;
    assert_eq!(tx.tier(&pro.name).await?, Some(changed));
    assert_eq!(tx.tiers().await?.len(), 3);
    Ok(())
}

async fn a_missing_tier_is_added_and_one_that_is_there_stays(s: &StoreUnderTest) -> Verdict {
    s.tenants(0).await?;
    let [basic, pro, max] = Tier::defaults();
    let own = Tier {
        name: tier_name("ACME"),
        ..pro.clone()
    };
    let other = Tier {
        history_days: 1,
        ..basic.clone()
    };
    let mut tx = s.begin().await?;
    tx.insert_missing_tier(&own).await?;
    tx.insert_missing_tier(&other).await?;
    tx.commit().await?;
    let tiers = s.read().await?.tiers().await?;
    assert_eq!(tiers, [basic, own, pro, max]);
    Ok(())
}
