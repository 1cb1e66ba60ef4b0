//! People: addresses in one form, and rows that are not printed.

use gateway_core::user::{Email, InvalidEmail, Role};
use gateway_testkit::fixture::a_user;

#[test]
fn an_address_is_the_same_however_it_is_written() {
    let email = Email::parse("  Ann.Lee+WA@Example.COM ").expect("an address");
    assert_eq!(email.as_str(), "ann.lee+wa@example.com");
    assert_eq!(Email::parse(email.as_str()), Ok(email));
}

#[test]
fn what_is_no_address_is_refused() {
    let long_local = format!("{}@example.com", "x".repeat(65));
    let long = format!("a@{}.com", "x".repeat(250));
    for bad in [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@example",
        "ann@.com",
        "ann@example.",
        "ann@example..com",
        "ann@lee@example.com",
        "ann lee@example.com",
        "ann@exam\u{7}ple.com",
        &long_local,
        &long,
    ] {
        assert_eq!(Email::parse(bad), Err(InvalidEmail), "{bad:?}");
    }
    let longest = format!("{}@example.com", "x".repeat(64));
    assert!(Email::parse(&longest).is_ok());
}

#[test]
fn a_printed_user_shows_neither_address_nor_password() {
    let user = a_user()
        .reached_at("ann@example.com")
        .with_password_hash("$argon2id$secret")
        .build();
    let printed = format!("{user:?}");
    assert!(printed.contains(&user.id.to_string()), "{printed}");
    for secret in ["ann@example.com", "argon2id"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn an_operator_may_more_than_a_user() {
    assert!(Role::Admin > Role::User);
}
