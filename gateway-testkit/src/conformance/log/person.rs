//! Two ids of one person are remembered per session, and messages are read back through what is remembered.

use gateway_core::event::Event;
use gateway_core::message::{
    Direction, Fact, Inbound, Message, MessageFilter, MessageStatus, Outgoing, PersonPair,
};

use super::{LogUnderTest, a_send, a_status, an_inbound};
use crate::conformance::fixture::{message_id, session_id, tenant_id};
use crate::conformance::{Failure, Verdict, cases};

cases!(LogUnderTest, "message_log::person":
    pairs_are_remembered_for_their_session_only,
    a_lid_has_the_number_that_was_learnt_last,
    a_chat_is_found_by_either_id,
    a_message_is_read_back_with_the_other_id_of_its_person,
    a_change_of_status_is_told_with_both_ids_of_the_person,
    a_deleted_session_remembers_nobody,
);

const PHONE: &str = "491701234567@s.whatsapp.net";
const LID: &str = "123456789012345@lid";

fn pair(lid: &str, phone: &str) -> PersonPair {
    PersonPair {
        lid: lid.to_owned(),
        phone: phone.to_owned(),
    }
}

impl LogUnderTest {
    async fn learns(&self, session: u128, lid: &str, phone: &str) -> Verdict {
        let (tenant, session) = (tenant_id(1), session_id(session));
        let pair = pair(lid, phone);
        Ok(self.log.remember_person(tenant, session, &pair).await?)
    }

    async fn knows(&self, session: u128, ids: &[&str]) -> Result<Vec<PersonPair>, Failure> {
        let (tenant, session) = (tenant_id(1), session_id(session));
        Ok(self.other.persons(tenant, session, ids).await?)
    }

    async fn in_chat(&self, session: Option<u128>, chat: &str) -> Result<Vec<Message>, Failure> {
        let filter = MessageFilter {
            session: session.map(session_id),
            chat_id: Some(chat.to_owned()),
            ..MessageFilter::default()
        };
        let mut tx = self.store.read_platform().await?;
        Ok(tx.messages(tenant_id(1), &filter, None, 9).await?)
    }
}

async fn pairs_are_remembered_for_their_session_only(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let (other_lid, other_phone) = ("7@lid", "491707654321@s.whatsapp.net");
    assert_eq!(l.knows(1, &[PHONE, LID]).await?, []);
    l.learns(1, LID, PHONE).await?;
    l.learns(1, other_lid, other_phone).await?;
    l.learns(1, LID, PHONE).await?;
    for id in [PHONE, LID] {
        assert_eq!(l.knows(1, &[id]).await?, [pair(LID, PHONE)]);
        assert_eq!(l.knows(3, &[id]).await?, []);
        let foreign = l.log.persons(tenant_id(2), session_id(1), &[id]).await?;
        assert_eq!(foreign, []);
    }
    assert_eq!(l.knows(1, &["8@lid"]).await?, []);
    assert_eq!(l.knows(1, &[]).await?, []);
    let mut both = l
        .knows(1, &["8@lid", PHONE, other_lid, other_phone])
        .await?;
    both.sort();
    assert_eq!(both, [pair(LID, PHONE), pair(other_lid, other_phone)]);
    Ok(())
}

async fn a_lid_has_the_number_that_was_learnt_last(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let new = "491700000009@s.whatsapp.net";
    l.learns(1, LID, PHONE).await?;
    l.learns(1, LID, new).await?;
    assert_eq!(l.knows(1, &[LID]).await?, [pair(LID, new)]);
    assert_eq!(l.knows(1, &[PHONE]).await?, []);
    Ok(())
}

async fn a_chat_is_found_by_either_id(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let chat = |n, session, chat: &str| Outgoing {
        session: session_id(session),
        chat_id: chat.to_owned(),
        ..a_send(n)
    };
    for send in [
        chat(1, 1, PHONE),
        chat(2, 1, LID),
        chat(3, 3, LID),
        chat(4, 1, "120363000000000000@g.us"),
    ] {
        l.record(Fact::Outgoing(send)).await?;
    }
    let ids = |found: Vec<Message>| {
        let mut ids: Vec<_> = found.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(l.in_chat(Some(1), PHONE).await?), [message_id(1)]);
    l.learns(1, LID, PHONE).await?;
    for id in [PHONE, LID] {
        let found = ids(l.in_chat(Some(1), id).await?);
        assert_eq!(found, [message_id(1), message_id(2)], "{id}");
    }
    // Another session has not learnt it.
    let all = ids(l.in_chat(None, PHONE).await?);
    assert_eq!(all, [message_id(1), message_id(2)]);
    let all = ids(l.in_chat(None, LID).await?);
    assert_eq!(all, [1, 2, 3].map(message_id));
    let row = l.stored(2).await?;
    assert_eq!(row.chat_id.as_deref(), Some(LID), "it is not rewritten");
    Ok(())
}

async fn a_message_is_read_back_with_the_other_id_of_its_person(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let in_group = Inbound {
        sender: LID.to_owned(),
        ..an_inbound(1)
    };
    let to_person = Outgoing {
        chat_id: PHONE.to_owned(),
        ..a_send(2)
    };
    let recorded = l.record(Fact::Inbound(in_group)).await?;
    assert_eq!(recorded.message.alias, None);
    l.record(Fact::Outgoing(to_person)).await?;
    l.learns(1, LID, PHONE).await?;
    for (n, alias) in [(1, PHONE), (2, LID)] {
        let found = l.stored(n).await?;
        assert_eq!(found.alias.as_deref(), Some(alias));
        let mut tx = l.store.read_platform().await?;
        let read = tx.message(tenant_id(1), message_id(n)).await?;
        assert_eq!(read.as_ref(), Some(&found));
        let filter = MessageFilter {
            direction: Some(found.direction),
            ..MessageFilter::default()
        };
        let listed = tx.messages(tenant_id(1), &filter, None, 9).await?;
        assert_eq!(listed, [found]);
    }
    assert_eq!(l.stored(1).await?.direction, Direction::Inbound);
    Ok(())
}

async fn a_change_of_status_is_told_with_both_ids_of_the_person(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    let to_person = Outgoing {
        chat_id: PHONE.to_owned(),
        ..a_send(1)
    };
    l.record(Fact::Outgoing(to_person)).await?;
    l.learns(1, LID, PHONE).await?;
    let recorded = l.record(a_status(1, MessageStatus::Delivered)).await?;
    assert_eq!(l.stored(1).await?, recorded.message);
    let told = l.events().await?.pop().map(|event| event.event());
    let Some(Ok(Event::MessageStatus(change))) = told else {
        panic!("{told:?}")
    };
    assert_eq!(change.phone.as_deref(), Some("491701234567"));
    assert_eq!(change.lid.as_deref(), Some(LID));
    Ok(())
}

async fn a_deleted_session_remembers_nobody(l: &LogUnderTest) -> Verdict {
    l.arrange().await?;
    l.learns(1, LID, PHONE).await?;
    l.learns(3, LID, PHONE).await?;
    let mut tx = l.store.begin_platform().await?;
    tx.delete_session(session_id(1), 1).await?;
    tx.commit().await?;
    assert_eq!(l.knows(1, &[LID]).await?, []);
    assert_eq!(l.knows(3, &[LID]).await?, [pair(LID, PHONE)]);
    Ok(())
}
