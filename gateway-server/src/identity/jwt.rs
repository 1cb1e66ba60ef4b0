//! Access tokens: short-lived JWTs (HS256) whose holder is still checked in the store.
//!
//! Pinned: algorithm, `typ` of header and claims, and the key, which the header names with `kid`. The
//! first secret signs and all verify, so a secret can be replaced without logging anybody out. Expiry
//! is compared with the gateway's own clock port instead of the library's reading of the machine's.

use std::time::Duration;

use gateway_core::account::{AccessTokenSigner, SignError};
use gateway_core::entropy::Entropy;
use gateway_core::id::{TenantId, TokenFamilyId, UserId};
use gateway_core::time::Timestamp;
use gateway_core::user::{Role, User};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Secret;

/// How far the clocks of two replicas may be apart.
const LEEWAY: Duration = Duration::from_secs(5);
const TYP: &str = "access";

/// The claims of an access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: UserId,
    pub(crate) tenant: TenantId,
    /// What they could do when it was issued; for clients, never for decisions here.
    pub(super) role: Role,
    pub(crate) fam: TokenFamilyId,
    /// The user's generation of tokens when it was issued.
    #[serde(rename = "gen")]
    pub(crate) generation: u64,
    typ: String,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Why an access token is refused. What exactly was wrong would only help a forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccessToken {
    /// The token was not signed by this gateway, or is malformed.
    #[error("the access token is not valid; log in again")]
    Forged,
    /// Its time is over.
    #[error("the access token has expired; use the refresh token")]
    Expired,
}

/// Issues and checks access tokens.
pub struct AccessTokens {
    keys: Vec<SigningKey>,
    ttl: Duration,
}

struct SigningKey {
    id: String,
    sign: EncodingKey,
    verify: DecodingKey,
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokens")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl AccessTokens {
    /// Makes the issuer of tokens that are valid for `ttl`. The first of `secrets` signs, all verify.
    #[must_use]
    pub fn new(secrets: &[Secret], ttl: Duration) -> Self {
        let key = |secret: &Secret| {
            let bytes = secret.expose().as_bytes();
            SigningKey {
                id: key_id(bytes),
                sign: EncodingKey::from_secret(bytes),
                verify: DecodingKey::from_secret(bytes),
            }
        };
        Self {
            keys: secrets.iter().map(key).collect(),
            ttl,
        }
    }

    /// Makes a token for a login of `user`.
    ///
    /// # Errors
    /// Only a defect of this program.
    pub fn issue(
        &self,
        user: &User,
        family: TokenFamilyId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            sub: user.id,
            tenant: user.tenant,
            role: user.role,
            fam: family,
            generation: user.token_generation,
            typ: TYP.to_owned(),
            iat: seconds(now),
            exp: seconds(now.plus(self.ttl)),
            jti: format!("{:016x}{:016x}", entropy.next_u64(), entropy.next_u64()),
        };
        let mut header = Header::new(Algorithm::HS256);
        let Some(key) = self.keys.first() else {
            return Err(jsonwebtoken::errors::ErrorKind::InvalidKeyFormat.into());
        };
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, &claims, &key.sign)
    }

    /// Returns what a token of ours says.
    ///
    /// # Errors
    /// It is not one of ours, or its time is over.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, InvalidAccessToken> {
        let forged = |_| InvalidAccessToken::Forged;
        let header = jsonwebtoken::decode_header(token).map_err(forged)?;
        let fits = header.alg == Algorithm::HS256 && header.typ.as_deref() == Some("JWT");
        let key = self
            .keys
            .iter()
            .find(|key| header.kid.as_deref() == Some(&key.id));
        let (true, Some(key)) = (fits, key) else {
            return Err(InvalidAccessToken::Forged);
        };
        let mut rules = Validation::new(Algorithm::HS256);
        rules.validate_exp = false;
        let claims: Claims = jsonwebtoken::decode(token, &key.verify, &rules)
            .map_err(forged)?
            .claims;
        if claims.typ != TYP {
            return Err(InvalidAccessToken::Forged);
        }
        if claims.exp.saturating_add(seconds_of(LEEWAY)) <= seconds(now) {
            return Err(InvalidAccessToken::Expired);
        }
        Ok(claims)
    }
}

