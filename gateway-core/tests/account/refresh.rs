//! Refresh tokens: good once, and a second use ends the login but for a leeway.

use futures_executor::block_on;
use gateway_core::account::{Ended, OpenedLogin, REFRESH_LEEWAY, RefreshSecret};
use gateway_core::audit::action;

use super::{Service, actor, drop_value, from};

/// The next tokens, and whether caches must forget the login.
fn refresh(service: &Service, token: &RefreshSecret) -> (Option<OpenedLogin>, Option<Ended>) {
    let done = block_on(service.logins.refresh(&from(1), token)).expect("an answer");
    (done.value, done.ended)
}

#[test]
fn a_refresh_token_is_good_once_and_gives_the_next_one() {
    let service = Service::new();
    let first = service.registered("ada");
    let mut token = first.refresh_token.clone();
    for _ in 0..3 {
        service.advance(60);
        let next = refresh(&service, &token).0.expect("its first use");
        assert_eq!(next.login, first.login);
        assert_ne!(next.refresh_token.hash(), token.hash());
        token = next.refresh_token;
    }
    assert!(service.is_live(&first));
}

#[test]
fn a_repeat_within_ten_seconds_gets_another_token_of_the_same_login() {
    let service = Service::new();
    let first = service.registered("ada");
    let second = refresh(&service, &first.refresh_token)
        .0
        .expect("first use");
    service.clock.advance(REFRESH_LEEWAY);
    let (repeat, ended) = refresh(&service, &first.refresh_token);
    let repeat = repeat.expect("in time");
    assert_eq!((repeat.login, ended), (first.login, None));
    for tab in [second, repeat] {
        assert!(refresh(&service, &tab.refresh_token).0.is_some());
    }
}

#[test]
fn a_later_repeat_ends_the_login_with_all_its_tokens() {
    let service = Service::new();
    let first = service.registered("ada");
    let second = refresh(&service, &first.refresh_token)
        .0
        .expect("first use");
    service.advance(11);
    let (none, ended) = refresh(&service, &first.refresh_token);
    let (tenant, login) = (first.tenant.id, first.login);
    assert!(none.is_none());
    assert_eq!(ended, Some(Ended::Login { tenant, login }));
    assert!(!service.is_live(&first));
    assert!(refresh(&service, &second.refresh_token).0.is_none());
    assert!(service.audit().contains(&action::LOGIN_REUSED.to_owned()));
}

#[test]
fn a_token_of_a_login_that_has_ended_is_refused_even_within_the_leeway() {
    let service = Service::new();
    let first = service.registered("ada");
    let second = refresh(&service, &first.refresh_token)
        .0
        .expect("first use");
    drop_value(
        block_on(
            service
                .logins
                .log_out(&actor(&first), first.tenant.id, first.login),
        )
        .expect("out"),
    );
    for token in [&first.refresh_token, &second.refresh_token] {
        assert!(refresh(&service, token).0.is_none());
    }
}

#[test]
fn a_token_ends_with_its_lifetime_which_each_use_extends() {
    let service = Service::new();
    let mut login = service.registered("ada");
    let day = 86_400;
    for _ in 0..3 {
        service.advance(29 * day);
        let next = refresh(&service, &login.refresh_token).0;
        login = next.expect("within thirty days of the last use");
    }
    service.advance(30 * day);
    assert!(refresh(&service, &login.refresh_token).0.is_none());
}

#[test]
fn a_token_that_was_never_given_out_is_refused() {
    let service = Service::new();
    service.registered("ada");
    let entropy = gateway_testkit::entropy::SeededEntropy::new(99);
    let stranger = RefreshSecret::generate(&entropy);
    assert_eq!(refresh(&service, &stranger).1, None);
    assert!(refresh(&service, &stranger).0.is_none());
}
