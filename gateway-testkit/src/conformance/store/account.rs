//! The operations of [`gateway_core::account`] over the store, many at once.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::account::{
    AccountError, Committed, KeyError, KeyPatch, LoginPolicy, Logins, NewKey, NewPassword,
    NewRegistration, OpenedLogin, Password,
};
use gateway_core::audit::{AuditFilter, action};
use gateway_core::identity::{Actor, Origin};
use gateway_core::tenant::TenantStatus;
use gateway_core::time::{Clock, Timestamp};
use gateway_core::user::Email;

use super::StoreUnderTest;
use crate::account::logins_over;
use crate::conformance::fixture::{CROWD, HandClock, at_once};
use crate::conformance::{Failure, Verdict, cases};

cases!(StoreUnderTest, "account":
    no_login_with_the_old_password_outlives_its_change,
    right_logins_at_once_are_all_let_in,
    no_refresh_outlives_the_logout,
    no_refresh_outlives_a_suspension,
    two_uses_of_a_token_at_once_both_go_on,
    a_late_second_use_ends_the_login [MovableClock],
    a_login_that_has_ended_makes_and_changes_no_key,
    a_changed_key_stays_revoked,
    no_key_is_replaced_once_it_is_revoked,
    every_change_has_its_entry_and_no_secret,
);

const OLD: &str = "the old password";
const NEW: &str = "the new password";

fn new_password(text: &str) -> NewPassword {
    NewPassword::parse(text).expect("cases use long passwords")
}

fn email() -> Email {
    Email::parse("ada@example.com").expect("cases use valid addresses")
}

/// The operations, and a login of somebody who has just registered.
async fn arrange(s: &StoreUnderTest) -> Result<(Logins, OpenedLogin, Actor), Failure> {
    s.tenants(0).await?;
    let clock: Arc<dyn Clock> = Arc::new(HandClock::default());
    // Whose password a crowd finds wrong, because it was changed meanwhile, is not what these cases are about.
    let policy = LoginPolicy {
        attempts: 1_000,
        ..LoginPolicy::default()
    };
    let logins = logins_over(Arc::clone(&s.store), clock, 1, policy);
    let registration = NewRegistration {
        email: email(),
        name: None,
        tenant_name: None,
    };
    let origin = Origin::default();
    let opened = logins
        .register(&origin, registration, &new_password(OLD))
        .await?
        .value;
    let actor = Actor::user(opened.tenant.id, opened.user.id, origin);
    Ok((logins, opened, actor))
}

async fn is_live(s: &StoreUnderTest, login: &OpenedLogin) -> Result<bool, Failure> {
    let mut tx = s.read().await?;
    Ok(tx.login_is_live(login.tenant.id, login.login).await?)
}

async fn refresh(
    logins: &Logins,
    opened: &OpenedLogin,
) -> Result<Committed<Option<OpenedLogin>>, AccountError> {
    let origin = Origin::default();
    logins.refresh(&origin, &opened.refresh_token).await
}

async fn no_login_with_the_old_password_outlives_its_change(s: &StoreUnderTest) -> Verdict {
    let (logins, first, actor) = arrange(s).await?;
    let results = at_once(CROWD, |index| {
        let (logins, actor, user) = (logins.clone(), actor.clone(), first.user.clone());
        async move {
            let old = Password::new(OLD);
            if index == CROWD / 2 {
                let new = new_password(NEW);
                let changed = logins.change_password(&actor, user.tenant, user.id, &old, &new);
                return changed.await.map(|done| (true, done.value));
            }
            let entered = logins.log_in(&actor.origin, &email(), &old).await;
            entered.map(|done| (false, done.value))
        }
    })
    .await;
    assert!(!is_live(s, &first).await?);
    for result in results {
        match result {
            Ok((is_new, login)) => assert_eq!(is_live(s, &login).await?, is_new, "{login:?}"),
            Err(AccountError::WrongCredentials) => {}
            Err(other) => return Err(other.into()),
        }
    }
    let (email, old) = (email(), Password::new(OLD));
    let entered = logins.log_in(&actor.origin, &email, &old).await;
    assert!(entered.is_err(), "the old password is refused");
    Ok(())
}

async fn right_logins_at_once_are_all_let_in(s: &StoreUnderTest) -> Verdict {
    let (_, first, actor) = arrange(s).await?;
    let clock: Arc<dyn Clock> = Arc::new(HandClock::default());
    let logins = logins_over(Arc::clone(&s.store), clock, 2, LoginPolicy::default());
    let results = at_once(2 * CROWD, |_| {
        let (logins, origin) = (logins.clone(), actor.origin.clone());
        async move {
            let old = Password::new(OLD);
            logins.log_in(&origin, &email(), &old).await
        }
    })
    .await;
    for result in results {
        let opened = result?.value;
        assert_eq!(opened.user.id, first.user.id);
        assert!(is_live(s, &opened).await?);
    }
    Ok(())
}

