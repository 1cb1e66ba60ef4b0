//! Guessing passwords is slow: attempts per account and per network are counted.
//!
//! An attempt counts for its account before it is checked, so that many at once do not slip through; a
//! success forgets the account's. A network counts its failures only. Whether the account exists makes no
//! difference to any of this. Without the coordinator nothing is counted and nobody is refused.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::AccountError;
use crate::coord::{CoordError, Coordinator, Counted};
use crate::identity::client_network;
use crate::user::Email;

/// How many failed attempts a window allows, per account and per network.
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
    /// Counts an attempt.
    ///
    /// # Errors
    /// There were too many.
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
        if let Some(network) = &attempt.network {
            attempt.refuse(coord.counted(network).await, 0)?;
        }
        let counted = coord.count(&attempt.account, allowed.window).await;
        attempt.refuse(counted.map(Some), 1)?;
        Ok(attempt)
    }

    /// Forgets the attempts on the account: the password was right.
    pub(super) async fn succeeded(self) {
        warn(self.coord.reset_counter(&self.account).await);
    }

    /// Counts the failure for the network.
    pub(super) async fn failed(self) {
        if let Some(network) = &self.network {
            let counted = self.coord.count(network, self.allowed.window).await;
            warn(counted.map(drop));
        }
    }

    /// Returns the error of an attempt, if there were too many; `own` is how many of the counted attempts
    /// are this one.
    fn refuse(
        &self,
        counted: Result<Option<Counted>, CoordError>,
        own: u64,
    ) -> Result<(), AccountError> {
        let limit = u64::from(self.allowed.attempts);
        match counted {
            Ok(Some(counted)) if counted.count >= limit + own => {
                Err(AccountError::TooManyAttempts {
                    retry_after: counted.resets_in,
                })
            }
            Ok(_) => Ok(()),
            Err(error) => {
                warn(Err(error));
                Ok(())
            }
        }
    }
}

fn warn(outcome: Result<(), CoordError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "logins are not counted");
    }
}
