//! What credentials may do: plans, tenants, people, API keys, logins.
//!
//! A key or login holds its tenant, and that its plan, as shared entries: looking one up is one map and a
//! few marks, and a changed plan ends everything that holds it without a search. An entry is kept only if
//! everything it holds is kept too, because nobody would ever end it otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gateway_core::change::{Changes, UserStanding};
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::identity::{ApiKey, Principal};
use gateway_core::tenant::{Tenant, TenantStatus, Tier, TierName};
use gateway_core::time::Timestamp;

use super::shards::{Entry, LiveMark, Shards, Ticket};
use crate::identity::{Caller, CallerFacts, Person};

const TIERS: usize = 10_000;
const MANY: usize = 200_000;

/// A plan, as it is remembered.
#[derive(Debug)]
pub(super) struct KnownTier {
    live: LiveMark,
    tier: Tier,
}

/// A tenant and its plan, as they are remembered.
#[derive(Debug)]
pub(crate) struct KnownTenant {
    live: LiveMark,
    tenant: Tenant,
    plan: Arc<KnownTier>,
}

impl KnownTenant {
    fn holds(&self) -> bool {
        self.live.holds() && self.plan.live.holds()
    }

    /// Returns whether the tenant may act: it is not suspended.
    pub(crate) fn is_active(&self) -> bool {
        self.tenant.status == TenantStatus::Active
    }
}

/// A person, as it is remembered.
#[derive(Debug)]
pub(super) struct KnownUser {
    live: LiveMark,
    standing: UserStanding,
}

/// An API key and the tenant it belongs to, as they are remembered.
#[derive(Debug)]
pub(crate) struct KnownKey {
    live: LiveMark,
    tenant: Arc<KnownTenant>,
    /// The row as it was read, so `last_used_at` may be out of date.
    pub(crate) key: ApiKey,
    caller: Caller,
    noted: AtomicI64,
}

impl KnownKey {
    fn holds(&self) -> bool {
        self.live.holds() && self.tenant.holds()
    }

    /// Returns the tenant that the key belongs to.
    pub(crate) fn tenant(&self) -> &KnownTenant {
        &self.tenant
    }

    /// Returns the caller that the key belongs to.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns whether a use of the key in that minute of the store's clock is noted.
    pub(crate) fn is_noted(&self, minute: i64) -> bool {
        self.noted.load(Ordering::Relaxed) >= minute
    }

    /// Remembers that a use of the key in that minute is noted.
    pub(crate) fn note(&self, minute: i64) {
        self.noted.fetch_max(minute, Ordering::Relaxed);
    }

    fn says_the_same(&self, row: &ApiKey) -> bool {
        let known = &self.key;
        known.scopes == row.scopes
            && known.session == row.session
            && known.expires_at == row.expires_at
            && known.revoked_at == row.revoked_at
    }
}

/// A login that had not ended when it was read, as it is remembered.
#[derive(Debug)]
pub(crate) struct KnownLogin {
    live: LiveMark,
    tenant: Arc<KnownTenant>,
    user: Arc<KnownUser>,
    family: TokenFamilyId,
}

impl KnownLogin {
    fn holds(&self) -> bool {
        self.live.holds() && self.user.live.holds() && self.tenant.holds()
    }

    /// Returns the tenant of the person who logged in.
    pub(crate) fn tenant(&self) -> &KnownTenant {
        &self.tenant
    }

    /// Returns whether an access token with these claims belongs to the login.
    pub(crate) fn is_of(&self, tenant: TenantId, user: UserId, generation: u64) -> bool {
        let known = &self.user.standing;
        (known.tenant, known.user, known.token_generation) == (tenant, user, generation)
    }

    /// Returns the person who logged in.
    pub(crate) fn person(&self) -> Person {
        let known = &self.user.standing;
        Person {
            tenant: known.tenant,
            user: known.user,
            role: known.role,
            family: self.family,
        }
    }

    /// Returns the person as a caller, for handlers that take API keys, too.
    pub(crate) fn caller(&self) -> Caller {
        let known = &self.user.standing;
        Caller::from(CallerFacts {
            tenant: known.tenant,
            tier: self.tenant.plan.tier.clone(),
            principal: Principal::User {
                tenant: known.tenant,
                user: known.user,
                role: known.role,
            },
        })
    }
}

