//! The rows of leases: who is renewed, and who is fenced, once.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::session::Owner;
use gateway_core::store::{StoreError, Unique};
use gateway_core::time::Timestamp;
use gateway_core::worker::{Death, HeldRow, Lease, Renewed, WorkerReport, WorkerStatus};

use super::{OrchestrationUnderTest, orchestration_cases};
use crate::conformance::Verdict;
use crate::conformance::fixture::{CROWD, LEASE, a_worker, at_once, every_phase, owner, tenant_id};

orchestration_cases!("lease":
    a_lease_is_kept_as_it_is,
    an_incarnation_is_never_used_again,
    open_leases_are_in_order_and_not_fenced,
    a_renewal_counts_and_keeps_the_report,
    a_renewal_lasts_as_long_as_it_was_granted,
    a_renewal_keeps_an_earlier_one_that_runs_for_longer,
    a_renewal_is_for_the_newest_incarnation_only,
    a_disowned_lease_is_not_renewed,
    a_fenced_lease_is_not_renewed,
    an_incarnation_is_fenced_once,
    fencing_an_old_incarnation_leaves_the_new_one_alone,
    one_of_many_concurrent_fences_does_it,
    no_renewal_succeeds_after_the_fence,
    a_renewal_in_one_exchange_says_what_is_held,
    a_renewal_in_one_exchange_is_for_whom_any_other_is,
    no_renewal_in_one_exchange_succeeds_after_the_fence,
);

fn report() -> WorkerReport {
    WorkerReport {
        cpu: Some(0.25),
        memory: Some(0.125),
        uptime_seconds: Some(86_400),
        total: Some(4),
        connected: Some(3),
        disconnected: Some(1),
        qr_required: Some(0),
        error: None,
        applied_seq: Some(u64::from(u32::MAX) + 1),
        persist_ok: Some(false),
    }
}

async fn lease(s: &OrchestrationUnderTest, owner: &Owner) -> Result<Option<Lease>, StoreError> {
    s.read().await?.lease(owner).await
}

async fn a_lease_is_kept_as_it_is(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.now().await?;
    let earlier = now.minus(Duration::from_micros(1_234_567));
    let stored = Lease {
        renewals: 7,
        granted_at: earlier,
        report: report(),
        ..Lease::new(owner("w", 1), LEASE, now)
    };
    let mut tx = s.begin().await?;
    tx.insert_worker(&a_worker("w", 1, now)).await?;
    tx.insert_lease(&stored).await?;
    tx.commit().await?;
    assert_eq!(lease(s, &owner("w", 1)).await?, Some(stored));
    assert_eq!(lease(s, &owner("w", 2)).await?, None);
    Ok(())
}

