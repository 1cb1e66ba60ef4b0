//! Events: written with the change, published once it is committed, read by their tenant (R-28, R-71).

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::event::{
    ACTIVITY_STEP, Event, EventFilter, LoggedEvent, MessageReceived, MessageSent,
    MessageStatusChanged, NewEvent, Sequenced, SessionCreated, SessionDeleted, SessionQr,
    SessionStatusChanged, UnreadableEvent, UsageDelta, WorkerChanged, sequence,
};
use gateway_core::id::Epoch;
use gateway_core::message::{Direction, MessageError, MessageSource, MessageStatus, WaMessageId};
use gateway_core::session::{ChallengeKind, Session};
use gateway_core::time::Timestamp;
use gateway_core::worker::WorkerStatus;
use serde_json::json;

use super::StoreUnderTest;
use crate::conformance::fixture::{
    a_card, an_event, message_id, session_id, session_name, tenant_id, worker_id,
};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "event":
    an_event_is_published_with_its_transaction,
    events_are_numbered_in_the_order_in_which_they_were_written,
    every_event_of_the_catalogue_survives,
    events_of_a_newer_gateway_are_numbered_and_read_like_all_others,
    its_time_is_the_stores,
    a_tenant_reads_its_own_events_only,
    the_operators_events_are_nobodys,
    events_are_filtered_by_session_and_name,
    the_cursor_leads_through_all_pages,
    usage_and_activity_are_counted_by_the_sequencer,
);

async fn append(s: &StoreUnderTest, events: &[NewEvent]) -> Verdict {
    let mut tx = s.begin().await?;
    tx.append_events(events).await?;
    Ok(tx.commit().await?)
}

/// Publishes every committed event, and returns how many they were.
async fn publish(s: &StoreUnderTest) -> Result<usize, Failure> {
    let mut published = 0;
    loop {
        match sequence(&*s.store, 0, 3).await? {
            Sequenced::Published { count, more } => {
                published += count;
                if !more {
                    return Ok(published);
                }
            }
            Sequenced::Busy => return Err(Failure::new("nobody else holds the shard")),
        }
    }
}

async fn all(s: &StoreUnderTest, tenant: u128) -> Result<Vec<LoggedEvent>, Failure> {
    let filter = EventFilter::default();
    let mut tx = s.read().await?;
    Ok(tx.events(tenant_id(tenant), &filter, 0, 1_000).await?)
}

/// Returns `event` as one of session 1 of tenant 1.
fn about(event: &Event) -> NewEvent {
    NewEvent::of_session(tenant_id(1), session_id(1), Epoch(1), event)
}

/// Stores tenants 1 and 2 with sessions 1 and 2, and session 3 of tenant 1.
async fn arrange(s: &StoreUnderTest) -> Result<Timestamp, Failure> {
    let now = s.tenants(2).await?;
    let card = |tenant, n| a_card(tenant_id(tenant), n, now);
    s.sessions(&[card(1, 1), card(2, 2), card(1, 3)]).await?;
    Ok(now)
}

async fn an_event_is_published_with_its_transaction(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let mut dropped = s.begin().await?;
    dropped
        .append_events(&[an_event(tenant_id(1), session_id(1), 7)])
        .await?;
    drop(dropped);
    assert_eq!(publish(s).await?, 0);
    append(s, &[an_event(tenant_id(1), session_id(1), 8)]).await?;
    assert_eq!(
        all(s, 1).await?,
        [],
        "only the event log is read, never the outbox"
    );
    assert_eq!(publish(s).await?, 1);
    assert_eq!(publish(s).await?, 0, "published once");
    let events = all(s, 1).await?;
    assert_eq!(events.len(), 1);
    let written = an_event(tenant_id(1), session_id(1), 8);
    assert_eq!(events[0].event()?, written.event()?);
    assert_eq!((events[0].seq, events[0].epoch), (Some(1), Some(Epoch(1))));
    Ok(())
}

