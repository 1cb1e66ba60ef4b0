//! Accounts without a server: what an embedder calls, over a store in memory, with a clock that is moved by
//! hand and secrets that are plain texts.

mod keys;
mod logins;
mod refresh;
mod tenants;
mod throttle;

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_executor::block_on;
use gateway_core::account::{
    Accounts, Committed, IssuedKey, LoginPolicy, Logins, LoginsPorts, NewKey, NewPassword,
    NewRegistration, OpenedLogin, Password, PasswordHasher,
};
use gateway_core::audit::AuditFilter;
use gateway_core::identity::{Actor, Origin};
use gateway_core::store::{PlatformStore, PlatformTx, StoreError};
use gateway_core::tenant::Tier;
use gateway_core::user::Email;
use gateway_testkit::account::{PlainPasswords, PlainTokens};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::memory::{MemoryCoordinator, MemoryStore};

const PASSWORD: &str = "correct horse";
const OTHER: &str = "battery staple";

/// A service with accounts, and its clock.
struct Service {
    clock: Arc<ManualClock>,
    store: MemoryStore,
    coord: Arc<MemoryCoordinator>,
    logins: Logins,
}

impl Service {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        let tiers = async {
            let mut tx = store.begin_platform().await?;
            for tier in Tier::defaults() {
                tx.put_tier(&tier).await?;
            }
            tx.commit().await
        };
        block_on(tiers).expect("the store takes them");
        let coord = Arc::new(MemoryCoordinator::new(clock.clone()));
        let logins = logins(&store, &coord, &clock, Arc::new(PlainPasswords), 7);
        Self {
            clock,
            store,
            coord,
            logins,
        }
    }

    /// Another replica, which checks passwords with that hasher.
    fn with_passwords(&self, passwords: Arc<dyn PasswordHasher>) -> Logins {
        logins(&self.store, &self.coord, &self.clock, passwords, 8)
    }

    fn accounts(&self) -> &Accounts {
        self.logins.accounts()
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Somebody who has just registered as `<name>@example.com`.
    fn registered(&self, name: &str) -> OpenedLogin {
        block_on(
            self.logins
                .register(&from(1), registration(name), &new_password(PASSWORD)),
        )
        .expect("a new address")
        .value
    }

    fn is_live(&self, login: &OpenedLogin) -> bool {
        self.read(|mut tx| {
            let (tenant, id) = (login.tenant.id, login.login);
            async move { tx.login_is_live(tenant, id).await }
        })
    }

    /// The names of the entries of the audit log; those of one moment in any order.
    fn audit(&self) -> Vec<String> {
        let entries = self.read(|mut tx| async move {
            let any = AuditFilter::default();
            tx.audit(&any, None, 1_000).await
        });
        let names = entries.iter().rev().map(|entry| entry.action.to_string());
        names.collect()
    }

    fn read<T, F>(&self, look: impl FnOnce(Box<dyn PlatformTx>) -> F) -> T
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let looking = async { look(self.store.read_platform().await?).await };
        block_on(looking).expect("the store answers")
    }
}

fn logins(
    store: &MemoryStore,
    coord: &Arc<MemoryCoordinator>,
    clock: &Arc<ManualClock>,
    passwords: Arc<dyn PasswordHasher>,
    seed: u64,
) -> Logins {
    let entropy = Arc::new(SeededEntropy::new(seed));
    let ports = LoginsPorts {
        accounts: Accounts::new(Arc::new(store.clone()), passwords, entropy),
        tokens: Arc::new(PlainTokens),
        coord: coord.clone(),
        clock: clock.clone(),
    };
    Logins::new(ports, LoginPolicy::default())
}

/// Runs futures side by side on this thread, each in turn, until all have ended.
fn all_at_once<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures
        .into_iter()
        .map(|one| (Box::pin(one), None))
        .collect();
    block_on(poll_fn(move |cx| {
        for (future, end) in &mut running {
            if end.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *end = Some(value);
            }
        }
        if running.iter().any(|(_, end)| end.is_none()) {
            return Poll::Pending;
        }
        Poll::Ready(
            running
                .iter_mut()
                .filter_map(|(_, end)| end.take())
                .collect(),
        )
    }))
}

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.com")).expect("an address")
}

fn registration(name: &str) -> NewRegistration {
    NewRegistration {
        email: email(name),
        name: None,
        tenant_name: None,
    }
}

fn new_password(text: &str) -> NewPassword {
    NewPassword::parse(text).expect("long enough")
}

/// What caches would forget is of no interest here.
fn drop_value<T>(_: Committed<T>) {}

/// A request from another network for each number.
fn from(network: u8) -> Origin {
    Origin {
        address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, network))),
        request_id: None,
    }
}

/// The person, acting by that login.
fn actor(login: &OpenedLogin) -> Actor {
    Actor::user(login.tenant.id, login.user.id, from(1)).by(login.login)
}

fn a_key() -> NewKey {
    NewKey {
        name: "ci".to_owned(),
        scopes: None,
        session: None,
        expires_at: None,
    }
}

fn issued(service: &Service, login: &OpenedLogin, key: NewKey) -> IssuedKey {
    block_on(
        service
            .accounts()
            .create_key(&actor(login), login.tenant.id, key),
    )
    .expect("a key")
    .value
}

fn log_in(
    service: &Service,
    name: &str,
    password: &str,
    network: u8,
) -> Result<OpenedLogin, gateway_core::account::AccountError> {
    let password = Password::new(password);
    block_on(
        service
            .logins
            .log_in(&from(network), &email(name), &password),
    )
    .map(|done| done.value)
}
