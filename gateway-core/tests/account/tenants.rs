//! What operators decide about tenants.

use futures_executor::block_on;
use gateway_core::account::{AccountError, Ended, KeyError, NewAccount};
use gateway_core::audit::action;
use gateway_core::identity::Actor;
use gateway_core::tenant::{TenantStatus, TierName};
use gateway_core::user::Role;

use super::{PASSWORD, Service, a_key, actor, email, from, issued, log_in, new_password};

fn tier(name: &str) -> TierName {
    TierName::parse(name).expect("a name")
}

#[test]
fn a_tenant_is_put_on_a_plan_that_there_is() {
    let service = Service::new();
    let tenant = service.registered("ada").tenant.id;
    let put = |name: &str| {
        let (accounts, tier) = (service.accounts(), tier(name));
        block_on(accounts.set_tier(&Actor::operator(), tenant, &tier))
    };
    let done = put("PRO").expect("there is one");
    assert_eq!(done.value.tier, tier("PRO"));
    assert_eq!(done.ended, Some(Ended::Tenant { tenant }));
    let unknown = put("GOLD").expect_err("there is none");
    let text = unknown.to_string();
    assert!(text.contains("GOLD") && text.contains("MAX"), "{text}");
    let kept = service.read(|mut tx| async move { tx.tenant(tenant).await });
    assert_eq!(kept.expect("there").tier, tier("PRO"));
    assert!(
        service
            .audit()
            .contains(&action::TENANT_TIER_SET.to_owned())
    );
}

#[test]
fn a_suspended_tenant_can_do_nothing_and_all_of_it_when_it_is_active_again() {
    let service = Service::new();
    let login = service.registered("ada");
    let key = issued(&service, &login, a_key());
    let (accounts, tenant) = (service.accounts(), login.tenant.id);
    let stand = |status| {
        block_on(accounts.set_standing(&Actor::operator(), tenant, status))
            .expect("known")
            .ended
    };
    assert_eq!(
        stand(TenantStatus::Suspended),
        Some(Ended::Tenant { tenant })
    );
    let entered = log_in(&service, "ada", PASSWORD, 1);
    assert!(
        matches!(entered, Err(AccountError::TenantSuspended)),
        "{entered:?}"
    );
    let refreshed = block_on(service.logins.refresh(&from(1), &login.refresh_token));
    assert!(
        matches!(refreshed, Err(AccountError::TenantSuspended)),
        "{refreshed:?}"
    );
    let made = block_on(accounts.create_key(&actor(&login), tenant, a_key()));
    assert!(
        matches!(made, Err(KeyError::Account(AccountError::TenantSuspended))),
        "{made:?}"
    );
    let seen = block_on(accounts.profile(tenant, login.user.id));
    assert!(
        matches!(seen, Err(AccountError::TenantSuspended)),
        "{seen:?}"
    );
    let known = || block_on(accounts.authenticate_key(&key.secret)).expect("an answer");
    assert_eq!(known(), None);

    stand(TenantStatus::Active);
    assert!(known().is_some());
    assert!(log_in(&service, "ada", PASSWORD, 1).is_ok());
    let refreshed = block_on(service.logins.refresh(&from(1), &login.refresh_token));
    assert!(refreshed.expect("an answer").value.is_some());
}

#[test]
fn an_operator_makes_an_account_of_any_role_and_plan_that_logs_in_by_itself() {
    let service = Service::new();
    let account = NewAccount {
        email: email("boss"),
        name: Some("Boss".to_owned()),
        tenant_name: "Operators".to_owned(),
        role: Role::Admin,
        tier: tier("MAX"),
    };
    let password = new_password(PASSWORD);
    let (tenant, user) = block_on(service.accounts().open_account(
        &Actor::operator(),
        account,
        &password,
    ))
    .expect("a new address")
    .value;
    assert_eq!((user.role, tenant.tier), (Role::Admin, tier("MAX")));
    let login = log_in(&service, "boss", PASSWORD, 1).expect("right");
    assert_eq!((login.user.id, login.tenant.id), (user.id, tenant.id));
}
