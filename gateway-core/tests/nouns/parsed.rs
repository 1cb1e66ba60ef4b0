//! What is accepted from outside can be shown again, and is then the same: else one odd value makes a whole
//! list unreadable for ever.

use std::fmt::{Debug, Display};

use gateway_core::id::{
    ApiKeyId, Epoch, Incarnation, MessageId, SessionId, SessionName, TenantId, UserId, WorkerId,
};
use gateway_core::message::{ChatId, WaMessageId};
use gateway_core::session::Reason;
use gateway_core::tenant::TierName;
use gateway_core::time::Timestamp;
use gateway_core::user::Email;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Whatever `text` is read as is read again from what is shown of it.
fn shown_again<T>(text: &str, parse: impl Fn(&str) -> Option<T>, show: impl Fn(&T) -> String)
where
    T: Debug + PartialEq,
{
    if let Some(value) = parse(text) {
        assert_eq!(parse(&show(&value)), Some(value), "{text:?}");
    }
}

/// The same through JSON, by which requests, answers and stored texts go.
fn written_again<T>(given: &Value)
where
    T: Debug + PartialEq + Serialize + DeserializeOwned,
{
    if let Ok(value) = serde_json::from_value::<T>(given.clone()) {
        let written = serde_json::to_value(&value);
        let written = written.unwrap_or_else(|error| panic!("{given}: {error}"));
        assert_eq!(serde_json::from_value(written).ok(), Some(value), "{given}");
    }
}

fn both<T>(text: &str, parse: impl Fn(&str) -> Option<T>)
where
    T: Debug + Display + PartialEq + Serialize + DeserializeOwned,
{
    let by_hand = parse(text);
    let by_serde = serde_json::from_value::<T>(json!(text)).ok();
    assert_eq!(by_hand, by_serde, "{text:?} is read in two ways");
    shown_again(text, parse, T::to_string);
    written_again::<T>(&json!(text));
}

fn every_type(text: &str) {
    both(text, |text| text.parse::<SessionId>().ok());
    both(text, |text| text.parse::<MessageId>().ok());
    both(text, |text| text.parse::<ApiKeyId>().ok());
    both(text, |text| text.parse::<TenantId>().ok());
    both(text, |text| text.parse::<UserId>().ok());
    both(text, |text| SessionName::parse(text).ok());
    both(text, |text| WorkerId::parse(text).ok());
    both(text, |text| Incarnation::parse(text).ok());
    both(text, |text| TierName::parse(text).ok());
    both(text, WaMessageId::parse);
    shown_again(
        text,
        |text| Email::parse(text).ok(),
        |email| email.as_str().to_owned(),
    );
    shown_again(text, |text| text.parse::<ChatId>().ok(), ChatId::to_string);
    shown_again(
        text,
        |text| Some(Reason::parse(text)),
        |reason| reason.as_str().to_owned(),
    );
}

/// Texts near those that are accepted.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,80}",
        "(ses|msg|key|ten|usr)_[0-8][0-9a-z]{25}",
        "[A-Za-z0-9 _-]{0,70}",
        "[!-~]{1,130}",
        "[ a-zİÀẞ.]{1,8}@[a-zİ.]{1,8}\\.[a-z]{1,3}",
        "\\+?[0-9 ()-]{3,18}(@(s\\.whatsapp\\.net|c\\.us|g\\.us|lid|newsletter))?",
        moments(),
    ]
}

/// Times around the first, the last and any other year, with any offset.
fn moments() -> impl Strategy<Value = String> {
    let year = prop_oneof![0..3_i32, 9_997..10_000_i32, 0..10_000_i32];
    let parts = (1..13_u8, 1..32_u8, 0..24_u8, 0..60_u8, 0..61_u8);
    let offset = prop_oneof![Just("Z".to_owned()), "[+-][0-2][0-9]:[0-5][0-9]"];
    (year, parts, "(\\.[0-9]{1,9})?", offset).prop_map(|(year, parts, fraction, offset)| {
        let (month, day, hour, minute, second) = parts;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}")
    })
}

proptest! {
    #[test]
    fn what_is_accepted_is_shown_and_read_as_the_same(text in texts()) {
        every_type(&text);
    }

    #[test]
    fn a_time_that_is_accepted_can_be_written(text in moments()) {
        if let Ok(at) = Timestamp::parse(&text) {
            prop_assert!((Timestamp::MIN..=Timestamp::MAX).contains(&at));
            // It is shown in milliseconds.
            let shown = serde_json::to_value(at).expect("it was accepted");
            let again: Timestamp = serde_json::from_value(shown).expect("it was shown");
            prop_assert_eq!(again.as_millis(), at.as_millis());
        }
    }

    #[test]
    fn an_epoch_that_is_accepted_fits_into_every_store(number in any::<u64>()) {
        let epoch = serde_json::from_value::<Epoch>(json!(number));
        prop_assert_eq!(epoch.is_ok(), i64::try_from(number).is_ok());
    }
}

#[test]
fn no_time_leaves_the_years_that_can_be_written() {
    for at in [Timestamp::MIN, Timestamp::MAX, Timestamp::default()] {
        for moved in [
            at.plus(std::time::Duration::MAX),
            at.minus(std::time::Duration::MAX),
        ] {
            assert!(serde_json::to_value(moved).is_ok());
        }
    }
}