async fn an_incarnation_is_never_used_again(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    s.restart_worker("w", 2).await?;
    for fenced in [false, true] {
        let mut tx = s.begin().await?;
        let again = tx
            .insert_lease(&Lease::new(held.clone(), LEASE, Timestamp::default()))
            .await;
        assert!(
            matches!(again, Err(StoreError::Duplicate(Unique::Incarnation))),
            "{fenced}: {again:?}"
        );
        drop(tx);
        let mut tx = s.begin().await?;
        tx.fence_lease(&Death::process_gone(held.clone())).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn open_leases_are_in_order_and_not_fenced(s: &OrchestrationUnderTest) -> Verdict {
    let b = s.worker("b", 1).await?;
    let b2 = s.restart_worker("b", 2).await?;
    let a = s.worker("a", 1).await?;
    let c = s.worker("c", 1).await?;
    let mut tx = s.begin().await?;
    tx.disown_lease(&b2).await?;
    tx.fence_lease(&Death::process_gone(c)).await?;
    tx.commit().await?;
    let open = s.read().await?.open_leases().await?;
    let owners: Vec<_> = open.into_iter().map(|lease| lease.owner).collect();
    assert_eq!(owners, [a, b, b2], "a disowned lease still runs");
    Ok(())
}

async fn a_renewal_counts_and_keeps_the_report(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    for count in 1..=3 {
        let mut tx = s.begin().await?;
        assert_eq!(tx.renew_lease(&held, LEASE, &report()).await?, Some(count));
        tx.commit().await?;
    }
    let before = lease(s, &held).await?;
    assert_eq!(before.as_ref().map(|lease| lease.renewals), Some(3));
    assert_eq!(before.as_ref().map(|lease| &lease.report), Some(&report()));
    assert!(before.is_some_and(|lease| lease.renewed_at >= lease.granted_at));

    let mut tx = s.begin().await?;
    assert_eq!(
        tx.renew_lease(&owner("nobody", 1), LEASE, &report())
            .await?,
        None
    );
    Ok(())
}

/// Renews in a transaction, or in one exchange.
async fn renew_for(
    s: &OrchestrationUnderTest,
    held: &Owner,
    lasts: Duration,
    at_once: bool,
) -> Verdict {
    if at_once {
        assert!(s.store.renew(held, lasts, &report()).await?.is_some());
        return Ok(());
    }
    let mut tx = s.begin().await?;
    assert!(tx.renew_lease(held, lasts, &report()).await?.is_some());
    Ok(tx.commit().await?)
}

async fn lasts(s: &OrchestrationUnderTest, held: &Owner) -> Result<Option<Duration>, StoreError> {
    Ok(lease(s, held).await?.map(|lease| lease.lasts))
}

async fn a_renewal_lasts_as_long_as_it_was_granted(s: &OrchestrationUnderTest) -> Verdict {
    for at_once in [false, true] {
        let held = s.worker(if at_once { "v" } else { "w" }, 1).await?;
        for granted in [LEASE, LEASE * 3, LEASE * 3 + Duration::from_micros(1)] {
            renew_for(s, &held, granted, at_once).await?;
            assert_eq!(lasts(s, &held).await?, Some(granted));
        }
    }
    Ok(())
}

async fn a_renewal_keeps_an_earlier_one_that_runs_for_longer(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.now().await?;
    // Of the minute that was granted so many seconds ago, so many are left, or fewer than the next one gives.
    let cases = [("u", 10, Some(50)), ("v", 59, None), ("w", 1_000_000, None)];
    for (name, ago, left) in cases {
        for at_once in [false, true] {
            let name = format!("{name}-{at_once}");
            let granted_at = now.minus(Duration::from_secs(ago));
            let granted = Lease::new(owner(&name, 1), Duration::from_secs(60), granted_at);
            let mut tx = s.begin().await?;
            tx.insert_worker(&a_worker(&name, 1, now)).await?;
            tx.insert_lease(&granted).await?;
            tx.commit().await?;
            renew_for(s, &granted.owner, LEASE, at_once).await?;
            let lasts = lasts(s, &granted.owner).await?;
            let most = left.map_or(LEASE, Duration::from_secs);
            let least = left.map_or(LEASE, |left| Duration::from_secs(left / 2));
            assert!(
                (Some(least)..=Some(most)).contains(&lasts),
                "{ago} s ago: {lasts:?}"
            );
        }
    }
    Ok(())
}

async fn a_renewal_is_for_the_newest_incarnation_only(s: &OrchestrationUnderTest) -> Verdict {
    let old = s.worker("w", 1).await?;
    let newest = s.restart_worker("w", 2).await?;
    let mut tx = s.begin().await?;
    assert_eq!(tx.renew_lease(&old, LEASE, &report()).await?, None);
    assert_eq!(tx.renew_lease(&newest, LEASE, &report()).await?, Some(1));
    tx.commit().await?;
    let old = lease(s, &old).await?;
    assert_eq!(old.as_ref().map(|lease| lease.renewals), Some(0));
    assert_eq!(old.map(|lease| lease.report), Some(WorkerReport::default()));
    Ok(())
}

async fn a_disowned_lease_is_not_renewed(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    let mut tx = s.begin().await?;
    tx.disown_lease(&held).await?;
    tx.disown_lease(&owner("nobody", 1)).await?;
    assert_eq!(tx.renew_lease(&held, LEASE, &report()).await?, None);
    tx.commit().await?;
    let stored = lease(s, &held).await?;
    assert_eq!(
        stored.map(|lease| (lease.disowned, lease.renewals)),
        Some((true, 0))
    );
    Ok(())
}

async fn a_fenced_lease_is_not_renewed(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    let mut tx = s.begin().await?;
    assert!(tx.fence_lease(&Death::process_gone(held.clone())).await?);
    assert_eq!(tx.renew_lease(&held, LEASE, &report()).await?, None);
    tx.commit().await?;
    let mut tx = s.begin().await?;
    assert_eq!(tx.renew_lease(&held, LEASE, &report()).await?, None);
    Ok(())
}

async fn an_incarnation_is_fenced_once(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    let death = Death::process_gone(held.clone());
    let mut tx = s.begin().await?;
    assert!(tx.fence_lease(&death).await?);
    tx.commit().await?;
    let first = lease(s, &held).await?.and_then(|lease| lease.fenced_at);
    assert!(first.is_some());

    let mut tx = s.begin().await?;
    assert!(!tx.fence_lease(&death).await?);
    assert!(
        !tx.fence_lease(&Death::process_gone(owner("nobody", 1)))
            .await?
    );
    tx.commit().await?;
    assert_eq!(
        lease(s, &held).await?.and_then(|lease| lease.fenced_at),
        first
    );
    Ok(())
}

async fn fencing_an_old_incarnation_leaves_the_new_one_alone(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let old = s.worker("w", 1).await?;
    let newest = s.restart_worker("w", 2).await?;
    let mut tx = s.begin().await?;
    assert!(tx.fence_lease(&Death::process_gone(old)).await?);
    assert_eq!(tx.renew_lease(&newest, LEASE, &report()).await?, Some(1));
    tx.commit().await?;
    assert_eq!(
        lease(s, &newest).await?.and_then(|lease| lease.fenced_at),
        None
    );
    Ok(())
}

async fn one_of_many_concurrent_fences_does_it(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    let results = at_once(CROWD, |_| {
        let (store, death) = (Arc::clone(&s.store), Death::process_gone(held.clone()));
        async move {
            let mut tx = store.begin().await?;
            let fenced = tx.fence_lease(&death).await?;
            tx.commit().await?;
            Ok::<bool, StoreError>(fenced)
        }
    })
    .await;
    let mut fenced = 0;
    for result in results {
        fenced += u32::from(result?);
    }
    assert_eq!(fenced, 1);
    Ok(())
}

async fn a_renewal_in_one_exchange_says_what_is_held(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let (held, idle) = (s.worker("w", 9).await?, s.worker("v", 9).await?);
    let rows = every_phase(tenant_id(1), &held, now);
    s.sessions(&rows).await?;
    let mut tx = s.begin().await?;
    assert!(tx.reserve_slot(&held).await?);
    let shifted = tx.shift_worker(&idle.worker, WorkerStatus::Active, WorkerStatus::Suspect);
    assert!(shifted.await?);
    tx.commit().await?;

    let renewed = s.store.renew(&held, LEASE, &report()).await?;
    let holds: Vec<HeldRow> = rows.iter().filter_map(HeldRow::of).collect();
    assert!(holds.len() > 10, "an owner's phases and what they carry");
    assert_eq!(
        renewed,
        Some(Renewed {
            status: WorkerStatus::Active,
            room: 8,
            holds,
        })
    );
    let stored = lease(s, &held).await?;
    assert_eq!(
        stored.map(|lease| (lease.renewals, lease.report)),
        Some((1, report()))
    );
    let renewed = s.store.renew(&idle, LEASE, &report()).await?;
    assert_eq!(
        renewed,
        Some(Renewed {
            status: WorkerStatus::Suspect,
            room: 9,
            holds: vec![],
        })
    );
    Ok(())
}

async fn a_renewal_in_one_exchange_is_for_whom_any_other_is(s: &OrchestrationUnderTest) -> Verdict {
    let (old, fenced) = (s.worker("w", 1).await?, s.worker("v", 1).await?);
    let newest = s.restart_worker("w", 2).await?;
    let disowned = s.worker("u", 1).await?;
    let mut tx = s.begin().await?;
    tx.fence_lease(&Death::process_gone(fenced.clone())).await?;
    tx.disown_lease(&disowned).await?;
    tx.commit().await?;
    for refused in [old, fenced, disowned, owner("nobody", 1)] {
        assert_eq!(s.store.renew(&refused, LEASE, &report()).await?, None);
        let stored = lease(s, &refused).await?;
        assert!(stored.is_none_or(|lease| lease.renewals == 0));
    }
    assert!(s.store.renew(&newest, LEASE, &report()).await?.is_some());
    Ok(())
}

async fn no_renewal_in_one_exchange_succeeds_after_the_fence(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let held = s.worker("w", 1).await?;
    let results = at_once(CROWD, |index| {
        let (store, held) = (Arc::clone(&s.store), held.clone());
        async move {
            if index != CROWD / 2 {
                let renewed = store.renew(&held, LEASE, &WorkerReport::default()).await?;
                return Ok::<u64, StoreError>(u64::from(renewed.is_some()));
            }
            let mut tx = store.begin().await?;
            tx.fence_lease(&Death::process_gone(held)).await?;
            tx.commit().await?;
            Ok(0)
        }
    })
    .await;
    let mut granted = 0;
    for result in results {
        granted += result?;
    }
    let stored = lease(s, &held).await?;
    assert_eq!(stored.as_ref().map(|lease| lease.renewals), Some(granted));
    assert!(stored.is_some_and(|lease| lease.fenced_at.is_some()));
    assert_eq!(s.store.renew(&held, LEASE, &report()).await?, None);
    Ok(())
}

async fn no_renewal_succeeds_after_the_fence(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 1).await?;
    let results = at_once(CROWD, |index| {
        let (store, held) = (Arc::clone(&s.store), held.clone());
        async move {
            let mut tx = store.begin().await?;
            let counted = if index == CROWD / 2 {
                tx.fence_lease(&Death::process_gone(held)).await?;
                0
            } else {
                let renewed = tx
                    .renew_lease(&held, LEASE, &WorkerReport::default())
                    .await?;
                u64::from(renewed.is_some())
            };
            tx.commit().await?;
            Ok::<u64, StoreError>(counted)
        }
    })
    .await;
    let mut granted = 0;
    for result in results {
        granted += result?;
    }
    // Whoever was told "granted" is in the count: no renewal was lost, none came after the fence.
    let stored = lease(s, &held).await?;
    assert_eq!(stored.as_ref().map(|lease| lease.renewals), Some(granted));
    assert!(stored.is_some_and(|lease| lease.fenced_at.is_some()));
    Ok(())
}
