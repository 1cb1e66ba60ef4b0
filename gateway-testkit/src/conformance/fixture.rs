//! What the cases arrange: rows with names that say what they are, ids from small numbers, tasks that
//! start together, and a clock and a source of randomness that only these cases use.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use gateway_core::event::{Event, NewEvent, SessionQr};
use gateway_core::id::{
    Epoch, Incarnation, MessageId, SessionId, SessionName, TenantId, TokenFamilyId, UserId,
    WorkerId,
};
use gateway_core::identity::{Login, RefreshToken};
use gateway_core::session::{
    Challenge, ChallengeKind, Desired, Next, Observed, Owner, ParkKind, Parked, Phase, Reason,
    Session, Stage,
};
use gateway_core::tenant::{Tenant, TenantStatus, TierName};
use gateway_core::time::{Clock, Timestamp, Uptime};
use gateway_core::user::{Email, Role, User};
use gateway_core::worker::{Worker, WorkerStatus};
use tokio::sync::Barrier;

/// How long the leases of the cases last.
pub(super) const LEASE: Duration = Duration::from_secs(20);

/// How many tasks race.
pub(super) const CROWD: usize = 12;

const BASE: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0000;

pub(super) const fn tenant_id(n: u128) -> TenantId {
    TenantId::from_u128(BASE + n)
}

pub(super) const fn session_id(n: u128) -> SessionId {
    SessionId::from_u128(BASE + n)
}

pub(super) const fn message_id(n: u128) -> MessageId {
    MessageId::from_u128(BASE + n)
}

pub(super) fn session_name(text: &str) -> SessionName {
    SessionName::parse(text).expect("cases use valid names")
}

pub(super) fn worker_id(text: &str) -> WorkerId {
    WorkerId::parse(text).expect("cases use valid worker ids")
}

/// Returns the `run`th incarnation of a worker.
pub(super) fn owner(worker: &str, run: u32) -> Owner {
    Owner {
        worker: worker_id(worker),
        incarnation: Incarnation::parse(&format!("run-{worker}-{run:04}"))
            .expect("cases use valid incarnations"),
    }
}

pub(super) fn tier_name(text: &str) -> TierName {
    TierName::parse(text).expect("cases use valid tiers")
}

