//! How session state travels between a worker and the gateway.
//!
//! The bytes are opaque and may be large, so they do not pass through JSON. Reading
//! (`GET …/state`) and appending (`POST …/state/journal`) carry several pieces in one body; both use
//! length-prefixed frames, because a frame's end must not depend on what is in it. Replacing
//! (`PUT …/state`) is one piece and carries it bare.
//!
//! | body | frames |
//! |---|---|
//! | `GET …/state` answer | 8 bytes length, 8 bytes sequence, the bytes: first the snapshot (sequence 0 and empty if there is none), then each journal entry |
//! | `POST …/sessions/{sid}/state/journal` | 4 bytes length, the bytes: each entry, in order |
//! | `POST /workers/{id}/state/journal` | for each session 16 bytes id, 8 bytes epoch, 8 bytes sequence that the entries follow, 4 bytes number of entries, then the entries as above |
//!
//! All numbers are big-endian.

use serde::{Deserialize, Serialize};

use super::bounds::MAX_ENTRIES;
use crate::id::{Epoch, SessionId};
use crate::state::{StateVersion, StoredState};

/// The header with the session's epoch: on every state request and answer, and on commands without a body.
pub const EPOCH_HEADER: &str = "x-epoch";

/// The header with the worker's incarnation: on commands without a body.
pub const INCARNATION_HEADER: &str = "x-incarnation";

/// The header with a sequence: on a write, the sequence that it follows; on an answer, the newest one.
pub const STATE_SEQ_HEADER: &str = "x-state-seq";

/// The header with the sequence of the snapshot, on the answer to a read; 0 if there is none.
pub const SNAPSHOT_SEQ_HEADER: &str = "x-snapshot-seq";

/// The media type of state in either direction.
pub const STATE_MEDIA_TYPE: &str = "application/octet-stream";

/// The error of bytes that are not a sequence of whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body ends inside a frame: send every frame whole")]
pub struct BrokenFrame;

/// Why the body of `POST …/state/journal` cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntries {
    #[error(transparent)]
    Broken(#[from] BrokenFrame),
    /// More entries than one call may have.
    #[error("at most {MAX_ENTRIES} entries are allowed in one call: send the rest in another one")]
    TooMany,
}

/// Writes the body of the answer to `GET …/state`.
#[must_use]
pub fn encode_state(state: &StoredState) -> Vec<u8> {
    let none = (0, Vec::new());
    let snapshot = state.snapshot.as_ref().unwrap_or(&none);
    let mut body = Vec::new();
    for (seq, bytes) in std::iter::once(snapshot).chain(&state.journal) {
        body.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        body.extend_from_slice(&seq.to_be_bytes());
        body.extend_from_slice(bytes);
    }
    body
}

/// Reads the body of the answer to `GET …/state`; `epoch` is the one that the request has sealed the state
/// to.
///
/// # Errors
/// The body ends inside a frame.
pub fn decode_state(epoch: Epoch, body: &[u8]) -> Result<StoredState, BrokenFrame> {
    let mut rest = body;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = u64::from_be_bytes(take(&mut rest)?);
        let seq = u64::from_be_bytes(take(&mut rest)?);
        pieces.push((seq, split(&mut rest, length)?.to_vec()));
    }
    let mut pieces = pieces.into_iter();
    let snapshot = pieces.next().filter(|(seq, _)| *seq > 0);
    let journal: Vec<_> = pieces.collect();
    let newest = journal.last().or(snapshot.as_ref());
    let seq = newest.map_or(0, |(seq, _)| *seq);
    Ok(StoredState {
        version: StateVersion { epoch, seq },
        snapshot,
        journal,
    })
}

/// Writes the body of `POST …/state/journal`.
#[must_use]
pub fn encode_entries(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for entry in entries {
        // An entry has at most 256 KiB; a longer one would be refused, so saturating is harmless.
        let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(entry);
    }
    body
}

/// Reads the body of `POST …/state/journal`. Sizes are checked by the state store.
///
/// # Errors
/// The body ends inside a frame, or has more than [`MAX_ENTRIES`] of them.
pub fn decode_entries(body: &[u8]) -> Result<Vec<Vec<u8>>, InvalidEntries> {
    let mut rest = body;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        if entries.len() == MAX_ENTRIES {
            return Err(InvalidEntries::TooMany);
        }
        let length = u32::from_be_bytes(take(&mut rest)?);
        entries.push(split(&mut rest, u64::from(length))?.to_vec());
    }
    Ok(entries)
}

/// The journal entries of one session, in a call that carries those of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalGroup {
    pub session: SessionId,
    pub epoch: Epoch,
    /// The sequence that the entries follow.
    pub after: u64,
    pub entries: Vec<Vec<u8>>,
}

/// What became of the entries of one session, in the answer to `POST /workers/{id}/state/journal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct JournalResult {
    pub session_id: SessionId,
    /// The newest sequence, if the entries are stored.
    #[serde(default)]
    pub seq: Option<u64>,
    /// Why they are not: `stale_epoch`, `seq_conflict`, `unknown_session`, …
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// The same, for people.
    #[serde(default)]
    pub error: Option<String>,
    /// With `stale_epoch` the session's epoch, with `seq_conflict` its newest sequence.
    #[serde(default)]
    pub current: Option<u64>,
}

/// The answer to `POST /workers/{id}/state/journal`: one result for each session, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JournalAnswer {
    pub results: Vec<JournalResult>,
}

/// Writes the body of `POST /workers/{id}/state/journal`.
#[must_use]
pub fn encode_groups(groups: &[JournalGroup]) -> Vec<u8> {
    let mut body = Vec::new();
    for group in groups {
        body.extend_from_slice(&group.session.as_u128().to_be_bytes());
        body.extend_from_slice(&group.epoch.0.to_be_bytes());
        body.extend_from_slice(&group.after.to_be_bytes());
        // More entries than that do not fit into a body.
        let count = u32::try_from(group.entries.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&count.to_be_bytes());
        body.append(&mut encode_entries(&group.entries));
    }
    body
}

