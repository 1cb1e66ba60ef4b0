use futures_executor::block_on;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::state::{MAX_ENTRY_BYTES, StateError, StateStore, StateVersion};
use gateway_testkit::memory::MemoryState;

const SESSION: SessionId = SessionId::from_u128(1);

#[test]
fn a_seal_shuts_the_former_owner_out_before_the_first_write() {
    block_on(async {
        let state = MemoryState::default();
        let newest = state
            .append(SESSION, Epoch(1), 0, &[vec![1], vec![2]])
            .await;
        assert_eq!(newest.expect("the first write"), 2);
        let sealed = state.seal(SESSION, Epoch(2)).await.expect("newer");
        assert_eq!(sealed.journal, [(1, vec![1]), (2, vec![2])]);
        let late = state.append(SESSION, Epoch(1), 2, &[vec![3]]).await;
        assert!(matches!(
            late,
            Err(StateError::StaleEpoch { current: Epoch(2) })
        ));
        let again = state.append(SESSION, Epoch(2), 1, &[vec![3]]).await;
        assert!(matches!(again, Err(StateError::SeqConflict { current: 2 })));
    });
}

#[test]
fn a_snapshot_takes_a_sequence_and_drops_the_journal() {
    block_on(async {
        let state = MemoryState::default();
        state
            .append(SESSION, Epoch(1), 0, &[vec![1]])
            .await
            .expect("writes");
        let newest = state.put_snapshot(SESSION, Epoch(1), 1, b"all").await;
        assert_eq!(newest.expect("follows"), 2);
        state
            .append(SESSION, Epoch(1), 2, &[vec![3]])
            .await
            .expect("follows");
        let sealed = state.seal(SESSION, Epoch(1)).await.expect("harmless");
        assert_eq!(sealed.snapshot, Some((2, b"all".to_vec())));
        assert_eq!(sealed.journal, [(3, vec![3])]);
    });
}

#[test]
fn an_archived_state_is_gone_but_its_former_owner_stays_out() {
    block_on(async {
        let state = MemoryState::default();
        state
            .append(SESSION, Epoch(2), 0, &[vec![1]])
            .await
            .expect("writes");
        state.archive(SESSION, Epoch(9)).await.expect("archives");
        state.archive(SESSION, Epoch(9)).await.expect("idempotent");
        assert_eq!(state.archived(SESSION), 1);
        let none = state.version(SESSION).await.expect("reads");
        assert_eq!(none, StateVersion::default());
        let late = state.append(SESSION, Epoch(1), 0, &[vec![2]]).await;
        assert!(matches!(late, Err(StateError::StaleEpoch { .. })));
        let sealed = state.seal(SESSION, Epoch(3)).await.expect("newer");
        assert!(sealed.journal.is_empty());
        state.erase(SESSION).await.expect("erases");
        assert_eq!(state.archived(SESSION), 0);
    });
}

#[test]
fn an_entry_that_is_too_large_writes_nothing() {
    block_on(async {
        let state = MemoryState::default();
        let entries = [vec![1], vec![0; MAX_ENTRY_BYTES + 1]];
        let refused = state.append(SESSION, Epoch(1), 0, &entries).await;
        assert!(matches!(refused, Err(StateError::TooLarge { .. })));
        let none = state.version(SESSION).await.expect("reads");
        assert_eq!(none, StateVersion::default());
    });
}
