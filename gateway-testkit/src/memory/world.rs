//! All tables, and the transactions that wait for one another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use gateway_core::audit::AuditEntry;
use gateway_core::event::{LoggedEvent, OutboxRow, ShardHead, UsageDelta};
use gateway_core::id::{
    ApiKeyId, AuditId, Epoch, MessageId, ReplicaId, SessionId, TenantId, TokenFamilyId, UserId,
    WorkerId,
};
use gateway_core::identity::{ApiKey, Login, RefreshToken};
use gateway_core::message::Message;
use gateway_core::session::{Owner, Placement, Session};
use gateway_core::tenant::{Tenant, Tier, TierName};
use gateway_core::time::{Clock, Timestamp};
use gateway_core::user::User;
use gateway_core::worker::{Lease, Worker};

use super::changes::Changed;
use super::leaders::Leader;
use super::table::{Ends, Me, Table};

/// Everything behind the store's one mutex.
#[derive(Debug)]
pub(super) struct World {
    clock: Arc<dyn Clock>,
    transactions: u64,
    outbox_rows: i64,
    waits: BTreeMap<u64, u64>,
    wakers: BTreeMap<u64, Vec<Waker>>,
    /// Whether the store answers.
    pub(super) available: bool,
    /// How many whole rows of workers were read.
    pub(super) worker_rows_read: usize,
    /// How many transactions that may write were begun.
    pub(super) writes_begun: usize,

    pub(super) workers: Table<WorkerId, Worker>,
    pub(super) leases: Table<Owner, Lease>,
    pub(super) sessions: Table<SessionId, Session>,
    /// Locked while a tenant's sessions are counted.
    pub(super) session_counts: Table<TenantId, ()>,
    pub(super) placements: Table<(SessionId, Epoch), Placement>,
    pub(super) outbox: Table<i64, OutboxRow>,
    pub(super) events: Table<(u16, u64), LoggedEvent>,
    pub(super) shards: Table<u16, ShardHead>,
    pub(super) session_heads: Table<SessionId, u64>,
    pub(super) usage: Table<(TenantId, SessionId, Timestamp), UsageDelta>,
    pub(super) tenants: Table<TenantId, Tenant>,
    pub(super) tiers: Table<TierName, Tier>,
    pub(super) quotas: Table<(TenantId, Timestamp), u64>,
    pub(super) users: Table<UserId, User>,
    pub(super) keys: Table<ApiKeyId, ApiKey>,
    pub(super) logins: Table<TokenFamilyId, Login>,
    pub(super) refresh: Table<[u8; 32], RefreshToken>,
    pub(super) audit: Table<AuditId, AuditEntry>,
    pub(super) messages: Table<(TenantId, MessageId), Message>,
    /// The phone number behind each LID, whose it is, and when it was learnt.
    pub(super) persons: Table<(SessionId, String), (TenantId, String, Timestamp)>,
    /// When rows changed last; a row's entry is held by whoever holds the row.
    pub(super) changed: Table<Changed, Timestamp>,
    pub(super) replicas: Table<ReplicaId, Timestamp>,
    pub(super) leaders: Table<String, Leader>,
    /// Until when everything was looked for acknowledgements.
    pub(super) acknowledged: Table<(), Timestamp>,
    /// Deleted sessions that are still to be erased, and when they were deleted.
    pub(super) erasures: Table<SessionId, Timestamp>,
}

impl World {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            transactions: 0,
            outbox_rows: 0,
            waits: BTreeMap::new(),
            wakers: BTreeMap::new(),
            available: true,
            worker_rows_read: 0,
            writes_begun: 0,
            workers: Table::default(),
            leases: Table::default(),
            sessions: Table::default(),
            session_counts: Table::default(),
            placements: Table::default(),
            outbox: Table::default(),
            events: Table::default(),
            shards: Table::default(),
            session_heads: Table::default(),
            usage: Table::default(),
            tenants: Table::default(),
            tiers: Table::default(),
            quotas: Table::default(),
            users: Table::default(),
            keys: Table::default(),
            logins: Table::default(),
            refresh: Table::default(),
            audit: Table::default(),
            messages: Table::default(),
            persons: Table::default(),
            changed: Table::default(),
            replicas: Table::default(),
            leaders: Table::default(),
            erasures: Table::default(),
            acknowledged: Table::default(),
        }
    }

    /// Returns the present time of the store's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the next number of the outbox; like a database's sequence it is not given back by a
    /// rollback.
    pub(super) fn next_outbox_row(&mut self) -> i64 {
        self.outbox_rows += 1;
        self.outbox_rows
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self, writes: bool) -> Me {
        self.transactions += 1;
        self.writes_begun += usize::from(writes);
        Me {
            id: self.transactions,
            writes,
        }
    }

    /// Ends a transaction. Returns the wakers of those that waited for it, which must be called without
    /// the mutex.
    #[must_use]
    pub(super) fn end(&mut self, me: Me, commit: bool) -> Vec<Waker> {
        let tables: [&mut dyn Ends; 25] = [
            &mut self.workers,
            &mut self.leases,
            &mut self.sessions,
            &mut self.session_counts,
            &mut self.placements,
            &mut self.outbox,
            &mut self.events,
            &mut self.shards,
            &mut self.session_heads,
            &mut self.usage,
            &mut self.tenants,
            &mut self.tiers,
            &mut self.quotas,
            &mut self.users,
            &mut self.keys,
            &mut self.logins,
            &mut self.refresh,
            &mut self.audit,
            &mut self.messages,
            &mut self.persons,
            &mut self.changed,
            &mut self.replicas,
            &mut self.leaders,
            &mut self.erasures,
            &mut self.acknowledged,
        ];
        for table in tables {
            table.end(me.id, commit);
        }
        self.stop_waiting(me);
        self.wakers.remove(&me.id).unwrap_or_default()
    }

    /// Notes that `me` waits for `other`. Refuses if `other` waits for `me`, directly or through others.
    pub(super) fn wait(&mut self, me: Me, other: u64, waker: &Waker) -> Result<(), Deadlock> {
        let mut ahead = other;
        while let Some(next) = self.waits.get(&ahead) {
            ahead = *next;
            if ahead == me.id {
                return Err(Deadlock);
            }
        }
        self.waits.insert(me.id, other);
        let wakers = self.wakers.entry(other).or_default();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        Ok(())
    }

    /// Forgets what `me` was waiting for.
    pub(super) fn stop_waiting(&mut self, me: Me) {
        self.waits.remove(&me.id);
    }
}

/// Transactions wait for one another in a circle.
#[derive(Debug)]
pub(super) struct Deadlock;
