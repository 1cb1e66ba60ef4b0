//! Reading messages back: by id, in pages, by filter, by their tenant only.

use std::cmp::Reverse;

use gateway_core::id::MessageId;
use gateway_core::message::{
    Direction, Fact, Message, MessageCursor, MessageFilter, MessageStatus, Outgoing,
};

use super::{LogUnderTest, a_send, a_status, an_inbound};
use crate::conformance::fixture::{message_id, session_id, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(LogUnderTest, "message_log::read":
    a_message_is_found_by_its_tenant_only,
    messages_come_in_pages_newest_first,
    messages_are_filtered_by_what_they_are,
    messages_are_filtered_by_when_they_were_written,
    a_message_is_listed_before_anything_is_published,
    pages_go_on_across_what_was_published_meanwhile,
    a_stub_that_was_filled_later_is_listed_in_its_chat,
);

async fn list(
    l: &LogUnderTest,
    filter: &MessageFilter,
    after: Option<MessageCursor>,
    limit: u32,
) -> Result<Vec<Message>, Failure> {
    let mut tx = l.store.read_platform().await?;
    Ok(tx.messages(tenant_id(1), filter, after, limit).await?)
}

async fn a_message_is_found_by_its_tenant_only(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let recorded = l.record(Fact::Outgoing(a_send(1))).await?;
    let mut tx = l.store.read_platform().await?;
    let (mine, other, id) = (tenant_id(1), tenant_id(2), message_id(1));
    assert_eq!(
        tx.message(mine, id).await?.as_ref(),
        Some(&recorded.message)
    );
    assert_eq!(tx.message(other, id).await?, None);
    assert_eq!(tx.message(mine, message_id(2)).await?, None);
    let filter = MessageFilter {
        session: Some(session_id(1)),
        ..MessageFilter::default()
    };
    assert_eq!(tx.messages(other, &filter, None, 9).await?, []);
    assert_eq!(
        tx.messages(other, &MessageFilter::default(), None, 9)
            .await?,
        []
    );
    assert_eq!(l.log.find(mine, id).await?, Some(recorded.message));
    assert_eq!(l.log.find(other, id).await?, None);
    assert_eq!(l.log.find(mine, message_id(2)).await?, None);
    Ok(())
}

async fn messages_come_in_pages_newest_first(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    for n in [5, 1, 4, 2, 6, 3, 7] {
        l.record(Fact::Outgoing(a_send(n))).await?;
    }
    let all = list(l, &MessageFilter::default(), None, 99).await?;
    assert_eq!(all.len(), 7);
    let key = |row: &Message| (row.written_at(), row.id);
    assert!(
        all.windows(2).all(|two| key(&two[0]) > key(&two[1])),
        "{all:?}"
    );
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = list(l, &MessageFilter::default(), after, 3).await?;
        let Some(last) = page.last() else { break };
        after = Some(MessageCursor {
            written_at: last.written_at(),
            id: last.id,
        });
        assert!(page.len() <= 3);
        read.extend(page);
    }
    assert_eq!(read, all);
    Ok(())
}

