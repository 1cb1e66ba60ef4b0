//! Leases: who may hold sessions, and when somebody who does not answer counts as dead.
//!
//! Suspicion is soft, death is hard. A session moves only after the *proof* that its owner is gone, or
//! after the owner's lease and a guard have run out. The worker counts its deadline from the *send*
//! time of the last acknowledged renewal ([`super::gate`]); whoever declares it dead waits
//! `lease + guard` on a clock of its own that runs during suspend. Counting from the receipt of the
//! answer, waiting for the bare lease, or starting the timer when a disconnect is noticed each let two
//! workers hold one session (checked with a model; see the design notes in ARCHITECTURE.md).
//!
//! How long a renewal lasts is a promise to the worker, so it stands in the lease's row: whoever declares
//! the worker dead waits for what was promised, whatever its own configuration says.
//!
//! [`Death`] is a value that only this module can make, so nothing can fence a worker on a hunch.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Renewed, WorkerReport};
use crate::session::Owner;
use crate::store::{Store, StoreError};
use crate::time::{Clock, Timestamp, Uptime};

/// The times of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasePolicy {
    /// How long a renewal lasts, counted by the worker from when it sent it.
    pub lease: Duration,
    /// What the authority waits on top: clock drift and the time to close sockets.
    pub guard: Duration,
    /// How often a worker renews.
    pub heartbeat: Duration,
    /// Silence after which nothing new is placed on a worker.
    pub suspect_after: Duration,
}

impl LeasePolicy {
    /// Returns the silence after which a heartbeat counts as missed: half a period after it was due.
    #[must_use]
    pub fn late_after(&self) -> Duration {
        self.heartbeat + self.heartbeat / 2
    }
}

impl Default for LeasePolicy {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(20),
            guard: Duration::from_secs(2),
            heartbeat: Duration::from_secs(2),
            suspect_after: Duration::from_secs(6),
        }
    }
}

/// The lease of one incarnation: one row, whatever the number of its sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    pub owner: Owner,
    /// How often it was renewed. Whoever watches the lease sees life in the change of this number, never in
    /// a time.
    pub renewals: u64,
    /// When it was last renewed; shown to people only.
    pub renewed_at: Timestamp,
    /// How long the worker may hold its sessions, counted from `renewed_at`: the longest of the renewals that
    /// still run.
    pub lasts: Duration,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// Whether the lease runs out: no renewal succeeds any more.
    pub disowned: bool,
    /// When the incarnation was fenced.
    pub fenced_at: Option<Timestamp>,
    /// What it last said of itself.
    pub report: WorkerReport,
}

impl Lease {
    /// Creates the lease of a new incarnation, granted at `now` for as long as `lasts`.
    #[must_use]
    pub fn new(owner: Owner, lasts: Duration, now: Timestamp) -> Self {
        Self {
            owner,
            renewals: 0,
            renewed_at: now,
            lasts,
            granted_at: now,
            disowned: false,
            fenced_at: None,
            report: WorkerReport::default(),
        }
    }

    /// Counts a renewal at `now` for as long as `lasts`. An earlier one that runs for longer is kept.
    pub fn renew(&mut self, lasts: Duration, report: &WorkerReport, now: Timestamp) {
        let runs = self.lasts.saturating_sub(now.since(self.renewed_at));
        self.lasts = lasts.max(runs);
        self.renewals += 1;
        self.renewed_at = now;
        self.report = report.clone();
    }
}

/// The proof that an incarnation is gone for good. Whoever has one may fence it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    owner: Owner,
    evidence: Evidence,
}

/// How it is known that an incarnation is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It said goodbye after closing its sessions.
    Goodbye,
    /// Somebody who can know says that its process is gone: its parent after `waitpid`, or the next
    /// process that holds the exclusive lock which the former one held.
    ProcessGone,
    /// Lease and guard have run out, and the renewal count has not changed meanwhile.
    Silence {
        /// The renewal count that did not change.
        renewals: u64,
    },
}

impl Death {
    /// Makes the proof from the worker's own word that it has closed everything.
    pub(crate) const fn goodbye(owner: Owner) -> Self {
        Self {
            owner,
            evidence: Evidence::Goodbye,
        }
    }

    /// Makes the proof from the caller's word that the process has ended. Silence or a refused connection
    /// is *not* such knowledge.
    #[must_use]
    pub const fn process_gone(owner: Owner) -> Self {
        Self {
            owner,
            evidence: Evidence::ProcessGone,
        }
    }

    /// Returns the incarnation that is gone.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Returns how that is known.
    #[must_use]
    pub const fn evidence(&self) -> Evidence {
        self.evidence
    }
}

/// The answer to a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease is renewed. The worker counts its deadline from when it sent the request.
    Granted {
        /// How long the renewal lasts.
        lease: Duration,
        /// What the worker should know.
        renewed: Renewed,
    },
    /// The lease is not renewed. The worker must close its sessions, take a new incarnation and register as
    /// empty.
    Refused,
}

