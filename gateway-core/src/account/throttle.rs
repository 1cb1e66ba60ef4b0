//! Guessing passwords is slow: wrong ones are counted, per account and per network.
//!
//! Only wrong ones: many right logins at once, of many programs or tabs, are no guesses. Counting after the check
//! alone would let a burst of guesses slip through, all of them looked at before the first is counted; so the
//! counts are looked at again once a password was found right, and it is refused if too many were wrong
//! meanwhile. What slips through is what is checked at the same moment, which the hasher bounds. Whether the
//! account exists makes no difference to any of this. Without the coordinator nothing is counted and nobody is
//! refused.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::AccountError;
use crate::coord::{CoordError, Coordinator};
use crate::identity::client_network;
use crate::user::Email;

/// How many wrong passwords a window allows, per account and per network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) attempts: u32,
    pub(super) window: Duration,
}

/// One attempt to prove a password.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    coord: &'a dyn Coordinator,
    allowed: Allowance,
    account: String,
    network: Option<String>,
}

impl<'a> Attempt<'a> {
    /// Begins an attempt.
    ///
    /// # Errors
    /// There were too many wrong ones.
    pub(super) async fn begin(
        coord: &'a dyn Coordinator,
        allowed: Allowance,
        email: &Email,
        address: Option<IpAddr>,
    ) -> Result<Self, AccountError> {
        let digest = Sha256::digest(email.as_str());
        let attempt = Self {
            coord,
            allowed,
            account: format!("login:account:{}", hex::encode(&digest[..16])),
            network: address.map(|address| format!("login:address:{}", client_network(address))),
        };
        attempt.look().await?;
        Ok(attempt)
    }

    /// Forgets the wrong passwords of the account: this one was right.
    ///
    /// # Errors
    /// Too many were wrong while this one was checked.
    pub(super) async fn succeeded(self) -> Result<(), AccountError> {
        if self.look().await? {
            warn(self.coord.reset_counter(&self.account).await);
        }
        Ok(())
    }

    /// Counts a wrong password, for the account and for the network.
    pub(super) async fn failed(self) {
        for counter in self.counters() {
            let counted = self.coord.count(counter, self.allowed.window).await;
            warn(counted.map(drop));
        }
    }

    fn counters(&self) -> impl Iterator<Item = &str> {
        self.network
            .as_deref()
            .into_iter()
            .chain([self.account.as_str()])
    }

    /// Refuses the attempt if too many were wrong; returns whether any was wrong of the account.
    async fn look(&self) -> Result<bool, AccountError> {
        let limit = u64::from(self.allowed.attempts);
        let mut of_account = false;
        for counter in self.counters() {
            let counted = match self.coord.counted(counter).await {
                Ok(counted) => counted,
                Err(error) => {
                    warn(Err(error));
                    continue;
                }
            };
            if let Some(counted) = &counted
                && counted.count >= limit
            {
                return Err(AccountError::TooManyAttempts {
                    retry_after: counted.resets_in,
                });
            }
            of_account = counter == self.account && counted.is_some();
        }
        Ok(of_account)
    }
}

fn warn(outcome: Result<(), CoordError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "logins are not counted");
    }
}
