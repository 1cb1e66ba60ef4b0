//! What a request shows to prove who it is from.
//!
//! Everything that can be checked without a look-up is checked here: form, checksum, signature. Query
//! strings are never read; they end up in logs.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use gateway_core::identity::{ApiKeySecret, WorkerTokens};
use gateway_core::session::Owner;
use gateway_core::time::Timestamp;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use super::jwt::{AccessTokens, Claims};
use crate::config::Secret;
use crate::http::problem::{Kind, Problem};

/// A credential that is genuine; whether it still holds is for the store to say.
#[derive(Debug)]
pub(super) enum Credential {
    /// An access token of a login.
    Login(Claims),
    /// An API key of the right form.
    Key(ApiKeySecret),
    /// A worker token under our secret.
    Worker(Owner),
    /// The fleet's bootstrap token.
    Bootstrap,
    /// The hash of a one-time token for a reserved worker id.
    Ticket([u8; 32]),
}

/// The secrets that credentials are checked with.
#[derive(Debug)]
pub(crate) struct Verifiers {
    /// Access tokens.
    pub(crate) access: AccessTokens,
    /// Worker tokens.
    pub(crate) workers: WorkerTokens,
    /// What workers register with.
    pub(crate) bootstrap: Secret,
}

/// What one-time tokens of reserved worker ids start with.
pub const TICKET_PREFIX: &str = "gwj_";

impl Verifiers {
    /// The API key of a request, if that is its one credential and well formed.
    pub(crate) fn api_key(headers: &HeaderMap) -> Option<ApiKeySecret> {
        let text = shown(headers).ok()?;
        ApiKeySecret::parse(text).ok()
    }

    /// The credential of a request, or why there is none: 401 either way.
    pub(super) fn read(&self, headers: &HeaderMap, now: Timestamp) -> Result<Credential, Problem> {
        let text = shown(headers)?;
        if text.starts_with(ApiKeySecret::PREFIX) {
            let key = ApiKeySecret::parse(text);
            return key
                .map(Credential::Key)
                .map_err(|error| unauthorized(error.to_string()));
        }
        if text.starts_with(WorkerTokens::PREFIX) {
            let owner = self.workers.verify(text);
            let owner = owner.map_err(|error| unauthorized(error.to_string()))?;
            return Ok(Credential::Worker(owner));
        }
        if text.starts_with(TICKET_PREFIX) {
            return Ok(Credential::Ticket(Sha256::digest(text).into()));
        }
        let bootstrap = self.bootstrap.expose().as_bytes();
        if verify_slices_are_equal(text.as_bytes(), bootstrap).is_ok() {
            return Ok(Credential::Bootstrap);
        }
        let claims = self.access.verify(text, now);
        claims
            .map(Credential::Login)
            .map_err(|error| unauthorized(error.to_string()))
    }
}

pub(super) fn unauthorized(why: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(Kind::Unauthorized, why)
}

/// The text of the one credential. Two different ones are refused: which was meant is a guess.
fn shown(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut found = None;
    for name in [header::AUTHORIZATION.as_str(), "x-api-key", "apikey"] {
        for value in headers.get_all(name) {
            let text = value
                .to_str()
                .map_err(|_| unauthorized("the credential has impossible characters"))?;
            let text = match name {
                "authorization" => bearer(text)?,
                _ => text.trim(),
            };
            if found.is_some_and(|other| other != text) {
                return Err(unauthorized("send one credential, not several"));
            }
            found = Some(text);
        }
    }
    found.filter(|text| !text.is_empty()).ok_or_else(|| {
        unauthorized("send Authorization: Bearer <access token or API key>, or X-Api-Key")
    })
}

fn bearer(text: &str) -> Result<&str, Problem> {
    let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(token.trim());
    }
    Err(unauthorized(
        "the Authorization header must begin with Bearer",
    ))
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
