//! The secrets the server works with.
//!
//! Embedded mode makes its own on first start and keeps them in the data folder, so that a restart
//! neither logs everybody out nor loses the sessions' encrypted state. A cluster cannot: replicas with
//! secrets of their own would refuse each other's tokens, so there every secret must be given, long and
//! not copied from an example. On an address that others can reach, a given secret must be so in every mode.

use std::io;
use std::path::PathBuf;

use gateway_core::entropy::Entropy;
use sha2::{Digest, Sha256};

use super::kept::{KeptSecrets, Wanted};
use super::weak::weakness;
use super::{Config, Mode, Secret};

mod check;

pub use check::SecretCheck;

/// The one secret that may be left out: nobody reads metrics with a token then.
const METRICS_TOKEN: &str = "GATEWAY_HTTP_METRICS_TOKEN";

/// A key for session state (AES-256).
#[derive(Clone)]
pub struct StateKey {
    /// Identifies the key in the header of what was encrypted with it.
    pub id: u32,
    pub key: [u8; 32],
}

impl std::fmt::Debug for StateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// All secrets that the server works with; none is missing.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// The first signs access tokens, all verify them; at least one.
    pub jwt: Vec<Secret>,
    /// What workers register with.
    pub worker_bootstrap: Secret,
    /// Key of the HMAC in workers' tokens.
    pub worker_token_key: Secret,
    /// Key of the HMAC in message ids; never rotated.
    pub message_id_key: Secret,
    /// The first encrypts session state, all decrypt it; at least one.
    pub state_keys: Vec<StateKey>,
}

/// Why there are no secrets to work with.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Given secrets are weak, and others can reach the server.
    #[error(
        "{0}, and others can reach this server: make each with `openssl rand -base64 48`, or unset it to have \
         one made, or listen on 127.0.0.1 (GATEWAY_HTTP_LISTEN)"
    )]
    Weak(String),
    /// Given secrets are missing or weak.
    #[error("{0}: make each with `openssl rand -base64 48` and give all replicas the same")]
    Unfit(String),
    /// A state key is not of the form `number:secret`, or its number stands twice.
    #[error(
        "storage.state_keys (GATEWAY_STORAGE_STATE_KEYS) must be a list of number:secret, each number once, as in \"1:$(openssl rand -base64 48)\""
    )]
    StateKeys,
    /// The file cannot be read or written.
    #[error("cannot keep secrets in {}", path.display())]
    File {
        /// The file or its folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file with the secrets of existing data is not there.
    #[error(
        "{} is missing, and the data beside it cannot be used without the secrets in it: put it back, or move the folder away to begin anew",
        path.display()
    )]
    Lost {
        /// The path of the file.
        path: PathBuf,
    },
    /// Existing data was written under another secret.
    #[error(
        "{option} is another secret than the one that existing data was written under: give the former one (embedded mode keeps it in secrets.json in the data folder)"
    )]
    Changed {
        /// The option with its variable.
        option: &'static str,
    },
    /// Other users of the machine can read the file.
    #[error("{} can be read by others: run `chmod 600` on it", path.display())]
    Readable { path: PathBuf },
}

impl Secrets {
    /// Returns the configured secrets. In embedded mode, those that are not configured come from the data
    /// folder, where they are made if need be. Call it after the data folder was locked for this process.
    ///
    /// `kept` is what the database keeps of the secrets of former starts. Secrets that its data depends on are
    /// not made anew.
    ///
    /// # Errors
    /// Cluster mode: a secret is missing or weak. Embedded mode: a given secret is weak on an address that
    /// others can reach, or the file cannot be used, or is lost. Both: existing data was written under another
    /// secret.
    pub fn resolve(
        config: &Config,
        kept: &[SecretCheck],
        entropy: &dyn Entropy,
    ) -> Result<Self, SecretError> {
        let secrets = match config.mode() {
            Mode::Cluster => Self::given(config),
            Mode::Embedded => {
                strong_if_open(config).and_then(|()| Self::kept(config, !kept.is_empty(), entropy))
            }
        }?;
        secrets.compare_with_kept(kept)?;
        Ok(secrets)
    }

    /// Checks that [`Secrets::resolve`] would take the configured secrets. Reads and writes no file.
    ///
    /// # Errors
    /// A given secret is missing, weak or of the wrong form.
    pub fn check(config: &Config) -> Result<(), SecretError> {
        match config.mode() {
            Mode::Cluster => Self::given(config).map(drop),
            Mode::Embedded => {
                strong_if_open(config)?;
                parse_state_keys(&config.storage.state_keys).map(drop)
            }
        }
    }