impl AccessTokenSigner for AccessTokens {
    fn sign(
        &self,
        user: &User,
        login: TokenFamilyId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<String, SignError> {
        self.issue(user, login, now, entropy)
            .map_err(|error| SignError(Box::new(error)))
    }

    fn lifetime(&self) -> Duration {
        self.ttl
    }
}

fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

fn seconds_of(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// Names a secret without telling anything about it.
fn key_id(secret: &[u8]) -> String {
    let digest = Sha256::new()
        .chain_update(b"kid:")
        .chain_update(secret)
        .finalize();
    hex::encode(&digest[..6])
}

#[cfg(test)]
mod tests {
    use gateway_core::user::Email;
    use serde_json::json;

    use super::*;
    use crate::system::OsEntropy;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn tokens(secrets: &[&str]) -> AccessTokens {
        let secrets: Vec<_> = secrets.iter().map(|text| Secret::new(*text)).collect();
        AccessTokens::new(&secrets, Duration::from_secs(900))
    }

    fn user() -> User {
        User {
            id: UserId::from_u128(1),
            tenant: TenantId::from_u128(2),
            email: Email::parse("a@b.example").expect("an address"),
            name: None,
            password_hash: String::new(),
            role: Role::User,
            token_generation: 4,
            version: 1,
            created_at: NOW,
            updated_at: NOW,
            last_login_at: None,
        }
    }

    fn issue(tokens: &AccessTokens) -> String {
        let family = TokenFamilyId::from_u128(3);
        tokens
            .issue(&user(), family, NOW, &OsEntropy)
            .expect("a token")
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let tokens = tokens(&["one"]);
        let token = issue(&tokens);
        let claims = tokens.verify(&token, NOW).expect("claims");
        assert_eq!((claims.sub, claims.generation), (UserId::from_u128(1), 4));
        let later = |seconds| NOW.plus(Duration::from_secs(seconds));
        assert!(tokens.verify(&token, later(904)).is_ok());
        let expired = tokens.verify(&token, later(905)).map(|_| ());
        assert_eq!(expired, Err(InvalidAccessToken::Expired));
    }

    #[test]
    fn an_old_secret_verifies_and_a_foreign_one_does_not() {
        let token = issue(&tokens(&["old"]));
        assert!(tokens(&["new", "old"]).verify(&token, NOW).is_ok());
        assert!(tokens(&["new"]).verify(&token, NOW).is_err());
    }

    #[test]
    fn forged_headers_and_claims_are_refused() {
        let ours = tokens(&["one"]);
        let key = EncodingKey::from_secret(b"one");
        let claims = |typ: &str| {
            json!({
                "sub": UserId::from_u128(1), "tenant": TenantId::from_u128(2), "role": "ADMIN",
                "fam": TokenFamilyId::from_u128(3), "gen": 0, "typ": typ,
                "iat": 1_700_000_000, "exp": 1_900_000_000, "jti": "x",
            })
        };
        let header = |change: fn(&mut Header)| {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some(key_id(b"one"));
            change(&mut header);
            header
        };
        let sign = |header: &Header, typ: &str| {
            jsonwebtoken::encode(header, &claims(typ), &key).expect("a token")
        };
        assert!(ours.verify(&sign(&header(|_| ()), TYP), NOW).is_ok());
        for (what, token) in [
            ("a refresh token", sign(&header(|_| ()), "refresh")),
            ("no kid", sign(&header(|header| header.kid = None), TYP)),
            (
                "a foreign kid",
                sign(&header(|header| header.kid = Some("x".into())), TYP),
            ),
            (
                "another typ",
                sign(&header(|header| header.typ = Some("at+jwt".into())), TYP),
            ),
            (
                "another algorithm",
                sign(&header(|header| header.alg = Algorithm::HS384), TYP),
            ),
            (
                "alg none",
                "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30.".to_owned(),
            ),
            ("nothing", String::new()),
            ("dots", "..".to_owned()),
        ] {
            assert!(ours.verify(&token, NOW).is_err(), "{what}");
        }
    }
}
