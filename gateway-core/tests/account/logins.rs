//! Registering, logging in and out, and changing a password.

use futures_executor::block_on;
use gateway_core::account::{AccountError, Ended, NewPassword, Password, ProfilePatch};
use gateway_core::audit::action;
use gateway_core::tenant::TenantStatus;
use gateway_core::user::Role;

use super::{
    OTHER, PASSWORD, Service, actor, drop_value, email, from, log_in, new_password, registration,
};

#[test]
fn who_registers_has_a_tenant_on_the_first_plan_and_is_logged_in() {
    let service = Service::new();
    let login = service.registered("ada");
    assert_eq!(login.tenant.name, "ada@example.com");
    assert_eq!(login.tenant.tier.as_str(), "BASIC");
    assert_eq!(login.tenant.status, TenantStatus::Active);
    assert_eq!(login.user.role, Role::User);
    assert!(service.is_live(&login));
    let mut entries = service.audit();
    entries.sort_unstable();
    assert_eq!(entries, [action::LOGIN_OPENED, action::USER_REGISTERED]);
}

#[test]
fn an_address_is_registered_once() {
    let service = Service::new();
    service.registered("ada");
    let again = block_on(service.logins.register(
        &from(2),
        registration("ada"),
        &new_password(OTHER),
    ));
    assert!(matches!(again, Err(AccountError::EmailTaken)), "{again:?}");
    assert_eq!(service.audit().len(), 2, "nothing was written");
}

#[test]
fn a_password_has_ten_to_128_characters() {
    for (text, good) in [
        ("x".repeat(9), false),
        ("x".repeat(10), true),
        ("ü".repeat(128), true),
        ("x".repeat(129), false),
    ] {
        assert_eq!(NewPassword::parse(&text).is_ok(), good, "{}", text.len());
    }
}

#[test]
fn an_unknown_address_is_told_from_a_wrong_password_by_nothing() {
    let service = Service::new();
    service.registered("ada");
    let wrong = log_in(&service, "ada", "not this one", 1).expect_err("wrong");
    let unknown = log_in(&service, "eve", "not this one", 1).expect_err("unknown");
    assert_eq!(wrong.to_string(), unknown.to_string());
    assert!(matches!(unknown, AccountError::WrongCredentials));
    assert_eq!(service.audit().len(), 2, "failures leave no entry");
}

#[test]
fn a_logout_ends_one_login_and_repeating_it_changes_nothing() {
    let service = Service::new();
    let here = service.registered("ada");
    let there = log_in(&service, "ada", PASSWORD, 1).expect("right");
    for _ in 0..2 {
        let ended = block_on(
            service
                .logins
                .log_out(&actor(&here), here.tenant.id, here.login),
        )
        .expect("out")
        .ended;
        let (tenant, login) = (here.tenant.id, here.login);
        assert_eq!(ended, Some(Ended::Login { tenant, login }));
    }
    assert!(!service.is_live(&here));
    assert!(service.is_live(&there));
    let ends = service.audit().into_iter();
    assert_eq!(ends.filter(|name| name == action::LOGIN_ENDED).count(), 1);
}

#[test]
fn a_login_of_another_tenant_is_not_ended() {
    let service = Service::new();
    let (ada, eve) = (service.registered("ada"), service.registered("eve"));
    drop_value(
        block_on(
            service
                .logins
                .log_out(&actor(&eve), eve.tenant.id, ada.login),
        )
        .expect("nothing to do"),
    );
    assert!(service.is_live(&ada));
}

#[test]
fn a_new_password_ends_every_login_but_the_one_it_opens() {
    let service = Service::new();
    let here = service.registered("ada");
    let there = log_in(&service, "ada", PASSWORD, 1).expect("right");
    let (old, new) = (Password::new(PASSWORD), new_password(OTHER));
    let change = |current: &Password| {
        let (tenant, user) = (here.tenant.id, here.user.id);
        block_on(
            service
                .logins
                .change_password(&actor(&here), tenant, user, current, &new),
        )
    };
    let refused = change(&Password::new("not this one"));
    assert!(
        matches!(refused, Err(AccountError::WrongPassword)),
        "{refused:?}"
    );
    assert!(service.is_live(&here), "nothing has changed");

    let done = change(&old).expect("the present password");
    let (tenant, user) = (here.tenant.id, here.user.id);
    assert_eq!(done.ended, Some(Ended::User { tenant, user }));
    assert!(!service.is_live(&here) && !service.is_live(&there));
    assert!(service.is_live(&done.value));
    assert!(log_in(&service, "ada", PASSWORD, 1).is_err());
    assert!(log_in(&service, "ada", OTHER, 1).is_ok());
}

#[test]
fn a_password_that_an_operator_resets_ends_every_login() {
    let service = Service::new();
    let here = service.registered("ada");
    let operator = gateway_core::identity::Actor::operator();
    let (address, new) = (email("ada"), new_password(OTHER));
    drop_value(
        block_on(service.accounts().reset_password(&operator, &address, &new)).expect("known"),
    );
    assert!(!service.is_live(&here));
    assert!(log_in(&service, "ada", OTHER, 1).is_ok());
    let (address, new) = (email("eve"), new_password(OTHER));
    let unknown = block_on(service.accounts().reset_password(&operator, &address, &new));
    assert!(
        matches!(unknown, Err(AccountError::UnknownUser)),
        "{unknown:?}"
    );
}

#[test]
fn a_person_may_take_any_address_that_is_free() {
    let service = Service::new();
    let (ada, _eve) = (service.registered("ada"), service.registered("eve"));
    let take = |name: &str| {
        let patch = ProfilePatch {
            name: Some(Some("Ada".to_owned())),
            email: Some(email(name)),
        };
        let (tenant, user) = (ada.tenant.id, ada.user.id);
        let accounts = service.accounts();
        block_on(accounts.update_profile(&actor(&ada), tenant, user, &patch))
    };
    let taken = take("eve");
    assert!(matches!(taken, Err(AccountError::EmailTaken)), "{taken:?}");
    let profile = take("countess").expect("free").value;
    assert_eq!(profile.user.name.as_deref(), Some("Ada"));
    assert!(log_in(&service, "countess", PASSWORD, 1).is_ok());
    assert!(log_in(&service, "ada", PASSWORD, 1).is_err());
}
