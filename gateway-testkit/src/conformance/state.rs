//! What every store of session state promises: sealed before it is read, in sequence, never backwards
//!

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::state::{
    MAX_ENTRY_BYTES, MAX_SNAPSHOT_BYTES, StateError, StateStore, StateVersion, StoredState,
};
use gateway_core::store::PlatformStore;
use gateway_core::time::Timestamp;

use super::fixture::{CROWD, a_card, at_once, session_id, tenant_id};
use super::store::StoreUnderTest;
use super::{Failure, Suite, Verdict, cases};

cases!(StateUnderTest, "state":
    a_session_without_state_has_the_default_version,
    sealing_raises_the_epoch_and_never_lowers_it,
    sealing_again_is_harmless,
    entries_follow_one_another_and_are_read_in_order,
    an_entry_that_does_not_follow_is_refused,
    a_repeated_write_is_told_how_far_it_came,
    a_former_owner_cannot_write_once_the_state_is_sealed,
    the_first_write_of_an_owner_seals,
    a_snapshot_takes_the_place_of_the_journal,
    a_snapshot_that_does_not_follow_is_refused,
    what_is_too_large_is_refused_whole,
    the_largest_is_kept_as_it_is,
    a_store_that_is_probed_keeps_what_it_has,
    archived_state_is_not_found_again,
    an_archive_that_comes_late_leaves_the_next_account,
    what_was_archived_is_forgotten_and_bars_former_owners_as_before,
    erased_state_is_gone,
    no_state_begins_for_a_session_that_is_gone,
    a_state_that_begins_beside_a_deletion_is_erased_with_it,
    sessions_are_kept_apart,
    one_of_many_concurrent_appends_wins,
    one_of_many_concurrent_snapshots_wins,
    a_seal_that_returned_lets_no_late_write_through,
);

/// Every case for a store of session state.
pub const STATE_STORE: Suite<StateUnderTest> = &[CASES];

