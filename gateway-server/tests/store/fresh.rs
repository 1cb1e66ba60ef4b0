//! SQLite's new messages and events: in no index of the history until many of them share its pages, or until
//! the sequencer has nothing else to do; and listed all the same.

use std::path::{Path, PathBuf};

use gateway_core::event::{EventFilter, Sequenced, sequence};
use gateway_core::id::{Epoch, MessageId, SessionId, TenantId};
use gateway_core::message::{Fact, MessageFilter, MessageStatus, StatusFact, WaMessageId};
use gateway_core::store::PlatformStore as _;
use gateway_server::message_log::Ledger as _;
use gateway_server::store::sql::SqlStore;
use sqlx::SqlitePool;

use crate::sqlite;

const TENANT: TenantId = TenantId::from_u128(1);
/// Sessions that have messages in turn.
const SESSIONS: u128 = 2;

/// A store that can be opened again, and a look into its file.
struct Fixture {
    folder: PathBuf,
    store: SqlStore,
    file: SqlitePool,
}

impl Fixture {
    async fn new(folder: &Path) -> Self {
        let store = sqlite(folder).await;
        let path = folder.join("gateway.db");
        let file = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
        Self {
            folder: folder.to_owned(),
            store,
            file,
        }
    }

    async fn write(&self, ids: std::ops::Range<u128>) {
        let facts: Vec<Fact> = ids.map(fact).collect();
        self.store.ledger().write(&facts).await.unwrap();
    }

    /// A step of the sequencer; how many events it published.
    async fn step(&self, limit: u32) -> usize {
        match sequence(&self.store, 0, limit).await.unwrap() {
            Sequenced::Published { count, .. } => count,
            Sequenced::Busy => unreachable!("nobody else steps"),
        }
    }

    /// How many messages and how many events are in no index of the history.
    async fn fresh(&self) -> (i64, i64) {
        let counting = "SELECT (SELECT count(*) FROM messages WHERE fresh = 1), \
             (SELECT count(*) FROM events WHERE fresh = 1)";
        sqlx::query_as(counting)
            .fetch_one(&self.file)
            .await
            .unwrap()
    }

    /// Messages of the tenant, newest first.
    async fn messages(&self) -> Vec<u128> {
        let mut tx = self.store.read_platform().await.unwrap();
        let filter = MessageFilter::default();
        let page = tx.messages(TENANT, &filter, None, 1_000).await.unwrap();
        page.iter().map(|message| message.id.as_u128()).collect()
    }

    /// Positions of the tenant's events, or of one session's; with a filter by name and without.
    async fn events(&self, session: Option<u128>, after: u64, limit: u32) -> Vec<u64> {
        let all = self.page(session, &[], after, limit).await;
        let named = ["message.status", "message.received"].map(str::to_owned);
        assert_eq!(self.page(session, &named, after, limit).await, all);
        assert!(
            self.page(session, &named[1..], after, limit)
                .await
                .is_empty()
        );
        all
    }

    async fn page(
        &self,
        session: Option<u128>,
        names: &[String],
        after: u64,
        limit: u32,
    ) -> Vec<u64> {
        let mut tx = self.store.read_platform().await.unwrap();
        let filter = EventFilter {
            session: session.map(SessionId::from_u128),
            names: names.to_vec(),
        };
        let page = tx.events(TENANT, &filter, after, limit).await.unwrap();
        page.iter().map(|event| event.position).collect()
    }

    /// As after a crash: nothing is told to anybody, the file is opened again.
    async fn reopened(self) -> Self {
        self.store.close().await;
        let Self { folder, store, .. } = self;
        drop(store);
        Self::new(&folder).await
    }
}

fn fact(id: u128) -> Fact {
    Fact::Status(StatusFact {
        id: MessageId::from_u128(id),
        tenant: TENANT,
        session: SessionId::from_u128(id % SESSIONS),
        epoch: Epoch(1),
        wa_message_id: WaMessageId::parse(&format!("WA{id}")).unwrap(),
        status: MessageStatus::Sent,
        error: None,
    })
}

pub(crate) async fn what_is_new_is_indexed_when_it_is_many_or_when_nothing_is_to_be_published(
    folder: &Path,
) {
    let fixture = Fixture::new(folder).await;
    fixture.write(0..39).await;
    assert_eq!(fixture.fresh().await, (39, 0));
    assert_eq!(fixture.step(10).await, 10);
    assert_eq!(fixture.fresh().await, (39, 10), "39 are too few");
    fixture.write(39..40).await;
    for (events, left) in [(10, (0, 20)), (10, (0, 30)), (10, (0, 0))] {
        assert_eq!(fixture.step(10).await, events);
        assert_eq!(fixture.fresh().await, left, "one table in a step");
    }
    fixture.write(40..45).await;
    assert_eq!(fixture.step(10).await, 5);
    assert_eq!(fixture.fresh().await, (5, 5));
    for left in [(0, 5), (0, 0)] {
        assert_eq!(fixture.step(10).await, 0);
        assert_eq!(fixture.fresh().await, left, "at rest nothing waits");
    }
}

pub(crate) async fn a_message_without_an_event_is_indexed_as_well(folder: &Path) {
    let fixture = Fixture::new(folder).await;
    fixture.write(0..3).await;
    assert_eq!(fixture.fresh().await, (3, 0));
    assert_eq!(fixture.messages().await.len(), 3);
    let emptying = sqlx::query("DELETE FROM outbox").execute(&fixture.file);
    emptying.await.unwrap();
    assert_eq!(fixture.step(10).await, 0);
    assert_eq!(fixture.fresh().await, (0, 0));
    assert_eq!(fixture.messages().await.len(), 3);
}

pub(crate) async fn a_page_is_of_what_is_indexed_and_of_what_is_not(folder: &Path) {
    let fixture = Fixture::new(folder).await;
    fixture.write(0..6).await;
    for published in [6, 0, 0] {
        assert_eq!(fixture.step(10).await, published);
    }
    fixture.write(6..10).await;
    assert_eq!(fixture.step(10).await, 4);
    assert_eq!(fixture.fresh().await, (4, 4));
    assert_eq!(fixture.messages().await.len(), 10);
    let all: Vec<u64> = (1..=10).collect();
    assert_eq!(fixture.events(None, 0, 100).await, all);
    assert_eq!(fixture.events(None, 4, 4).await, all[4..8]);
    assert_eq!(fixture.events(None, 8, 4).await, all[8..]);
    assert_eq!(fixture.events(Some(1), 0, 100).await, [2, 4, 6, 8, 10]);
    assert_eq!(fixture.events(Some(1), 4, 2).await, [6, 8]);
}

pub(crate) async fn what_a_crash_left_new_is_listed_and_indexed_later(folder: &Path) {
    let fixture = Fixture::new(folder).await;
    fixture.write(0..70).await;
    assert_eq!(fixture.step(70).await, 70);
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.fresh().await, (70, 70));
    assert_eq!(fixture.messages().await.len(), 70);
    assert_eq!(fixture.events(None, 0, 100).await.len(), 70);
    for left in [(0, 70), (0, 0)] {
        assert_eq!(fixture.step(100).await, 0);
        assert_eq!(fixture.fresh().await, left);
    }
    assert_eq!(fixture.messages().await.len(), 70);
    fixture.write(70..80).await;
    assert_eq!(fixture.fresh().await, (10, 0));
    assert_eq!(fixture.messages().await.len(), 80);
}