/// Reads the body of `POST /workers/{id}/state/journal`. Sizes are checked by the state store.
///
/// # Errors
/// The body ends inside a frame, or has more than [`MAX_ENTRIES`] entries in all.
pub fn decode_groups(body: &[u8]) -> Result<Vec<JournalGroup>, InvalidEntries> {
    let mut rest = body;
    let mut groups = Vec::new();
    let mut room = MAX_ENTRIES;
    while !rest.is_empty() {
        let session = SessionId::from_u128(u128::from_be_bytes(take(&mut rest)?));
        let epoch = Epoch(u64::from_be_bytes(take(&mut rest)?));
        let after = u64::from_be_bytes(take(&mut rest)?);
        let count = u32::from_be_bytes(take(&mut rest)?);
        let left = usize::try_from(count)
            .ok()
            .and_then(|count| room.checked_sub(count));
        room = left.ok_or(InvalidEntries::TooMany)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let length = u32::from_be_bytes(take(&mut rest)?);
            entries.push(split(&mut rest, u64::from(length))?.to_vec());
        }
        groups.push(JournalGroup {
            session,
            epoch,
            after,
            entries,
        });
    }
    Ok(groups)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BrokenFrame> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(BrokenFrame)?;
    *rest = tail;
    Ok(*head)
}

fn split<'b>(rest: &mut &'b [u8], length: u64) -> Result<&'b [u8], BrokenFrame> {
    let length = usize::try_from(length).map_err(|_| BrokenFrame)?;
    let (head, tail) = rest.split_at_checked(length).ok_or(BrokenFrame)?;
    *rest = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(snapshot: Option<(u64, Vec<u8>)>, journal: Vec<(u64, Vec<u8>)>) -> StoredState {
        let newest = journal.last().or(snapshot.as_ref());
        StoredState {
            version: StateVersion {
                epoch: Epoch(7),
                seq: newest.map_or(0, |(seq, _)| *seq),
            },
            snapshot,
            journal,
        }
    }

    #[test]
    fn state_survives_its_frames() {
        for state in [
            stored(None, vec![]),
            stored(Some((3, vec![1, 2, 3])), vec![]),
            stored(Some((3, vec![])), vec![(4, vec![9]), (5, vec![])]),
            stored(None, vec![(1, vec![0; 300])]),
        ] {
            let body = encode_state(&state);
            assert_eq!(decode_state(Epoch(7), &body), Ok(state));
        }
    }

    #[test]
    fn entries_survive_their_frames() {
        let entries = vec![vec![], vec![1], vec![0; 70_000]];
        assert_eq!(decode_entries(&encode_entries(&entries)), Ok(entries));
        assert_eq!(decode_entries(&[]), Ok(vec![]));
    }

    #[test]
    fn groups_survive_their_frames() {
        let group = |session, entries| JournalGroup {
            session: SessionId::from_u128(session),
            epoch: Epoch(3),
            after: 9,
            entries,
        };
        let groups = vec![
            group(1, vec![vec![1, 2], vec![]]),
            group(u128::MAX, vec![]),
            group(2, vec![vec![0; 300]]),
        ];
        let body = encode_groups(&groups);
        assert_eq!(decode_groups(&body), Ok(groups));
        assert_eq!(decode_groups(&[]), Ok(vec![]));
        for cut in [1, 16, 35, 36, 39, body.len() - 1] {
            let broken = Err(InvalidEntries::Broken(BrokenFrame));
            assert_eq!(decode_groups(&body[..cut]), broken, "{cut}");
        }
    }

    #[test]
    fn a_cut_body_is_noticed_at_every_byte() {
        let whole = encode_entries(&[vec![1, 2, 3]]);
        for cut in 1..whole.len() {
            let broken = Err(InvalidEntries::Broken(BrokenFrame));
            assert_eq!(decode_entries(&whole[..cut]), broken, "{cut}");
        }
        let whole = encode_state(&stored(Some((1, vec![5, 6])), vec![]));
        for cut in 1..whole.len() {
            assert_eq!(
                decode_state(Epoch(7), &whole[..cut]),
                Err(BrokenFrame),
                "{cut}"
            );
        }
    }

    #[test]
    fn a_length_beyond_the_body_is_refused_without_reserving_it() {
        let mut body = u64::MAX.to_be_bytes().to_vec();
        body.extend_from_slice(&1u64.to_be_bytes());
        assert_eq!(decode_state(Epoch(1), &body), Err(BrokenFrame));
        let broken = Err(InvalidEntries::Broken(BrokenFrame));
        assert_eq!(decode_entries(&u32::MAX.to_be_bytes()), broken);
    }

    #[test]
    fn a_million_empty_entries_are_too_many() {
        let most = vec![0; 4 * MAX_ENTRIES];
        assert_eq!(decode_entries(&most).map(|all| all.len()), Ok(MAX_ENTRIES));
        let more = vec![0; 4 * 1024 * 1024];
        assert_eq!(decode_entries(&more), Err(InvalidEntries::TooMany));
        let group = |entries: usize| JournalGroup {
            session: SessionId::from_u128(1),
            epoch: Epoch(1),
            after: 0,
            entries: vec![Vec::new(); entries],
        };
        let most = encode_groups(&[group(400), group(600)]);
        assert_eq!(decode_groups(&most).map(|all| all.len()), Ok(2));
        let more = encode_groups(&[group(400), group(601)]);
        assert_eq!(decode_groups(&more), Err(InvalidEntries::TooMany));
    }
}