macro_rules! entries {
    ($($name:ident)*) => {$(
        impl Entry for $name {
            fn live(&self) -> &LiveMark {
                &self.live
            }
        }
    )*};
}

entries!(KnownTier KnownTenant KnownUser KnownKey KnownLogin);

/// The caches of all principals.
#[derive(Debug)]
pub(super) struct Principals {
    tiers: Shards<TierName, KnownTier>,
    tenants: Shards<TenantId, KnownTenant>,
    users: Shards<UserId, KnownUser>,
    keys: Shards<[u8; 32], KnownKey>,
    logins: Shards<TokenFamilyId, KnownLogin>,
}

/// The state of every map before a fill.
#[derive(Debug)]
pub(super) struct PrincipalTickets {
    tiers: Ticket,
    tenants: Ticket,
    users: Ticket,
    keys: Ticket,
    logins: Ticket,
}

impl Default for Principals {
    fn default() -> Self {
        Self {
            tiers: Shards::new(TIERS),
            tenants: Shards::new(MANY),
            users: Shards::new(MANY),
            keys: Shards::new(MANY),
            logins: Shards::new(MANY),
        }
    }
}

impl Principals {
    pub(super) fn tickets(&self) -> PrincipalTickets {
        PrincipalTickets {
            tiers: self.tiers.ticket(),
            tenants: self.tenants.ticket(),
            users: self.users.ticket(),
            keys: self.keys.ticket(),
            logins: self.logins.ticket(),
        }
    }

    /// Returns whether nothing that a read of that key could depend on has changed since the tickets were
    /// taken.
    pub(super) fn is_key_untouched(&self, tickets: &PrincipalTickets, hash: &[u8; 32]) -> bool {
        self.keys.is_untouched(&tickets.keys, hash) && self.are_plans_untouched(tickets)
    }

    /// Returns whether nothing that a read of that login could depend on has changed since the tickets
    /// were taken.
    pub(super) fn is_login_untouched(
        &self,
        tickets: &PrincipalTickets,
        family: TokenFamilyId,
    ) -> bool {
        self.logins.is_untouched(&tickets.logins, &family)
            && self.users.are_untouched(&tickets.users)
            && self.are_plans_untouched(tickets)
    }

    /// Returns whether no tenant or plan has changed since the tickets were taken: which ones an entry
    /// has shows only when it is read.
    fn are_plans_untouched(&self, tickets: &PrincipalTickets) -> bool {
        self.tenants.are_untouched(&tickets.tenants) && self.tiers.are_untouched(&tickets.tiers)
    }

    /// Returns the key if it and everything it depends on still holds, and it is not revoked or expired
    /// at `now`.
    pub(super) fn key(&self, hash: &[u8; 32], now: Timestamp) -> Option<Arc<KnownKey>> {
        let known = self.keys.get(hash)?;
        (known.holds() && known.key.is_valid(now)).then_some(known)
    }

    /// Returns the login if it and everything it depends on still holds.
    pub(super) fn login(&self, family: TokenFamilyId) -> Option<Arc<KnownLogin>> {
        self.logins.get(&family).filter(|known| known.holds())
    }

    /// Returns an entry for the tenant, and whether the cache has kept it.
    fn tenant(
        &self,
        tickets: &PrincipalTickets,
        tenant: Tenant,
        tier: Tier,
    ) -> (Arc<KnownTenant>, bool) {
        if let Some(known) = self.tenants.get(&tenant.id)
            && known.holds()
            && known.tenant == tenant
            && known.plan.tier == tier
        {
            return (known, true);
        }
        let (plan, planned) = self.tier(tickets, tier);
        let (id, version) = (tenant.id, tenant.version);
        let entry = Arc::new(KnownTenant {
            live: LiveMark::default(),
            tenant,
            plan,
        });
        let newer = |there: &KnownTenant| there.tenant.version <= version;
        let kept = planned && self.tenants.keep(&tickets.tenants, &id, &entry, newer);
        (entry, kept)
    }

