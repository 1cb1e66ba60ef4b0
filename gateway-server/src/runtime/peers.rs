//! What replicas that work side by side must have in common: the folder of the files and the key of message
//! ids.
//!
//! Snapshots of sessions lie beside the database. A replica with a folder of its own would take a session's
//! state, and every other one would find nothing and ask the person to scan again. An `Idempotency-Key` sends
//! once because every replica gives it the same message id; one with another key would send it again,
//! and nothing else would show it.
//!
//! So each replica publishes both as numbers, beside those that people read (`GET /health/detailed` leaves
//! them out), and one that differs from its peers does not start. Several may have started while the
//! coordinator was away, and if each that sees another kind stopped later, none would be left: those stop
//! that differ from the first. A peer that publishes no such number, an older release say, differs from
//! nobody.

use std::path::PathBuf;

use gateway_core::coord::{Coordinator, ReplicaNumbers};
use gateway_core::id::{SessionId, TenantId};
use gateway_core::message::MessageIds;

/// The name of the published id of the folder.
const DATA_FOLDER: &str = "dataFolder";

/// The name of the published number that stands for the key.
const MESSAGE_IDS: &str = "messageIds";

/// What this replica must have in common with its peers.
#[derive(Debug)]
pub(crate) struct SharedSetup {
    folder: PathBuf,
    folder_id: u64,
    ids_sample: u64,
}

/// What this replica does not have in common with a peer, in one sentence that says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerMismatch {
    #[error(
        "the replicas that run already keep their files in another folder than {}: give all of them the same storage.data_dir on a shared file system",
        path.display()
    )]
    Folder { path: PathBuf },
    #[error(
        "the replicas that run already have another GATEWAY_AUTH_MESSAGE_ID_KEY: give all of them the same secrets, or repeated requests are sent twice"
    )]
    MessageIdKey,
}

impl SharedSetup {
    /// Takes the folder of the files with its id, and the source of message ids.
    pub(crate) fn new(folder: PathBuf, folder_id: u64, ids: &MessageIds) -> Self {
        Self {
            folder,
            folder_id,
            ids_sample: ids_sample(ids),
        }
    }

    /// Adds it to the numbers that this replica publishes.
    pub(crate) fn publish_in(&self, numbers: &mut ReplicaNumbers) {
        let own = [
            (DATA_FOLDER.to_owned(), self.folder_id),
            (MESSAGE_IDS.to_owned(), self.ids_sample),
        ];
        numbers.numbers.extend(own);
    }

    /// Checks at the start that this replica differs from none that runs. Returns whether they could be asked;
    /// if not, it has to be checked later.
    ///
    /// # Errors
    /// It differs from one.
    pub(crate) async fn check_at_start(
        &self,
        coord: &dyn Coordinator,
    ) -> Result<bool, PeerMismatch> {
        let Ok(peers) = coord.replica_numbers().await else {
            return Ok(false);
        };
        self.check_peers(&peers)?;
        Ok(true)
    }

    /// Checks that this replica differs from none of `peers`.
    ///
    /// # Errors
    /// It differs from one.
    pub(crate) fn check_peers(&self, peers: &[ReplicaNumbers]) -> Result<(), PeerMismatch> {
        self.check_folder(peers)?;
        self.check_message_ids(peers)
    }

    /// Checks that this replica, `own` by name, does not differ from the first of `all`; the first itself
    /// always passes. Names are ordered by when they were given.
    ///
    /// # Errors
    /// It differs.
    pub(crate) fn check_first_peer(
        &self,
        own: &str,
        all: &[ReplicaNumbers],
    ) -> Result<(), PeerMismatch> {
        let first = all.iter().min_by(|a, b| a.replica.cmp(&b.replica));
        match first.filter(|first| *first.replica < *own) {
            Some(first) => self.check_peers(std::slice::from_ref(first)),
            None => Ok(()),
        }
    }

