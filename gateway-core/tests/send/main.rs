//! The table of R-61, row by row, and idempotency.
//!
//! Each test says what the collaborators answer, and what is recorded and answered because of it. The
//! routes and the log are mocks, because here their failure is the point; the worker is a fake with a
//! script. All three fail a test in which they are asked more or less often than they were told answers.

mod answers;
mod mocks;
mod repeats;
mod routes;
mod targets;
mod worker;

use std::sync::{Arc, Mutex};

use futures_executor::block_on;
use gateway_core::id::{Epoch, Incarnation, MessageId, SessionId, TenantId, WorkerId};
use gateway_core::message::{
    Content, Fact, MessageIds, Outgoing, SendError, SendLimits, SendOutcome, SendRequest, Sender,
    fold,
};
use gateway_core::session::{Open, Owner, Route, SessionRef, Standing};
use gateway_core::time::Timestamp;
use gateway_core::worker::{LinkError, Target};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::delegate::Delegate;
use gateway_testkit::entropy::SeededEntropy;
use mocks::{MockLog, MockRoutes, place};
use worker::{Answer, ScriptedWorker};

const TENANT: TenantId = TenantId::from_u128(1);
const SESSION: SessionId = SessionId::from_u128(2);

fn now() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000)
}

fn owner(run: u64) -> Owner {
    Owner {
        worker: WorkerId::parse("worker-1").expect("a slug"),
        incarnation: Incarnation::parse(&format!("incarnation-{run}")).expect("a token"),
    }
}

fn route(epoch: u64, standing: Standing) -> Route {
    Route {
        session: SESSION,
        tenant: TENANT,
        version: epoch,
        epoch: Epoch(epoch),
        standing,
    }
}

/// Connected at run `epoch` of the worker, under that epoch.
fn open(epoch: u64) -> Route {
    let open = Open {
        target: Target {
            owner: owner(epoch),
            endpoint: format!("http://worker-{epoch}"),
        },
        message_types: Vec::new(),
    };
    route(epoch, Standing::Open(Arc::new(open)))
}

fn request(key: Option<&str>) -> SendRequest {
    SendRequest {
        tenant: TENANT,
        session: SessionRef::Id(SESSION),
        to: "+491701234567".parse().expect("a number"),
        content: Content::Text {
            text: "hello".to_owned(),
            preview_url: None,
        },
        context: serde_json::Map::new(),
        idempotency_key: key.map(str::to_owned),
    }
}

/// The collaborators of one send. What is not told is a panic: nobody may be asked for it.
#[derive(Default)]
struct Stage {
    /// Where random ids begin.
    seed: u64,
    routes: MockRoutes,
    worker: ScriptedWorker,
    log: MockLog,
    recorded: Arc<Mutex<Vec<Outgoing>>>,
}

impl Stage {
    /// The session is connected under epoch 1.
    fn open() -> Self {
        let mut stage = Self::default();
        stage.route(false, Some(open(1)));
        stage
    }

    fn route(&mut self, fresh: bool, answer: Option<Route>) -> &mut Self {
        self.routes
            .expect_route()
            .withf(move |tenant, session, asked| {
                *tenant == TENANT && *session == SessionRef::Id(SESSION) && *asked == fresh
            })
            .times(1)
            .returning(move |_, _, _| Ok(answer.clone()));
        self
    }

    /// There is a place in the log.
    fn has_place(&mut self) -> &mut Self {
        self.log.expect_reserve().times(1).returning(|| Ok(place()));
        self
    }

    /// The worker answers once, under this epoch.
    fn worker(&mut self, epoch: u64, answer: Result<(), LinkError>) -> &mut Self {
        let answer = answer.map_or_else(Answer::Fails, |()| Answer::Accepts);
        self.worker.answer(epoch, answer);
        self
    }

    /// The log folds what it is given into nothing, once.
    fn records(&mut self) -> &mut Self {
        let recorded = Arc::clone(&self.recorded);
        self.log.expect_record().times(1).returning(move |_, fact| {
            let folded = fold(None, &fact, now()).recorded;
            let Fact::Outgoing(fact) = fact else {
                panic!("{fact:?}")
            };
            recorded.lock().expect("unpoisoned").push(fact);
            Ok(folded)
        });
        self
    }

    fn send(self, request: &SendRequest) -> (Result<SendOutcome, SendError>, Vec<Outgoing>) {
        let sender = Sender {
            routes: Arc::new(self.routes),
            link: Arc::new(Delegate(self.worker)),
            log: Arc::new(self.log),
            ids: MessageIds::new(b"key"),
            clock: Arc::new(ManualClock::default()),
            entropy: Arc::new(SeededEntropy::new(self.seed)),
            limits: SendLimits::default(),
        };
        let outcome = block_on(sender.send(request));
        drop(sender);
        let recorded = std::mem::take(&mut *self.recorded.lock().expect("unpoisoned"));
        (outcome, recorded)
    }
}

/// The id that a send with this key has.
fn keyed(key: &str) -> MessageId {
    MessageIds::new(b"key").keyed(TENANT, SESSION, key)
}
