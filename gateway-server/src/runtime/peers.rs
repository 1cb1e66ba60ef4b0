//! What replicas that work side by side must have in common, and what they should.
//!
//! A replica with another folder would take a session's state, and every other one would find nothing and ask
//! the person to scan again. One with another key of message ids would send repeated requests again, one with
//! other state keys could read no session, one with another JWT secret would log people out at every second
//! request. Nothing else would show any of it. What differs while a release or an option is rolled out is no
//! such fault, but a fleet that stays so is a mistake that operators should hear of.
//!
//! So each replica publishes its facts as numbers, beside those that people read (`GET /health/detailed` leaves
//! them out), and one that lacks what it must share does not start. Several may have started while the
//! coordinator was away, and if each that sees another kind stopped later, none would be left: those stop
//! that differ from the first. A peer that publishes no such number, an older release say, differs from
//! nobody.

use std::collections::BTreeSet;
use std::path::Path;

use gateway_core::coord::{Coordinator, ReplicaNumbers};
use sha2::{Digest, Sha256};

use crate::config::{Config, SecretCheck, Secrets};

/// Something that replicas have in common, as numbers of which one is enough: of a list that is rotated, not
/// all have every key at every moment.
#[derive(Debug)]
struct SharedFact {
    /// What the numbers are published as.
    name: String,
    numbers: Vec<u64>,
    must_agree: bool,
    /// What it means that a peer has none of them, and what to change.
    sentence: String,
}

/// What this replica should have in common with its peers.
#[derive(Debug)]
pub(crate) struct SharedSetup(Vec<SharedFact>);

/// What this replica does not have in common with a peer, in one sentence that says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct PeerMismatch(String);

/// The mismatches that have been logged, so that each is said once for as long as it lasts.
#[derive(Debug, Default)]
pub(crate) struct SaidMismatches(BTreeSet<String>);

impl SharedSetup {
    /// Collects the facts of this replica; `folder_id` is the id in the folder of the files.
    pub(crate) fn new(config: &Config, secrets: &Secrets, folder_id: u64) -> Self {
        let folder = &config.storage.data_dir;
        let mut facts = vec![must("dataFolder", vec![folder_id], &other_folder(folder))];
        facts.extend(secrets_in_common(&secrets.shared_checks()));
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let orchestration = &config.orchestration;
        facts.extend([
            should("lease", millis(orchestration.lease), "orchestration.lease"),
            should(
                "guard",
                millis(orchestration.lease_guard),
                "orchestration.lease_guard",
            ),
            should("tiers", digest(&config.tiers), "[tiers]"),
            SharedFact {
                sentence: "other replicas run another release: complete the upgrade".to_owned(),
                ..should("release", digest(&env!("CARGO_PKG_VERSION")), "")
            },
        ]);
        Self(facts)
    }

    /// Adds them to the numbers that this replica publishes.
    pub(crate) fn publish_in(&self, numbers: &mut ReplicaNumbers) {
        for fact in &self.0 {
            let places = fact.numbers.iter().zip(0..);
            let named = places.map(|(number, place)| (key(&fact.name, place), *number));
            numbers.numbers.extend(named);
        }
    }

    /// Checks at the start that this replica has in common with those that run what it must. Returns whether
    /// they could be asked; if not, it has to be checked later.
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

    /// Checks that this replica has in common with all of `peers` what it must.
    ///
    /// # Errors
    /// It differs from one.
    pub(crate) fn check_peers(&self, peers: &[ReplicaNumbers]) -> Result<(), PeerMismatch> {
        let mut differing = self.differing(peers).filter(|fact| fact.must_agree);
        let first = differing.next();
        first.map_or(Ok(()), |fact| Err(PeerMismatch(fact.sentence.clone())))
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

    /// Logs what this replica has come to differ in from one of `peers`: errors for what it must have in
    /// common, warnings for the rest. Returns how many differences there are.
    pub(crate) fn log_mismatches(
        &self,
        peers: &[ReplicaNumbers],
        said: &mut SaidMismatches,
    ) -> usize {
        let mut now = BTreeSet::new();
        for fact in self.differing(peers) {
            now.insert(fact.name.clone());
            if said.0.contains(&fact.name) {
                continue;
            }
            match fact.must_agree {
                true => tracing::error!("{}", fact.sentence),
                false => tracing::warn!("{}", fact.sentence),
            }
        }
        said.0 = now;
        said.0.len()
    }

    fn differing<'s>(
        &'s self,
        peers: &'s [ReplicaNumbers],
    ) -> impl Iterator<Item = &'s SharedFact> {
        let differs = |fact: &&SharedFact| peers.iter().any(|peer| !fact.is_shared_by(peer));
        self.0.iter().filter(differs)
    }
}

impl SharedFact {
    /// Returns whether the peer publishes one of the numbers, or none under this name.
    fn is_shared_by(&self, peer: &ReplicaNumbers) -> bool {
        let published = |place| peer.numbers.get(&key(&self.name, place));
        let mut theirs = (0..).map_while(published).peekable();
        theirs.peek().is_none() || theirs.any(|number| self.numbers.contains(number))
    }
}

/// Returns what the number at a place of a fact's list is published as.
fn key(fact: &str, place: u32) -> String {
    format!("{fact}.{place}")
}

