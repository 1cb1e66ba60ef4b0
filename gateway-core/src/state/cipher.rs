//! How stored state is encrypted at rest: the rules, not the cryptography.
//!
//! Every snapshot and every journal entry is sealed by itself with AES-256-GCM under a key with an id,
//! so keys can be rotated without touching what is stored. The header in front says which version and
//! which key; the associated data binds the bytes to their session, kind and sequence, so that an entry
//! moved to another place does not open.

use crate::id::SessionId;

/// The version of this form: the first byte of everything that is stored.
pub const VERSION: u8 = 1;

/// The length of the random nonce.
pub const NONCE_BYTES: usize = 12;

/// The length of the header: version, key id and nonce.
pub const HEADER_BYTES: usize = 1 + 4 + NONCE_BYTES;

/// What a sealed piece of state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedPart {
    Snapshot,
    Entry,
}

/// What stands in front of the encrypted bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The id of the key that sealed the bytes.
    pub key_id: u32,
    /// The nonce, drawn afresh for every sealed piece.
    pub nonce: [u8; NONCE_BYTES],
}

/// The error of bytes that do not begin with a header of a known version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not sealed by a known version")]
pub struct InvalidHeader;

impl Header {
    /// Writes the header as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&self.key_id.to_be_bytes());
        bytes[5..].copy_from_slice(&self.nonce);
        bytes
    }

    /// Splits stored bytes into header and encrypted body.
    ///
    /// # Errors
    /// Too short, or another version.
    pub fn split(stored: &[u8]) -> Result<(Self, &[u8]), InvalidHeader> {
        let (head, body) = stored.split_at_checked(HEADER_BYTES).ok_or(InvalidHeader)?;
        if head[0] != VERSION {
            return Err(InvalidHeader);
        }
        let mut key_id = [0; 4];
        key_id.copy_from_slice(&head[1..5]);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&head[5..]);
        Ok((
            Self {
                key_id: u32::from_be_bytes(key_id),
                nonce,
            },
            body,
        ))
    }
}

/// Returns what the tag authenticates besides the bytes: whose they are and where they belong.
#[must_use]
pub fn associated_data(session: SessionId, chunk: SealedPart, seq: u64) -> [u8; 25] {
    let mut bytes = [0; 25];
    bytes[..16].copy_from_slice(&session.as_u128().to_be_bytes());
    bytes[16] = match chunk {
        SealedPart::Snapshot => 1,
        SealedPart::Entry => 2,
    };
    bytes[17..].copy_from_slice(&seq.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_its_bytes() {
        let header = Header {
            key_id: 7,
            nonce: [9; NONCE_BYTES],
        };
        let mut stored = header.encode().to_vec();
        stored.extend_from_slice(b"body");
        assert_eq!(Header::split(&stored), Ok((header, b"body".as_slice())));
    }

    #[test]
    fn other_versions_are_refused() {
        let mut stored = Header {
            key_id: 1,
            nonce: [0; NONCE_BYTES],
        }
        .encode();
        stored[0] = 2;
        assert_eq!(Header::split(&stored), Err(InvalidHeader));
        assert_eq!(Header::split(b"short"), Err(InvalidHeader));
    }

    #[test]
    fn an_entry_is_bound_to_its_place() {
        let session = SessionId::from_u128(1);
        let here = associated_data(session, SealedPart::Entry, 1);
        assert_ne!(here, associated_data(session, SealedPart::Entry, 2));
        assert_ne!(here, associated_data(session, SealedPart::Snapshot, 1));
        assert_ne!(
            here,
            associated_data(SessionId::from_u128(2), SealedPart::Entry, 1)
        );
    }
}
