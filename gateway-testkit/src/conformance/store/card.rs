//! Sessions as their tenant sees them: its own, and nobody else's.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::{CardLabel, Next, Phase, Session, SessionFilter, SessionRef, Status};
use serde_json::json;

use super::{StoreUnderTest, placement};
use crate::conformance::fixture::{a_card, every_phase, next, session_id, session_name, tenant_id};
use crate::conformance::{Verdict, cases};

cases!(StoreUnderTest, "card":
    a_card_is_found_by_id_and_by_name,
    another_tenants_card_is_not_there,
    cards_come_in_pages_in_id_order,
    the_status_filter_is_the_projection_of_the_row,
    a_restricted_credential_sees_one_card,
    a_name_is_taken_within_its_tenant,
    labels_of_many_cards_are_read_at_once,
    the_history_of_a_card_is_read_newest_first_by_its_tenant,
    a_card_that_is_being_deleted_is_not_found_by_its_name,
);

async fn a_card_is_found_by_id_and_by_name(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let mut tx = s.read().await?;
    let by_id = tx.card(tenant_id(1), &SessionRef::Id(card.id)).await?;
    assert_eq!(by_id.as_ref(), Some(&card));
    let by_name = tx
        .card(tenant_id(1), &SessionRef::Name(card.name.clone()))
        .await?;
    assert_eq!(by_name.as_ref(), Some(&card));
    let unknown = SessionRef::Name(session_name("unknown"));
    assert_eq!(tx.card(tenant_id(1), &unknown).await?, None);
    Ok(())
}

async fn another_tenants_card_is_not_there(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let mut tx = s.read().await?;
    let (id, name) = (SessionRef::Id(card.id), SessionRef::Name(card.name.clone()));
    assert_eq!(tx.card(tenant_id(2), &id).await?, None);
    assert_eq!(tx.card(tenant_id(2), &name).await?, None);
    assert!(!tx.card_name_taken(tenant_id(2), &card.name).await?);
    for only in [None, Some(card.id)] {
        let filter = SessionFilter {
            only,
            ..SessionFilter::default()
        };
        assert_eq!(tx.cards(tenant_id(2), &filter, None, 9).await?, []);
    }
    Ok(())
}

async fn cards_come_in_pages_in_id_order(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let mine: Vec<_> = (1..=7).map(|n| a_card(tenant_id(1), 2 * n, now)).collect();
    let others: Vec<_> = (1..=7)
        .map(|n| a_card(tenant_id(2), 2 * n + 1, now))
        .collect();
    let shuffled: Vec<_> = [4, 0, 6, 2, 5, 1, 3]
        .map(|at: usize| mine[at].clone())
        .into();
    s.sessions(&shuffled).await?;
    s.sessions(&others).await?;
    let (mut read, mut after): (Vec<Session>, Option<SessionId>) = (Vec::new(), None);
    let mut tx = s.read().await?;
    loop {
        let page = tx
            .cards(tenant_id(1), &SessionFilter::default(), after, 3)
            .await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        assert!(page.len() <= 3);
        read.extend(page);
    }
    assert_eq!(read, mine);
    Ok(())
}

async fn the_status_filter_is_the_projection_of_the_row(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let held = s.worker("w", 999).await?;
    let rows = every_phase(tenant_id(1), &held, now);
    s.sessions(&rows).await?;
    for status in Status::ALL {
        let expected: Vec<_> = rows
            .iter()
            .filter(|row| row.status().status == status)
            .cloned()
            .collect();
        assert!(!expected.is_empty(), "no row shows {status:?}");
        let filter = SessionFilter {
            status: Some(status),
            ..SessionFilter::default()
        };
        let mut tx = s.read().await?;
        let found = tx.cards(tenant_id(1), &filter, None, 999).await?;
        assert_eq!(found, expected, "{status:?}");
        // The limit counts what matches, so a page is short only at the end.
        let first = tx.cards(tenant_id(1), &filter, None, 1).await?;
        assert_eq!(first, expected[..1], "{status:?}");
        let rest = tx
            .cards(tenant_id(1), &filter, Some(expected[0].id), 999)
            .await?;
        assert_eq!(rest, expected[1..], "{status:?}");
    }
    Ok(())
}

