//! Ids that are fixed before the first attempt.

use gateway_core::id::{MessageId, SessionId, TenantId};
use gateway_core::message::{MessageIds, WaMessageId};
use gateway_core::time::Timestamp;
use gateway_testkit::entropy::SeededEntropy;
use proptest::prelude::*;

fn ids() -> MessageIds {
    MessageIds::new(b"never rotated")
}

#[test]
fn an_id_at_whatsapp_has_its_form() {
    let wa = ids().wa(MessageId::from_u128(1));
    let (head, tail) = wa.as_str().split_at(4);
    assert_eq!((head, tail.len()), ("3EB0", 18));
    assert!(
        tail.bytes()
            .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
    );
}

#[test]
fn ids_at_whatsapp_of_others_are_opaque_but_printable() {
    for good in ["A", "false_4917@c.us_3EB0", &"x".repeat(128)] {
        let wa = WaMessageId::parse(good).expect("printable");
        assert_eq!(wa.to_string(), good);
    }
    for bad in ["", "a b", "ü", "a\0", "a\n", &"x".repeat(129)] {
        assert_eq!(WaMessageId::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn without_a_key_an_id_is_drawn() {
    let entropy = SeededEntropy::new(1);
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let drawn = [
        MessageIds::random(now, &entropy),
        MessageIds::random(now, &entropy),
    ];
    assert_ne!(drawn[0], drawn[1]);
}

#[test]
fn the_secret_is_not_printed() {
    assert_eq!(format!("{:?}", ids()), "MessageIds { .. }");
}

proptest! {
    #[test]
    fn the_same_key_is_the_same_message_on_every_replica(
        tenant in any::<u128>(), session in any::<u128>(), key in "\\PC{1,40}",
    ) {
        let (tenant, session) = (TenantId::from_u128(tenant), SessionId::from_u128(session));
        let id = ids().keyed(tenant, session, &key);
        prop_assert_eq!(id, ids().keyed(tenant, session, &key));
        prop_assert_eq!(ids().wa(id), ids().wa(id));
        prop_assert_ne!(id, MessageIds::new(b"other").keyed(tenant, session, &key));
    }

    #[test]
    fn another_tenant_session_or_key_is_another_message(
        one in (0..4u128, 0..4u128, "[ab]{0,3}"), other in (0..4u128, 0..4u128, "[ab]{0,3}"),
    ) {
        let id = |(tenant, session, key): &(u128, u128, String)| {
            ids().keyed(TenantId::from_u128(*tenant), SessionId::from_u128(*session), key)
        };
        prop_assert_eq!(one == other, id(&one) == id(&other));
        prop_assert_eq!(one == other, ids().wa(id(&one)) == ids().wa(id(&other)));
    }

    /// Parts are delimited: moving a character from one to the next is another identity.
    #[test]
    fn an_inbound_message_is_its_chat_sender_and_id(
        one in ("[ab]{0,3}", "[ab]{0,3}", "[ab]{1,3}"), other in ("[ab]{0,3}", "[ab]{0,3}", "[ab]{1,3}"),
    ) {
        let id = |(chat, sender, wa): &(String, String, String)| {
            let wa = WaMessageId::parse(wa).expect("printable");
            ids().inbound(SessionId::from_u128(1), chat, sender, &wa)
        };
        prop_assert_eq!(one == other, id(&one) == id(&other));
    }
}
