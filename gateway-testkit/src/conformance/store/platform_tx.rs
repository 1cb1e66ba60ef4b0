//! What the platform's transactions add to READ COMMITTED: the rows of tenants, and that both traits lead to the
//! same store.

use gateway_core::tenant::Tier;

use super::StoreUnderTest;
use crate::conformance::fixture::{
    a_login, a_tenant, a_user, a_worker, an_event, session_id, tenant_id, worker_id,
};
use crate::conformance::{Verdict, cases};

cases!(StoreUnderTest, "platform_tx":
    a_dropped_transaction_leaves_no_tenant_and_no_event,
    a_tenant_that_is_written_on_a_reader_is_not_kept,
    a_quota_that_is_drawn_on_a_reader_is_not_spent,
    a_write_on_a_reader_is_refused,
    a_lock_on_a_reader_is_refused,
    the_embedders_transaction_is_the_same_store,
    the_embedders_reader_is_the_same_store_and_waits_for_nobody,
);

async fn a_dropped_transaction_leaves_no_tenant_and_no_event(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let mut tx = s.begin().await?;
    tx.insert_tenant(&a_tenant(2, now)).await?;
    tx.append_events(&[an_event(tenant_id(1), session_id(1), 0)])
        .await?;
    drop(tx);

    let mut tx = s.begin().await?;
    assert_eq!(tx.tenant(tenant_id(2)).await?, None);
    assert_eq!(tx.outbox(10).await?, []);
    Ok(())
}

async fn a_tenant_that_is_written_on_a_reader_is_not_kept(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let mut reader = s.read().await?;
    // Whether it is refused at once or rolled back later is the store's choice.
    let _ = reader.insert_tenant(&a_tenant(2, now)).await;
    drop(reader);
    assert_eq!(s.begin().await?.tenant(tenant_id(2)).await?, None);
    Ok(())
}

/// Writes that return rows look like reads to a store that tells the two apart by whether rows come back.
async fn a_quota_that_is_drawn_on_a_reader_is_not_spent(s: &StoreUnderTest) -> Verdict {
    s.tenants(1).await?;
    let mut reader = s.read().await?;
    let _ = reader.draw_quota(tenant_id(1), 1, 1, true).await;
    drop(reader);
    let mut tx = s.begin().await?;
    let drawn = tx.draw_quota(tenant_id(1), 1, 1, true).await?;
    assert_eq!(drawn.granted, 1);
    Ok(())
}

async fn a_write_on_a_reader_is_refused(s: &StoreUnderTest) -> Verdict {
    let mut reader = s.read().await?;
    for tier in Tier::defaults() {
        assert!(reader.put_tier(&tier).await.is_err());
    }
    drop(reader);
    assert_eq!(s.read().await?.tiers().await?, []);
    Ok(())
}

/// Its lock would end with the statement, and protect nothing.
async fn a_lock_on_a_reader_is_refused(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let user = a_user(tenant_id(1), 1, now);
    let login = a_login(1, 1, now);
    let mut tx = s.begin().await?;
    tx.insert_user(&user).await?;
    tx.insert_login(&login).await?;
    tx.commit().await?;
    let mut reader = s.read().await?;
    assert!(reader.tenant_for_grant(tenant_id(1)).await.is_err());
    assert!(reader.lock_user(user.tenant, user.id).await.is_err());
    let login = reader.login_for_grant(tenant_id(1), login.id);
    assert!(login.await.is_err());
    Ok(())
}

async fn the_embedders_transaction_is_the_same_store(s: &StoreUnderTest) -> Verdict {
    let mut tx = s.store.begin().await?;
    let now = tx.now().await?;
    tx.insert_worker(&a_worker("w", 3, now)).await?;
    tx.commit().await?;
    let worker = s.read().await?.worker(&worker_id("w")).await?;
    assert_eq!(worker, Some(a_worker("w", 3, now)));
    Ok(())
}

async fn the_embedders_reader_is_the_same_store_and_waits_for_nobody(
    s: &StoreUnderTest,
) -> Verdict {
    let held = s.worker("w", 3).await?;
    let mut writer = s.begin().await?;
    assert!(writer.reserve_slot(&held).await?);

    let mut reader = s.store.read().await?;
    let before = reader.worker(&held.worker).await?;
    assert_eq!(before.map(|worker| worker.assigned), Some(0));
    assert!(reader.release_slots(&held.worker, 1).await.is_err());
    drop(reader);
    writer.commit().await?;
    let after = s.store.read().await?.worker(&held.worker).await?;
    assert_eq!(after.map(|worker| worker.assigned), Some(1));
    Ok(())
}