pub(super) fn a_tenant(n: u128, now: Timestamp) -> Tenant {
    Tenant {
        id: tenant_id(n),
        name: format!("Tenant {n}"),
        tier: tier_name("BASIC"),
        status: TenantStatus::Active,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

pub(super) fn a_user(tenant: TenantId, n: u128, now: Timestamp) -> User {
    User {
        id: UserId::from_u128(BASE + n),
        tenant,
        email: Email::parse(&format!("user{n}@example.com")).expect("cases use valid addresses"),
        name: Some(format!("User {n}")),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned(),
        role: Role::User,
        token_generation: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        last_login_at: None,
    }
}

/// Returns a login of the user of that number, in the tenant of the same number.
pub(super) fn a_login(user: u128, login: u128, now: Timestamp) -> Login {
    let tenant = tenant_id(user);
    Login {
        id: TokenFamilyId::from_u128(login),
        tenant,
        user: a_user(tenant, user, now).id,
        created_at: now,
        expires_at: now.plus(Duration::from_secs(3_600)),
        ended_at: None,
    }
}

/// Returns the first refresh token of such a login, with 32 times `hash` as its hash.
pub(super) fn a_refresh_token(user: u128, login: u128, hash: u8, now: Timestamp) -> RefreshToken {
    let login = a_login(user, login, now);
    RefreshToken {
        hash: [hash; 32],
        family: login.id,
        tenant: login.tenant,
        user: login.user,
        expires_at: login.expires_at,
        used_at: None,
        created_at: now,
    }
}

/// Returns an active worker in its first incarnation.
pub(super) fn a_worker(name: &str, max_sessions: u32, now: Timestamp) -> Worker {
    Worker {
        status: WorkerStatus::Active,
        endpoint: Some(format!("http://{name}.test:9000")),
        incarnation: Some(owner(name, 1).incarnation),
        registered_at: Some(now),
        ..Worker::pending(worker_id(name), max_sessions, now)
    }
}

/// Returns a fresh card named `card-<n>`.
pub(super) fn a_card(tenant: TenantId, n: u128, now: Timestamp) -> Session {
    let name = session_name(&format!("card-{n}"));
    Session::new(session_id(n), tenant, name, now)
}

/// Returns a card in `phase`, with the due time and epoch that the phase asks for.
pub(super) fn in_phase(card: Session, phase: Phase, due_at: Timestamp) -> Session {
    let epoch = Epoch(u64::from(phase.owner().is_some()));
    Session {
        desired: Desired::Connected,
        due_at: Some(due_at),
        epoch,
        phase,
        ..card
    }
}

/// Returns a card that wants a worker.
pub(super) fn waiting(card: Session, due_at: Timestamp) -> Session {
    Session {
        reason: Some(Reason::NoCapacity),
        ..in_phase(card, Phase::Waiting, due_at)
    }
}

/// Returns a card that `owner` holds, connected.
pub(super) fn connected(card: Session, owner: &Owner) -> Session {
    let phase = Phase::Active {
        owner: owner.clone(),
        observed: Observed::Connected,
    };
    let due_at = card.created_at.plus(Duration::from_secs(3600));
    Session {
        due_at: None,
        paired: true,
        ..in_phase(card, phase, due_at)
    }
}

/// Returns the row with the next version, which replaces it.
pub(super) fn next(row: &Session) -> Session {
    Session {
        version: row.version + 1,
        ..row.clone()
    }
}

/// Returns one session for every phase and everything a phase can carry.
pub(super) fn every_phase(tenant: TenantId, owner: &Owner, now: Timestamp) -> Vec<Session> {
    let due = now.plus(Duration::from_secs(30));
    let mut phases = vec![
        Phase::Idle,
        Phase::Waiting,
        Phase::Starting {
            owner: owner.clone(),
        },
    ];
    phases.extend(observations(now).into_iter().map(|observed| Phase::Active {
        owner: owner.clone(),
        observed,
    }));
    let nexts = [Next::Rest, Next::Start, Next::Logout, Next::Delete];
    let parks = parks(due).into_iter().map(|parked| Next::Park { parked });
    phases.extend(nexts.into_iter().chain(parks).map(|next| Phase::Stopping {
        owner: owner.clone(),
        next,
    }));
    phases.extend(parks_of(due));
    let both = phases.into_iter().flat_map(|phase| {
        [Desired::Connected, Desired::Disconnected].map(|desired| (phase.clone(), desired))
    });
    (1..)
        .zip(both)
        .map(|(n, (phase, desired))| Session {
            desired,
            reason: Some("because".into()),
            ..in_phase(a_card(tenant, n, now), phase, due)
        })
        .collect()
}

fn observations(now: Timestamp) -> Vec<Observed> {
    let expires_at = now.plus(Duration::from_secs(60));
    let stages = [Stage::Starting, Stage::Pairing, Stage::Syncing];
    let kinds = [
        ChallengeKind::Qr,
        ChallengeKind::PairingCode,
        ChallengeKind::Passkey,
    ];
    let mut all = vec![Observed::Connected];
    all.extend(stages.map(|stage| Observed::Connecting { stage }));
    all.extend(kinds.map(|kind| Observed::QrRequired {
        challenge: Challenge {
            kind,
            index: 3,
            expires_at,
        },
    }));
    for reason in [None, Some("stream_error".into())] {
        all.push(Observed::Reconnecting { reason, since: now });
    }
    all
}

fn parks(until: Timestamp) -> [Parked; 4] {
    [
        (ParkKind::QrTimeout, None),
        (ParkKind::LoggedOut, None),
        (ParkKind::Restricted, Some(until)),
        (ParkKind::Error, Some(until)),
    ]
    .map(|(kind, until)| Parked {
        kind,
        reason: "because".into(),
        until,
        action_required: Some("scan_qr".to_owned()),
    })
}

fn parks_of(until: Timestamp) -> impl Iterator<Item = Phase> {
    parks(until)
        .into_iter()
        .map(|parked| Phase::Parked { parked })
}

/// Returns an event of a session that carries `index`, so that order shows.
pub(super) fn an_event(tenant: TenantId, session: SessionId, index: u32) -> NewEvent {
    let event = Event::SessionQr(SessionQr {
        kind: ChallengeKind::Qr,
        index,
        expires_at: Timestamp::from_micros(1_700_000_000_000_000),
    });
    NewEvent::of_session(tenant, session, Epoch(1), &event)
}

/// Starts `count` tasks together and returns what they returned, in order.
pub(super) async fn at_once<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (start, task) = (Arc::clone(&start), task(index));
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results
}

/// Polls a future once and drops it, as a client that hangs up does.
pub(super) async fn poll_once<F: Future>(future: F) {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

/// A process's clock, moved by hand.
#[derive(Debug, Default)]
pub(super) struct HandClock(AtomicU64);

impl HandClock {
    pub(super) fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::default().plus(self.uptime().0)
    }

    fn uptime(&self) -> Uptime {
        Uptime(Duration::from_micros(self.0.load(Ordering::SeqCst)))
    }
}
