//! Worker tokens: the worker's id, its incarnation and an HMAC over both (section 6).
//!
//! Every replica can check one and make one, and none stores any. The token is used in both directions:
//! the worker proves itself to the gateway with it, and the gateway to the worker.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::id::{Incarnation, WorkerId};
use crate::session::Owner;

/// The error of a text that is not a worker token of this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a worker token of this gateway")]
pub struct InvalidWorkerToken;

/// Makes and checks worker tokens under a server secret.
#[derive(Clone)]
pub struct WorkerTokens {
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for WorkerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerTokens").finish_non_exhaustive()
    }
}

impl WorkerTokens {
    /// What every worker token starts with.
    pub const PREFIX: &'static str = "gww_";

    /// Creates an issuer and verifier of tokens under this secret.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        // HMAC takes keys of any length; the error type exists for fixed-length MACs.
        let keyed = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self { keyed }
    }

    /// Returns the token of one run of a worker.
    #[must_use]
    pub fn issue(&self, owner: &Owner) -> String {
        let mac = hex::encode(self.mac(owner).finalize().into_bytes());
        format!(
            "{}{}.{}.{mac}",
            Self::PREFIX,
            owner.worker,
            owner.incarnation
        )
    }

    /// Returns the holder of a token. Compares in constant time.
    ///
    /// Whether the incarnation is the worker's present one, only the store knows.
    ///
    /// # Errors
    /// The token is malformed, or was not made under this secret.
    pub fn verify(&self, token: &str) -> Result<Owner, InvalidWorkerToken> {
        let mut parts = token
            .strip_prefix(Self::PREFIX)
            .ok_or(InvalidWorkerToken)?
            .split('.');
        let (Some(worker), Some(incarnation), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidWorkerToken);
        };
        let owner = Owner {
            worker: WorkerId::parse(worker).map_err(|_| InvalidWorkerToken)?,
            incarnation: Incarnation::parse(incarnation).map_err(|_| InvalidWorkerToken)?,
        };
        let tag = unhex(tag).ok_or(InvalidWorkerToken)?;
        self.mac(&owner)
            .verify_slice(&tag)
            .map_err(|_| InvalidWorkerToken)?;
        Ok(owner)
    }

    fn mac(&self, owner: &Owner) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        for part in [owner.worker.as_str(), owner.incarnation.as_str()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(worker: &str) -> Owner {
        Owner {
            worker: WorkerId::parse(worker).expect("a slug"),
            incarnation: Incarnation::parse("incarnation-1").expect("a token"),
        }
    }

    #[test]
    fn a_token_names_its_holder() {
        let tokens = WorkerTokens::new(b"secret");
        let token = tokens.issue(&owner("w1"));
        assert_eq!(tokens.verify(&token), Ok(owner("w1")));
    }

    #[test]
    fn another_holder_or_secret_is_refused() {
        let token = WorkerTokens::new(b"secret").issue(&owner("w1"));
        let forged = token.replace("w1", "w2");
        assert_eq!(
            WorkerTokens::new(b"secret").verify(&forged),
            Err(InvalidWorkerToken)
        );
        assert_eq!(
            WorkerTokens::new(b"other").verify(&token),
            Err(InvalidWorkerToken)
        );
        for bad in [
            "",
            "gww_",
            "gww_w1.incarnation-1",
            "gww_w1.incarnation-1.zz",
        ] {
            assert_eq!(
                WorkerTokens::new(b"secret").verify(bad),
                Err(InvalidWorkerToken),
                "{bad}"
            );
        }
    }
}
