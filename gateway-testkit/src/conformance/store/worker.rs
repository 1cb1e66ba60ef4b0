//! The rows of workers.

use std::sync::Arc;

use gateway_core::id::Incarnation;
use gateway_core::store::{Store, StoreError, Unique};
use gateway_core::worker::{
    Capabilities, Death, Engine, Lease, Worker, WorkerReport, WorkerStatus,
};

use super::unique::is_taken;
use super::{OrchestrationUnderTest, orchestration_cases};
use crate::conformance::Verdict;
use crate::conformance::fixture::{CROWD, LEASE, a_worker, at_once, owner, worker_id};

orchestration_cases!("worker":
    a_worker_is_kept_as_it_is,
    a_known_id_cannot_be_inserted_again,
    a_save_follows_the_stored_version,
    one_of_many_concurrent_saves_wins,
    a_save_leaves_the_count_of_places_alone,
    a_lock_is_held_by_one_at_a_time,
    workers_are_listed_in_id_order_without_removed_ones,
    the_list_shows_the_lease_of_the_newest_incarnation,
    workers_that_changed_are_found_by_the_time_of_their_change,
    the_loads_are_those_of_incarnations_that_are_not_fenced,
    an_endpoint_belongs_to_a_live_worker_only,
    a_status_shifts_from_the_stated_one_only,
    one_of_many_concurrent_shifts_does_it,
    a_taken_value_of_a_worker_is_named,
);

fn full(now: gateway_core::time::Timestamp) -> Worker {
    Worker {
        cordoned: true,
        version: Some("1.2.3".to_owned()),
        environment: Some("prod".to_owned()),
        labels: [
            ("region".to_owned(), "eu".to_owned()),
            ("ü".to_owned(), "☃".to_owned()),
        ]
        .into(),
        protocol_version: 7,
        engine: Engine {
            engine: Some("sim".to_owned()),
            engine_version: Some("9".to_owned()),
            state_format: Some("f1".to_owned()),
            capabilities: Capabilities {
                message_types: vec!["text".to_owned(), "image".to_owned()],
                pairing_modes: vec!["QR".to_owned()],
                proxy: true,
            },
        },
        reported_labels: [("disk".to_owned(), "ssd ☃".to_owned())].into(),
        join_token_hash: Some([0xfe; 32]),
        ..a_worker("full", 1000, now)
    }
}

async fn a_worker_is_kept_as_it_is(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.now().await?;
    let pending = Worker::pending(worker_id("empty"), 1, now);
    let mut tx = s.begin().await?;
    for row in [&full(now), &pending] {
        tx.insert_worker(row).await?;
    }
    tx.commit().await?;
    let mut tx = s.read().await?;
    assert_eq!(tx.worker(&worker_id("full")).await?, Some(full(now)));
    assert_eq!(tx.worker(&worker_id("empty")).await?, Some(pending.clone()));
    assert_eq!(tx.worker(&worker_id("nobody")).await?, None);
    drop(tx);

    // And so is what replaces it.
    let replacement = Worker {
        id: worker_id("empty"),
        row_version: 2,
        ..full(now)
    };
    let replacement = Worker {
        endpoint: Some("http://other.test".to_owned()),
        ..replacement
    };
    let mut tx = s.begin().await?;
    tx.save_worker(&replacement).await?;
    tx.commit().await?;
    let stored = s.begin().await?.lock_worker(&worker_id("empty")).await?;
    assert_eq!(stored, Some(replacement));
    assert_eq!(
        s.begin().await?.lock_worker(&worker_id("nobody")).await?,
        None
    );
    Ok(())
}

async fn a_known_id_cannot_be_inserted_again(s: &OrchestrationUnderTest) -> Verdict {
    s.worker("w", 5).await?;
    let mut tx = s.begin().await?;
    let now = tx.now().await?;
    let again = tx
        .insert_worker(&Worker::pending(worker_id("w"), 9, now))
        .await;
    assert!(
        matches!(again, Err(StoreError::Duplicate(Unique::WorkerId))),
        "{again:?}"
    );
    Ok(())
}

async fn a_save_follows_the_stored_version(s: &OrchestrationUnderTest) -> Verdict {
    s.worker("w", 5).await?;
    let now = s.now().await?;
    for (name, row_version) in [("w", 1), ("w", 3), ("nobody", 2)] {
        let mut tx = s.begin().await?;
        let row = Worker {
            row_version,
            ..a_worker(name, 9, now)
        };
        let saved = tx.save_worker(&row).await;
        assert!(
            matches!(saved, Err(StoreError::Conflict)),
            "{name} {row_version}: {saved:?}"
        );
    }
    Ok(())
}

