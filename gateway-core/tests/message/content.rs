//! What a tenant may write, type by type (R-60), and to whom.

use gateway_core::message::{ChatId, ChatKind, Content, MAX_TEXT_CHARS, body_hash};
use proptest::prelude::*;
use serde_json::{Value, json};

fn content(value: Value) -> Content {
    let text = value.to_string();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The fields that are wrong, in order.
fn wrong(value: Value) -> Vec<String> {
    let problems = content(value).problems();
    assert!(problems.iter().all(|problem| !problem.message.is_empty()));
    problems.into_iter().map(|problem| problem.field).collect()
}

/// One good message of each type, with everything optional.
fn good() -> Vec<Value> {
    let media = json!({ "url": "https://example.com/a", "mimeType": "image/png", "fileName": "a" });
    vec![
        json!({ "type": "text", "text": "hi", "previewUrl": true }),
        json!({ "type": "image", "media": media, "caption": "c" }),
        json!({ "type": "video", "media": { "mediaId": "med_1" }, "caption": "c", "gif": true }),
        json!({ "type": "audio", "media": media, "voice": true }),
        json!({ "type": "document", "media": media, "caption": "c" }),
        json!({ "type": "sticker", "media": media }),
        json!({ "type": "location", "latitude": 52.5, "longitude": -13.4, "name": "n", "address": "a" }),
        json!({ "type": "contact", "contacts": [{ "name": "n", "phoneNumber": "+491701234567", "organization": "o" }] }),
        json!({ "type": "poll", "question": "q", "options": ["a", "b"], "selectableCount": 2 }),
        json!({ "type": "reaction", "messageId": "msg_1", "emoji": "👍" }),
    ]
}

#[test]
fn one_of_each_type_can_be_sent() {
    let kinds: Vec<&str> = good()
        .into_iter()
        .map(|value| content(value).kind())
        .collect();
    assert_eq!(kinds, Content::KINDS);
    for value in good() {
        assert_eq!(wrong(value.clone()), [] as [&str; 0], "{value}");
        let back = serde_json::to_value(content(value.clone())).expect("JSON");
        assert_eq!(back, value, "nothing is lost or added");
        assert_eq!(Value::Object(content(value.clone()).tagged()), value);
    }
}

#[test]
fn five_types_need_media() {
    let with_media: Vec<&str> = good()
        .into_iter()
        .map(content)
        .filter(Content::needs_media)
        .map(|content| content.kind())
        .collect();
    assert_eq!(
        with_media,
        ["image", "video", "audio", "document", "sticker"]
    );
}

#[test]
fn a_text_has_1_to_65536_characters_and_no_nul() {
    let text = |text: String| wrong(json!({ "type": "text", "text": text }));
    assert_eq!(text(String::new()), ["text"]);
    assert_eq!(
        text("ü".repeat(MAX_TEXT_CHARS)),
        [] as [&str; 0],
        "characters, not bytes"
    );
    assert_eq!(text("x".repeat(MAX_TEXT_CHARS + 1)), ["text"]);
    assert_eq!(text("a\0b".to_owned()), ["text"]);
    assert_eq!(text("\0".repeat(MAX_TEXT_CHARS + 1)), ["text", "text"]);
}

#[test]
fn media_come_from_one_place() {
    for kind in ["image", "video", "audio", "document", "sticker"] {
        let with = |media: Value| wrong(json!({ "type": kind, "media": media }));
        assert_eq!(with(json!({})), ["media"]);
        assert_eq!(
            with(json!({ "url": "https://a.example", "mediaId": "x" })),
            ["media"]
        );
        assert_eq!(with(json!({ "url": "file:///etc/passwd" })), ["media.url"]);
        assert_eq!(with(json!({ "url": "https://a\0" })), ["media.url"]);
        let long = "x".repeat(300);
        assert_eq!(
            with(json!({ "mediaId": long, "mimeType": long, "fileName": long })),
            ["media.mediaId", "media.mimeType", "media.fileName"]
        );
    }
}

#[test]
fn captions_have_a_limit_where_there_are_any() {
    for kind in ["image", "video", "document"] {
        let caption = "x".repeat(4_097);
        let value = json!({ "type": kind, "media": { "mediaId": "x" }, "caption": caption });
        assert_eq!(wrong(value), ["caption"]);
    }
}

#[test]
fn a_location_is_on_earth() {
    let at = |latitude: f64, longitude: f64| {
        let place = Content::Location {
            latitude,
            longitude,
            name: None,
            address: None,
        };
        place.problems().len()
    };
    assert_eq!(at(90.0, -180.0), 0);
    assert_eq!(at(90.1, 180.1), 2);
    assert_eq!(at(f64::NAN, f64::INFINITY), 2);
    let long = "x".repeat(1_025);
    let value =
        json!({ "type": "location", "latitude": 0, "longitude": 0, "name": long, "address": "\0" });
    assert_eq!(wrong(value), ["name", "address"]);
}

#[test]
fn contacts_are_1_to_100_with_name_and_number() {
    let with = |contacts: Vec<Value>| wrong(json!({ "type": "contact", "contacts": contacts }));
    let one = json!({ "name": "n", "phoneNumber": "+491701234567" });
    assert_eq!(with(vec![]), ["contacts"]);
    assert_eq!(with(vec![one.clone(); 100]), [] as [&str; 0]);
    assert_eq!(with(vec![one.clone(); 101]), ["contacts"]);
    let bad = json!({ "name": "", "phoneNumber": "x".repeat(33), "organization": "\0" });
    assert_eq!(
        with(vec![one, bad]),
        [
            "contacts[1].name",
            "contacts[1].phoneNumber",
            "contacts[1].organization"
        ]
    );
}

#[test]
fn a_contact_card_has_a_number_that_can_be_dialled_and_says_one_thing_per_line() {
    let with = |name: &str, number: &str, organization: &str| {
        let card = json!({ "name": name, "phoneNumber": number, "organization": organization });
        wrong(json!({ "type": "contact", "contacts": [card] }))
    };
    assert_eq!(with("Ann", "+49 (170) 123-4567", ""), [] as [&str; 0]);
    for number in [
        "abc",
        "",
        "1",
        "+44 (0)7911 123456",
        "1-2@g.us",
        "123456@lid",
        "status@broadcast",
    ] {
        assert_eq!(
            with("Ann", number, ""),
            ["contacts[0].phoneNumber"],
            "{number}"
        );
    }
    for name in [
        "Ann\nTEL:+1",
        "Ann\rx",
        "Ann\u{2028}x",
        "Ann\tx",
        " ",
        "\u{200b}",
    ] {
        assert_eq!(
            with(name, "+491701234567", ""),
            ["contacts[0].name"],
            "{name:?}"
        );
    }
    let injected = with("Ann", "+491701234567", "Org\r\nTEL:+1");
    assert_eq!(injected, ["contacts[0].organization"]);
}

#[test]
fn a_message_has_something_that_can_be_seen() {
    for blank in ["   ", "\n", "\u{200b}\u{2060}", "\u{3164}", "\u{2800}"] {
        assert_eq!(
            wrong(json!({ "type": "text", "text": blank })),
            ["text"],
            "{blank:?}"
        );
        let poll = json!({ "type": "poll", "question": blank, "options": ["a", blank] });
        assert_eq!(wrong(poll), ["question", "options[1]"], "{blank:?}");
    }
}

#[test]
fn a_poll_has_2_to_12_different_options() {
    let with = |question: &str, options: Vec<String>, count: u32| {
        wrong(
            json!({ "type": "poll", "question": question, "options": options, "selectableCount": count }),
        )
    };
    let options = |count: usize| (0..count).map(|number| format!("o{number}")).collect();
    assert_eq!(with("q", options(12), 12), [] as [&str; 0]);
    assert_eq!(with("q", options(1), 1), ["options"]);
    assert_eq!(with("q", options(13), 1), ["options"]);
    assert_eq!(with("", options(2), 3), ["question", "selectableCount"]);
    assert_eq!(with("q", options(2), 0), ["selectableCount"]);
    let twice = vec!["a".to_owned(), "a".to_owned()];
    assert_eq!(with("q", twice, 1), ["options[1]"]);
    let poll = json!({ "type": "poll", "question": "q", "options": ["a", "b"] });
    assert_eq!(
        wrong(poll),
        [] as [&str; 0],
        "one may be chosen if nothing is said"
    );
}

#[test]
fn a_reaction_names_one_message_in_one_way() {
    let with = |mut value: Value| {
        value["type"] = json!("reaction");
        wrong(value)
    };
    assert_eq!(with(json!({ "emoji": "" })), ["messageId"]);
    let both = json!({ "emoji": "", "messageId": "a", "waMessageId": "b" });
    assert_eq!(with(both), ["messageId"]);
    let removed = json!({ "emoji": "", "waMessageId": "b" });
    assert_eq!(with(removed), [] as [&str; 0], "an empty one takes it back");
    let long = json!({ "emoji": "x".repeat(17), "messageId": "m".repeat(129) });
    assert_eq!(with(long), ["messageId", "emoji"]);
    for none in ["ok", " ", ":thumbsup:", "👍👍", "👍 ", "1", "\u{200d}"] {
        let reaction = json!({ "emoji": none, "waMessageId": "b" });
        assert_eq!(with(reaction), ["emoji"], "{none:?}");
    }
    for one in ["👍🏽", "❤️", "🇩🇪", "👨‍👩‍👧‍👦", "1️⃣"] {
        let reaction = json!({ "emoji": one, "waMessageId": "b" });
        assert_eq!(with(reaction), [] as [&str; 0], "{one}");
    }
}

#[test]
fn the_order_of_fields_does_not_change_the_hash_and_everything_else_does() {
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let hash = |text: &str| body_hash(&parse(text));
    assert_eq!(
        hash(r#"{"to":"a","text":"b"}"#),
        hash(r#"{ "text": "b", "to": "a" }"#)
    );
    assert_ne!(hash(r#"{"text":"b"}"#), hash(r#"{"text":"b "}"#));
    assert_ne!(hash(r#"{"n":1}"#), hash(r#"{"n":"1"}"#));
}

proptest! {
    #[test]
    fn nothing_a_client_writes_makes_the_check_panic(text in ".{0,40}", at in any::<f64>()) {
        for kind in Content::KINDS {
            let value = json!({
                "type": kind, "text": text, "media": { "url": text }, "caption": text,
                "latitude": at, "longitude": at, "question": text, "options": [text, text],
                "emoji": text, "contacts": [{ "name": text, "phoneNumber": text }],
            });
            if let Ok(content) = serde_json::from_value::<Content>(value) {
                let _ = content.problems();
            }
        }
    }

    #[test]
    fn a_chat_id_is_canonical_or_an_error(text in "\\PC{0,30}(@(c.us|s.whatsapp.net|g.us|lid|newsletter|x))?") {
        if let Ok(chat) = text.parse::<ChatId>() {
            let canonical = chat.to_string();
            prop_assert_eq!(canonical.parse::<ChatId>(), Ok(chat.clone()));
            prop_assert!(canonical.len() < 60 && canonical.is_ascii());
            prop_assert!(canonical.split_once('@').is_some());
            let debug = format!("{chat:?}");
            prop_assert!(!debug.contains(&canonical));
        }
    }

    #[test]
    fn every_dialect_of_a_number_is_one_chat(number in "[1-9][0-9]{4,14}") {
        let canonical = format!("{number}@s.whatsapp.net");
        let (head, tail) = number.split_at(3);
        for dialect in [
            number.clone(),
            format!("+{number}"),
            format!("+{head} {tail}"),
            format!("({head}) {tail}"),
            format!("{number}@c.us"),
            format!("{number}:7@s.whatsapp.net"),
        ] {
            let chat: ChatId = dialect.parse().map_err(|error| {
                TestCaseError::fail(format!("{dialect}: {error}"))
            })?;
            prop_assert_eq!(chat.kind(), ChatKind::Phone);
            prop_assert_eq!(chat.as_str(), canonical.as_str());
        }
    }
}
