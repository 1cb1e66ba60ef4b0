//! One person under two ids: one chat, one message, found by either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_core::id::SessionId;
use gateway_core::message::{
    Content, Direction, Intake, Message, MessageFilter, MessageIds, MessageSource, MessageStatus,
    Taken,
};
use gateway_core::session::Owner;
use gateway_core::store::PlatformStore;
use gateway_testkit::sink::RecordedEvents;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::block_on;
use super::world::{TENANT, World, seconds};

const PHONE: &str = "491709999999@s.whatsapp.net";
const LID: &str = "123456789012345@lid";
const GROUP: &str = "120363001234567890@g.us";
const OWN: &str = "491700000001@s.whatsapp.net";

struct Stage {
    world: World,
    intake: Intake,
    session: SessionId,
    owner: Owner,
}

fn stage(seed: u64) -> Stage {
    let world = World::new(seed).with_workers(1..=1, 10);
    let session = world.connected("sales");
    let owner = world.owner(session).expect("held");
    let intake = Intake {
        store: Arc::new(world.shared.store.clone()),
        log: Arc::clone(&world.shared.log),
        ids: MessageIds::new(b"never rotated"),
    };
    Stage {
        world,
        intake,
        session,
        owner,
    }
}

fn merged(mut fields: Value, more: &Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
        fields.extend(more.clone());
    }
    fields
}

impl Stage {
    fn inbound(&self, wa: &str, fields: &Value) {
        let base = json!({
            "sessionId": self.session, "epoch": 1, "waMessageId": wa, "type": "text", "text": wa,
        });
        let report = serde_json::from_value(merged(base, fields)).expect("a report");
        let taken = block_on(self.intake.inbound(&self.owner, report));
        assert_eq!(taken.expect("taken"), Taken::Recorded);
    }

    fn status(&self, fields: &Value) -> Taken {
        let base = json!({"sessionId": self.session, "epoch": 1});
        let report = serde_json::from_value(merged(base, fields)).expect("a report");
        block_on(self.intake.status(&self.owner, &report)).expect("answered")
    }

    fn listed(&self, chat: Option<&str>) -> Vec<Message> {
        let filter = MessageFilter {
            session: Some(self.session),
            chat_id: chat.map(str::to_owned),
            ..MessageFilter::default()
        };
        block_on(async {
            let mut tx = self
                .world
                .shared
                .store
                .read_platform()
                .await
                .expect("a read");
            tx.messages(TENANT, &filter, None, 1_000)
                .await
                .expect("a page")
        })
    }

    fn events(&self, name: &str) -> usize {
        let events = RecordedEvents::of(&self.world.shared.store);
        let names = block_on(events.names(self.session)).expect("published");
        names.iter().filter(|told| **told == name).count()
    }
}

/// The forms in which a worker may report who wrote a message in a chat of two.
fn forms() -> [Value; 5] {
    [
        json!({"chat": PHONE, "chatAlt": LID}),
        json!({"chat": LID, "chatAlt": PHONE}),
        json!({"chat": LID, "sender": PHONE}),
        json!({"chat": PHONE}),
        json!({"chat": LID}),
    ]
}

#[test]
fn an_answer_under_a_lid_stands_in_the_chat_of_the_number() {
    let stage = stage(1);
    let mut request = stage.world.text(stage.session, None);
    request.to = PHONE.parse().expect("a number");
    block_on(stage.world.gateway().send(&request)).expect("sent");
    stage.inbound("A1", &json!({"chat": LID, "chatAlt": PHONE}));
    for chat in [PHONE, LID] {
        let all = stage.listed(Some(chat));
        assert_eq!(all.len(), 2, "{chat}");
        for row in all {
            assert_eq!(row.chat_id.as_deref(), Some(PHONE));
            let ids = row.person_ids();
            assert_eq!(ids.phone.as_deref(), Some("491709999999"));
            assert_eq!(ids.lid.as_deref(), Some(LID));
        }
    }
}

#[test]
fn what_was_stored_before_the_mapping_is_found_through_it_and_not_rewritten() {
    let stage = stage(2);
    stage.inbound("A1", &json!({"chat": LID}));
    let before = stage.listed(Some(LID));
    assert_eq!(before[0].person_ids().phone, None);
    assert!(stage.listed(Some(PHONE)).is_empty());
    stage.inbound("A2", &json!({"chat": PHONE, "chatAlt": LID}));
    for chat in [PHONE, LID] {
        let all = stage.listed(Some(chat));
        let chats: BTreeSet<_> = all.iter().map(|row| row.chat_id.clone()).collect();
        let expected = [LID, PHONE].map(|id| Some(id.to_owned()));
        assert_eq!(chats, BTreeSet::from(expected), "{chat}");
        let phone = |row: &Message| row.person_ids().phone;
        assert!(
            all.iter()
                .all(|row| phone(row).as_deref() == Some("491709999999"))
        );
    }
    // Reported again in the other form, it is the message that is there.
    stage.inbound("A1", &json!({"chat": PHONE, "chatAlt": LID}));
    stage.inbound("A1", &json!({"chat": PHONE}));
    assert_eq!(stage.listed(None).len(), 2);
    assert_eq!(stage.events("message.received"), 2);
}

