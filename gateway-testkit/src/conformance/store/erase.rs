//! What a deleted session leaves to be erased: noted with its deletion, until it is done.

use std::time::Duration;

use gateway_core::time::Timestamp;

use super::{OrchestrationUnderTest, orchestration_cases};
use crate::conformance::fixture::{a_card, session_id, tenant_id};
use crate::conformance::{Failure, Verdict};

orchestration_cases!("erase":
    a_deleted_session_is_to_be_erased_until_it_is,
    a_session_that_cannot_be_erased_comes_after_the_others,
);

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Returns a time long after everything that a case does.
async fn far(s: &OrchestrationUnderTest) -> Result<Timestamp, Failure> {
    Ok(s.now().await?.plus(2 * DAY))
}

async fn a_deleted_session_is_to_be_erased_until_it_is(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let cards = [1, 2, 3].map(|n| a_card(tenant_id(1), n, now));
    s.sessions(&cards).await?;
    for card in &cards[..2] {
        let mut tx = s.begin().await?;
        tx.delete_session(card.id, card.version).await?;
        tx.commit().await?;
    }
    // One that is rolled back deletes nothing and leaves nothing to do.
    let mut tx = s.begin().await?;
    tx.delete_session(cards[2].id, cards[2].version).await?;
    drop(tx);
    let far = far(s).await?;
    let mut tx = s.begin().await?;
    assert_eq!(tx.sessions_to_erase(now.minus(DAY), 10).await?, []);
    assert_eq!(tx.sessions_to_erase(far, 1).await?.len(), 1);
    let mut found = tx.sessions_to_erase(far, 10).await?;
    found.sort_unstable();
    assert_eq!(found, [cards[0].id, cards[1].id]);
    tx.note_erased(cards[0].id).await?;
    tx.note_erased(cards[0].id).await?;
    assert_eq!(tx.sessions_to_erase(far, 10).await?, [cards[1].id]);
    tx.commit().await?;
    Ok(())
}

async fn a_session_that_cannot_be_erased_comes_after_the_others(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.tenants(1).await?;
    let cards = [1, 2].map(|n| a_card(tenant_id(1), n, now));
    s.sessions(&cards).await?;
    for card in &cards {
        let mut tx = s.begin().await?;
        tx.delete_session(card.id, card.version).await?;
        tx.commit().await?;
        s.later().await?;
    }
    let between = s.later().await?;
    s.later().await?;
    let mut tx = s.begin().await?;
    tx.postpone_erasure(cards[0].id).await?;
    tx.postpone_erasure(session_id(9)).await?;
    tx.commit().await?;
    let mut tx = s.read().await?;
    assert_eq!(tx.sessions_to_erase(between, 10).await?, [cards[1].id]);
    let all = tx.sessions_to_erase(far(s).await?, 10).await?;
    assert_eq!(all, [cards[1].id, cards[0].id]);
    Ok(())
}