async fn events_are_numbered_in_the_order_in_which_they_were_written(
    s: &StoreUnderTest,
) -> Verdict {
    arrange(s).await?;
    for round in 0..3 {
        let batch: Vec<_> = (0..4)
            .map(|n| {
                an_event(
                    tenant_id(1),
                    session_id(1 + 2 * (n % 2)),
                    (round * 4 + n) as u32,
                )
            })
            .collect();
        append(s, &batch).await?;
        publish(s).await?;
    }
    let events = all(s, 1).await?;
    let mut heads: BTreeMap<_, u64> = BTreeMap::new();
    for (index, pair) in (0..).zip(&events) {
        let written = an_event(tenant_id(1), pair.session.unwrap_or(session_id(0)), index);
        assert_eq!(pair.event()?, written.event()?);
        let head = heads.entry(pair.session).or_default();
        *head += 1;
        assert_eq!(pair.seq, Some(*head));
    }
    assert_eq!(events.len(), 12);
    assert!(
        events
            .windows(2)
            .all(|two| two[0].position < two[1].position)
    );
    Ok(())
}

fn catalogue() -> Vec<Event> {
    let at = Timestamp::from_micros(1_700_000_000_123_000);
    let row = Session::new(session_id(1), tenant_id(1), session_name("shop"), at);
    let wa = WaMessageId::parse("3EB0ABC").expect("a fixed, valid id");
    vec![
        Event::SessionCreated(SessionCreated {
            name: session_name("shop"),
            metadata: [("ü☃".to_owned(), json!({"a": [1, null]}))].into(),
        }),
        Event::SessionStatus(SessionStatusChanged::new(&row, row.status())),
        Event::SessionQr(SessionQr {
            kind: ChallengeKind::Passkey,
            index: 4,
            expires_at: at,
        }),
        Event::SessionDeleted(SessionDeleted {
            name: session_name("shop"),
        }),
        Event::MessageReceived(MessageReceived {
            id: message_id(1),
            wa_message_id: wa.clone(),
            chat_id: "491701234567@c.us".to_owned(),
            from: None,
            kind: "text".to_owned(),
            content: json!({"text": "Grüße \u{1F600} 'quoted' \\"}),
            offline: true,
            phone: None,
            lid: None,
            occurred_at: None,
        }),
        Event::MessageSent(MessageSent {
            id: message_id(1),
            wa_message_id: wa.clone(),
            chat_id: "491701234567@s.whatsapp.net".to_owned(),
            from: Some("491700000001@s.whatsapp.net".to_owned()),
            phone: Some("491701234567".to_owned()),
            lid: Some("123456789012345@lid".to_owned()),
            source: MessageSource::Phone,
            kind: "text".to_owned(),
            content: json!({"text": "on my way"}),
            offline: false,
            occurred_at: Some(Timestamp::default()),
        }),
        Event::MessageStatus(MessageStatusChanged {
            id: message_id(1),
            wa_message_id: Some(wa),
            direction: Direction::Outbound,
            previous: Some(MessageStatus::Sending),
            status: MessageStatus::Failed,
            error: Some(MessageError {
                code: "blocked".to_owned(),
                message: None,
            }),
            source: Some(MessageSource::Api),
            chat_id: None,
            phone: None,
            lid: None,
            occurred_at: None,
        }),
        Event::WorkerStatus(WorkerChanged {
            worker_id: worker_id("w"),
            status: WorkerStatus::Offline,
            reason: "silence".to_owned(),
        }),
    ]
}

