//! What every way to a worker promises, with the worker behind it.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::message::WaMessageId;
use gateway_core::protocol::{SendMessage, StartSession, StartSessionMode};
use gateway_core::session::{Order, Owner};
use gateway_core::worker::{LinkError, Target, WorkerLink};

use super::fixture::{message_id, owner, session_id};
use super::{Failure, Suite, Verdict, cases};

cases!(LinkUnderTest, "worker_link":
    a_repeated_start_gets_the_same_answer,
    a_stale_epoch_is_refused,
    a_released_session_cannot_be_started_again_at_its_epoch,
    a_session_that_was_never_started_is_tombstoned_too,
    a_repeated_release_gets_the_same_answer,
    another_incarnation_is_refused,
    an_unknown_session_is_said_to_be_unknown,
    a_repeated_message_gets_the_first_result,
    a_message_id_with_another_body_is_refused,
    a_session_that_is_not_connected_sends_nothing,
    the_worker_says_who_it_is,
    a_worker_that_is_not_there_was_sent_nothing,
);

/// Every case for a way to a worker.
pub const WORKER_LINK: Suite<LinkUnderTest> = &[CASES];

/// Lets the person at the phone act.
pub trait Phone: Debug + Send + Sync {
    /// Links the session's account and returns once the session is connected.
    fn link(&self, session: SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A fresh worker and a way to it.
#[derive(Debug)]
pub struct LinkUnderTest {
    pub link: Arc<dyn WorkerLink>,
    pub target: Target,
    /// A worker that is not there.
    pub nobody: Target,
    pub phone: Arc<dyn Phone>,
    /// What must live as long as these.
    pub keep: Box<dyn Any + Send + Sync>,
}

const LIMIT: Duration = Duration::from_secs(10);

impl LinkUnderTest {
    fn start(&self, epoch: u64) -> StartSession {
        StartSession {
            session_id: session_id(1),
            epoch: Epoch(epoch),
            incarnation: self.target.owner.incarnation.clone(),
            mode: StartSessionMode::Qr,
            phone_number: None,
            proxy: None,
            config: None,
        }
    }

    fn order(&self, epoch: u64) -> Order {
        Order {
            session: session_id(1),
            owner: self.target.owner.clone(),
            epoch: Epoch(epoch),
        }
    }

    fn message(&self, n: u128, text: &str) -> SendMessage {
        let mut content = serde_json::Map::new();
        content.insert("text".to_owned(), text.into());
        SendMessage {
            message_id: message_id(n),
            wa_message_id: WaMessageId::parse(&format!("3EB0{n:018X}"))
                .expect("cases use valid ids"),
            body_hash: format!("{:064x}", text.len()),
            epoch: Epoch(1),
            incarnation: self.target.owner.incarnation.clone(),
            to: "491701234567@c.us".to_owned(),
            kind: "text".to_owned(),
            content,
        }
    }

    async fn connected(&self) -> Result<(), Failure> {
        self.link.start(&self.target, &self.start(1), LIMIT).await?;
        self.phone.link(session_id(1)).await;
        Ok(())
    }
}

async fn a_repeated_start_gets_the_same_answer(l: &LinkUnderTest) -> Verdict {
    let first = l.link.start(&l.target, &l.start(1), LIMIT).await?;
    assert_eq!((first.session_id, first.epoch), (session_id(1), Epoch(1)));
    assert_eq!(l.link.start(&l.target, &l.start(1), LIMIT).await?, first);
    let state = l.link.session(&l.target, session_id(1), LIMIT).await?;
    assert_eq!(
        (state.session_id, state.epoch),
        (Some(session_id(1)), Epoch(1))
    );
    Ok(())
}

async fn a_stale_epoch_is_refused(l: &LinkUnderTest) -> Verdict {
    l.link.start(&l.target, &l.start(5), LIMIT).await?;
    let stale = Err(LinkError::StaleEpoch { current: Epoch(5) });
    assert_eq!(
        l.link.start(&l.target, &l.start(4), LIMIT).await.map(drop),
        stale
    );
    assert_eq!(
        l.link
            .release(&l.target, &l.order(4), LIMIT)
            .await
            .map(drop),
        stale
    );
    let late = SendMessage {
        epoch: Epoch(4),
        ..l.message(1, "late")
    };
    assert_eq!(
        l.link
            .send(&l.target, session_id(1), &late, LIMIT)
            .await
            .map(drop),
        stale
    );
    Ok(())
}

async fn a_released_session_cannot_be_started_again_at_its_epoch(l: &LinkUnderTest) -> Verdict {
    l.link.start(&l.target, &l.start(1), LIMIT).await?;
    let released = l.link.release(&l.target, &l.order(1), LIMIT).await?;
    assert_eq!(
        (released.session_id, released.epoch),
        (session_id(1), Epoch(1))
    );
    let again = l.link.start(&l.target, &l.start(1), LIMIT).await;
    assert!(
        matches!(again, Err(LinkError::StaleEpoch { .. })),
        "{again:?}"
    );
    l.link.start(&l.target, &l.start(2), LIMIT).await?;
    Ok(())
}

async fn a_session_that_was_never_started_is_tombstoned_too(l: &LinkUnderTest) -> Verdict {
    // The release overtook the start that it takes back.
    l.link.release(&l.target, &l.order(1), LIMIT).await?;
    let late = l.link.start(&l.target, &l.start(1), LIMIT).await;
    assert!(
        matches!(late, Err(LinkError::StaleEpoch { .. })),
        "{late:?}"
    );
    Ok(())
}

async fn a_repeated_release_gets_the_same_answer(l: &LinkUnderTest) -> Verdict {
    l.link.start(&l.target, &l.start(1), LIMIT).await?;
    let first = l.link.release(&l.target, &l.order(1), LIMIT).await?;
    assert_eq!(l.link.release(&l.target, &l.order(1), LIMIT).await?, first);
    Ok(())
}

async fn another_incarnation_is_refused(l: &LinkUnderTest) -> Verdict {
    let former = Owner {
        worker: l.target.owner.worker.clone(),
        incarnation: owner("former", 1).incarnation,
    };
    let target = Target {
        owner: former.clone(),
        ..l.target.clone()
    };
    let body = StartSession {
        incarnation: former.incarnation.clone(),
        ..l.start(1)
    };
    let order = Order {
        owner: former,
        ..l.order(1)
    };
    let wrong = |error| matches!(error, Err(LinkError::WrongIncarnation { .. }));
    assert!(wrong(l.link.start(&target, &body, LIMIT).await.map(drop)));
    assert!(wrong(
        l.link.release(&target, &order, LIMIT).await.map(drop)
    ));
    // It did nothing: the epoch is free, without a tombstone.
    l.link.start(&l.target, &l.start(1), LIMIT).await?;
    Ok(())
}

async fn an_unknown_session_is_said_to_be_unknown(l: &LinkUnderTest) -> Verdict {
    let state = l.link.session(&l.target, session_id(9), LIMIT).await;
    assert_eq!(state, Err(LinkError::UnknownSession));
    let sent = l
        .link
        .send(&l.target, session_id(9), &l.message(1, "a"), LIMIT)
        .await;
    assert_eq!(sent, Err(LinkError::UnknownSession));
    Ok(())
}

async fn a_repeated_message_gets_the_first_result(l: &LinkUnderTest) -> Verdict {
    l.connected().await?;
    let message = l.message(1, "hello");
    let first = l
        .link
        .send(&l.target, session_id(1), &message, LIMIT)
        .await?;
    assert_eq!(first.message_id, message.message_id);
    assert_eq!(first.wa_message_id, message.wa_message_id);
    assert_eq!(first.status, "accepted");
    let again = l
        .link
        .send(&l.target, session_id(1), &message, LIMIT)
        .await?;
    assert_eq!(again, first);
    Ok(())
}

async fn a_message_id_with_another_body_is_refused(l: &LinkUnderTest) -> Verdict {
    l.connected().await?;
    l.link
        .send(&l.target, session_id(1), &l.message(1, "hello"), LIMIT)
        .await?;
    let other = l.message(1, "something else");
    let refused = l.link.send(&l.target, session_id(1), &other, LIMIT).await;
    assert_eq!(refused, Err(LinkError::BodyMismatch));
    Ok(())
}

async fn a_session_that_is_not_connected_sends_nothing(l: &LinkUnderTest) -> Verdict {
    l.link.start(&l.target, &l.start(1), LIMIT).await?;
    let refused = l
        .link
        .send(&l.target, session_id(1), &l.message(1, "a"), LIMIT)
        .await;
    assert_eq!(refused, Err(LinkError::NotConnected));
    // Refused is not a result: once connected, the same id goes out.
    l.phone.link(session_id(1)).await;
    l.link
        .send(&l.target, session_id(1), &l.message(1, "a"), LIMIT)
        .await?;
    Ok(())
}

async fn the_worker_says_who_it_is(l: &LinkUnderTest) -> Verdict {
    let health = l.link.health(&l.target, LIMIT).await?;
    assert_eq!(health.worker_id, l.target.owner.worker.as_str());
    assert_eq!(health.incarnation, l.target.owner.incarnation.as_str());
    Ok(())
}

async fn a_worker_that_is_not_there_was_sent_nothing(l: &LinkUnderTest) -> Verdict {
    let refused = l.link.start(&l.nobody, &l.start(1), LIMIT).await;
    assert_eq!(refused.map(drop), Err(LinkError::NotSent));
    Ok(())
}
