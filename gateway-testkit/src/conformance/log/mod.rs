//! What every message log promises, together with the store that reads it.

mod deadline;
mod person;
mod place;
mod race;
mod read;
mod record;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::event::{Event, EventFilter, LoggedEvent, Sequenced, sequence};
use gateway_core::id::Epoch;
use gateway_core::message::{
    Fact, Inbound, LogError, Message, MessageError, MessageLog, MessageStatus, Outgoing, Recorded,
    StatusFact, WaMessageId,
};
use gateway_core::store::PlatformStore;
use serde_json::json;

use super::fixture::{a_card, a_tenant, message_id, session_id, tenant_id};
use super::{Failure, Suite};
use gateway_core::tenant::Tier;

/// Every case for a message log.
pub const MESSAGE_LOG: Suite<LogUnderTest> = &[
    place::CASES,
    record::CASES,
    race::CASES,
    read::CASES,
    person::CASES,
    deadline::CASES,
];

/// A fresh message log and the store over which it writes.
#[derive(Debug)]
pub struct LogUnderTest {
    pub log: Arc<dyn MessageLog>,
    /// Another replica's log over the same store; where there can be none, the same one again.
    pub other: Arc<dyn MessageLog>,
    /// How many places each has.
    pub places: usize,
    /// The store over which they write, migrated and empty.
    pub store: Arc<dyn PlatformStore>,
    /// What must live as long as these.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl LogUnderTest {
    /// Stores tenants 1 and 2, sessions 1 and 3 of tenant 1, and session 2 of tenant 2.
    async fn arrange(&self) -> Result<(), Failure> {
        let mut tx = self.store.begin_platform().await?;
        let now = tx.now().await?;
        for tier in Tier::defaults() {
            tx.put_tier(&tier).await?;
        }
        for n in [1, 2] {
            tx.insert_tenant(&a_tenant(n, now)).await?;
        }
        for (tenant, n) in [(1, 1), (2, 2), (1, 3)] {
            tx.insert_session(&a_card(tenant_id(tenant), n, now), None)
                .await?;
        }
        Ok(tx.commit().await?)
    }

    async fn record(&self, fact: Fact) -> Result<Recorded, Failure> {
        let place = self.log.reserve()?;
        Ok(self.log.record(place, fact).await?)
    }

    async fn stored(&self, n: u128) -> Result<Message, Failure> {
        let found = self.log.find(tenant_id(1), message_id(n)).await?;
        found.ok_or_else(|| Failure::new(format!("message {n} is not in the log")))
    }

    /// Publishes what was appended and returns tenant 1's events.
    async fn events(&self) -> Result<Vec<LoggedEvent>, Failure> {
        loop {
            let step = sequence(&*self.store, 0, 500).await?;
            if matches!(step, Sequenced::Published { more: false, .. }) {
                break;
            }
        }
        let mut tx = self.store.read_platform().await?;
        Ok(tx
            .events(tenant_id(1), &EventFilter::default(), 0, 10_000)
            .await?)
    }

    /// Asserts that every message's status events form one chain from nothing to its stored status.
    async fn check_chains(&self) -> Result<usize, Failure> {
        let mut known = BTreeMap::new();
        let mut count = 0;
        for event in self.events().await? {
            let Event::MessageStatus(change) = event.event()? else {
                continue;
            };
            let before = known.insert(change.id, change.status);
            assert_eq!(
                change.previous, before,
                "an event per change, each once: {change:?}"
            );
            assert!(Some(change.status) > before, "never backwards: {change:?}");
            count += 1;
        }
        for (id, status) in known {
            let found = self.log.find(tenant_id(1), id).await?;
            assert_eq!(found.map(|row| row.status), Some(status));
        }
        Ok(count)
    }
}

fn wa(n: u128) -> WaMessageId {
    WaMessageId::parse(&format!("3EB0{n:018X}")).expect("cases use valid ids")
}

/// Returns a send of tenant 1's session 1 that the worker accepted.
fn a_send(n: u128) -> Outgoing {
    Outgoing {
        id: message_id(n),
        tenant: tenant_id(1),
        session: session_id(1),
        epoch: Epoch(1),
        wa_message_id: wa(n),
        chat_id: "491701234567@c.us".to_owned(),
        kind: "text".to_owned(),
        content: json!({"text": format!("hello {n}")}),
        body_hash: [n as u8; 32],
        status: MessageStatus::Sending,
        error: None,
        refused_status: None,
        alias: None,
    }
}

/// Returns a report on the send [`a_send`] with this number.
fn a_status(n: u128, status: MessageStatus) -> Fact {
    let error = (status == MessageStatus::Failed).then(|| MessageError {
        code: "blocked".to_owned(),
        message: Some("by the recipient".to_owned()),
    });
    Fact::Status(StatusFact {
        id: message_id(n),
        tenant: tenant_id(1),
        session: session_id(1),
        epoch: Epoch(1),
        wa_message_id: wa(n),
        status,
        error,
        own: None,
        age: None,
        occurred_at: None,
    })
}

/// Returns a message that came in at tenant 1's session 1.
fn an_inbound(n: u128) -> Inbound {
    Inbound {
        id: message_id(n),
        tenant: tenant_id(1),
        session: session_id(1),
        epoch: Epoch(2),
        wa_message_id: wa(n),
        chat_id: "120363000000000000@g.us".to_owned(),
        sender: "491707654321@c.us".to_owned(),
        kind: "image".to_owned(),
        content: json!({"caption": "Grüße \u{1F600}", "media": {"url": null}}),
        offline: true,
        alias: None,
        from_me: false,
        occurred_at: None,
    }
}

/// Records a fact from a task, whose error must be sendable.
async fn write(log: &dyn MessageLog, fact: Fact) -> Result<Recorded, LogError> {
    let place = log.reserve().map_err(|_| LogError::Unavailable)?;
    log.record(place, fact).await
}
