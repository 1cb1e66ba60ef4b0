//! Guessing passwords is slow: attempts per account and per address are counted.
//!
//! An attempt counts for its account before it is checked, so that many at once do not slip through;
//! a success forgets the account's. An address counts its failures only. Whether the account exists
//! makes no difference to any of this.

use gateway_core::coord::{CoordError, Counted};
use gateway_core::user::Email;
use sha2::{Digest, Sha256};

use crate::http::auth::ClientAddress;
use crate::http::parts::ServerParts;
use crate::http::problem::{ApiResult, Kind, Problem};

/// The counters of one attempt.
pub(super) struct Attempt<'a> {
    parts: &'a ServerParts,
    account: String,
    address: String,
}

impl<'a> Attempt<'a> {
    /// Counts an attempt.
    ///
    /// # Errors
    /// There were too many.
    pub(super) async fn begin(
        parts: &'a ServerParts,
        email: &Email,
        client: ClientAddress,
    ) -> ApiResult<Self> {
        let digest = Sha256::digest(email.as_str());
        let attempt = Self {
            parts,
            account: format!("login:account:{}", hex::encode(&digest[..16])),
            address: format!("login:address:{}", client.key()),
        };
        attempt.refuse(parts.coord.counted(&attempt.address).await, 0)?;
        let window = parts.auth.login_window;
        let counted = parts.coord.count(&attempt.account, window).await;
        attempt.refuse(counted.map(Some), 1)?;
        Ok(attempt)
    }

    /// The password was right.
    pub(super) async fn succeeded(self) {
        let forgotten = self.parts.coord.reset_counter(&self.account).await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "logins are not counted");
        }
    }

    /// It was not.
    pub(super) async fn failed(self) {
        let window = self.parts.auth.login_window;
        if let Err(error) = self.parts.coord.count(&self.address, window).await {
            tracing::warn!(%error, "logins are not counted");
        }
    }

    /// `own`: whether this attempt is in the count already.
    fn refuse(&self, counted: Result<Option<Counted>, CoordError>, own: u64) -> ApiResult<()> {
        let limit = u64::from(self.parts.auth.login_attempts);
        match counted {
            Ok(Some(counted)) if counted.count >= limit + own => Err(Problem::new(
                Kind::RateLimited,
                "too many failed logins; wait, or ask for another password",
            )
            .retry_after(counted.resets_in)),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "logins are not counted");
                Ok(())
            }
        }
    }
}
