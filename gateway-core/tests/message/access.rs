//! Every access class against every kind of principal.

use gateway_core::id::{ApiKeyId, Incarnation, TenantId, UserId, WorkerId};
use gateway_core::identity::{Access, Denied, Principal, Scope};
use gateway_core::session::Owner;
use gateway_core::user::Role;

fn user(role: Role) -> Principal {
    Principal::User {
        tenant: TenantId::from_u128(1),
        user: UserId::from_u128(2),
        role,
    }
}

fn key(scopes: &[Scope]) -> Principal {
    Principal::Key {
        tenant: TenantId::from_u128(1),
        key: ApiKeyId::from_u128(3),
        scopes: scopes.to_vec(),
        session: None,
    }
}

fn worker() -> Principal {
    Principal::Worker(Owner {
        worker: WorkerId::parse("worker-1").expect("a slug"),
        incarnation: Incarnation::parse("incarnation-1").expect("a token"),
    })
}

/// Whether a user, an administrator, a key and a worker are admitted. (The bootstrap token is no
/// principal: it is checked before there is one.)
fn row(access: Access) -> [bool; 4] {
    match access {
        Access::Public => [true, true, true, true],
        Access::User => [true, true, false, false],
        Access::Key(_) => [true, true, true, false],
        Access::Admin => [false, true, false, false],
        Access::Worker => [false, false, false, true],
        Access::Bootstrap => [false, false, false, false],
    }
}

fn classes() -> Vec<Access> {
    let mut all = vec![
        Access::Public,
        Access::User,
        Access::Admin,
        Access::Worker,
        Access::Bootstrap,
    ];
    all.extend(Scope::ALL.map(Access::Key));
    all
}

#[test]
fn every_class_admits_whom_it_names() {
    let principals = [
        user(Role::User),
        user(Role::Admin),
        key(&Scope::ALL),
        worker(),
    ];
    for access in classes() {
        for (principal, admitted) in principals.iter().zip(row(access)) {
            let verdict = access.admits(principal);
            assert_eq!(verdict.is_ok(), admitted, "{access:?} {principal:?}");
            if let Err(denied) = verdict {
                assert!(!denied.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_key_needs_the_very_scope() {
    for needed in Scope::ALL {
        for held in Scope::ALL {
            let verdict = Access::Key(needed).admits(&key(&[held]));
            let expected = if held == needed {
                Ok(())
            } else {
                Err(Denied::Scope(needed))
            };
            assert_eq!(verdict, expected);
        }
        let denied = Access::Key(needed).admits(&key(&[]));
        let text = denied.expect_err("no scope").to_string();
        assert!(text.contains(needed.name()), "{text}");
    }
}

#[test]
fn scopes_have_the_specified_names() {
    let names = Scope::ALL.map(Scope::name).join(" ");
    assert_eq!(
        names,
        "sessions:read sessions:write messages:read messages:send events:read webhooks:read \
         webhooks:write usage:read"
    );
    for scope in Scope::ALL {
        assert_eq!(Scope::parse(scope.name()), Some(scope));
        assert_eq!(serde_json::to_value(scope).expect("JSON"), scope.name());
    }
}

#[test]
fn only_tenants_credentials_have_a_tenant() {
    let tenant = Some(TenantId::from_u128(1));
    assert_eq!(user(Role::User).tenant(), tenant);
    assert_eq!(key(&[]).tenant(), tenant);
    assert_eq!(worker().tenant(), None);
}