#[test]
fn a_group_keeps_its_chat_and_its_senders_are_known_by_both_ids() {
    let stage = stage(3);
    stage.inbound(
        "A1",
        &json!({"chat": GROUP, "sender": LID, "senderAlt": PHONE}),
    );
    stage.inbound("A1", &json!({"chat": GROUP, "sender": PHONE}));
    stage.inbound("A2", &json!({"chat": GROUP, "sender": LID}));
    let all = stage.listed(Some(GROUP));
    assert_eq!(all.len(), 2);
    for row in all {
        assert_eq!(row.sender.as_deref(), Some(PHONE));
        assert_eq!(row.person_ids().lid.as_deref(), Some(LID));
    }
    assert!(
        stage.listed(Some(PHONE)).is_empty(),
        "who writes in a group has no chat by it"
    );
}

#[test]
fn one_id_at_whatsapp_of_two_persons_is_two_messages() {
    let stage = stage(4);
    stage.inbound("A1", &json!({"chat": PHONE}));
    stage.inbound("A1", &json!({"chat": "491708888888@s.whatsapp.net"}));
    stage.inbound("A1", &json!({"chat": GROUP, "sender": PHONE}));
    assert_eq!(stage.listed(None).len(), 3);
}

#[test]
fn another_sessions_knowledge_is_not_used() {
    let stage = stage(5);
    stage.inbound("A1", &json!({"chat": PHONE, "chatAlt": LID}));
    let other = Stage {
        session: stage.world.connected("support"),
        ..stage
    };
    other.inbound("A1", &json!({"chat": LID}));
    assert_eq!(other.listed(None)[0].chat_id.as_deref(), Some(LID));
}

#[test]
fn a_lid_whose_number_changes_goes_to_the_new_chat() {
    let stage = stage(6);
    let new = "491708888888@s.whatsapp.net";
    stage.inbound("A1", &json!({"chat": PHONE, "chatAlt": LID}));
    stage.inbound("A2", &json!({"chat": new, "chatAlt": LID}));
    stage.inbound("A3", &json!({"chat": LID}));
    let chats: Vec<_> = stage
        .listed(Some(LID))
        .into_iter()
        .map(|row| row.chat_id)
        .collect();
    assert_eq!(
        chats.iter().flatten().filter(|chat| *chat == new).count(),
        2
    );
}

#[test]
fn what_is_sent_to_a_lid_stands_in_the_chat_of_the_number_as_soon_as_that_is_known() {
    let stage = stage(9);
    let mut request = stage.world.text(stage.session, Some("k"));
    request.to = LID.parse().expect("a LID");
    let send = || block_on(stage.world.gateway().send(&request)).expect("sent");
    let before = send();
    assert_eq!(before.message.chat_id.as_deref(), Some(LID));
    stage.inbound("A1", &json!({"chat": PHONE, "chatAlt": LID}));
    let again = send();
    assert!(again.repeated, "it is the same request");
    let stands = again.message.chat_id.as_deref();
    assert_eq!(stands, Some(LID), "it is not rewritten");

    request.idempotency_key = None;
    let sent = block_on(stage.world.gateway().send(&request)).expect("sent");
    let ids = sent.message.person_ids();
    assert_eq!(sent.message.chat_id.as_deref(), Some(PHONE));
    assert_eq!(ids.phone.as_deref(), Some("491709999999"));
    assert_eq!(ids.lid.as_deref(), Some(LID));
    let shown = stage.world.fleet.network().shown(stage.session);
    assert!(shown.iter().all(|message| message.to == LID), "{shown:?}");
    assert_eq!(stage.listed(Some(PHONE)).len(), 3);
}