async fn every_event_of_the_catalogue_survives(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let written = catalogue();
    let names: Vec<_> = written.iter().map(Event::name).collect();
    assert_eq!(names, Event::NAMES, "one of each");
    let events: Vec<_> = written
        .iter()
        .map(|event| NewEvent {
            epoch: None,
            ..about(event)
        })
        .collect();
    append(s, &events).await?;
    publish(s).await?;
    let read = all(s, 1).await?;
    for (logged, event) in read.iter().zip(&written) {
        assert_eq!(logged.event()?, *event);
        let passed_on = (logged.name.as_str(), logged.version, &logged.data);
        let new = about(event);
        assert_eq!(passed_on, (event.name(), event.version(), &new.data));
    }
    assert_eq!(read.len(), written.len());
    Ok(())
}

/// During an upgrade an older replica meets what a newer one has written.
async fn events_of_a_newer_gateway_are_numbered_and_read_like_all_others(
    s: &StoreUnderTest,
) -> Verdict {
    arrange(s).await?;
    let known = |index| an_event(tenant_id(1), session_id(1), index);
    let json = r#"{"height": 3.50, "since": null, "höhe": "☃", "deep": [{"a": []}]}"#;
    let unknown = |name: &'static str, version| -> Result<NewEvent, Failure> {
        Ok(NewEvent {
            name: name.into(),
            version,
            data: serde_json::from_str(json)?,
            usage: UsageDelta {
                received: 1,
                ..UsageDelta::default()
            },
            ..known(0)
        })
    };
    let newer = [unknown("session.levitated", 3)?, unknown("session.qr", 2)?];
    append(s, &[known(1)]).await?;
    append(s, &newer).await?;
    append(s, &[known(2)]).await?;
    assert_eq!(publish(s).await?, 4);
    let events = all(s, 1).await?;
    let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4].map(Some));
    for (read, written) in events[1..3].iter().zip(&newer) {
        assert_eq!(
            (&*read.name, read.version),
            (&*written.name, written.version)
        );
        assert_eq!(read.data.as_json(), json, "passed on as it stands");
        let refused = read.event();
        assert!(
            matches!(refused, Err(UnreadableEvent::Unknown { .. })),
            "{refused:?}"
        );
    }
    let filter = EventFilter {
        session: Some(session_id(1)),
        names: vec!["session.levitated".to_owned()],
    };
    let mut tx = s.read().await?;
    let found = tx.events(tenant_id(1), &filter, 0, 9).await?;
    assert_eq!(found, events[1..2]);
    let hour = events[1].created_at.start_of_hour();
    let usage = tx.usage(tenant_id(1), session_id(1), hour).await?;
    assert_eq!(usage.received, 2, "counted without being understood");
    Ok(())
}

async fn its_time_is_the_stores(s: &StoreUnderTest) -> Verdict {
    let before = arrange(s).await?;
    append(s, &[an_event(tenant_id(1), session_id(1), 0)]).await?;
    publish(s).await?;
    let after = s.now().await?;
    let at = all(s, 1).await?[0].created_at;
    assert!(before <= at && at <= after, "{before} {at} {after}");
    Ok(())
}

async fn a_tenant_reads_its_own_events_only(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let (mine, other) = (
        an_event(tenant_id(1), session_id(1), 1),
        an_event(tenant_id(2), session_id(2), 2),
    );
    append(s, &[mine, other.clone()]).await?;
    publish(s).await?;
    let read = all(s, 2).await?;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].event()?, other.event()?);
    // Naming a foreign session does not help.
    let filter = EventFilter {
        session: Some(session_id(1)),
        names: vec![],
    };
    assert_eq!(
        s.read().await?.events(tenant_id(2), &filter, 0, 9).await?,
        []
    );
    Ok(())
}

async fn the_operators_events_are_nobodys(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let own = NewEvent::of_operators(&catalogue().remove(7));
    append(s, &[own, an_event(tenant_id(1), session_id(1), 1)]).await?;
    assert_eq!(publish(s).await?, 2);
    let events = all(s, 1).await?;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].seq, Some(1));
    Ok(())
}

