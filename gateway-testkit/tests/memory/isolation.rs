use futures_executor::block_on;
use futures_util::future::poll_immediate;
use gateway_core::session::Session;
use gateway_core::store::{Store, StoreError, Unique};
use gateway_core::time::Timestamp;
use gateway_core::worker::{Worker, WorkerStatus};
use gateway_testkit::fixture::{START, a_session, a_user, a_worker};

use crate::{a_store, stored, tx};

fn next(session: &Session, description: &str) -> Session {
    Session {
        description: Some(description.to_owned()),
        version: session.version + 1,
        ..session.clone()
    }
}

fn later(seconds: u64) -> Timestamp {
    START.plus(std::time::Duration::from_secs(seconds))
}

#[test]
fn uncommitted_rows_are_seen_by_their_own_transaction_alone() {
    block_on(async {
        let store = a_store();
        let card = a_session().build();
        let (mut writer, mut reader) = (tx(&store).await, tx(&store).await);
        writer.insert_session(&card, None).await.expect("free name");
        let own = writer.session(card.id).await.expect("reads");
        assert_eq!(own.as_ref(), Some(&card));
        assert_eq!(reader.session(card.id).await.expect("reads"), None);
        writer.commit().await.expect("commits");
        let seen = reader.session(card.id).await.expect("reads");
        assert_eq!(seen, Some(card), "commits show up between two calls");
    });
}

#[test]
fn a_dropped_transaction_leaves_nothing_behind() {
    block_on(async {
        let store = a_store();
        let card = a_session().build();
        let mut writer = tx(&store).await;
        writer.insert_session(&card, None).await.expect("free name");
        drop(writer);
        let mut again = tx(&store).await;
        assert_eq!(again.session(card.id).await.expect("reads"), None);
        again.insert_session(&card, None).await.expect("no lock");
    });
}

#[test]
fn a_second_writer_waits_and_then_conflicts_on_the_version() {
    block_on(async {
        let store = a_store();
        let card = a_session().build();
        stored(&store, &[], std::slice::from_ref(&card)).await;
        let (mut first, mut second) = (tx(&store).await, tx(&store).await);
        first
            .save_sessions(&[next(&card, "first")])
            .await
            .expect("current");
        let rows = [next(&card, "second")];
        let mut save = second.save_sessions(&rows);
        assert!(poll_immediate(&mut save).await.is_none(), "it waits");
        first.commit().await.expect("commits");
        assert!(matches!(save.await, Err(StoreError::Conflict)));
    });
}

#[test]
fn a_second_writer_goes_on_when_the_first_rolls_back() {
    block_on(async {
        let store = a_store();
        let card = a_session().build();
        stored(&store, &[], std::slice::from_ref(&card)).await;
        let (mut first, mut second) = (tx(&store).await, tx(&store).await);
        first
            .save_sessions(&[next(&card, "first")])
            .await
            .expect("current");
        let rows = [next(&card, "second")];
        let mut save = second.save_sessions(&rows);
        assert!(poll_immediate(&mut save).await.is_none(), "it waits");
        drop(first);
        save.await.expect("the version is what it was");
        second.commit().await.expect("commits");
    });
}

#[test]
fn a_condition_is_evaluated_again_after_waiting() {
    block_on(async {
        let store = a_store();
        let worker = a_worker("w").build();
        stored(&store, std::slice::from_ref(&worker), &[]).await;
        let (active, suspect) = (WorkerStatus::Active, WorkerStatus::Suspect);
        let (mut first, mut second) = (tx(&store).await, tx(&store).await);
        assert!(
            first
                .shift_worker(&worker.id, active, suspect)
                .await
                .expect("shifts")
        );
        let mut shift = second.shift_worker(&worker.id, active, WorkerStatus::Draining);
        assert!(poll_immediate(&mut shift).await.is_none(), "it waits");
        first.commit().await.expect("commits");
        assert!(!shift.await.expect("shifts nothing"));
    });
}

#[test]
fn a_condition_that_is_false_as_committed_does_not_wait() {
    block_on(async {
        let store = a_store();
        let worker = a_worker("w").build();
        stored(&store, std::slice::from_ref(&worker), &[]).await;
        let (mut first, mut second) = (tx(&store).await, tx(&store).await);
        first.lock_worker(&worker.id).await.expect("locks");
        let (suspect, active) = (WorkerStatus::Suspect, WorkerStatus::Active);
        let shift = second.shift_worker(&worker.id, suspect, active);
        assert!(matches!(poll_immediate(shift).await, Some(Ok(false))));
    });
}

