//! The audit log: appended with the change, read from the newest on.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use gateway_core::audit::{AuditEntry, AuditFilter, action, object};
use gateway_core::entropy::Entropy;
use gateway_core::id::{TenantId, UserId};
use gateway_core::identity::{Actor, Origin};
use gateway_core::time::Timestamp;

use super::StoreUnderTest;
use crate::conformance::fixture::tenant_id;
use crate::conformance::{Failure, Verdict, cases};
use crate::entropy::SeededEntropy;

cases!(StoreUnderTest, "audit":
    an_entry_is_kept_as_it_is,
    an_entry_goes_with_its_transaction,
    entries_come_in_pages_from_the_newest_on,
    a_filter_restricts_tenant_action_and_time,
);

fn somebody() -> Actor {
    let origin = Origin {
        address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        request_id: Some("req-1".to_owned()),
    };
    Actor::user(tenant_id(1), UserId::from_u128(7), origin)
}

/// An entry about a user, `seconds` after `now`.
fn an_entry(
    entropy: &dyn Entropy,
    now: Timestamp,
    seconds: u64,
    tenant: TenantId,
    what: &'static str,
) -> AuditEntry {
    let at = now.plus(Duration::from_secs(seconds));
    let whom = (object::USER, &"usr_1" as &dyn ToString);
    AuditEntry::new(at, entropy, &somebody(), what, whom).of(tenant)
}

async fn append(s: &StoreUnderTest, entries: &[AuditEntry]) -> Result<(), Failure> {
    let mut tx = s.begin().await?;
    for entry in entries {
        tx.append_audit(entry).await?;
    }
    Ok(tx.commit().await?)
}

async fn all(s: &StoreUnderTest, filter: &AuditFilter) -> Result<Vec<AuditEntry>, Failure> {
    Ok(s.read().await?.audit(filter, None, 100).await?)
}

async fn an_entry_is_kept_as_it_is(s: &StoreUnderTest) -> Verdict {
    let (now, entropy) = (s.now().await?, SeededEntropy::new(1));
    let full = an_entry(&entropy, now, 1, tenant_id(1), action::USER_UPDATED)
        .changed("name", &"Größe ☃", &"other")
        .changed_secret("password");
    let whom = (object::WORKER, &"w1" as &dyn ToString);
    let bare = AuditEntry::new(
        now,
        &entropy,
        &Actor::operator(),
        action::WORKER_ADDED,
        whom,
    );
    append(s, &[full.clone(), bare.clone()]).await?;
    assert_eq!(all(s, &AuditFilter::default()).await?, [full, bare]);
    Ok(())
}

async fn an_entry_goes_with_its_transaction(s: &StoreUnderTest) -> Verdict {
    let (now, entropy) = (s.now().await?, SeededEntropy::new(1));
    let entry = an_entry(&entropy, now, 0, tenant_id(1), action::LOGIN_OPENED);
    let mut tx = s.begin().await?;
    tx.append_audit(&entry).await?;
    drop(tx);
    assert_eq!(all(s, &AuditFilter::default()).await?, []);
    Ok(())
}

async fn entries_come_in_pages_from_the_newest_on(s: &StoreUnderTest) -> Verdict {
    let (now, entropy) = (s.now().await?, SeededEntropy::new(1));
    let entry = |second| an_entry(&entropy, now, second, tenant_id(1), action::LOGIN_OPENED);
    let entries: Vec<_> = (1..=5).map(entry).collect();
    append(s, &entries).await?;
    let mut tx = s.read().await?;
    let any = AuditFilter::default();
    let first = tx.audit(&any, None, 2).await?;
    assert_eq!(first, [entries[4].clone(), entries[3].clone()]);
    let rest = tx.audit(&any, Some(first[1].id), 9).await?;
    let expected: Vec<_> = entries[..3].iter().rev().cloned().collect();
    assert_eq!(rest, expected);
    Ok(())
}

async fn a_filter_restricts_tenant_action_and_time(s: &StoreUnderTest) -> Verdict {
    let (now, entropy) = (s.now().await?, SeededEntropy::new(1));
    let entry = |second, tenant, what| an_entry(&entropy, now, second, tenant_id(tenant), what);
    let opened = entry(1, 1, action::LOGIN_OPENED);
    let ended = entry(2, 1, action::LOGIN_ENDED);
    let theirs = entry(3, 2, action::LOGIN_ENDED);
    append(s, &[opened.clone(), ended.clone(), theirs.clone()]).await?;
    let tenant = Some(tenant_id(1));
    let action = Some(action::LOGIN_ENDED.to_owned());
    let (since, until) = (Some(ended.at), Some(theirs.at));
    let none = AuditFilter::default;
    let cases = [
        (AuditFilter { tenant, ..none() }, vec![&ended, &opened]),
        (
            AuditFilter {
                action: action.clone(),
                ..none()
            },
            vec![&theirs, &ended],
        ),
        (
            AuditFilter {
                tenant,
                action,
                ..none()
            },
            vec![&ended],
        ),
        (AuditFilter { since, ..none() }, vec![&theirs, &ended]),
        (AuditFilter { until, ..none() }, vec![&ended, &opened]),
        (
            AuditFilter {
                tenant,
                since,
                until,
                action: None,
            },
            vec![&ended],
        ),
    ];
    for (filter, expected) in cases {
        let found = all(s, &filter).await?;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }
    Ok(())
}