    fn given(config: &Config) -> Result<Self, SecretError> {
        let state_keys = parse_state_keys(&config.storage.state_keys)?;
        let mut unfit = Vec::new();
        for (name, secrets) in given(config) {
            if secrets.is_empty() && name != METRICS_TOKEN {
                unfit.push(format!("{name} is not set"));
            }
            unfit.extend(weakest(name, secrets));
        }
        let (auth, bootstrap) = (&config.auth, config.workers.bootstrap_token.clone());
        let keys = (
            bootstrap,
            auth.worker_token_key.clone(),
            auth.message_id_key.clone(),
        );
        match keys {
            (Some(worker_bootstrap), Some(worker_token_key), Some(message_id_key))
                if unfit.is_empty() =>
            {
                let jwt = auth.jwt_secrets.clone();
                Ok(Self {
                    jwt,
                    worker_bootstrap,
                    worker_token_key,
                    message_id_key,
                    state_keys,
                })
            }
            _ => Err(SecretError::Unfit(unfit.join("; "))),
        }
    }

    fn kept(config: &Config, has_data: bool, entropy: &dyn Entropy) -> Result<Self, SecretError> {
        let auth = &config.auth;
        let mut state_keys = parse_state_keys(&config.storage.state_keys)?;
        let wanted = Wanted {
            jwt: auth.jwt_secrets.is_empty(),
            worker_auth_token: config.workers.bootstrap_token.is_none(),
            worker_token_key: auth.worker_token_key.is_none(),
            message_id_key: auth.message_id_key.is_none(),
            state_key: state_keys.is_empty(),
        };
        let kept = KeptSecrets::load_or_make(&config.storage.data_dir, wanted, has_data, entropy)?;
        let or = |given: &Option<Secret>, kept: String| {
            given.clone().unwrap_or_else(|| Secret::new(kept))
        };
        // State that was encrypted before a key was given stays readable.
        let own = Secret::new(format!("0:{}", kept.state_key));
        if !kept.state_key.is_empty() && state_keys.iter().all(|key| key.id != 0) {
            state_keys.extend(parse_state_keys(&[own])?);
        }
        let jwt = match auth.jwt_secrets.as_slice() {
            [] => vec![Secret::new(kept.jwt_secret)],
            given => given.to_vec(),
        };
        Ok(Self {
            jwt,
            worker_bootstrap: or(&config.workers.bootstrap_token, kept.worker_auth_token),
            worker_token_key: or(&auth.worker_token_key, kept.worker_token_key),
            message_id_key: or(&auth.message_id_key, kept.message_id_key),
            state_keys,
        })
    }
}

/// Returns what is given of each secret, by the name of its variable.
fn given(config: &Config) -> [(&'static str, &[Secret]); 6] {
    let (auth, workers) = (&config.auth, &config.workers);
    [
        ("JWT_SECRET", &auth.jwt_secrets),
        ("WORKER_AUTH_TOKEN", workers.bootstrap_token.as_slice()),
        (
            "GATEWAY_AUTH_WORKER_TOKEN_KEY",
            auth.worker_token_key.as_slice(),
        ),
        (
            "GATEWAY_AUTH_MESSAGE_ID_KEY",
            auth.message_id_key.as_slice(),
        ),
        ("GATEWAY_STORAGE_STATE_KEYS", &config.storage.state_keys),
        (METRICS_TOKEN, config.http.metrics_token.as_slice()),
    ]
}

/// Returns what is wrong with the weakest of a secret's values. The number of a state key is no part of it.
fn weakest(name: &str, secrets: &[Secret]) -> Option<String> {
    let protects = |secret: &Secret| match secret.expose().split_once(':') {
        Some((_, key)) if name == "GATEWAY_STORAGE_STATE_KEYS" => weakness(key),
        Some(_) | None => weakness(secret.expose()),
    };
    let weakness = secrets.iter().find_map(protects)?;
    Some(format!("{name} {weakness}"))
}

/// Refuses weak secrets on an address that others than this machine can reach. On loopback they are what a
/// developer wants.
fn strong_if_open(config: &Config) -> Result<(), SecretError> {
    if config.http.listen.is_loopback() {
        return Ok(());
    }
    let given = given(config).into_iter();
    let weak: Vec<String> = given
        .filter_map(|(name, secrets)| weakest(name, secrets))
        .collect();
    match weak.is_empty() {
        true => Ok(()),
        false => Err(SecretError::Weak(weak.join("; "))),
    }
}

fn parse_state_keys(texts: &[Secret]) -> Result<Vec<StateKey>, SecretError> {
    let mut keys: Vec<StateKey> = Vec::with_capacity(texts.len());
    for text in texts {
        let (id, secret) = text
            .expose()
            .split_once(':')
            .ok_or(SecretError::StateKeys)?;
        let id = id.trim().parse().map_err(|_| SecretError::StateKeys)?;
        if secret.is_empty() || keys.iter().any(|key| key.id == id) {
            return Err(SecretError::StateKeys);
        }
        // Secrets are texts of any length; the cipher wants 256 bits.
        let key = Sha256::new()
            .chain_update("session state\0")
            .chain_update(secret)
            .finalize();
        keys.push(StateKey {
            id,
            key: key.into(),
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
