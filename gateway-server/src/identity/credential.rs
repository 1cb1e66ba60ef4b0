//! What a request shows to prove who it is from.
//!
//! Everything that can be checked without a look-up is checked here: form, checksum, signature. Query
//! strings are never read; they end up in logs.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use gateway_core::identity::{ApiKeySecret, InvalidApiKey, InvalidWorkerToken, WorkerTokens};
use gateway_core::session::Owner;
use gateway_core::time::Timestamp;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use super::jwt::{AccessTokens, Claims, InvalidAccessToken};
use crate::config::Secret;

/// A credential that is genuine. Whether it still holds is for the store to say.
#[derive(Debug)]
pub(crate) enum Credential {
    /// An access token of a login.
    Login(Claims),
    /// An API key of the right form.
    Key(ApiKeySecret),
    /// A worker token under our secret.
    Worker(Owner),
    /// The fleet's bootstrap token.
    Bootstrap,
    /// The hash of a one-time token for a reserved worker id.
    JoinToken([u8; 32]),
}

/// The secrets that credentials are checked with.
#[derive(Debug)]
pub struct Verifiers {
    pub access: Arc<AccessTokens>,
    pub workers: WorkerTokens,
    /// The token that workers register with.
    pub bootstrap: Secret,
}

/// Why the credential of a request is refused. The texts are for whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCredential {
    #[error("send Authorization: Bearer <access token or API key>, or X-Api-Key")]
    Missing,
    /// There are several, and which one was meant is a guess.
    #[error("send one credential, not several")]
    Several,
    /// A header value that is no text.
    #[error("the credential has impossible characters")]
    NotText,
    /// Another scheme than `Bearer`.
    #[error("the Authorization header must begin with Bearer")]
    NotBearer,
    /// Not an API key of the right form.
    #[error(transparent)]
    Key(#[from] InvalidApiKey),
    /// Not a worker token of ours.
    #[error(transparent)]
    Worker(#[from] InvalidWorkerToken),
    /// Not an access token of ours, or an expired one.
    #[error(transparent)]
    Access(#[from] InvalidAccessToken),
}

/// The prefix of one-time tokens of reserved worker ids.
pub const JOIN_TOKEN_PREFIX: &str = "gwj_";

impl Verifiers {
    /// Reads the credential of a request.
    ///
    /// # Errors
    /// There is none, there are several, or it is not one of ours.
    pub(crate) fn read(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Credential, InvalidCredential> {
        let text = shown(headers)?;
        if text.starts_with(ApiKeySecret::PREFIX) {
            return Ok(Credential::Key(ApiKeySecret::parse(text)?));
        }
        if text.starts_with(WorkerTokens::PREFIX) {
            return Ok(Credential::Worker(self.workers.verify(text)?));
        }
        if text.starts_with(JOIN_TOKEN_PREFIX) {
            return Ok(Credential::JoinToken(Sha256::digest(text).into()));
        }
        let bootstrap = self.bootstrap.expose().as_bytes();
        if verify_slices_are_equal(text.as_bytes(), bootstrap).is_ok() {
            return Ok(Credential::Bootstrap);
        }
        Ok(Credential::Login(self.access.verify(text, now)?))
    }
}

/// Returns the text of the one credential. The same one may stand in several headers; an `Authorization` of
/// another scheme counts only where there is no key.
fn shown(headers: &HeaderMap) -> Result<&str, InvalidCredential> {
    let mut found = None;
    let mut foreign = None;
    for name in [header::AUTHORIZATION.as_str(), "x-api-key", "apikey"] {
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| InvalidCredential::NotText)?;
            let text = match name {
                "authorization" => match bearer(text) {
                    Ok(token) => token,
                    // A proxy in front may have its own use for this header.
                    Err(other) => {
                        foreign = Some(other);
                        continue;
                    }
                },
                _ => text.trim(),
            };
            if text.is_empty() {
                continue;
            }
            if found.is_some_and(|other| other != text) {
                return Err(InvalidCredential::Several);
            }
            found = Some(text);
        }
    }
    found.ok_or(foreign.unwrap_or(InvalidCredential::Missing))
}

fn bearer(text: &str) -> Result<&str, InvalidCredential> {
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(token.trim());
    }
    Err(InvalidCredential::NotBearer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| text.parse().expect("a header value");
        let pairs = pairs
            .iter()
            .map(|(name, text)| (http::HeaderName::from_static(name), value(text)));
        pairs.collect()
    }

    #[test]
    fn every_way_to_send_a_credential_is_the_same() {
        for (name, text) in [
            ("authorization", "Bearer abc"),
            ("authorization", "bearer  abc "),
            ("x-api-key", "abc"),
            ("apikey", "abc"),
        ] {
            let headers = headers(&[(name, text)]);
            assert_eq!(shown(&headers).expect(text), "abc");
        }
    }

    #[test]
    fn what_a_proxy_puts_beside_a_key_is_ignored() {
        for other in ["Basic dXNlcjpwYXNz", "Negotiate abc", "Bearer", ""] {
            let headers = headers(&[("authorization", other), ("x-api-key", "abc")]);
            assert_eq!(shown(&headers).expect(other), "abc");
        }
    }

    #[test]
    fn none_several_and_other_schemes_are_refused() {
        let several = [("authorization", "Bearer a"), ("x-api-key", "b")];
        for pairs in [
            &[][..],
            &several,
            &[("authorization", "Basic abc")],
            &[("authorization", "Bearer")],
            &[("x-api-key", " ")],
        ] {
            assert!(shown(&headers(pairs)).is_err(), "{pairs:?}");
        }
    }
}
