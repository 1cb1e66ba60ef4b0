//! Requests per hour: granted in chunks, never over the limit.
//!
//! The hour may turn while a case runs, so what is granted is added up per hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::store::{PlatformStore, StoreError, retry_conflicts};
use gateway_core::tenant::{Drawn, quota};
use gateway_core::time::Timestamp;

use super::StoreUnderTest;
use crate::conformance::fixture::{CROWD, at_once, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "quota":
    chunks_are_those_of_the_rule_until_nothing_is_left,
    the_next_hour_is_counted_apart,
    tenants_are_counted_apart,
    a_raised_limit_grants_more_and_a_lowered_one_nothing,
    what_is_given_back_can_be_granted_again,
    more_than_was_granted_cannot_be_given_back,
    concurrent_draws_never_exceed_the_limit,
    a_new_hour_begins_with_nothing_granted [MovableClock],
);

const HOUR: Duration = Duration::from_secs(3_600);

async fn draw(
    store: &dyn PlatformStore,
    tenant: u128,
    limit: u64,
    next: bool,
) -> Result<Drawn, StoreError> {
    let mut tx = store.begin_platform().await?;
    let drawn = tx.draw_quota(tenant_id(tenant), limit, 2, next).await?;
    tx.commit().await?;
    Ok(drawn)
}

/// Draws until nothing is granted, and returns what each hour gave.
async fn drain(
    store: &dyn PlatformStore,
    tenant: u128,
    limit: u64,
    next: bool,
) -> Result<BTreeMap<Timestamp, u64>, StoreError> {
    let mut hours = BTreeMap::new();
    loop {
        let drawn = retry_conflicts(1_000, || draw(store, tenant, limit, next)).await?;
        *hours.entry(drawn.hour).or_insert(0) += drawn.granted;
        if drawn.granted == 0 {
            return Ok(hours);
        }
    }
}

fn last(hours: &BTreeMap<Timestamp, u64>) -> (Timestamp, u64) {
    hours
        .last_key_value()
        .map_or_else(Default::default, |(hour, granted)| (*hour, *granted))
}

async fn chunks_are_those_of_the_rule_until_nothing_is_left(s: &StoreUnderTest) -> Verdict {
    s.tenants(1).await?;
    let mut granted: BTreeMap<Timestamp, u64> = BTreeMap::new();
    loop {
        let drawn = draw(&*s.store, 1, 1_000, false).await?;
        assert_eq!(drawn.hour, drawn.now.start_of_hour());
        let total = granted.entry(drawn.hour).or_default();
        assert_eq!(
            drawn.granted,
            quota::chunk(1_000 - *total, 2),
            "after {total}"
        );
        *total += drawn.granted;
        assert_eq!(drawn.total, *total);
        if drawn.granted == 0 {
            assert_eq!(*total, 1_000);
            return Ok(());
        }
    }
}

async fn the_next_hour_is_counted_apart(s: &StoreUnderTest) -> Verdict {
    s.tenants(1).await?;
    let here = last(&drain(&*s.store, 1, 20, false).await?);
    let ahead = draw(&*s.store, 1, 20, true).await?;
    assert_eq!(ahead.hour, ahead.now.start_of_hour().plus(HOUR));
    if here.0 == ahead.now.start_of_hour() {
        assert_eq!((ahead.granted, ahead.total), (1, 1));
    }
    assert_eq!(last(&drain(&*s.store, 1, 20, true).await?).1, 19);
    Ok(())
}

async fn tenants_are_counted_apart(s: &StoreUnderTest) -> Verdict {
    s.tenants(2).await?;
    assert_eq!(last(&drain(&*s.store, 1, 10, false).await?).1, 10);
    assert_eq!(last(&drain(&*s.store, 2, 10, false).await?).1, 10);
    Ok(())
}

async fn a_raised_limit_grants_more_and_a_lowered_one_nothing(s: &StoreUnderTest) -> Verdict {
    s.tenants(1).await?;
    let mut granted = drain(&*s.store, 1, 10, true).await?;
    for limit in [5, 30] {
        for (hour, more) in drain(&*s.store, 1, limit, true).await? {
            *granted.entry(hour).or_insert(0) += more;
        }
        if granted.len() == 1 {
            assert_eq!(last(&granted).1, limit.max(10), "limit {limit}");
        }
    }
    assert!(granted.values().all(|granted| *granted <= 30));
    Ok(())
}

async fn give_back(s: &StoreUnderTest, hour: Timestamp, unused: u64) -> Result<(), Failure> {
    let mut tx = s.begin().await?;
    tx.return_quota(tenant_id(1), hour, unused).await?;
    Ok(tx.commit().await?)
}

async fn what_is_given_back_can_be_granted_again(s: &StoreUnderTest) -> Verdict {
    s.tenants(1).await?;
    let (hour, granted) = last(&drain(&*s.store, 1, 40, true).await?);
    assert_eq!(granted, 40);
    give_back(s, hour, 7).await?;
    let again = drain(&*s.store, 1, 40, true).await?;
    assert_eq!(again.get(&hour).copied().unwrap_or(7), 7);
    // An hour that nobody drew from takes nothing back.
    give_back(s, hour.plus(48 * HOUR), 7).await?;
    Ok(())
}

async fn more_than_was_granted_cannot_be_given_back(s: &StoreUnderTest) -> Verdict {
    s.tenants(1).await?;
    let (hour, _) = last(&drain(&*s.store, 1, 40, true).await?);
    give_back(s, hour, 1 << 40).await?;
    let again = drain(&*s.store, 1, 40, true).await?;
    assert_eq!(last(&again).1, 40);
    Ok(())
}

async fn concurrent_draws_never_exceed_the_limit(s: &StoreUnderTest) -> Verdict {
    s.tenants(1).await?;
    let results = at_once(CROWD, |_| {
        let store = Arc::clone(&s.store);
        async move { drain(&*store, 1, 97, false).await }
    })
    .await;
    let mut hours: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for result in results {
        for (hour, granted) in result? {
            *hours.entry(hour).or_default() += granted;
        }
    }
    assert!(hours.values().all(|granted| *granted <= 97), "{hours:?}");
    assert_eq!(last(&hours).1, 97);
    Ok(())
}

async fn a_new_hour_begins_with_nothing_granted(s: &StoreUnderTest) -> Verdict {
    s.tenants(1).await?;
    let (hour, _) = last(&drain(&*s.store, 1, 10, false).await?);
    if let Some(clock) = &s.clock {
        clock.advance(HOUR);
    }
    let drawn = draw(&*s.store, 1, 10, false).await?;
    assert!(drawn.hour > hour);
    assert_eq!((drawn.granted, drawn.total), (1, 1));
    Ok(())
}
