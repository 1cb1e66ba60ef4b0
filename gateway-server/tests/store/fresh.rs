//! SQLite's new messages: in no index of the history until the sequencer's next step, and listed all the
//! same.

use std::path::{Path, PathBuf};

use gateway_core::event::{Sequenced, sequence};
use gateway_core::id::{Epoch, MessageId, SessionId, TenantId};
use gateway_core::message::{Fact, MessageFilter, MessageStatus, StatusFact, WaMessageId};
use gateway_core::store::PlatformStore as _;
use gateway_server::message_log::Ledger as _;
use gateway_server::store::sql::SqlStore;
use sqlx::SqlitePool;

use crate::sqlite;

const TENANT: TenantId = TenantId::from_u128(1);

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

    async fn step(&self, limit: u32) -> Sequenced {
        sequence(&self.store, 0, limit).await.unwrap()
    }

    async fn fresh(&self) -> i64 {
        let counting = sqlx::query_scalar("SELECT count(*) FROM messages WHERE fresh = 1");
        counting.fetch_one(&self.file).await.unwrap()
    }

    async fn listed(&self) -> usize {
        let mut tx = self.store.read().await.unwrap();
        let filter = MessageFilter::default();
        let page = tx.messages(TENANT, &filter, None, 1_000).await;
        page.unwrap().len()
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
        session: SessionId::from_u128(2),
        epoch: Epoch(1),
        wa_message_id: WaMessageId::parse(&format!("WA{id}")).unwrap(),
        status: MessageStatus::Sent,
        error: None,
    })
}

pub(crate) async fn the_next_step_indexes_what_is_new_whatever_there_is_to_publish(folder: &Path) {
    let fixture = Fixture::new(folder).await;
    fixture.write(0..10).await;
    assert_eq!((fixture.fresh().await, fixture.listed().await), (10, 10));
    let published = Sequenced::Published {
        count: 4,
        more: true,
    };
    assert_eq!(fixture.step(4).await, published);
    assert_eq!((fixture.fresh().await, fixture.listed().await), (6, 10));
    let emptying = sqlx::query("DELETE FROM outbox").execute(&fixture.file);
    emptying.await.unwrap();
    let nothing = Sequenced::Published {
        count: 0,
        more: false,
    };
    assert_eq!(fixture.step(1_000).await, nothing);
    assert_eq!((fixture.fresh().await, fixture.listed().await), (0, 10));
}

pub(crate) async fn what_a_crash_left_new_is_listed_and_indexed_later(folder: &Path) {
    let fixture = Fixture::new(folder).await;
    fixture.write(0..70).await;
    let fixture = fixture.reopened().await;
    assert_eq!((fixture.fresh().await, fixture.listed().await), (70, 70));
    fixture.step(1_000).await;
    assert_eq!((fixture.fresh().await, fixture.listed().await), (0, 70));
    fixture.write(70..80).await;
    assert_eq!((fixture.fresh().await, fixture.listed().await), (10, 80));
}