/// An incarnation that has not renewed its lease for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    pub owner: Owner,
    /// The renewal count that has not changed meanwhile.
    pub renewals: u64,
    /// For how long it has been silent, at least.
    pub for_at_least: Duration,
    /// The time until it counts as dead, unless it renews its lease; zero once it does.
    pub dead_in: Duration,
    /// The proof of its death, once lease and guard are over.
    pub death: Option<Death>,
}

/// Grants leases and knows when one has run out.
#[async_trait]
pub trait LeaseAuthority: Debug + Send + Sync {
    /// Renews a lease. Granted only to the newest incarnation of a worker, never to one that is fenced.
    async fn renew(&self, owner: &Owner, report: &WorkerReport) -> Result<Renewal, StoreError>;

    /// Reads all leases and returns those without a renewal for [`LeasePolicy::suspect_after`].
    ///
    /// Must be called more often than that; an incarnation that is never looked at never counts as dead.
    async fn silent(&self) -> Result<Vec<Silent>, StoreError>;

    /// Returns the incarnations that have missed a heartbeat by now, each with how long it has been silent,
    /// as far as the last call of [`LeaseAuthority::silent`] saw. Reads memory only. The default returns
    /// none.
    fn late(&self) -> BTreeMap<Owner, Duration> {
        BTreeMap::new()
    }

    /// Returns the times in force.
    fn policy(&self) -> &LeasePolicy;
}

/// The lease authority that keeps leases as rows of the store.
///
/// A replica makes a [`Death`] only when it has itself seen the renewal count unchanged for
/// `lease + guard` on its own suspend-proof clock, counted from the read that first showed it, where
/// the lease is what the row says was granted, by whichever replica.
/// So a restarted gateway waits that long before its first one, and a step of a wall clock fences
/// nobody.
#[derive(Debug)]
pub struct StoreLeases {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    policy: LeasePolicy,
    seen: Mutex<BTreeMap<Owner, Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    renewals: u64,
    since: Uptime,
    /// Until when any renewal that this replica has seen may run.
    runs_until: Uptime,
}

impl Seen {
    /// Returns what is known of a lease that was just read, and of which `former` was known before.
    fn next(former: Option<&Self>, lease: &Lease, now: Uptime) -> Self {
        if let Some(same) = former.filter(|former| former.renewals == lease.renewals) {
            return *same;
        }
        let runs_until = now.plus(lease.lasts);
        Self {
            renewals: lease.renewals,
            since: now,
            // The store's clock may have jumped ahead, and its row have forgotten a longer renewal too early.
            runs_until: former.map_or(runs_until, |former| runs_until.max(former.runs_until)),
        }
    }
}

impl StoreLeases {
    /// Creates an authority over `store` that has seen no lease yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, policy: LeasePolicy) -> Self {
        Self {
            store,
            clock,
            policy,
            seen: Mutex::new(BTreeMap::new()),
        }
    }

    fn watch(&self, leases: Vec<Lease>, now: Uptime) -> Vec<Silent> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = BTreeMap::new();
        let mut silent = Vec::new();
        for lease in leases {
            let known = Seen::next(seen.get(&lease.owner), &lease, now);
            next.insert(lease.owner.clone(), known);
            let for_at_least = now.since(known.since);
            if for_at_least < self.policy.suspect_after {
                continue;
            }
            let dead_in = known.runs_until.plus(self.policy.guard).since(now);
            let death = dead_in.is_zero().then(|| Death {
                owner: lease.owner.clone(),
                evidence: Evidence::Silence {
                    renewals: lease.renewals,
                },
            });
            silent.push(Silent {
                owner: lease.owner,
                renewals: known.renewals,
                for_at_least,
                dead_in,
                death,
            });
        }
        *seen = next;
        silent
    }
}

#[async_trait]
impl LeaseAuthority for StoreLeases {
    async fn renew(&self, owner: &Owner, report: &WorkerReport) -> Result<Renewal, StoreError> {
        let lease = self.policy.lease;
        let renewed = self.store.renew(owner, lease, report).await?;
        Ok(
            renewed.map_or(Renewal::Refused, |renewed| Renewal::Granted {
                lease,
                renewed,
            }),
        )
    }

    async fn silent(&self) -> Result<Vec<Silent>, StoreError> {
        let leases = self.store.read().await?.open_leases().await?;
        // The clock is read after the rows: what was read is at least this old.
        Ok(self.watch(leases, self.clock.uptime()))
    }

    fn late(&self) -> BTreeMap<Owner, Duration> {
        let now = self.clock.uptime();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = seen
            .iter()
            .map(|(owner, known)| (owner, now.since(known.since)));
        silent
            .filter(|(_, silence)| *silence >= self.policy.late_after())
            .map(|(owner, silence)| (owner.clone(), silence))
            .collect()
    }

    fn policy(&self) -> &LeasePolicy {
        &self.policy
    }
}
