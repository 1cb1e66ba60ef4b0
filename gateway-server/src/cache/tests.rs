//! A miss is one read, and one for all who miss the same at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use gateway_core::account::Ended;
use gateway_core::id::{ApiKeyId, SessionId, SessionName, TenantId};
use gateway_core::identity::{ApiKey, Scope};
use gateway_core::session::{Routes, Session, SessionRef};
use gateway_core::store::{OrchestrationTx, PlatformStore, PlatformTx, Store, StoreError};
use gateway_core::tenant::{Tenant, TenantStatus, Tier, TierName};
use gateway_core::time::{Clock, Timestamp};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::memory::MemoryStore;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{CachedRoutes, Caches};

const TENANT: TenantId = TenantId::from_u128(1);
const SESSION: SessionId = SessionId::from_u128(2);
const HASH: [u8; 32] = [3; 32];
const KEY: Ended = Ended::Key {
    tenant: TENANT,
    hash: HASH,
};

/// A store whose reads wait until they are let through, and are counted.
#[derive(Debug)]
struct Paused {
    store: MemoryStore,
    reads: AtomicU32,
    gate: Semaphore,
}

impl Paused {
    /// Lets `count` reads through once as many wait.
    async fn let_through(&self, count: u32) {
        while self.reads.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
        self.gate.add_permits(count as usize);
    }
}

#[async_trait]
impl Store for Paused {
    async fn begin(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.store.begin().await
    }

    async fn read(&self) -> Result<Box<dyn OrchestrationTx>, StoreError> {
        self.store.read().await
    }
}

#[async_trait]
impl PlatformStore for Paused {
    async fn begin_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        self.store.begin_platform().await
    }

    async fn read_platform(&self) -> Result<Box<dyn PlatformTx>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let permit = self.gate.acquire().await;
        permit
            .map_err(|closed| StoreError::Internal(Box::new(closed)))?
            .forget();
        self.store.read_platform().await
    }
}

struct Scene {
    store: Arc<Paused>,
    clock: Arc<ManualClock>,
    caches: Caches,
}

impl Scene {
    /// Makes a tenant with a key and a session, in caches that have looked and know nothing.
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let memory = MemoryStore::new(clock.clone());
        arrange(&memory).await.expect("a memory store takes it");
        let store = Arc::new(Paused {
            store: memory.clone(),
            reads: AtomicU32::new(0),
            gate: Semaphore::new(0),
        });
        let looking = Arc::new(memory);
        let caches = Caches::new(store.clone(), looking, clock.clone(), Handle::current());
        caches.look().await.expect("a look");
        Self {
            store,
            clock,
            caches,
        }
    }

    fn reads(&self) -> u32 {
        self.store.reads.load(Ordering::SeqCst)
    }

    fn knows_the_key(&self) -> bool {
        self.caches.key(&HASH, self.clock.uptime()).is_some()
    }
}

async fn arrange(store: &MemoryStore) -> Result<(), StoreError> {
    let now = Timestamp::default();
    let basic = TierName::parse("BASIC").expect("a name");
    let mut tx = store.begin_platform().await?;
    for tier in Tier::defaults() {
        tx.put_tier(&tier).await?;
    }
    tx.insert_tenant(&Tenant {
        id: TENANT,
        name: "acme".to_owned(),
        tier: basic,
        status: TenantStatus::Active,
        version: 1,
        created_at: now,
        updated_at: now,
    })
    .await?;
    tx.insert_key(&ApiKey {
        id: ApiKeyId::from_u128(4),
        tenant: TENANT,
        name: "key".to_owned(),
        hash: HASH,
        prefix: "gwk_12345678".to_owned(),
        scopes: Scope::ALL.to_vec(),
        session: None,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        version: 1,
        created_at: now,
    })
    .await?;
    let name = SessionName::parse("demo").expect("a name");
    let card = Session::new(SESSION, TENANT, name, now);
    tx.insert_session(&card, None).await?;
    tx.commit().await
}

#[tokio::test]
async fn a_key_that_many_show_at_once_is_read_once() {
    let scene = Scene::new().await;
    let all = join_all((0..50).map(|_| scene.caches.read_key(HASH)));
    let (found, ()) = tokio::join!(all, scene.store.let_through(1));
    for found in found {
        let (known, _) = found.expect("a read").expect("the key");
        assert_eq!(known.key.hash, HASH);
    }
    assert_eq!(scene.reads(), 1);
    assert!(scene.knows_the_key());
}

#[tokio::test]
async fn who_shows_a_key_after_a_change_joins_no_read_from_before() {
    for ended in [KEY, Ended::Tenant { tenant: TENANT }] {
        let scene = Scene::new().await;
        let mut before = Box::pin(scene.caches.read_key(HASH));
        assert!(futures_util::poll!(&mut before).is_pending());
        scene.caches.forget(&ended);
        let after = scene.caches.read_key(HASH);
        let (before, after, ()) = tokio::join!(before, after, scene.store.let_through(2));
        assert!(before.expect("a read").is_some());
        assert!(after.expect("a read").is_some());
        assert_eq!(scene.reads(), 2);
        assert!(scene.knows_the_key(), "the later one is kept");
    }
}

#[tokio::test]
async fn a_read_from_before_a_change_is_not_kept() {
    let scene = Scene::new().await;
    let mut reading = Box::pin(scene.caches.read_key(HASH));
    assert!(futures_util::poll!(&mut reading).is_pending());
    scene.caches.forget(&KEY);
    let (found, ()) = tokio::join!(reading, scene.store.let_through(1));
    assert!(found.expect("a read").is_some());
    assert!(!scene.knows_the_key());
}

#[tokio::test]
async fn a_session_that_many_send_over_at_once_is_read_once_by_each_of_its_names() {
    let scene = Scene::new().await;
    let routes = CachedRoutes::new(scene.caches.clone());
    let name = SessionName::parse("demo").expect("a name");
    let names = [SessionRef::Id(SESSION), SessionRef::Name(name)];
    let asked = (0..50).map(|n| routes.route(TENANT, &names[n % 2], false));
    let (found, ()) = tokio::join!(join_all(asked), scene.store.let_through(2));
    for found in found {
        assert_eq!(found.expect("a read").expect("a route").session, SESSION);
    }
    assert_eq!(scene.reads(), 2);
    assert_eq!(scene.caches.routes_known(), 1);
}

#[tokio::test]
async fn who_was_refused_by_a_worker_reads_by_himself() {
    let scene = Scene::new().await;
    let routes = CachedRoutes::new(scene.caches.clone());
    let reference = SessionRef::Id(SESSION);
    let first = routes.route(TENANT, &reference, false);
    let again = routes.route(TENANT, &reference, true);
    let (first, again, ()) = tokio::join!(first, again, scene.store.let_through(2));
    assert!(first.expect("a read").is_some() && again.expect("a read").is_some());
    assert_eq!(scene.reads(), 2);
}