/// Lets many exchange the first refresh token while `revoke` runs; returns what they got.
async fn refreshing_beside<F, Fut, E>(
    logins: &Logins,
    first: &OpenedLogin,
    revoke: F,
) -> Result<Vec<OpenedLogin>, Failure>
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: std::error::Error + Send + 'static,
{
    let results = at_once(CROWD, |index| {
        let (logins, token) = (logins.clone(), first.refresh_token.clone());
        let revoke = revoke.clone();
        async move {
            if index == CROWD / 2 {
                return Ok(revoke().await.map(|()| None));
            }
            let refreshed = logins.refresh(&Origin::default(), &token).await;
            refreshed.map(|done| Ok(done.value))
        }
    })
    .await;
    let mut granted = Vec::new();
    for result in results {
        match result {
            Ok(done) => granted.extend(done?),
            Err(AccountError::TenantSuspended) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(granted)
}

async fn no_refresh_outlives_the_logout(s: &StoreUnderTest) -> Verdict {
    let (logins, first, actor) = arrange(s).await?;
    let (there, tenant, login) = (logins.clone(), first.tenant.id, first.login);
    let revoke = move || {
        let (there, actor) = (there.clone(), actor.clone());
        async move { there.log_out(&actor, tenant, login).await.map(drop_value) }
    };
    let granted = refreshing_beside(&logins, &first, revoke).await?;
    assert!(!is_live(s, &first).await?);
    for opened in granted {
        assert!(refresh(&logins, &opened).await?.value.is_none());
    }
    Ok(())
}

fn drop_value<T>(_: Committed<T>) {}

async fn no_refresh_outlives_a_suspension(s: &StoreUnderTest) -> Verdict {
    let (logins, first, _) = arrange(s).await?;
    let (accounts, tenant) = (logins.accounts().clone(), first.tenant.id);
    let revoke = move || {
        let accounts = accounts.clone();
        let (by, status) = (Actor::operator(), TenantStatus::Suspended);
        async move {
            let done = accounts.set_standing(&by, tenant, status).await;
            done.map(drop_value)
        }
    };
    let mut granted = refreshing_beside(&logins, &first, revoke).await?;
    granted.push(first);
    for opened in granted {
        let again = refresh(&logins, &opened).await;
        assert!(
            matches!(again, Err(AccountError::TenantSuspended)),
            "{again:?}"
        );
    }
    Ok(())
}

async fn two_uses_of_a_token_at_once_both_go_on(s: &StoreUnderTest) -> Verdict {
    let (logins, first, _) = arrange(s).await?;
    let results = at_once(2, |_| {
        let (logins, token) = (logins.clone(), first.refresh_token.clone());
        async move { logins.refresh(&Origin::default(), &token).await }
    })
    .await;
    for result in results {
        let opened = result?.value;
        let opened = opened.ok_or_else(|| Failure::new("it was refused"))?;
        assert_eq!(opened.login, first.login, "one login");
        let next = refresh(&logins, &opened).await?;
        assert!(next.value.is_some(), "each has its own chain");
    }
    Ok(())
}

async fn a_late_second_use_ends_the_login(s: &StoreUnderTest) -> Verdict {
    let (logins, first, _) = arrange(s).await?;
    let clock = s.clock.as_ref();
    let clock = clock.ok_or_else(|| Failure::new("the clock does not move"))?;
    let second = refresh(&logins, &first).await?.value;
    let second = second.ok_or_else(|| Failure::new("the first use was refused"))?;
    clock.advance(Duration::from_secs(10));
    let third = refresh(&logins, &first).await?;
    assert!(third.value.is_some() && third.ended.is_none(), "in time");
    clock.advance(Duration::from_micros(1));
    let late = refresh(&logins, &first).await?;
    assert!(late.value.is_none() && late.ended.is_some(), "{late:?}");
    assert!(refresh(&logins, &second).await?.value.is_none());
    assert!(!is_live(s, &first).await?);
    Ok(())
}

fn a_key() -> NewKey {
    NewKey {
        name: "key".to_owned(),
        scopes: None,
        session: None,
        expires_at: None,
    }
}

async fn a_login_that_has_ended_makes_and_changes_no_key(s: &StoreUnderTest) -> Verdict {
    let (logins, first, actor) = arrange(s).await?;
    let (tenant, accounts) = (first.tenant.id, logins.accounts());
    let actor = actor.by(first.login);
    let issued = accounts.create_key(&actor, tenant, a_key()).await?.value;
    drop_value(logins.log_out(&actor, tenant, first.login).await?);
    let (id, patch) = (issued.key.id, KeyPatch::default());
    let refused = [
        accounts.create_key(&actor, tenant, a_key()).await.err(),
        accounts.update_key(&actor, tenant, id, &patch).await.err(),
        accounts
            .rotate_key(&actor, tenant, id, Duration::ZERO)
            .await
            .err(),
    ];
    for error in refused {
        let ended = matches!(error, Some(KeyError::Account(AccountError::LoginEnded)));
        assert!(ended, "{error:?}");
    }
    assert_eq!(accounts.keys(tenant, None, 10).await?, [issued.key]);
    Ok(())
}

async fn a_changed_key_stays_revoked(s: &StoreUnderTest) -> Verdict {
    let (logins, first, actor) = arrange(s).await?;
    let tenant = first.tenant.id;
    let created = logins.accounts().create_key(&actor, tenant, a_key());
    let issued = created.await?.value;
    let results = at_once(CROWD, |index| {
        let (logins, actor, id) = (logins.clone(), actor.clone(), issued.key.id);
        async move {
            let accounts = logins.accounts();
            if index == CROWD / 2 {
                return accounts.revoke_key(&actor, tenant, id).await;
            }
            let patch = KeyPatch {
                name: Some(format!("name {index}")),
                ..KeyPatch::default()
            };
            accounts.update_key(&actor, tenant, id, &patch).await
        }
    })
    .await;
    for result in results {
        assert!(result?.ended.is_some());
    }
    let known = logins.accounts().authenticate_key(&issued.secret).await?;
    assert_eq!(known, None);
    Ok(())
}

async fn no_key_is_replaced_once_it_is_revoked(s: &StoreUnderTest) -> Verdict {
    let (logins, first, actor) = arrange(s).await?;
    let (tenant, accounts) = (first.tenant.id, logins.accounts());
    let issued = accounts.create_key(&actor, tenant, a_key()).await?.value;
    let results = at_once(CROWD, |_| {
        let (logins, actor, id) = (logins.clone(), actor.clone(), issued.key.id);
        async move {
            let accounts = logins.accounts();
            accounts
                .rotate_key(&actor, tenant, id, Duration::ZERO)
                .await
        }
    })
    .await;
    let successors = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(successors, 1, "{results:?}");
    assert_eq!(accounts.authenticate_key(&issued.secret).await?, None);
    let valid = accounts.keys(tenant, None, 100).await?;
    let valid = valid.iter().filter(|key| key.is_valid(Timestamp::MAX));
    assert_eq!(valid.count(), 1);
    Ok(())
}

async fn every_change_has_its_entry_and_no_secret(s: &StoreUnderTest) -> Verdict {
    let (logins, first, actor) = arrange(s).await?;
    let (tenant, user, accounts) = (first.tenant.id, first.user.id, logins.accounts());
    let issued = accounts.create_key(&actor, tenant, a_key()).await?.value;
    let id = issued.key.id;
    drop_value(accounts.revoke_key(&actor, tenant, id).await?);
    drop_value(accounts.revoke_key(&actor, tenant, id).await?);
    let (old, new) = (Password::new(OLD), new_password(NEW));
    let changed = logins.change_password(&actor, tenant, user, &old, &new);
    let login = changed.await?.value.login;
    drop_value(logins.log_out(&actor, tenant, login).await?);
    drop_value(logins.log_out(&actor, tenant, login).await?);
    let of_tenant = AuditFilter {
        tenant: Some(tenant),
        ..AuditFilter::default()
    };
    let entries = s.read().await?.audit(&of_tenant, None, 100).await?;
    let mut seen: Vec<&str> = entries.iter().map(|entry| &*entry.action).collect();
    seen.sort_unstable();
    let mut expected = [
        action::USER_REGISTERED,
        action::LOGIN_OPENED,
        action::API_KEY_CREATED,
        action::API_KEY_REVOKED,
        action::USER_PASSWORD_CHANGED,
        action::LOGIN_OPENED,
        action::LOGIN_ENDED,
    ];
    expected.sort_unstable();
    assert_eq!(seen, expected, "what changes nothing has no entry");
    let text = format!("{entries:?}");
    for secret in [
        OLD,
        NEW,
        issued.secret.reveal(),
        first.refresh_token.reveal(),
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
    Ok(())
}