    /// Logs an error for each thing in which this replica differs from one of `peers`.
    pub(crate) fn log_mismatches(&self, peers: &[ReplicaNumbers]) {
        if let Err(error) = self.check_folder(peers) {
            tracing::error!(%error, "sessions will have to be linked again");
        }
        if let Err(error) = self.check_message_ids(peers) {
            tracing::error!(%error, "messages may go out twice");
        }
    }

    fn check_folder(&self, peers: &[ReplicaNumbers]) -> Result<(), PeerMismatch> {
        if is_shared(peers, DATA_FOLDER, self.folder_id) {
            return Ok(());
        }
        Err(PeerMismatch::Folder {
            path: self.folder.clone(),
        })
    }

    fn check_message_ids(&self, peers: &[ReplicaNumbers]) -> Result<(), PeerMismatch> {
        let shared = is_shared(peers, MESSAGE_IDS, self.ids_sample);
        shared.then_some(()).ok_or(PeerMismatch::MessageIdKey)
    }
}

/// Returns whether no peer publishes another number under this name.
fn is_shared(peers: &[ReplicaNumbers], name: &str, number: u64) -> bool {
    let mut others = peers.iter().filter_map(|peer| peer.numbers.get(name));
    others.all(|other| *other == number)
}

/// Returns half of an id that no message has. It is a keyed hash, so it says nothing about the key.
fn ids_sample(ids: &MessageIds) -> u64 {
    let (nobody, nowhere) = (TenantId::from_u128(0), SessionId::from_u128(0));
    let id = ids.keyed(nobody, nowhere, MESSAGE_IDS).as_u128();
    u64::try_from(id >> 64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup_of(folder_id: u64, key: &str) -> SharedSetup {
        let ids = MessageIds::new(key.as_bytes());
        SharedSetup::new(PathBuf::from("data"), folder_id, &ids)
    }

    fn silent(replica: &str) -> ReplicaNumbers {
        ReplicaNumbers {
            replica: replica.to_owned(),
            numbers: [].into(),
        }
    }

    fn published(replica: &str, setup: &SharedSetup) -> ReplicaNumbers {
        let mut numbers = silent(replica);
        setup.publish_in(&mut numbers);
        numbers
    }

    #[test]
    fn replicas_know_each_other_by_their_key() {
        let (ours, theirs) = (setup_of(1, "ours"), setup_of(1, "theirs"));
        let peer = published("a", &ours);
        assert_eq!(ours.check_peers(std::slice::from_ref(&peer)), Ok(()));
        let refused = theirs.check_peers(&[peer]);
        assert_eq!(refused, Err(PeerMismatch::MessageIdKey));
    }

    #[test]
    fn replicas_know_each_other_by_their_folder() {
        let (ours, theirs) = (setup_of(1, "key"), setup_of(2, "key"));
        let peer = published("a", &ours);
        assert_eq!(ours.check_peers(std::slice::from_ref(&peer)), Ok(()));
        let refused = theirs.check_peers(&[peer]);
        let sentence = refused.expect_err("another folder").to_string();
        assert!(sentence.contains("storage.data_dir"), "{sentence}");
    }

    #[test]
    fn who_shows_no_folder_is_in_nobodys_way() {
        let older = silent("a");
        assert_eq!(setup_of(8, "key").check_peers(&[older]), Ok(()));
    }

    fn stays(own: (&str, &str), others: &[(&str, &str)]) -> bool {
        let shown = |(replica, key): &(&str, &str)| published(replica, &setup_of(1, key));
        let all: Vec<ReplicaNumbers> = others.iter().chain([&own]).map(shown).collect();
        setup_of(1, own.1).check_first_peer(own.0, &all).is_ok()
    }

    #[test]
    fn those_stop_that_are_of_another_kind_than_the_first() {
        let (a, b, c, d) = (("a", "one"), ("b", "two"), ("c", "one"), ("d", "two"));
        assert!(stays(a, &[]) && stays(b, &[]));
        assert!(stays(a, &[b]) && !stays(b, &[a]));
        assert!(stays(a, &[b, c, d]) && stays(c, &[a, b, d]));
        assert!(!stays(b, &[a, c, d]) && !stays(d, &[a, b, c]));
        assert!(stays(b, &[c, d]), "the first has gone");
    }
}
