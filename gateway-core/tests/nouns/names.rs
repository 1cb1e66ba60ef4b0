//! Names: one for the wire, the store and the code, and normalised the same way everywhere.

use std::fmt::Debug;

use gateway_core::id::{Incarnation, InvalidSlug, SessionName, WorkerId};
use gateway_core::message::{ChatId, Direction, MessageStatus, WaMessageId};
use gateway_core::protocol::{MessageReport, Reports};
use gateway_core::session::{InvalidSessionRef, SessionRef, Status};
use gateway_core::tenant::{TenantStatus, Tier, TierName};
use gateway_core::time::Timestamp;
use gateway_core::user::Role;
use gateway_core::worker::WorkerStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One name: what is written is what is read, by hand and by serde, and nothing else is.
fn one_name<T>(all: &[T], name: fn(T) -> &'static str, parse: fn(&str) -> Option<T>)
where
    T: Copy + Debug + PartialEq + Serialize + DeserializeOwned,
{
    for value in all {
        let text = name(*value);
        assert_eq!(parse(text), Some(*value), "{text}");
        assert_eq!(serde_json::to_value(value).ok(), Some(json!(text)));
        assert_eq!(serde_json::from_value::<T>(json!(text)).ok(), Some(*value));
        for other in ["", "?", &text.to_lowercase(), &text.to_uppercase()] {
            assert_eq!(parse(other).is_some(), other == text, "{other}");
        }
    }
}

#[test]
fn what_is_named_has_one_name_in_the_store_and_on_the_wire() {
    one_name(&Status::ALL, Status::name, Status::parse);
    one_name(&WorkerStatus::ALL, WorkerStatus::name, WorkerStatus::parse);
    one_name(
        &MessageStatus::ALL,
        MessageStatus::name,
        MessageStatus::parse,
    );
    one_name(&[Role::User, Role::Admin], Role::name, Role::parse);
    let tenant = [TenantStatus::Active, TenantStatus::Suspended];
    one_name(&tenant, TenantStatus::name, TenantStatus::parse);
    let direction = [Direction::Outbound, Direction::Inbound];
    one_name(&direction, Direction::name, Direction::parse);
}

#[test]
fn a_name_is_normalised_wherever_it_comes_from() {
    let read = |text: &str| serde_json::from_value::<SessionName>(json!(text));
    let name = read(" Front_Desk ").expect("a slug");
    assert_eq!(name, SessionName::parse("front-desk").expect("a slug"));
    assert_eq!(serde_json::to_value(&name).ok(), Some(json!("front-desk")));
    assert_eq!((name.to_string(), format!("{name:?}")), {
        let text = "front-desk".to_owned();
        (text.clone(), text)
    });
    let empty = read("***").expect_err("nothing is left").to_string();
    assert!(empty.contains("at least one letter"), "{empty}");
    let worker = serde_json::from_value::<WorkerId>(json!("x".repeat(51)));
    let long = worker.expect_err("too long").to_string();
    assert!(long.contains("at most 50"), "{long}");
}

#[test]
fn a_run_of_a_worker_is_taken_as_it_is_or_not_at_all() {
    let read = |text: &str| serde_json::from_value::<Incarnation>(json!(text));
    let run = read("Run_0001").expect("a token");
    assert_eq!(run.to_string(), "Run_0001");
    assert_eq!(format!("{run:?}"), "Run_0001");
    assert_eq!(serde_json::to_value(&run).ok(), Some(json!("Run_0001")));
    assert!(read("with space").is_err());
}

#[test]
fn a_path_names_a_session_by_id_or_by_name() {
    let id = "ses_00000000000000000000000001";
    let by_id = SessionRef::parse(id).expect("an id");
    assert_eq!(by_id, SessionRef::Id(id.parse().expect("an id")));
    let by_name = SessionRef::parse("Front Desk").expect("a name");
    let name = SessionName::parse("front-desk").expect("a slug");
    assert_eq!(by_name, SessionRef::Name(name));
    let malformed = SessionRef::parse("ses_front-desk");
    assert!(
        matches!(malformed, Err(InvalidSessionRef::Id(_))),
        "what starts like an id is none of the names: {malformed:?}"
    );
    assert_eq!(
        SessionRef::parse("!"),
        Err(InvalidSessionRef::Name(InvalidSlug::Empty))
    );
}

#[test]
fn the_plans_are_those_of_the_specification() {
    let plans = Tier::defaults().map(|tier| {
        assert_eq!(tier.webhook_endpoints, tier.sessions);
        let name = tier.name.to_string();
        let limits = (tier.sessions, tier.requests_per_hour, tier.history_days);
        (name, limits, tier.priority)
    });
    let expected = [
        ("BASIC", (1, 100, 7), 1),
        ("PRO", (5, 1_000, 30), 2),
        ("MAX", (20, 10_000, 90), 3),
    ];
    assert_eq!(
        plans,
        expected.map(|(name, limits, priority)| (name.to_owned(), limits, priority))
    );
}

#[test]
fn a_plan_is_found_however_its_name_is_written() {
    let plan = TierName::parse("Pro-plus").expect("a name");
    assert_eq!(plan.as_str(), "PRO_PLUS");
    assert_eq!(format!("{plan} {plan:?}"), "PRO_PLUS PRO_PLUS");
    let read = serde_json::from_value::<TierName>(json!("pro plus")).ok();
    assert_ne!(read, None);
    for same in ["PRO_PLUS", "pro-plus", " Pro_Plus "] {
        assert_eq!(TierName::parse(same), Ok(plan.clone()), "{same}");
    }
    assert!(serde_json::from_value::<TierName>(json!("!")).is_err());
    let pro = &Tier::defaults()[1];
    assert_eq!(Ok(pro.name.clone()), TierName::parse("pro"));
}

#[test]
fn times_travel_as_text_with_milliseconds() {
    let at = Timestamp::from_micros(1_700_000_000_123_000);
    let text = json!("2023-11-14T22:13:20.123Z");
    assert_eq!(serde_json::to_value(at).ok(), Some(text.clone()));
    assert_eq!(serde_json::from_value(text).ok(), Some(at));
    let elsewhere = json!("2023-11-15T00:13:20.123+02:00");
    assert_eq!(serde_json::from_value(elsewhere).ok(), Some(at));
    let bad = serde_json::from_value::<Timestamp>(json!("yesterday"));
    assert!(bad.expect_err("no time").to_string().contains("RFC 3339"));
}

#[test]
fn a_chat_is_written_in_one_form_and_not_printed() {
    let chat: ChatId = "+49 (170) 123-4567".parse().expect("a number");
    let text = "491701234567@s.whatsapp.net";
    assert_eq!(serde_json::to_value(&chat).ok(), Some(json!(text)));
    assert_eq!(chat.to_string(), text);
    assert!(!format!("{chat:?}").contains("49170"), "R-20: {chat:?}");
    let id = WaMessageId::parse("3EB0").expect("an id");
    assert_eq!(format!("{id:?} {id}"), "3EB0 3EB0");
}

#[test]
fn a_worker_may_send_one_report_or_several() {
    let report = |id: &str| {
        json!({
            "sessionId": "ses_00000000000000000000000001", "epoch": 1,
            "messageId": id, "status": "read",
        })
    };
    let read = |body: Value| {
        let reports: Reports<MessageReport> = serde_json::from_value(body).expect("reports");
        let ids = reports.into_vec().into_iter().map(|one| one.message_id);
        ids.flatten().collect::<Vec<_>>()
    };
    assert_eq!(read(report("a")), ["a"]);
    assert_eq!(read(json!([report("b"), report("a")])), ["b", "a"]);
    assert_eq!(read(json!([])), [""; 0]);
    assert!(serde_json::from_value::<Reports<MessageReport>>(json!({})).is_err());
}
