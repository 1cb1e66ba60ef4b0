//! Guessing is slow, and being right often is no guess.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use futures_executor::block_on;
use gateway_core::account::{AccountError, Password, PasswordError, PasswordHasher};
use gateway_testkit::account::PlainPasswords;

use super::{PASSWORD, Service, actor, all_at_once, drop_value, email, from, log_in, new_password};

const WRONG: &str = "not this one";

fn is_throttled<T>(outcome: &Result<T, AccountError>) -> bool {
    matches!(outcome, Err(AccountError::TooManyAttempts { .. }))
}

#[test]
fn ten_wrong_passwords_close_an_account_for_a_while_from_everywhere() {
    let service = Service::new();
    service.registered("ada");
    for attempt in 0..10 {
        let refused = log_in(&service, "ada", WRONG, attempt);
        assert!(matches!(refused, Err(AccountError::WrongCredentials)));
    }
    assert!(is_throttled(&log_in(&service, "ada", PASSWORD, 99)));
    service.advance(15 * 60);
    assert!(log_in(&service, "ada", PASSWORD, 99).is_ok());
}

#[test]
fn an_unknown_account_is_closed_like_a_known_one() {
    let service = Service::new();
    for attempt in 0..10 {
        let refused = log_in(&service, "eve", WRONG, attempt);
        assert!(matches!(refused, Err(AccountError::WrongCredentials)));
    }
    assert!(is_throttled(&log_in(&service, "eve", WRONG, 99)));
}

#[test]
fn a_network_is_closed_after_ten_wrong_passwords_for_whatever_accounts() {
    let service = Service::new();
    service.registered("ada");
    for attempt in 0..10 {
        let name = format!("guess-{attempt}");
        assert!(log_in(&service, &name, WRONG, 7).is_err());
    }
    assert!(is_throttled(&log_in(&service, "ada", PASSWORD, 7)));
    assert!(log_in(&service, "ada", PASSWORD, 8).is_ok());
}

#[test]
fn a_right_password_forgets_the_wrong_ones_before_it() {
    let service = Service::new();
    service.registered("ada");
    for round in 0..3 {
        for attempt in 0..9 {
            assert!(log_in(&service, "ada", WRONG, 10 * round + attempt).is_err());
        }
        assert!(log_in(&service, "ada", PASSWORD, 99).is_ok());
    }
}

/// Checks passwords only once as many wait as it was told, so that all of them have begun.
#[derive(Debug)]
struct Together {
    wanted: usize,
    waiting: Mutex<Vec<Waker>>,
    hasher: PlainPasswords,
}

impl Together {
    /// Ready once enough have come; from then on for everybody.
    fn poll(&self, cx: &Context<'_>, come: &mut bool) -> Poll<()> {
        let mut waiting = self.waiting.lock().expect("no panic");
        if !*come {
            *come = true;
            waiting.push(cx.waker().clone());
            if waiting.len() == self.wanted {
                waiting.iter().for_each(Waker::wake_by_ref);
            }
        }
        if waiting.len() >= self.wanted {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[async_trait]
impl PasswordHasher for Together {
    async fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        self.hasher.hash(password).await
    }

    async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<bool, PasswordError> {
        let mut come = false;
        poll_fn(|cx| self.poll(cx, &mut come)).await;
        self.hasher.verify(password, hash).await
    }
}

/// What becomes of logins of one account that have all begun before the first password is checked.
fn at_once(service: &Service, passwords: &[&str]) -> Vec<Result<(), AccountError>> {
    let hasher = Together {
        wanted: passwords.len(),
        waiting: Mutex::default(),
        hasher: PlainPasswords,
    };
    let logins = service.with_passwords(Arc::new(hasher));
    let logins = passwords.iter().map(|password| {
        let logins = logins.clone();
        async move {
            let password = Password::new(*password);
            let done = logins.log_in(&from(1), &email("ada"), &password).await;
            done.map(drop_value)
        }
    });
    all_at_once(logins)
}

#[test]
fn many_right_logins_at_once_are_all_let_in() {
    let service = Service::new();
    service.registered("ada");
    for outcome in at_once(&service, &[PASSWORD; 50]) {
        outcome.expect("right, however many there are");
    }
    assert!(log_in(&service, "ada", PASSWORD, 1).is_ok(), "and the next");
}

#[test]
fn a_burst_of_guesses_gets_no_further_than_one_after_the_other() {
    let service = Service::new();
    service.registered("ada");
    let mut guesses = [WRONG; 50];
    guesses[30] = PASSWORD;
    let outcomes = at_once(&service, &guesses);
    assert!(is_throttled(&outcomes[30]), "ten were wrong before it");
    assert!(is_throttled(&log_in(&service, "ada", PASSWORD, 99)));
}

#[test]
fn changing_a_password_is_no_way_to_guess_it() {
    let service = Service::new();
    let login = service.registered("ada");
    let (tenant, user, new) = (login.tenant.id, login.user.id, new_password(WRONG));
    let change = |current: &str| {
        let current = Password::new(current);
        let by = actor(&login);
        block_on(
            service
                .logins
                .change_password(&by, tenant, user, &current, &new),
        )
    };
    for _ in 0..10 {
        let refused = change(WRONG);
        assert!(matches!(refused, Err(AccountError::WrongPassword)));
    }
    assert!(is_throttled(&change(PASSWORD)));
    let entered = log_in(&service, "ada", PASSWORD, 99);
    assert!(is_throttled(&entered), "the same account");
    assert!(service.is_live(&login), "nobody is logged out by guesses");
}