    fn tier(&self, tickets: &PrincipalTickets, tier: Tier) -> (Arc<KnownTier>, bool) {
        if let Some(known) = self.tiers.get(&tier.name)
            && known.tier == tier
        {
            return (known, true);
        }
        let name = tier.name.clone();
        let entry = Arc::new(KnownTier {
            live: LiveMark::default(),
            tier,
        });
        let kept = self.tiers.keep(&tickets.tiers, &name, &entry, |_| true);
        (entry, kept)
    }

    fn user(&self, tickets: &PrincipalTickets, standing: UserStanding) -> (Arc<KnownUser>, bool) {
        if let Some(known) = self.users.get(&standing.user)
            && known.standing == standing
        {
            return (known, true);
        }
        let (id, version) = (standing.user, standing.version);
        let entry = Arc::new(KnownUser {
            live: LiveMark::default(),
            standing,
        });
        let newer = |there: &KnownUser| there.standing.version <= version;
        let kept = self.users.keep(&tickets.users, &id, &entry, newer);
        (entry, kept)
    }

    /// Stores a key that was read, if nothing changed since the tickets were taken.
    pub(super) fn keep_key(
        &self,
        tickets: &PrincipalTickets,
        key: ApiKey,
        tenant: Tenant,
        tier: Tier,
    ) -> Arc<KnownKey> {
        let (tenant, with_tenant) = self.tenant(tickets, tenant, tier);
        let caller = Caller::from(CallerFacts {
            tenant: key.tenant,
            tier: tenant.plan.tier.clone(),
            principal: Principal::Key {
                tenant: key.tenant,
                key: key.id,
                scopes: key.scopes.clone(),
                session: key.session,
            },
        });
        let hash = key.hash;
        let entry = Arc::new(KnownKey {
            live: LiveMark::default(),
            tenant,
            key,
            caller,
            noted: AtomicI64::new(i64::MIN),
        });
        if with_tenant {
            self.keys.keep(&tickets.keys, &hash, &entry, |_| true);
        }
        entry
    }

    /// Stores a login that was read, if nothing changed since the tickets were taken.
    pub(super) fn keep_login(
        &self,
        tickets: &PrincipalTickets,
        family: TokenFamilyId,
        standing: UserStanding,
        tenant: Tenant,
        tier: Tier,
    ) -> Arc<KnownLogin> {
        let (tenant, with_tenant) = self.tenant(tickets, tenant, tier);
        let (user, with_user) = self.user(tickets, standing);
        let entry = Arc::new(KnownLogin {
            live: LiveMark::default(),
            tenant,
            user,
            family,
        });
        if with_tenant && with_user {
            self.logins.keep(&tickets.logins, &family, &entry, |_| true);
        }
        entry
    }

    /// Ends the entries that have changed. Rows that are equal to the entry end nothing, because a busy
    /// minute is read again and again.
    pub(super) fn apply(&self, changes: &Changes) {
        for tier in &changes.tiers {
            self.tiers
                .forget_unless(&tier.name, |known| known.tier == *tier);
        }
        for tenant in &changes.tenants {
            self.tenants
                .forget_unless(&tenant.id, |known| known.tenant.version >= tenant.version);
        }
        for user in &changes.users {
            self.users.forget_unless(&user.user, |known| {
                let known = &known.standing;
                let same = (known.role, known.token_generation, known.tenant)
                    == (user.role, user.token_generation, user.tenant);
                same || known.version > user.version
            });
        }
        for key in &changes.keys {
            self.keys
                .forget_unless(&key.hash, |known| known.says_the_same(key));
        }
        for (_, family) in &changes.families {
            self.logins.forget(family);
        }
    }

    pub(super) fn forget_key(&self, hash: &[u8; 32]) {
        self.keys.forget(hash);
    }

    pub(super) fn forget_login(&self, family: TokenFamilyId) {
        self.logins.forget(&family);
    }

    pub(super) fn forget_user(&self, user: UserId) {
        self.users.forget(&user);
    }

    pub(super) fn forget_tenant(&self, tenant: TenantId) {
        self.tenants.forget(&tenant);
    }

    pub(super) fn clear(&self) {
        self.tiers.clear();
        self.tenants.clear();
        self.users.clear();
        self.keys.clear();
        self.logins.clear();
    }
}
