//! The history of assignments: kept as it was made, ended once.

use std::time::Duration;

use gateway_core::id::Epoch;
use gateway_core::session::Placement;
use gateway_core::store::{StoreError, Unique};
use gateway_core::time::Timestamp;
use serde_json::json;

use super::{OrchestrationUnderTest, orchestration_cases};
use crate::conformance::Verdict;
use crate::conformance::fixture::{a_card, owner, session_id, tenant_id};

orchestration_cases!("placement":
    an_assignment_is_kept_as_it_is,
    an_epoch_is_given_once,
    an_end_is_noted_once,
    the_history_outlives_the_session,
);

pub(super) fn a_placement(tenant: u128, session: u128, epoch: u64, at: Timestamp) -> Placement {
    Placement {
        session: session_id(session),
        tenant: tenant_id(tenant),
        epoch: Epoch(epoch),
        owner: owner("w", 1),
        why: "connect".into(),
        explanation: json!({"score": 0.25, "factors": [{"name": "cpu", "value": 0.5}]}),
        placed_at: at,
        ended: None,
    }
}

pub(super) async fn arrange(
    s: &OrchestrationUnderTest,
) -> Result<Timestamp, crate::conformance::Failure> {
    let now = s.tenants(2).await?;
    s.worker("w", 99).await?;
    s.sessions(&[a_card(tenant_id(1), 1, now), a_card(tenant_id(2), 2, now)])
        .await?;
    Ok(now)
}

async fn an_assignment_is_kept_as_it_is(s: &OrchestrationUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let kept = a_placement(1, 1, 1, now);
    let ended = Placement {
        ended: Some((now, "fenced".to_owned())),
        ..a_placement(1, 1, 2, now)
    };
    let mut tx = s.begin().await?;
    tx.insert_placement(&kept).await?;
    tx.insert_placement(&ended).await?;
    tx.commit().await?;
    let mut tx = s.read().await?;
    assert_eq!(
        tx.placement(kept.session, Epoch(1)).await?,
        Some(kept.clone())
    );
    assert_eq!(tx.placement(kept.session, Epoch(2)).await?, Some(ended));
    assert_eq!(tx.placement(kept.session, Epoch(3)).await?, None);
    assert_eq!(tx.placement(session_id(2), Epoch(1)).await?, None);
    Ok(())
}

async fn an_epoch_is_given_once(s: &OrchestrationUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let mut tx = s.begin().await?;
    tx.insert_placement(&a_placement(1, 1, 1, now)).await?;
    tx.insert_placement(&a_placement(1, 1, 2, now)).await?;
    tx.insert_placement(&a_placement(2, 2, 1, now)).await?;
    tx.commit().await?;
    let again = Placement {
        owner: owner("w", 2),
        ..a_placement(1, 1, 1, now)
    };
    let again = s.begin().await?.insert_placement(&again).await;
    assert!(
        matches!(again, Err(StoreError::Duplicate(Unique::Placement))),
        "{again:?}"
    );
    Ok(())
}

async fn an_end_is_noted_once(s: &OrchestrationUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let later = now.plus(Duration::from_secs(9));
    let mut tx = s.begin().await?;
    for (tenant, session, epoch) in [(1, 1, 1), (1, 1, 2), (2, 2, 1)] {
        tx.insert_placement(&a_placement(tenant, session, epoch, now))
            .await?;
    }
    tx.end_placements(&[(session_id(1), Epoch(1))], now, "released")
        .await?;
    tx.commit().await?;
    let all = [
        (session_id(1), Epoch(1)),
        (session_id(2), Epoch(1)),
        (session_id(2), Epoch(9)),
    ];
    let mut tx = s.begin().await?;
    tx.end_placements(&all, later, "fenced").await?;
    tx.end_placements(&[], later, "nobody").await?;
    tx.commit().await?;
    let mut tx = s.read().await?;
    let mut ends = Vec::new();
    for (session, epoch) in [(1, 1), (1, 2), (2, 1)] {
        let found = tx.placement(session_id(session), Epoch(epoch)).await?;
        ends.push(found.and_then(|placement| placement.ended));
    }
    let end = |at, why: &str| Some((at, why.to_owned()));
    assert_eq!(ends, [end(now, "released"), None, end(later, "fenced")]);
    Ok(())
}

async fn the_history_outlives_the_session(s: &OrchestrationUnderTest) -> Verdict {
    let now = arrange(s).await?;
    let kept = a_placement(1, 1, 1, now);
    let mut tx = s.begin().await?;
    tx.insert_placement(&kept).await?;
    tx.delete_session(kept.session, 1).await?;
    tx.commit().await?;
    let found = s.read().await?.placement(kept.session, Epoch(1)).await?;
    assert_eq!(found, Some(kept));
    Ok(())
}