#[test]
fn claiming_skips_what_another_one_claims() {
    block_on(async {
        let store = a_store();
        let cards: Vec<Session> = ["a", "b", "c"]
            .map(|name| a_session().named(name).waiting().build())
            .into();
        stored(&store, &[], &cards).await;
        let (mut first, mut second) = (tx(&store).await, tx(&store).await);
        let mine = first
            .claim_due_sessions(later(30), 2)
            .await
            .expect("claims");
        let theirs = second
            .claim_due_sessions(later(30), 9)
            .await
            .expect("claims");
        assert_eq!((mine.len(), theirs.len()), (2, 1));
        assert!(mine.iter().all(|row| row.id != theirs[0].id));
        assert!(theirs[0].due_at == Some(later(30)) && theirs[0].version == 1);
    });
}

#[test]
fn a_locked_shard_is_not_waited_for() {
    block_on(async {
        let store = a_store();
        let (mut first, mut second) = (tx(&store).await, tx(&store).await);
        assert!(first.lock_shard(0).await.expect("asks").is_some());
        assert_eq!(second.lock_shard(0).await.expect("asks"), None);
        drop(first);
        assert!(second.lock_shard(0).await.expect("asks").is_some());
    });
}

#[test]
fn a_circle_of_waiting_is_broken_by_a_conflict() {
    block_on(async {
        let store = a_store();
        let workers = ["a", "b"].map(|id| a_worker(id).build());
        stored(&store, &workers, &[]).await;
        let (mut first, mut second) = (tx(&store).await, tx(&store).await);
        first.lock_worker(&workers[0].id).await.expect("free");
        second.lock_worker(&workers[1].id).await.expect("free");
        let mut blocked = first.lock_worker(&workers[1].id);
        assert!(poll_immediate(&mut blocked).await.is_none(), "it waits");
        let closing = second.lock_worker(&workers[0].id).await;
        assert!(matches!(closing, Err(StoreError::Conflict)));
        drop(second);
        assert!(blocked.await.expect("goes on").is_some());
    });
}

#[test]
fn a_unique_value_in_the_making_is_waited_for() {
    block_on(async {
        let store = a_store();
        let (mut first, mut second) = (tx(&store).await, tx(&store).await);
        first.insert_user(&a_user().build()).await.expect("free");
        let mut twin = a_user().reached_at("other@example.com").build();
        twin.email = a_user().build().email;
        let mut insert = second.insert_user(&twin);
        assert!(poll_immediate(&mut insert).await.is_none(), "it waits");
        first.commit().await.expect("commits");
        assert!(matches!(
            insert.await,
            Err(StoreError::Duplicate(Unique::Email))
        ));
    });
}

#[test]
fn saving_a_worker_leaves_its_count_alone() {
    block_on(async {
        let store = a_store();
        let worker = a_worker("w").build();
        stored(&store, std::slice::from_ref(&worker), &[]).await;
        let owner = worker.owner().expect("it has run");
        let mut tx = tx(&store).await;
        assert!(tx.reserve_slot(&owner).await.expect("room"));
        let cordoned = Worker {
            cordoned: true,
            row_version: 2,
            ..worker.clone()
        };
        tx.save_worker(&cordoned)
            .await
            .expect("counting does not bump the version");
        let row = tx.worker(&worker.id).await.expect("reads").expect("there");
        assert_eq!((row.assigned, row.cordoned), (1, true));
    });
}

#[test]
fn a_read_takes_no_lock_and_cannot_write() {
    block_on(async {
        let store = a_store();
        let worker = a_worker("w").build();
        stored(&store, std::slice::from_ref(&worker), &[]).await;
        let mut writer = tx(&store).await;
        writer.lock_worker(&worker.id).await.expect("locks");
        let mut reader = store.read().await.expect("begins");
        assert!(reader.worker(&worker.id).await.expect("reads").is_some());
        assert!(reader.release_slots(&worker.id, 1).await.is_err());
    });
}

#[test]
fn a_store_that_is_switched_off_fails_its_open_transactions_too() {
    block_on(async {
        let store = a_store();
        let mut open = tx(&store).await;
        open.insert_user(&a_user().build()).await.expect("free");
        store.set_available(false);
        assert!(matches!(
            store.begin().await,
            Err(StoreError::Unavailable(_))
        ));
        assert!(matches!(
            open.commit().await,
            Err(StoreError::Unavailable(_))
        ));
        store.set_available(true);
        let email = a_user().build().email;
        assert_eq!(
            tx(&store).await.user_by_email(&email).await.expect("reads"),
            None
        );
    });
}