async fn one_of_many_concurrent_saves_wins(s: &OrchestrationUnderTest) -> Verdict {
    s.worker("w", 5).await?;
    let now = s.now().await?;
    let results = at_once(CROWD, |index| {
        let store = Arc::clone(&s.store);
        let row = Worker {
            row_version: 2,
            ..a_worker("w", 100 + index as u32, now)
        };
        async move {
            let mut tx = store.begin().await?;
            tx.save_worker(&row).await?;
            tx.commit().await
        }
    })
    .await;
    let winners: Vec<_> = (0..CROWD).filter(|index| results[*index].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    let lost = results
        .iter()
        .filter(|result| matches!(result, Err(StoreError::Conflict)));
    assert_eq!(lost.count(), CROWD - 1, "{results:?}");
    let stored = s.read().await?.worker(&worker_id("w")).await?;
    assert_eq!(
        stored.map(|row| row.max_sessions),
        Some(100 + winners[0] as u32)
    );
    Ok(())
}

async fn a_save_leaves_the_count_of_places_alone(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 5).await?;
    let mut tx = s.begin().await?;
    let now = tx.now().await?;
    assert!(tx.reserve_slot(&held).await?);
    tx.save_worker(&Worker {
        assigned: 4,
        row_version: 2,
        ..a_worker("w", 5, now)
    })
    .await?;
    tx.commit().await?;
    let stored = s.read().await?.worker(&held.worker).await?;
    assert_eq!(
        stored.map(|row| (row.assigned, row.row_version)),
        Some((1, 2))
    );
    Ok(())
}

async fn a_lock_is_held_by_one_at_a_time(s: &OrchestrationUnderTest) -> Verdict {
    s.worker("w", 5).await?;
    let results = at_once(CROWD, |_| {
        let store = Arc::clone(&s.store);
        async move { rename_locked(&*store).await }
    })
    .await;
    // Nobody repeats: with the lock held, what was read cannot change before it is written.
    for result in results {
        result?;
    }
    let stored = s.read().await?.worker(&worker_id("w")).await?;
    assert_eq!(stored.map(|row| row.row_version as usize), Some(CROWD + 1));
    Ok(())
}

async fn rename_locked(store: &dyn Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let Some(mut row) = tx.lock_worker(&worker_id("w")).await? else {
        return Ok(());
    };
    tokio::task::yield_now().await;
    row.row_version += 1;
    tx.save_worker(&row).await?;
    tx.commit().await
}

async fn workers_are_listed_in_id_order_without_removed_ones(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let now = s.now().await?;
    let mut tx = s.begin().await?;
    for (name, status) in [
        ("w-2", WorkerStatus::Active),
        ("w-10", WorkerStatus::Offline),
        ("a", WorkerStatus::Pending),
        ("gone", WorkerStatus::Removed),
        ("w", WorkerStatus::Draining),
        ("z", WorkerStatus::Suspect),
    ] {
        tx.insert_worker(&Worker {
            status,
            ..a_worker(name, 1, now)
        })
        .await?;
    }
    tx.commit().await?;
    let listed = s.read().await?.workers().await?;
    let names: Vec<_> = listed.iter().map(|view| view.worker.id.as_str()).collect();
    // By bytes: the hyphen stands before the digits and the letters.
    assert_eq!(names, ["a", "w", "w-10", "w-2", "z"]);
    assert!(listed.iter().all(|view| view.lease.is_none()));
    Ok(())
}

async fn the_list_shows_the_lease_of_the_newest_incarnation(s: &OrchestrationUnderTest) -> Verdict {
    s.worker("w", 5).await?;
    s.worker("v", 5).await?;
    let newest = s.restart_worker("w", 2).await?;
    let listed = s.read().await?.workers().await?;
    let owners: Vec<_> = listed
        .into_iter()
        .filter_map(|view| view.lease.map(|lease| lease.owner))
        .collect();
    assert_eq!(owners, [owner("v", 1), newest]);
    Ok(())
}

async fn workers_that_changed_are_found_by_the_time_of_their_change(
    s: &OrchestrationUnderTest,
) -> Verdict {
    let quiet = s.worker("quiet", 5).await?;
    s.worker("v", 5).await?;
    let since = s.later().await?;
    let newest = s.restart_worker("v", 2).await?;
    s.worker("w", 5).await?;
    let (id, removed) = (worker_id("w"), WorkerStatus::Removed);
    let mut tx = s.begin().await?;
    assert!(tx.shift_worker(&id, WorkerStatus::Active, removed).await?);
    // Neither a place that is taken nor a renewal is a change.
    assert!(tx.reserve_slot(&quiet).await?);
    let renewed = tx
        .renew_lease(&quiet, LEASE, &WorkerReport::default())
        .await?;
    assert_eq!(renewed, Some(1));
    tx.commit().await?;
    let mut tx = s.read().await?;
    let changed = tx.workers_changed_since(since).await?;
    let found: Vec<_> = changed
        .iter()
        .map(|view| (view.worker.id.as_str(), view.worker.status))
        .collect();
    assert_eq!(found, [("v", WorkerStatus::Active), ("w", removed)]);
    let leases = changed.iter().map(|view| view.lease.as_ref());
    let owners: Vec<_> = leases
        .map(|lease| lease.map(|lease| &lease.owner))
        .collect();
    assert_eq!(owners, [Some(&newest), Some(&owner("w", 1))]);
    Ok(())
}