/// The simulated worker refuses whatever a real one could not translate.
#[test]
fn what_came_in_is_quoted_and_reacted_to_in_the_words_of_whatsapp() {
    let stage = stage(10);
    let network = stage.world.fleet.network();
    network.write(stage.session, LID, "When?");
    stage.world.run(seconds(2));
    stage.inbound("A1", &json!({"chat": PHONE, "chatAlt": LID}));
    let came = stage.listed(Some(PHONE));
    let came = came.iter().find(|row| row.chat_id.as_deref() == Some(LID));
    let came = came.expect("under its LID, which is all that was known");
    let wa = came.wa_message_id.as_ref().expect("an id").as_str();
    for (to, quoted) in [
        (LID, &*came.id.to_string()),
        (PHONE, &*came.id.to_string()),
        (LID, wa),
        (PHONE, wa),
    ] {
        let mut request = stage.world.text(stage.session, None);
        request.to = to.parse().expect("a chat");
        let quoted_field = "quotedMessageId".to_owned();
        request.context.insert(quoted_field, json!(quoted));
        let answer = block_on(stage.world.gateway().send(&request));
        assert!(answer.is_ok(), "{to} {quoted}: {answer:?}");
        request.context.clear();
        request.content = Content::Reaction {
            message_id: Some(came.id.to_string()),
            wa_message_id: None,
            emoji: "👍".to_owned(),
        };
        let answer = block_on(stage.world.gateway().send(&request));
        assert!(answer.is_ok(), "{to}: {answer:?}");
    }
    assert_eq!(network.shown(stage.session).len(), 8);
}

#[test]
fn what_is_typed_on_the_phone_is_outbound_and_its_statuses_fold() {
    let stage = stage(7);
    let typed = json!({"chat": LID, "chatAlt": PHONE, "sender": OWN, "fromMe": true});
    stage.inbound("A1", &typed);
    let receipt = |wa: &str, chat: &str, status: &str| {
        stage.status(&json!({
            "waMessageId": wa, "chat": chat, "sender": OWN, "fromMe": true, "status": status,
        }))
    };
    assert_eq!(receipt("A1", PHONE, "delivered"), Taken::Recorded);
    assert_eq!(receipt("A1", LID, "read"), Taken::Recorded);
    // The status comes first.
    assert_eq!(receipt("A2", LID, "delivered"), Taken::Recorded);
    stage.inbound("A2", &typed);
    let all = stage.listed(Some(PHONE));
    assert_eq!(all.len(), 2);
    for row in &all {
        assert_eq!(row.direction, Direction::Outbound);
        assert_eq!(row.source, Some(MessageSource::Phone));
        assert_eq!(row.sender.as_deref(), Some(OWN));
        assert_eq!(row.person_ids().lid.as_deref(), Some(LID));
        assert!(row.status >= MessageStatus::Delivered && row.kind.is_some());
    }
    assert_eq!(stage.events("message.sent"), 2);
    assert_eq!(stage.events("message.received"), 0);
    let nowhere = json!({"waMessageId": "A3", "fromMe": true, "status": "read"});
    assert_eq!(
        stage.status(&nowhere),
        Taken::Dropped,
        "without a chat it is nobody's"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Messages of one person are reported in any order and form, and any of them again. As long as both ids are not
    /// known to be one person, everything comes in one form, as from one version of a client.
    #[test]
    fn in_any_order_and_form_each_message_is_one_and_all_are_one_chat(
        early in vec(0_usize..6, 0..6),
        early_form in 3_usize..5,
        teaching in 0_usize..3,
        late in vec((0_usize..6, 0_usize..5), 1..16),
    ) {
        let stage = stage(8);
        let mut first: BTreeMap<usize, String> = BTreeMap::new();
        for message in early {
            stage.inbound(&format!("A{message}"), &forms()[early_form]);
            let form = if early_form == 3 { PHONE } else { LID };
            first.entry(message).or_insert_with(|| form.to_owned());
        }
        stage.inbound("TEACHES", &forms()[teaching]);
        for (message, form) in late {
            stage.inbound(&format!("A{message}"), &forms()[form]);
            first.entry(message).or_insert_with(|| PHONE.to_owned());
        }
        for chat in [PHONE, LID] {
            let all = stage.listed(Some(chat));
            prop_assert_eq!(all.len(), first.len() + 1, "{}", chat);
            for row in &all {
                let ids = row.person_ids();
                prop_assert_eq!(ids.phone.as_deref(), Some("491709999999"));
                prop_assert_eq!(ids.lid.as_deref(), Some(LID));
            }
        }
        let all = stage.listed(None);
        prop_assert_eq!(all.len(), first.len() + 1, "nothing stands elsewhere");
        for (message, chat) in &first {
            let text = format!("A{message}");
            let is_it = |row: &&Message| {
                row.content.as_ref().is_some_and(|content| content["text"] == *text)
            };
            let row = all.iter().find(is_it).expect("listed");
            prop_assert_eq!(row.chat_id.as_deref(), Some(chat.as_str()), "as it was first");
        }
        prop_assert_eq!(stage.events("message.received"), first.len() + 1);
    }
}
