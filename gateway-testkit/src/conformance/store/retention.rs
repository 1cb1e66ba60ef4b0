//! What has grown old is forgotten in bounded steps, and what still runs is not.

use std::time::Duration;

use gateway_core::audit::{AuditEntry, action, object};
use gateway_core::event::{EventFilter, Sequenced, sequence};
use gateway_core::id::{Epoch, TokenFamilyId};
use gateway_core::identity::{Actor, Login, RefreshToken};
use gateway_core::retention::AgedRows;
use gateway_core::session::Placement;
use gateway_core::time::Timestamp;
use gateway_core::worker::Death;
use serde_json::json;

use super::StoreUnderTest;
use crate::conformance::fixture::{
    a_card, a_login, a_refresh_token, a_user, an_event, owner, session_id, tenant_id,
};
use crate::conformance::{Failure, Verdict, cases};
use crate::entropy::SeededEntropy;

cases!(StoreUnderTest, "retention":
    events_are_forgotten_from_the_oldest_on,
    logins_and_their_tokens_are_forgotten_after_their_end,
    audit_entries_are_forgotten,
    counts_of_requests_are_forgotten_by_their_hour,
    leases_are_forgotten_once_they_are_fenced,
    the_lease_of_a_workers_present_incarnation_is_kept,
    placements_are_forgotten_once_they_have_ended,
    notes_of_deletions_are_forgotten,
    tenants_come_in_pages_in_the_order_of_their_ids,
);

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Returns a time long after everything that a case does.
async fn far(s: &StoreUnderTest) -> Result<Timestamp, Failure> {
    Ok(s.now().await?.plus(2 * DAY))
}

async fn delete(
    s: &StoreUnderTest,
    rows: AgedRows,
    before: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    let mut tx = s.begin().await?;
    let deleted = tx.delete_aged(rows, before, limit).await?;
    tx.commit().await?;
    Ok(deleted)
}

/// Checks that `count` rows are deleted, no young one among them, and no more at once than asked for.
async fn forgets(s: &StoreUnderTest, rows: AgedRows, count: u64) -> Verdict {
    let (now, far) = (s.now().await?, far(s).await?);
    assert_eq!(delete(s, rows, now.minus(DAY), 100).await?, 0, "too young");
    assert_eq!(delete(s, rows, far, 1).await?, 1, "as many as it may");
    assert_eq!(delete(s, rows, far, 100).await?, count - 1);
    assert_eq!(delete(s, rows, far, 100).await?, 0);
    Ok(())
}

async fn events_are_forgotten_from_the_oldest_on(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    s.sessions(&[a_card(tenant_id(1), 1, now)]).await?;
    let mut tx = s.begin().await?;
    let events = [1, 2, 3].map(|index| an_event(tenant_id(1), session_id(1), index));
    tx.append_events(&events).await?;
    tx.commit().await?;
    let published = sequence(&*s.store, 0, 100).await?;
    let Sequenced::Published { count, .. } = published else {
        return Err(Failure::new("nobody else holds the shard"));
    };
    assert_eq!(delete(s, AgedRows::Events, far(s).await?, 1).await?, 1);
    let (mut tx, filter) = (s.read().await?, EventFilter::default());
    let left = tx.events(tenant_id(1), &filter, 0, 10).await?;
    let first = left.first().map(|event| event.position);
    assert_eq!(first, Some(2), "the first one is gone");
    forgets(s, AgedRows::Events, count as u64 - 1).await
}

async fn logins_and_their_tokens_are_forgotten_after_their_end(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let mut tx = s.begin().await?;
    tx.insert_user(&a_user(tenant_id(1), 1, now)).await?;
    for (hash, life) in [(1, DAY / 2), (2, DAY), (3, 30 * DAY)] {
        let expires_at = now.plus(life);
        tx.insert_login(&Login {
            expires_at,
            ..a_login(1, u128::from(hash), now)
        })
        .await?;
        tx.insert_refresh(&RefreshToken {
            expires_at,
            ..a_refresh_token(1, u128::from(hash), hash, now)
        })
        .await?;
    }
    tx.commit().await?;
    forgets(s, AgedRows::RefreshTokens, 2).await?;
    forgets(s, AgedRows::Logins, 2).await?;
    let mut tx = s.read().await?;
    let lasting = TokenFamilyId::from_u128(3);
    assert!(tx.login_is_live(tenant_id(1), lasting).await?);
    Ok(())
}