async fn a_restricted_credential_sees_one_card(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let cards: Vec<_> = (1..=3).map(|n| a_card(tenant_id(1), n, now)).collect();
    s.sessions(&cards).await?;
    let only = |n, status| SessionFilter {
        status,
        only: Some(session_id(n)),
    };
    let mut tx = s.read().await?;
    let found = tx.cards(tenant_id(1), &only(2, None), None, 9).await?;
    assert_eq!(found, cards[1..2]);
    let after = tx
        .cards(tenant_id(1), &only(2, None), Some(session_id(2)), 9)
        .await?;
    assert_eq!(after, []);
    let idle = tx
        .cards(tenant_id(1), &only(2, Some(Status::Disconnected)), None, 9)
        .await?;
    assert_eq!(idle, cards[1..2]);
    let live = tx
        .cards(tenant_id(1), &only(2, Some(Status::Connected)), None, 9)
        .await?;
    assert_eq!(live, []);
    Ok(())
}

async fn a_name_is_taken_within_its_tenant(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let mut tx = s.read().await?;
    assert!(tx.card_name_taken(tenant_id(1), &card.name).await?);
    assert!(!tx.card_name_taken(tenant_id(2), &card.name).await?);
    assert!(
        !tx.card_name_taken(tenant_id(1), &session_name("free"))
            .await?
    );
    Ok(())
}

async fn labels_of_many_cards_are_read_at_once(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(2).await?;
    let mut cards: Vec<Session> = (1..=4).map(|n| a_card(tenant_id(1), n, now)).collect();
    cards[1].metadata = [("ü☃".to_owned(), json!({"a": [1, null]}))].into();
    let foreign = a_card(tenant_id(2), 5, now);
    s.sessions(&cards).await?;
    s.sessions(std::slice::from_ref(&foreign)).await?;
    let mut tx = s.read().await?;
    let asked = [cards[2].id, foreign.id, cards[1].id, session_id(77)];
    let mut found = tx.card_labels(tenant_id(1), &asked).await?;
    found.sort_by_key(|label| label.id);
    let label = |card: &Session| CardLabel {
        id: card.id,
        name: card.name.clone(),
        metadata: card.metadata.clone(),
    };
    assert_eq!(found, [label(&cards[1]), label(&cards[2])]);
    assert_eq!(tx.card_labels(tenant_id(1), &[]).await?, []);
    Ok(())
}

async fn the_history_of_a_card_is_read_newest_first_by_its_tenant(s: &StoreUnderTest) -> Verdict {
    let now = placement::arrange(&s.orchestration()).await?;
    let mut tx = s.begin().await?;
    for epoch in [2, 1, 4, 3] {
        tx.insert_placement(&placement::a_placement(1, 1, epoch, now))
            .await?;
    }
    tx.insert_placement(&placement::a_placement(2, 2, 1, now))
        .await?;
    tx.commit().await?;
    let mut tx = s.read().await?;
    for (before, limit, expected) in [
        (None, 9, vec![4, 3, 2, 1]),
        (None, 2, vec![4, 3]),
        (Some(3), 9, vec![2, 1]),
        (Some(1), 9, vec![]),
    ] {
        let page = tx
            .card_placements(tenant_id(1), session_id(1), before.map(Epoch), limit)
            .await?;
        let epochs: Vec<_> = page.iter().map(|placement| placement.epoch.0).collect();
        assert_eq!(epochs, expected, "before {before:?}");
    }
    let foreign = tx
        .card_placements(tenant_id(2), session_id(1), None, 9)
        .await?;
    assert_eq!(
        foreign,
        [],
        "another tenant's session has no history for this one"
    );
    Ok(())
}

async fn a_card_that_is_being_deleted_is_not_found_by_its_name(s: &StoreUnderTest) -> Verdict {
    let now = s.tenants(1).await?;
    let owner = s.worker("one", 9).await?;
    let card = a_card(tenant_id(1), 1, now);
    s.sessions(std::slice::from_ref(&card)).await?;
    let leaving = Session {
        phase: Phase::Stopping {
            owner,
            next: Next::Delete,
        },
        due_at: Some(now),
        ..next(&card)
    };
    let mut tx = s.begin().await?;
    tx.save_sessions(std::slice::from_ref(&leaving)).await?;
    tx.commit().await?;
    let reference = SessionRef::Name(card.name.clone());
    let mut tx = s.read().await?;
    assert_eq!(tx.card(tenant_id(1), &reference).await?, None);
    assert!(!tx.card_name_taken(tenant_id(1), &card.name).await?);
    drop(tx);
    let heir = Session {
        name: card.name.clone(),
        ..a_card(tenant_id(1), 2, now)
    };
    s.sessions(&[heir]).await?;
    let found = s.read().await?.card(tenant_id(1), &reference).await?;
    assert_eq!(found.map(|card| card.id), Some(session_id(2)));
    Ok(())
}
