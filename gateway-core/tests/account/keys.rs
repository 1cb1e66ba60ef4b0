//! API keys: made, changed, replaced, revoked, and who they let in.

use std::time::Duration;

use futures_executor::block_on;
use gateway_core::account::{Ended, IssuedKey, KeyError, KeyPatch, LONGEST_OVERLAP, NewKey};
use gateway_core::audit::action;
use gateway_core::id::SessionId;
use gateway_core::identity::{Principal, Scope};
use gateway_core::time::Timestamp;

use super::{Service, a_key, actor, issued};

fn who(service: &Service, key: &IssuedKey) -> Option<Principal> {
    let accounts = service.accounts();
    block_on(accounts.authenticate_key(&key.secret)).expect("an answer")
}

#[test]
fn a_key_lets_its_tenant_in_with_its_scopes() {
    let service = Service::new();
    let login = service.registered("ada");
    let scopes = vec![Scope::MessagesSend, Scope::MessagesSend];
    let key = issued(
        &service,
        &login,
        NewKey {
            scopes: Some(scopes),
            ..a_key()
        },
    );
    let expected = Principal::Key {
        tenant: login.tenant.id,
        key: key.key.id,
        scopes: vec![Scope::MessagesSend],
        session: None,
    };
    assert_eq!(who(&service, &key), Some(expected));
    assert!(key.secret.reveal().starts_with("gwk_"));
    let kept = block_on(service.accounts().keys(login.tenant.id, None, 10)).expect("a list");
    assert_eq!(kept, [key.key]);
    assert!(
        service
            .audit()
            .contains(&action::API_KEY_CREATED.to_owned())
    );
}

#[test]
fn a_key_is_for_a_session_of_its_tenant_and_for_the_future() {
    let service = Service::new();
    let login = service.registered("ada");
    let make = |key: NewKey| {
        let accounts = service.accounts();
        block_on(accounts.create_key(&actor(&login), login.tenant.id, key))
    };
    let unknown = make(NewKey {
        session: Some(SessionId::from_u128(7)),
        ..a_key()
    });
    assert!(
        matches!(unknown, Err(KeyError::UnknownSession)),
        "{unknown:?}"
    );
    let past = make(NewKey {
        expires_at: Some(Timestamp::from_micros(0)),
        ..a_key()
    });
    assert!(matches!(past, Err(KeyError::ExpiryInPast)), "{past:?}");
}

#[test]
fn a_key_ends_at_its_expiry() {
    let service = Service::new();
    let login = service.registered("ada");
    let now = service.read(|mut tx| async move { tx.now().await });
    let key = issued(
        &service,
        &login,
        NewKey {
            expires_at: Some(now.plus(Duration::from_secs(60))),
            ..a_key()
        },
    );
    assert!(who(&service, &key).is_some());
    service.advance(60);
    assert_eq!(who(&service, &key), None);
}

#[test]
fn a_replaced_key_stays_good_for_the_overlap() {
    let service = Service::new();
    let login = service.registered("ada");
    let old = issued(&service, &login, a_key());
    let rotate = |id, overlap| {
        let accounts = service.accounts();
        block_on(accounts.rotate_key(&actor(&login), login.tenant.id, id, overlap))
    };
    let long = rotate(old.key.id, LONGEST_OVERLAP + Duration::from_secs(1));
    assert!(matches!(long, Err(KeyError::OverlapTooLong)), "{long:?}");
    let done = rotate(old.key.id, Duration::from_secs(60)).expect("a successor");
    let (new, hash) = (done.value, old.secret.hash());
    let tenant = login.tenant.id;
    assert_eq!(done.ended, Some(Ended::Key { tenant, hash }));
    assert_eq!(
        (&new.key.name, &new.key.scopes),
        (&old.key.name, &old.key.scopes)
    );
    assert!(who(&service, &old).is_some() && who(&service, &new).is_some());
    service.advance(60);
    assert_eq!(who(&service, &old), None);
    assert!(who(&service, &new).is_some());
    let again = rotate(old.key.id, Duration::ZERO);
    assert!(matches!(again, Err(KeyError::KeyEnded)), "{again:?}");
}

#[test]
fn a_revoked_key_is_refused_for_good_and_revoking_it_again_changes_nothing() {
    let service = Service::new();
    let login = service.registered("ada");
    let key = issued(&service, &login, a_key());
    let (accounts, tenant, by) = (service.accounts(), login.tenant.id, actor(&login));
    let first = block_on(accounts.revoke_key(&by, tenant, key.key.id)).expect("known");
    service.advance(60);
    let again = block_on(accounts.revoke_key(&by, tenant, key.key.id)).expect("known");
    assert_eq!(first.value.revoked_at, again.value.revoked_at);
    assert_eq!(who(&service, &key), None);
    let patch = KeyPatch {
        name: Some("other".to_owned()),
        ..KeyPatch::default()
    };
    let changed = block_on(accounts.update_key(&by, tenant, key.key.id, &patch));
    let changed = changed.expect("its name may change").value;
    assert_eq!(changed.revoked_at, first.value.revoked_at);
    assert_eq!(who(&service, &key), None);
    let revoked = service.audit().into_iter();
    let revoked = revoked.filter(|name| name == action::API_KEY_REVOKED);
    assert_eq!(revoked.count(), 1);
}

#[test]
fn a_key_of_another_tenant_is_not_there() {
    let service = Service::new();
    let (ada, eve) = (service.registered("ada"), service.registered("eve"));
    let key = issued(&service, &ada, a_key());
    let (accounts, tenant, by) = (service.accounts(), eve.tenant.id, actor(&eve));
    let id = key.key.id;
    let errors = [
        block_on(accounts.revoke_key(&by, tenant, id)).err(),
        block_on(accounts.update_key(&by, tenant, id, &KeyPatch::default())).err(),
        block_on(accounts.rotate_key(&by, tenant, id, Duration::ZERO)).err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(KeyError::UnknownKey)), "{error:?}");
    }
    assert!(who(&service, &key).is_some());
    let mine = block_on(accounts.keys(tenant, None, 10)).expect("a list");
    assert_eq!(mine, []);
}

#[test]
fn keys_come_in_pages() {
    let service = Service::new();
    let login = service.registered("ada");
    let made: Vec<_> = (0..5)
        .map(|_| {
            service.advance(1);
            issued(&service, &login, a_key()).key
        })
        .collect();
    let page =
        |after| block_on(service.accounts().keys(login.tenant.id, after, 2)).expect("a list");
    assert_eq!(page(None), made[..2]);
    assert_eq!(page(Some(made[1].id)), made[2..4]);
    assert_eq!(page(Some(made[3].id)), made[4..]);
}