async fn audit_entries_are_forgotten(s: &StoreUnderTest) -> Verdict {
    let (now, entropy) = (s.now().await?, SeededEntropy::new(1));
    let mut tx = s.begin().await?;
    for whom in ["w1", "w2"] {
        let object = (object::WORKER, &whom as &dyn ToString);
        let by = Actor::operator();
        let entry = AuditEntry::new(now, &entropy, &by, action::WORKER_ADDED, object);
        tx.append_audit(&entry).await?;
    }
    tx.commit().await?;
    forgets(s, AgedRows::Audit, 2).await
}

async fn counts_of_requests_are_forgotten_by_their_hour(s: &StoreUnderTest) -> Verdict {
    s.tenants(2).await?;
    for tenant in [1, 2] {
        let mut tx = s.begin().await?;
        tx.draw_quota(tenant_id(tenant), 100, 1, false).await?;
        tx.commit().await?;
    }
    forgets(s, AgedRows::QuotaHours, 2).await
}

async fn leases_are_forgotten_once_they_are_fenced(s: &StoreUnderTest) -> Verdict {
    let alive = s.worker("alive", 5).await?;
    for name in ["one", "two"] {
        let dead = s.worker(name, 5).await?;
        let mut tx = s.begin().await?;
        assert!(tx.fence_lease(&Death::process_gone(dead)).await?);
        tx.commit().await?;
        s.restart_worker(name, 2).await?;
    }
    forgets(s, AgedRows::Leases, 2).await?;
    let open = s.read().await?.open_leases().await?;
    let owners: Vec<_> = open.into_iter().map(|lease| lease.owner).collect();
    assert_eq!(owners, [alive, owner("one", 2), owner("two", 2)]);
    Ok(())
}

async fn the_lease_of_a_workers_present_incarnation_is_kept(s: &StoreUnderTest) -> Verdict {
    let dead = s.worker("dead", 5).await?;
    let mut tx = s.begin().await?;
    assert!(tx.fence_lease(&Death::process_gone(dead.clone())).await?);
    tx.commit().await?;
    assert_eq!(delete(s, AgedRows::Leases, far(s).await?, 100).await?, 0);
    let kept = s.read().await?.lease(&dead).await?;
    assert!(kept.is_some_and(|lease| lease.fenced_at.is_some()));
    s.restart_worker("dead", 2).await?;
    assert_eq!(delete(s, AgedRows::Leases, far(s).await?, 100).await?, 1);
    Ok(())
}

async fn placements_are_forgotten_once_they_have_ended(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    s.worker("w", 5).await?;
    s.sessions(&[a_card(tenant_id(1), 1, now)]).await?;
    let mut tx = s.begin().await?;
    for epoch in [1, 2, 3] {
        tx.insert_placement(&Placement {
            session: session_id(1),
            tenant: tenant_id(1),
            epoch: Epoch(epoch),
            owner: owner("w", 1),
            why: "connect".into(),
            explanation: json!({}),
            placed_at: now.minus(200 * DAY),
            ended: None,
        })
        .await?;
    }
    let ended = [(session_id(1), Epoch(1)), (session_id(1), Epoch(2))];
    tx.end_placements(&ended, now, "moved").await?;
    tx.commit().await?;
    forgets(s, AgedRows::Placements, 2).await?;
    let left = s.read().await?.placement(session_id(1), Epoch(3)).await?;
    assert!(left.is_some(), "it has not ended");
    Ok(())
}

async fn notes_of_deletions_are_forgotten(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let cards = [1, 2].map(|n| a_card(tenant_id(1), n, now));
    s.sessions(&cards).await?;
    let mut tx = s.begin().await?;
    for card in &cards {
        tx.delete_session(card.id, card.version).await?;
    }
    tx.commit().await?;
    forgets(s, AgedRows::Deletions, 2).await?;
    let changes = s.read().await?.changes_since(now.minus(DAY)).await?;
    assert_eq!(changes.deleted, []);
    assert_eq!(changes.tenants.len(), 1, "what is there is no note");
    Ok(())
}

async fn tenants_come_in_pages_in_the_order_of_their_ids(s: &StoreUnderTest) -> Verdict {
    s.tenants(3).await?;
    let mut tx = s.read().await?;
    let first = tx.tenants_after(None, 2).await?;
    assert_eq!(first, [tenant_id(1), tenant_id(2)]);
    let second = tx.tenants_after(Some(tenant_id(2)), 2).await?;
    assert_eq!(second, [tenant_id(3)]);
    Ok(())
}