fn must(name: &str, numbers: Vec<u64>, sentence: &str) -> SharedFact {
    SharedFact {
        name: name.to_owned(),
        numbers,
        must_agree: true,
        sentence: format!("the replicas that run already {sentence}"),
    }
}

fn should(name: &str, number: u64, option: &str) -> SharedFact {
    SharedFact {
        name: name.to_owned(),
        numbers: vec![number],
        must_agree: false,
        sentence: format!("other replicas have another {option}: give all of them the same"),
    }
}

fn other_folder(folder: &Path) -> String {
    format!(
        "keep their files in another folder than {}: give all of them the same storage.data_dir on a shared file system",
        folder.display()
    )
}

/// Returns a fact for each secret, with the numbers of all its keys.
fn secrets_in_common(checks: &[SecretCheck]) -> Vec<SharedFact> {
    let mut facts: Vec<SharedFact> = Vec::new();
    for check in checks {
        match facts.iter_mut().find(|fact| fact.name == check.secret) {
            Some(fact) => fact.numbers.push(check.value),
            None => {
                let sentence = format!(
                    "have another {}: give all of them the same secrets",
                    check.variable()
                );
                facts.push(must(&check.secret, vec![check.value], &sentence));
            }
        }
    }
    facts
}

/// Returns a number that stands for the text of a value.
fn digest(value: &impl serde::Serialize) -> u64 {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let hash: [u8; 32] = Sha256::digest(text).into();
    hash.iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, Source, StateKey};

    struct Peer<'p> {
        folder: u64,
        message_ids: &'p str,
        jwt: &'p [&'p str],
        state: &'p [u8],
        lease: &'p str,
    }

    const PEER: Peer<'_> = Peer {
        folder: 1,
        message_ids: "m",
        jwt: &["j"],
        state: &[1],
        lease: "20s",
    };

    fn setup_of(peer: &Peer<'_>) -> SharedSetup {
        let source: Source = [("GATEWAY_ORCHESTRATION_LEASE", peer.lease)]
            .into_iter()
            .collect();
        let config = Config::load(&source, None).expect("a good one").config;
        let state = peer.state.iter().map(|&number| StateKey {
            id: number.into(),
            key: [number; 32],
        });
        let secrets = Secrets {
            jwt: peer.jwt.iter().copied().map(Secret::new).collect(),
            worker_bootstrap: Secret::new("b"),
            worker_token_key: Secret::new("t"),
            message_id_key: Secret::new(peer.message_ids),
            state_keys: state.collect(),
        };
        SharedSetup::new(&config, &secrets, peer.folder)
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

    fn refusal(own: &Peer<'_>, other: &Peer<'_>) -> Option<String> {
        let peer = published("a", &setup_of(other));
        let checked = setup_of(own).check_peers(&[peer]);
        checked.err().map(|mismatch| mismatch.to_string())
    }

    #[test]
    fn replicas_know_each_other_by_their_folder_and_every_secret() {
        assert_eq!(refusal(&PEER, &PEER), None);
        for (other, names) in [
            (Peer { folder: 2, ..PEER }, "storage.data_dir"),
            (
                Peer {
                    message_ids: "n",
                    ..PEER
                },
                "GATEWAY_AUTH_MESSAGE_ID_KEY",
            ),
            (
                Peer {
                    jwt: &["k"],
                    ..PEER
                },
                "JWT_SECRET",
            ),
            (
                Peer {
                    state: &[2],
                    ..PEER
                },
                "GATEWAY_STORAGE_STATE_KEYS",
            ),
        ] {
            let sentence = refusal(&other, &PEER).expect(names);
            assert!(sentence.contains(names), "{names} in: {sentence}");
        }
    }

    #[test]
    fn a_list_that_is_rotated_has_one_key_in_common() {
        let rotated = Peer {
            jwt: &["new", "j"],
            state: &[2, 1],
            ..PEER
        };
        assert_eq!(refusal(&rotated, &PEER), None);
        assert_eq!(refusal(&PEER, &rotated), None);
    }

    #[test]
    fn what_a_roll_out_changes_refuses_nobody_and_is_said_once() {
        let other = Peer {
            lease: "60s",
            ..PEER
        };
        assert_eq!(refusal(&other, &PEER), None);
        let (own, peer) = (setup_of(&other), published("a", &setup_of(&PEER)));
        let mut said = SaidMismatches::default();
        let peers = [peer];
        assert_eq!(own.log_mismatches(&peers, &mut said), 1);
        assert!(said.0.contains("lease"), "{said:?}");
        assert_eq!(own.log_mismatches(&[], &mut said), 0);
        assert!(said.0.is_empty(), "said again if it comes back");
    }

    #[test]
    fn who_publishes_nothing_is_in_nobodys_way() {
        assert_eq!(setup_of(&PEER).check_peers(&[silent("a")]), Ok(()));
    }

    fn with_key(message_ids: &str) -> SharedSetup {
        setup_of(&Peer {
            message_ids,
            ..PEER
        })
    }

    fn stays(own: (&str, &str), others: &[(&str, &str)]) -> bool {
        let shown = |(replica, key): &(&str, &str)| published(replica, &with_key(key));
        let all: Vec<ReplicaNumbers> = others.iter().chain([&own]).map(shown).collect();
        with_key(own.1).check_first_peer(own.0, &all).is_ok()
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