async fn events_are_filtered_by_session_and_name(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let gone = Event::SessionDeleted(SessionDeleted {
        name: session_name("shop"),
    });
    let deleted = |session| NewEvent::of_session(tenant_id(1), session, Epoch(1), &gone);
    let qr = |session| an_event(tenant_id(1), session, 0);
    let (one, three) = (session_id(1), session_id(3));
    append(
        s,
        &[qr(one), qr(three), deleted(one), deleted(three), qr(one)],
    )
    .await?;
    publish(s).await?;
    let positions: Vec<_> = all(s, 1)
        .await?
        .iter()
        .map(|event| event.position)
        .collect();
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    for (session, names, expected) in [
        (Some(one), names(&[]), vec![0, 2, 4]),
        (None, names(&["session.qr"]), vec![0, 1, 4]),
        (Some(three), names(&["session.deleted"]), vec![3]),
        (
            None,
            names(&["session.qr", "session.deleted"]),
            vec![0, 1, 2, 3, 4],
        ),
        (None, names(&["session"]), vec![]),
    ] {
        let filter = EventFilter { session, names };
        let found = s.read().await?.events(tenant_id(1), &filter, 0, 9).await?;
        let found: Vec<_> = found.iter().map(|event| event.position).collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|at: usize| positions[at])
            .collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    Ok(())
}

async fn the_cursor_leads_through_all_pages(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let batch: Vec<_> = (0..10)
        .flat_map(|n| {
            [(1, 1), (2, 2)]
                .map(|(tenant, session)| an_event(tenant_id(tenant), session_id(session), n))
        })
        .collect();
    append(s, &batch).await?;
    publish(s).await?;
    let (mut read, mut after) = (Vec::new(), 0);
    let mut tx = s.read().await?;
    loop {
        let page = tx
            .events(tenant_id(1), &EventFilter::default(), after, 4)
            .await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        assert!(page.len() <= 4);
        read.extend(page);
    }
    assert_eq!(read, all(s, 1).await?);
    assert_eq!(read.len(), 10);
    Ok(())
}

async fn usage_and_activity_are_counted_by_the_sequencer(s: &StoreUnderTest) -> Verdict {
    arrange(s).await?;
    let [received, Event::MessageStatus(failed)] = [catalogue().remove(4), catalogue().remove(6)]
    else {
        return Err(Failure::new("the catalogue has changed its order"));
    };
    let first = Event::MessageStatus(MessageStatusChanged {
        previous: None,
        status: MessageStatus::Sending,
        error: None,
        ..failed.clone()
    });
    let failed = Event::MessageStatus(failed);
    for batch in [
        vec![about(&first), about(&received)],
        vec![about(&first), about(&failed)],
    ] {
        append(s, &batch).await?;
        publish(s).await?;
    }
    let events = all(s, 1).await?;
    let hours: std::collections::BTreeSet<_> = events
        .iter()
        .map(|event| event.created_at.start_of_hour())
        .collect();
    let mut tx = s.read().await?;
    let mut sum = (0, 0, 0);
    for hour in hours {
        let usage = tx.usage(tenant_id(1), session_id(1), hour).await?;
        sum = (
            sum.0 + usage.sent,
            sum.1 + usage.failed,
            sum.2 + usage.received,
        );
        let foreign = tx.usage(tenant_id(2), session_id(1), hour).await?;
        assert_eq!(foreign, Default::default());
        let before = hour.minus(Duration::from_secs(3_600));
        assert_eq!(
            tx.usage(tenant_id(1), session_id(1), before).await?,
            Default::default()
        );
    }
    assert_eq!(sum, (2, 1, 1));
    let row = tx.session(session_id(1)).await?;
    let active = row.and_then(|row| row.last_activity_at);
    let newest = events.last().map(|event| event.created_at);
    let near = |at: Timestamp| Some(at) <= newest && newest < Some(at.plus(ACTIVITY_STEP));
    assert!(
        active.is_some_and(near),
        "{active:?} is not near {newest:?}"
    );
    Ok(())
}