async fn the_loads_are_those_of_incarnations_that_are_not_fenced(
    s: &OrchestrationUnderTest,
) -> Verdict {
    s.worker("v", 5).await?;
    let newest = s.restart_worker("v", 2).await?;
    let held = s.worker("held", 5).await?;
    let dead = s.worker("dead", 5).await?;
    let report = WorkerReport {
        cpu: Some(0.5),
        ..WorkerReport::default()
    };
    let mut tx = s.begin().await?;
    assert!(tx.reserve_slot(&held).await?);
    assert!(tx.renew_lease(&held, LEASE, &report).await?.is_some());
    assert!(tx.fence_lease(&Death::process_gone(dead)).await?);
    tx.commit().await?;
    let loads = s.read().await?.worker_loads().await?;
    let found: Vec<_> = loads
        .into_iter()
        .map(|load| {
            (
                load.lease.owner,
                load.status,
                load.assigned,
                load.lease.report.cpu,
            )
        })
        .collect();
    let active = WorkerStatus::Active;
    let expected = [(held, active, 1, Some(0.5)), (newest, active, 0, None)];
    assert_eq!(found, expected);
    Ok(())
}

async fn an_endpoint_belongs_to_a_live_worker_only(s: &OrchestrationUnderTest) -> Verdict {
    let now = s.now().await?;
    let mut tx = s.begin().await?;
    for status in WorkerStatus::ALL {
        let name = status.name().to_lowercase();
        tx.insert_worker(&Worker {
            status,
            ..a_worker(&name, 1, now)
        })
        .await?;
    }
    tx.commit().await?;
    let mut tx = s.read().await?;
    for status in WorkerStatus::ALL {
        let row = a_worker(&status.name().to_lowercase(), 1, now);
        let live = matches!(
            status,
            WorkerStatus::Active | WorkerStatus::Suspect | WorkerStatus::Draining
        );
        let found = tx
            .worker_at(&format!("http://{}.test:9000", row.id))
            .await?;
        assert_eq!(
            found.map(|found| found.id),
            live.then_some(row.id),
            "{status:?}"
        );
    }
    assert_eq!(tx.worker_at("http://unknown.test").await?, None);
    Ok(())
}

async fn a_status_shifts_from_the_stated_one_only(s: &OrchestrationUnderTest) -> Verdict {
    let id = s.worker("w", 5).await?.worker;
    let (active, suspect) = (WorkerStatus::Active, WorkerStatus::Suspect);
    let mut tx = s.begin().await?;
    assert!(!tx.shift_worker(&id, suspect, WorkerStatus::Offline).await?);
    assert!(tx.shift_worker(&id, active, suspect).await?);
    assert!(!tx.shift_worker(&id, active, suspect).await?);
    assert!(
        !tx.shift_worker(&worker_id("nobody"), active, suspect)
            .await?
    );
    tx.commit().await?;
    let stored = s.read().await?.worker(&id).await?;
    assert_eq!(
        stored.map(|row| (row.status, row.row_version)),
        Some((suspect, 2))
    );
    Ok(())
}

async fn one_of_many_concurrent_shifts_does_it(s: &OrchestrationUnderTest) -> Verdict {
    let id = s.worker("w", 5).await?.worker;
    let results = at_once(CROWD, |_| {
        let (store, id) = (Arc::clone(&s.store), id.clone());
        async move {
            let mut tx = store.begin().await?;
            let (from, to) = (WorkerStatus::Active, WorkerStatus::Draining);
            let shifted = tx.shift_worker(&id, from, to).await?;
            tx.commit().await?;
            Ok::<bool, StoreError>(shifted)
        }
    })
    .await;
    let mut shifted = 0;
    for result in results {
        shifted += u32::from(result?);
    }
    assert_eq!(shifted, 1);
    // The incarnation is untouched by it.
    let stored = s.read().await?.worker(&id).await?;
    let incarnation: Option<Incarnation> = stored.and_then(|row| row.incarnation);
    assert_eq!(incarnation, Some(owner("w", 1).incarnation));
    Ok(())
}

async fn a_taken_value_of_a_worker_is_named(s: &OrchestrationUnderTest) -> Verdict {
    let held = s.worker("w", 3).await?;
    let now = s.now().await?;
    let endpoint = a_worker("w", 3, now).endpoint;
    assert!(endpoint.is_some());

    let same_id = Worker::pending(worker_id("w"), 3, now);
    let again = s.begin().await?.insert_worker(&same_id).await;
    is_taken(&again, Unique::WorkerId);
    let same_place = Worker {
        endpoint,
        ..a_worker("other", 3, now)
    };
    let again = s.begin().await?.insert_worker(&same_place).await;
    is_taken(&again, Unique::WorkerEndpoint);
    let lease = Lease::new(held, LEASE, now);
    let again = s.begin().await?.insert_lease(&lease).await;
    is_taken(&again, Unique::Incarnation);
    Ok(())
}