/// A fresh store of session state.
#[derive(Debug)]
pub struct StateUnderTest {
    state: Arc<dyn StateStore>,
    sessions: Arc<dyn PlatformStore>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl StateUnderTest {
    /// Makes the one that cases get, and stores the sessions that they write about.
    ///
    /// `state` is empty, `sessions` is the store by which it knows what sessions there are, and `keep` must
    /// live as long as the two.
    ///
    /// # Errors
    /// The sessions cannot be stored.
    pub async fn with_sessions(
        state: Arc<dyn StateStore>,
        sessions: Arc<dyn PlatformStore>,
        keep: Box<dyn Any + Send + Sync>,
    ) -> Result<Self, Failure> {
        let store = StoreUnderTest {
            store: Arc::clone(&sessions),
            clock: None,
            keep: Box::new(()),
        };
        let now = store.tenants(1).await?;
        let cards = [1, 2, 3].map(|n| a_card(tenant_id(1), n, now));
        store.sessions(&cards).await?;
        Ok(Self {
            state,
            sessions,
            _keep: keep,
        })
    }

    async fn delete(&self, session: SessionId) -> Verdict {
        let mut tx = self.sessions.begin_platform().await?;
        tx.delete_session(session, 1).await?;
        Ok(tx.commit().await?)
    }
}

const ONE: Epoch = Epoch(1);
const TWO: Epoch = Epoch(2);

fn bytes(text: &str) -> Vec<u8> {
    // Neither text nor compressible to nothing: bytes are opaque.
    let mut bytes = vec![0, 0xff, 0xfe];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn is_stale(result: &Result<u64, StateError>, sealed: Epoch) -> bool {
    matches!(result, Err(StateError::StaleEpoch { current }) if *current == sealed)
}

fn is_behind(result: &Result<u64, StateError>, newest: u64) -> bool {
    matches!(result, Err(StateError::SeqConflict { current }) if *current == newest)
}

async fn a_session_without_state_has_the_default_version(s: &StateUnderTest) -> Verdict {
    assert_eq!(
        s.state.version(session_id(1)).await?,
        StateVersion::default()
    );
    Ok(())
}

async fn sealing_raises_the_epoch_and_never_lowers_it(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    let empty = |epoch| StoredState {
        version: StateVersion { epoch, seq: 0 },
        ..StoredState::default()
    };
    assert_eq!(s.state.seal(id, ONE).await?, empty(ONE));
    assert_eq!(s.state.seal(id, Epoch(5)).await?, empty(Epoch(5)));
    let refused = s.state.seal(id, Epoch(4)).await;
    assert!(
        matches!(refused, Err(StateError::StaleEpoch { current: Epoch(5) })),
        "{refused:?}"
    );
    assert_eq!(s.state.version(id).await?.epoch, Epoch(5));
    Ok(())
}

async fn sealing_again_is_harmless(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.append(id, ONE, 0, &[bytes("a")]).await?;
    let first = s.state.seal(id, TWO).await?;
    assert_eq!(s.state.seal(id, TWO).await?, first);
    assert_eq!(first.journal, [(1, bytes("a"))]);
    Ok(())
}

async fn entries_follow_one_another_and_are_read_in_order(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.seal(id, ONE).await?;
    assert_eq!(
        s.state
            .append(id, ONE, 0, &[bytes("a"), bytes("b")])
            .await?,
        2
    );
    assert_eq!(s.state.append(id, ONE, 2, &[Vec::new()]).await?, 3);
    let version = StateVersion { epoch: ONE, seq: 3 };
    assert_eq!(s.state.version(id).await?, version);
    let expected = StoredState {
        version,
        snapshot: None,
        journal: vec![(1, bytes("a")), (2, bytes("b")), (3, Vec::new())],
    };
    assert_eq!(s.state.seal(id, ONE).await?, expected);
    Ok(())
}

async fn an_entry_that_does_not_follow_is_refused(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state
        .append(id, ONE, 0, &[bytes("a"), bytes("b")])
        .await?;
    for after in [0, 1, 3, 9] {
        let refused = s.state.append(id, ONE, after, &[bytes("x")]).await;
        assert!(is_behind(&refused, 2), "after {after}: {refused:?}");
    }
    assert_eq!(s.state.seal(id, ONE).await?.journal.len(), 2);
    Ok(())
}

async fn a_repeated_write_is_told_how_far_it_came(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state
        .append(id, ONE, 0, &[bytes("a"), bytes("b")])
        .await?;
    let again = s.state.append(id, ONE, 0, &[bytes("a"), bytes("b")]).await;
    assert!(is_behind(&again, 2), "{again:?}");
    Ok(())
}

async fn a_former_owner_cannot_write_once_the_state_is_sealed(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.append(id, ONE, 0, &[bytes("a")]).await?;
    let sealed = s.state.seal(id, TWO).await?;
    let late = s.state.append(id, ONE, 1, &[bytes("late")]).await;
    assert!(is_stale(&late, TWO), "{late:?}");
    let late = s.state.put_snapshot(id, ONE, 1, &bytes("late")).await;
    assert!(is_stale(&late, TWO), "{late:?}");
    assert_eq!(s.state.seal(id, TWO).await?, sealed);
    assert_eq!(s.state.append(id, TWO, 1, &[bytes("b")]).await?, 2);
    Ok(())
}

async fn the_first_write_of_an_owner_seals(s: &StateUnderTest) -> Verdict {
    let (one, two) = (session_id(1), session_id(2));
    s.state.append(one, TWO, 0, &[bytes("a")]).await?;
    s.state.put_snapshot(two, TWO, 0, &bytes("a")).await?;
    for id in [one, two] {
        let late = s.state.append(id, ONE, 1, &[bytes("late")]).await;
        assert!(is_stale(&late, TWO), "{late:?}");
        let version = StateVersion { epoch: TWO, seq: 1 };
        assert_eq!(s.state.version(id).await?, version);
    }
    Ok(())
}

async fn a_snapshot_takes_the_place_of_the_journal(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state
        .append(id, ONE, 0, &[bytes("a"), bytes("b")])
        .await?;
    assert_eq!(s.state.put_snapshot(id, ONE, 2, &bytes("ab")).await?, 3);
    assert_eq!(s.state.append(id, ONE, 3, &[bytes("c")]).await?, 4);
    let expected = StoredState {
        version: StateVersion { epoch: ONE, seq: 4 },
        snapshot: Some((3, bytes("ab"))),
        journal: vec![(4, bytes("c"))],
    };
    assert_eq!(s.state.seal(id, ONE).await?, expected);
    assert_eq!(s.state.put_snapshot(id, ONE, 4, &bytes("abc")).await?, 5);
    let replaced = s.state.seal(id, TWO).await?;
    assert_eq!(
        (replaced.snapshot, replaced.journal),
        (Some((5, bytes("abc"))), vec![])
    );
    Ok(())
}

async fn a_snapshot_that_does_not_follow_is_refused(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.append(id, ONE, 0, &[bytes("a")]).await?;
    s.state.put_snapshot(id, ONE, 1, &bytes("good")).await?;
    for after in [0, 1, 3] {
        let refused = s.state.put_snapshot(id, ONE, after, &bytes("bad")).await;
        assert!(is_behind(&refused, 2), "after {after}: {refused:?}");
    }
    assert_eq!(
        s.state.seal(id, ONE).await?.snapshot,
        Some((2, bytes("good")))
    );
    Ok(())
}

async fn what_is_too_large_is_refused_whole(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.append(id, ONE, 0, &[bytes("a")]).await?;
    let large = vec![7; MAX_ENTRY_BYTES + 1];
    let refused = s.state.append(id, ONE, 1, &[bytes("b"), large]).await;
    assert!(
        matches!(
            refused,
            Err(StateError::TooLarge {
                max: MAX_ENTRY_BYTES
            })
        ),
        "{refused:?}"
    );
    let large = vec![7; MAX_SNAPSHOT_BYTES + 1];
    let refused = s.state.put_snapshot(id, ONE, 1, &large).await;
    assert!(
        matches!(
            refused,
            Err(StateError::TooLarge {
                max: MAX_SNAPSHOT_BYTES
            })
        ),
        "{refused:?}"
    );
    let kept = s.state.seal(id, ONE).await?;
    assert_eq!((kept.snapshot, kept.journal), (None, vec![(1, bytes("a"))]));
    Ok(())
}

async fn the_largest_is_kept_as_it_is(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    let pattern = |length: usize| {
        (0..length)
            .map(|n| (n * 31 % 251) as u8)
            .collect::<Vec<_>>()
    };
    let (entry, snapshot) = (pattern(MAX_ENTRY_BYTES), pattern(MAX_SNAPSHOT_BYTES));
    s.state.put_snapshot(id, ONE, 0, &snapshot).await?;
    s.state
        .append(id, ONE, 1, std::slice::from_ref(&entry))
        .await?;
    let kept = s.state.seal(id, ONE).await?;
    assert!(
        kept.snapshot == Some((1, snapshot)),
        "the snapshot has changed"
    );
    assert!(kept.journal == [(2, entry)], "the entry has changed");
    Ok(())
}

async fn a_store_that_is_probed_keeps_what_it_has(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.append(id, ONE, 0, &[bytes("a")]).await?;
    s.state.probe().await?;
    s.state.probe().await?;
    let kept = s.state.seal(id, ONE).await?;
    assert_eq!(kept.journal, [(1, bytes("a"))]);
    assert_eq!(kept.version.seq, 1);
    Ok(())
}

async fn archived_state_is_not_found_again(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.archive(id, ONE).await?;
    s.state.append(id, ONE, 0, &[bytes("a")]).await?;
    s.state.put_snapshot(id, ONE, 1, &bytes("snap")).await?;
    s.state.append(id, ONE, 2, &[bytes("b")]).await?;
    s.state.archive(id, ONE).await?;
    s.state.archive(id, ONE).await?;
    let found = s.state.seal(id, TWO).await?;
    assert_eq!((found.snapshot, found.journal), (None, vec![]));
    assert_eq!(found.version.epoch, TWO);
    // The next account of the card begins afresh, and can be archived in its turn.
    let after = found.version.seq;
    assert_eq!(
        s.state.append(id, TWO, after, &[bytes("new")]).await?,
        after + 1
    );
    s.state.archive(id, TWO).await?;
    let found = s.state.seal(id, Epoch(3)).await?;
    assert_eq!((found.snapshot, found.journal), (None, vec![]));
    Ok(())
}

async fn an_archive_that_comes_late_leaves_the_next_account(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.append(id, TWO, 0, &[bytes("new")]).await?;
    s.state.archive(id, ONE).await?;
    let found = s.state.seal(id, TWO).await?;
    assert_eq!(found.journal, [(1, bytes("new"))]);
    Ok(())
}

async fn what_was_archived_is_forgotten_and_bars_former_owners_as_before(
    s: &StateUnderTest,
) -> Verdict {
    let never = Timestamp::default().minus(Duration::from_secs(1));
    let far = Timestamp::default().plus(Duration::from_secs(1 << 33));
    for n in [1, 2] {
        let id = session_id(n);
        s.state.append(id, TWO, 0, &[bytes("old")]).await?;
        s.state.put_snapshot(id, TWO, 1, &bytes("old")).await?;
        s.state.append(id, TWO, 2, &[bytes("old")]).await?;
        s.state.archive(id, TWO).await?;
    }
    s.state
        .append(session_id(3), TWO, 0, &[bytes("live")])
        .await?;
    assert_eq!(s.state.forget_archived(never, 10).await?, 0);
    assert_eq!(s.state.forget_archived(far, 1).await?, 1);
    assert_eq!(s.state.forget_archived(far, 10).await?, 1);
    assert_eq!(s.state.forget_archived(far, 10).await?, 0);
    let late = s
        .state
        .append(session_id(1), ONE, 0, &[bytes("late")])
        .await;
    assert!(is_stale(&late, TWO), "{late:?}");
    let live = s.state.seal(session_id(3), TWO).await?;
    assert_eq!(live.journal, [(1, bytes("live"))]);
    // The next account of the card begins afresh, and is archived and forgotten in its turn.
    let next = s.state.seal(session_id(1), Epoch(3)).await?;
    assert_eq!((next.snapshot, next.journal), (None, vec![]));
    let after = next.version.seq;
    let entries = [bytes("new")];
    s.state
        .append(session_id(1), Epoch(3), after, &entries)
        .await?;
    s.state.archive(session_id(1), Epoch(3)).await?;
    assert_eq!(s.state.forget_archived(far, 10).await?, 1);
    Ok(())
}

async fn erased_state_is_gone(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.erase(id).await?;
    s.state.put_snapshot(id, ONE, 0, &bytes("archived")).await?;
    s.state.archive(id, ONE).await?;
    s.state
        .put_snapshot(
            id,
            TWO,
            s.state.seal(id, TWO).await?.version.seq,
            &bytes("live"),
        )
        .await?;
    s.state.erase(id).await?;
    s.state.erase(id).await?;
    let found = s.state.seal(id, Epoch(3)).await?;
    assert_eq!((found.snapshot, found.journal), (None, vec![]));
    Ok(())
}

async fn no_state_begins_for_a_session_that_is_gone(s: &StateUnderTest) -> Verdict {
    let (gone, never) = (session_id(1), session_id(99));
    s.state.append(gone, ONE, 0, &[bytes("a")]).await?;
    s.delete(gone).await?;
    s.state.erase(gone).await?;
    for id in [gone, never] {
        let refused = [
            s.state.append(id, TWO, 0, &[bytes("b")]).await.err(),
            s.state.put_snapshot(id, TWO, 0, &bytes("b")).await.err(),
            s.state.seal(id, TWO).await.err(),
        ];
        for error in refused {
            let unknown = matches!(error, Some(StateError::UnknownSession));
            assert!(unknown, "{error:?}");
        }
        assert_eq!(s.state.version(id).await?, StateVersion::default());
    }
    Ok(())
}

async fn a_state_that_begins_beside_a_deletion_is_erased_with_it(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    let results = at_once(CROWD, |index| {
        let (state, sessions) = (Arc::clone(&s.state), Arc::clone(&s.sessions));
        async move {
            if index > 0 {
                // Refused or erased, as it comes.
                let _ = state.append(id, ONE, 0, &[bytes("a")]).await;
                return Ok(());
            }
            let mut tx = sessions.begin_platform().await?;
            tx.delete_session(id, 1).await?;
            tx.commit().await?;
            state.erase(id).await
        }
    })
    .await;
    for result in results {
        result?;
    }
    assert_eq!(s.state.version(id).await?, StateVersion::default());
    Ok(())
}

async fn sessions_are_kept_apart(s: &StateUnderTest) -> Verdict {
    let (one, two) = (session_id(1), session_id(2));
    s.state.append(one, ONE, 0, &[bytes("a")]).await?;
    s.state
        .append(two, TWO, 0, &[bytes("b"), bytes("c")])
        .await?;
    s.state.erase(one).await?;
    assert_eq!(
        s.state.version(two).await?,
        StateVersion { epoch: TWO, seq: 2 }
    );
    assert_eq!(s.state.seal(two, TWO).await?.journal.len(), 2);
    Ok(())
}

fn check_one_winner(results: &[Result<u64, StateError>], newest: u64) -> Result<usize, Failure> {
    let winner = results.iter().position(Result::is_ok);
    let behind = results
        .iter()
        .filter(|result| is_behind(result, newest))
        .count();
    assert_eq!(behind, results.len() - 1, "{results:?}");
    winner.ok_or_else(|| Failure::new("nobody won"))
}

async fn one_of_many_concurrent_appends_wins(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.append(id, ONE, 0, &[bytes("a")]).await?;
    let entry = |index: usize| bytes(&format!("of {index}"));
    let results = at_once(CROWD, |index| {
        let (state, entry) = (Arc::clone(&s.state), entry(index));
        async move { state.append(id, ONE, 1, &[entry]).await }
    })
    .await;
    let winner = check_one_winner(&results, 2)?;
    let journal = s.state.seal(id, ONE).await?.journal;
    assert_eq!(journal, [(1, bytes("a")), (2, entry(winner))]);
    Ok(())
}

async fn one_of_many_concurrent_snapshots_wins(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    s.state.append(id, ONE, 0, &[bytes("a")]).await?;
    let snapshot = |index: usize| bytes(&format!("of {index}"));
    let results = at_once(CROWD, |index| {
        let (state, snapshot) = (Arc::clone(&s.state), snapshot(index));
        async move { state.put_snapshot(id, ONE, 1, &snapshot).await }
    })
    .await;
    let winner = check_one_winner(&results, 2)?;
    let kept = s.state.seal(id, ONE).await?;
    assert_eq!(
        (kept.snapshot, kept.journal),
        (Some((2, snapshot(winner))), vec![])
    );
    Ok(())
}

async fn a_seal_that_returned_lets_no_late_write_through(s: &StateUnderTest) -> Verdict {
    let id = session_id(1);
    let written = Arc::new(AtomicU64::new(0));
    let results = at_once(2, |index| {
        let (state, written) = (Arc::clone(&s.state), Arc::clone(&written));
        async move {
            if index == 0 {
                // The new owner seals while the old one is writing.
                while written.load(Ordering::SeqCst) < 5 {
                    tokio::task::yield_now().await;
                }
                return state.seal(id, TWO).await.map(Some);
            }
            loop {
                let after = written.load(Ordering::SeqCst);
                match state.append(id, ONE, after, &[bytes("x")]).await {
                    Ok(newest) => {
                        written.store(newest, Ordering::SeqCst);
                        // A store in memory never waits, and the other task wants its turn.
                        tokio::task::yield_now().await;
                    }
                    Err(StateError::StaleEpoch { .. }) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
        }
    })
    .await;
    let mut sealed = None;
    for result in results {
        sealed = sealed.or(result?);
    }
    let seen = sealed.map(|state| state.journal.len() as u64);
    assert_eq!(
        seen,
        Some(written.load(Ordering::SeqCst)),
        "what was acknowledged is what is read"
    );
    Ok(())
}
