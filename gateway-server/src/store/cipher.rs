//! Encrypts session state at rest: AES-256-GCM, by the rules of [`gateway_core::state::cipher`].
//!
//! Nonces are random, and one key may seal only so many chunks with random nonces before two are likely
//! to meet (NIST SP 800-38D: 2³²). A fleet writes that many in days, so every session has a key of its
//! own, derived from the configured one with HKDF: the bound then counts the writes of one session.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use gateway_core::entropy::Entropy;
use gateway_core::id::SessionId;
use gateway_core::state::StateError;
use gateway_core::state::cipher::{HEADER_BYTES, Header, NONCE_BYTES, SealedPart, associated_data};

use crate::config::StateKey;

/// No key was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("session state needs at least one key; set storage.state_keys")]
pub struct NoStateKey;

/// Seals and opens chunks of state.
pub struct StateCipher {
    current: u32,
    keys: BTreeMap<u32, Prk>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for StateCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateCipher")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

impl StateCipher {
    /// Seals with the first key and opens with all.
    ///
    /// # Errors
    /// There is none.
    pub fn new(keys: &[StateKey], entropy: Arc<dyn Entropy>) -> Result<Self, NoStateKey> {
        let current = keys.first().ok_or(NoStateKey)?.id;
        let keys = keys
            .iter()
            .map(|key| (key.id, Prk::new_less_safe(HKDF_SHA256, &key.key)))
            .collect();
        Ok(Self {
            current,
            keys,
            entropy,
        })
    }

    /// What is stored for `bytes`.
    ///
    /// # Errors
    /// [`StateError::Corrupt`]: the cryptography refuses, which it does not for the sizes allowed.
    pub fn seal(
        &self,
        session: SessionId,
        chunk: SealedPart,
        seq: u64,
        bytes: &[u8],
    ) -> Result<Vec<u8>, StateError> {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let header = Header {
            key_id: self.current,
            nonce,
        };
        let mut stored = Vec::with_capacity(HEADER_BYTES + bytes.len() + AES_256_GCM.tag_len());
        stored.extend_from_slice(&header.encode());
        stored.extend_from_slice(bytes);
        let bound = Aad::from(associated_data(session, chunk, seq));
        let tag = self
            .key(self.current, session)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                bound,
                &mut stored[HEADER_BYTES..],
            )
            .map_err(|Unspecified| corrupt("it cannot be encrypted"))?;
        stored.extend_from_slice(tag.as_ref());
        Ok(stored)
    }

    /// What was sealed.
    ///
    /// # Errors
    /// [`StateError::Corrupt`]: sealed with another key, for another place, or changed since.
    pub fn open(
        &self,
        session: SessionId,
        chunk: SealedPart,
        seq: u64,
        stored: &[u8],
    ) -> Result<Vec<u8>, StateError> {
        let (header, body) = Header::split(stored).map_err(|error| corrupt(error.to_string()))?;
        let key = self.key(header.key_id, session)?;
        let bound = Aad::from(associated_data(session, chunk, seq));
        let nonce = Nonce::assume_unique_for_key(header.nonce);
        let mut bytes = body.to_vec();
        let length = key
            .open_in_place(nonce, bound, &mut bytes)
            .map_err(|Unspecified| corrupt("it was changed or belongs elsewhere"))?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }

    fn key(&self, id: u32, session: SessionId) -> Result<LessSafeKey, StateError> {
        let prk = self.keys.get(&id).ok_or_else(|| {
            corrupt(format!(
                "its key, number {id}, is not in storage.state_keys"
            ))
        })?;
        let session = session.as_u128().to_be_bytes();
        let info: [&[u8]; 2] = [b"gateway session state", &session];
        let derived = prk.expand(&info, &AES_256_GCM);
        let derived = derived.map_err(|Unspecified| corrupt("its key cannot be derived"))?;
        Ok(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

fn corrupt(why: impl Into<String>) -> StateError {
    StateError::Corrupt { why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::OsEntropy;

    fn cipher(ids: &[u32]) -> StateCipher {
        let key = |&id: &u32| StateKey {
            id,
            key: [u8::try_from(id).expect("small"); 32],
        };
        let keys: Vec<StateKey> = ids.iter().map(key).collect();
        StateCipher::new(&keys, Arc::new(OsEntropy)).expect("a key")
    }

    const SESSION: SessionId = SessionId::from_u128(1);

    #[test]
    fn what_was_sealed_opens_and_is_not_to_be_seen() {
        let cipher = cipher(&[1]);
        for length in [0, 1, 1000] {
            let bytes = vec![b'x'; length];
            let stored = cipher
                .seal(SESSION, SealedPart::Entry, 5, &bytes)
                .expect("sealed");
            assert!(length < 8 || !stored.windows(8).any(|seen| seen == b"xxxxxxxx"));
            let opened = cipher.open(SESSION, SealedPart::Entry, 5, &stored);
            assert_eq!(opened.expect("opened"), bytes);
        }
    }

    #[test]
    fn the_first_key_seals_and_older_ones_still_open() {
        let before = cipher(&[1]);
        let stored = before
            .seal(SESSION, SealedPart::Snapshot, 1, b"old")
            .expect("sealed");
        let rotated = cipher(&[2, 1]);
        let opened = rotated.open(SESSION, SealedPart::Snapshot, 1, &stored);
        assert_eq!(opened.expect("opened"), b"old");
        let new = rotated
            .seal(SESSION, SealedPart::Snapshot, 2, b"new")
            .expect("sealed");
        let refused = before.open(SESSION, SealedPart::Snapshot, 2, &new);
        let why = refused.expect_err("another key").to_string();
        assert!(why.contains("number 2"), "{why}");
    }

    #[test]
    fn nothing_opens_in_another_place_or_after_a_change() {
        let cipher = cipher(&[1]);
        let mut stored = cipher
            .seal(SESSION, SealedPart::Entry, 5, b"bytes")
            .expect("sealed");
        let other = SessionId::from_u128(2);
        assert!(cipher.open(other, SealedPart::Entry, 5, &stored).is_err());
        assert!(
            cipher
                .open(SESSION, SealedPart::Snapshot, 5, &stored)
                .is_err()
        );
        assert!(cipher.open(SESSION, SealedPart::Entry, 6, &stored).is_err());
        let last = stored.len() - 1;
        stored[last] ^= 1;
        assert!(cipher.open(SESSION, SealedPart::Entry, 5, &stored).is_err());
        assert!(cipher.open(SESSION, SealedPart::Entry, 5, &[]).is_err());
    }

    #[test]
    fn a_cipher_needs_a_key() {
        let none = StateCipher::new(&[], Arc::new(OsEntropy));
        assert_eq!(none.expect_err("no key"), NoStateKey);
    }
}