async fn messages_are_filtered_by_what_they_are(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let elsewhere = Outgoing {
        session: session_id(3),
        chat_id: "other@c.us".to_owned(),
        ..a_send(1)
    };
    l.record(Fact::Outgoing(elsewhere)).await?;
    l.record(Fact::Outgoing(a_send(2))).await?;
    l.record(Fact::Inbound(an_inbound(3))).await?;
    l.record(a_status(4, MessageStatus::Read)).await?;
    let any = MessageFilter::default;
    let chat = an_inbound(3).chat_id;
    for (filter, expected) in [
        (any(), vec![1, 2, 3, 4]),
        (
            MessageFilter {
                session: Some(session_id(3)),
                ..any()
            },
            vec![1],
        ),
        (
            MessageFilter {
                chat_id: Some(chat),
                ..any()
            },
            vec![3],
        ),
        (
            MessageFilter {
                direction: Some(Direction::Inbound),
                ..any()
            },
            vec![3],
        ),
        (
            MessageFilter {
                direction: Some(Direction::Outbound),
                ..any()
            },
            vec![1, 2, 4],
        ),
        (
            MessageFilter {
                status: Some(MessageStatus::Sending),
                ..any()
            },
            vec![1, 2],
        ),
        (
            MessageFilter {
                kind: Some("text".to_owned()),
                ..any()
            },
            vec![1, 2],
        ),
        (
            MessageFilter {
                kind: Some("text".to_owned()),
                session: Some(session_id(1)),
                direction: Some(Direction::Outbound),
                status: Some(MessageStatus::Sending),
                ..any()
            },
            vec![2],
        ),
        (
            MessageFilter {
                session: Some(session_id(2)),
                ..any()
            },
            vec![],
        ),
    ] {
        let mut found: Vec<MessageId> = list(l, &filter, None, 9)
            .await?
            .iter()
            .map(|row| row.id)
            .collect();
        found.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(message_id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    Ok(())
}

async fn messages_are_filtered_by_when_they_were_written(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    for n in 1..=4 {
        l.record(Fact::Outgoing(a_send(n))).await?;
    }
    let all = list(l, &MessageFilter::default(), None, 9).await?;
    let (since, until) = (all[2].created_at, all[0].created_at);
    let filter = MessageFilter {
        since: Some(since),
        until: Some(until),
        ..MessageFilter::default()
    };
    let inside = |row: &&Message| (since..until).contains(&row.created_at);
    let expected: Vec<_> = all.iter().filter(inside).cloned().collect();
    assert_eq!(list(l, &filter, None, 9).await?, expected);
    Ok(())
}

/// Returns every way of the history that finds what [`a_send`] makes.
fn ways() -> [MessageFilter; 4] {
    let any = MessageFilter::default();
    let of_session = MessageFilter {
        session: Some(session_id(1)),
        ..any.clone()
    };
    let chat_id = Some(a_send(1).chat_id);
    let of_chat = MessageFilter {
        chat_id: chat_id.clone(),
        ..of_session.clone()
    };
    let of_chats = MessageFilter {
        chat_id,
        ..any.clone()
    };
    [any, of_session, of_chat, of_chats]
}

async fn a_message_is_listed_before_anything_is_published(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let first = l.record(Fact::Outgoing(a_send(1))).await?.message;
    for filter in ways() {
        assert_eq!(
            list(l, &filter, None, 9).await?,
            std::slice::from_ref(&first)
        );
    }
    l.events().await?;
    let second = l.record(a_status(1, MessageStatus::Read)).await?.message;
    let third = l.record(Fact::Outgoing(a_send(2))).await?.message;
    for filter in ways() {
        let found = list(l, &filter, None, 9).await?;
        assert_eq!(found, [third.clone(), second.clone()], "{filter:?}");
    }
    Ok(())
}

async fn pages_go_on_across_what_was_published_meanwhile(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let mut written = Vec::new();
    for (filter, n) in ways().into_iter().zip((1..).step_by(5)) {
        for n in [n + 3, n + 1, n + 4, n, n + 2] {
            written.push(l.record(Fact::Outgoing(a_send(n))).await?.message);
        }
        written.sort_by_key(|row| Reverse((row.written_at(), row.id)));
        let (mut read, mut after) = (Vec::new(), None);
        while let page @ [.., last] = &list(l, &filter, after, 2).await?[..] {
            after = Some(MessageCursor {
                written_at: last.written_at(),
                id: last.id,
            });
            read.extend_from_slice(page);
            if read.len() == 4 {
                l.events().await?;
            }
        }
        assert_eq!(read, written, "{filter:?}");
    }
    Ok(())
}

async fn a_stub_that_was_filled_later_is_listed_in_its_chat(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    l.record(a_status(1, MessageStatus::Delivered)).await?;
    let [_, _, of_chat, of_chats] = ways();
    for filter in [&of_chat, &of_chats] {
        assert_eq!(list(l, filter, None, 9).await?, []);
    }
    l.events().await?;
    let filled = l.record(Fact::Outgoing(a_send(1))).await?.message;
    for filter in ways() {
        assert_eq!(
            list(l, &filter, None, 9).await?,
            std::slice::from_ref(&filled)
        );
    }
    Ok(())
}
