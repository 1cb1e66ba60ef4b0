//! The secrets the server works with.
//!
//! Embedded mode makes its own on first start and keeps them in the data folder, so that a restart
//! neither logs everybody out nor loses the sessions' encrypted state. A cluster cannot: replicas with
//! secrets of their own would refuse each other's tokens, so there every secret must be given, long and
//! not copied from an example.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::entropy::Entropy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Config, Mode, Secret};

const FILE: &str = "secrets.json";
const SHORTEST: usize = 32;
/// Below this, a text is a repetition.
const FEWEST_DIFFERENT: usize = 8;
const WELL_KNOWN: [&str; 8] = [
    "change",
    "your-",
    "your_",
    "example",
    "insecure",
    "password",
    "default",
    "secret-key",
];

/// A key for session state (AES-256).
#[derive(Clone)]
pub struct StateKey {
    /// Stands in the header of what was encrypted with it.
    pub id: u32,
    /// The key.
    pub key: [u8; 32],
}

impl std::fmt::Debug for StateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// All secrets, complete.
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
    /// Given secrets are missing or weak.
    #[error("{0}: make each with `openssl rand -base64 48` and give all replicas the same")]
    Unfit(String),
    /// A state key is not of the form `number:secret`, or its number stands twice.
    #[error(
        "storage.state_keys (GATEWAY_STORAGE_STATE_KEYS) must be a list of number:secret, each number once"
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
    /// Others can read the file.
    #[error("{} can be read by others: run `chmod 600` on it", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
    },
}

impl Secrets {
    /// The given secrets; in embedded mode, those that are not given come from the data folder, where
    /// they are made if need be. Call it after the data folder was locked for this process.
    ///
    /// # Errors
    /// Cluster mode: a secret is missing or weak. Embedded mode: the file cannot be used.
    pub fn resolve(config: &Config, entropy: &dyn Entropy) -> Result<Self, SecretError> {
        match config.mode() {
            Mode::Cluster => Self::given(config),
            Mode::Embedded => Self::kept(config, entropy),
        }
    }

    /// Whether [`Secrets::resolve`] would take the given secrets; reads and writes no file.
    ///
    /// # Errors
    /// A given secret is missing, weak or of the wrong form.
    pub fn check(config: &Config) -> Result<(), SecretError> {
        match config.mode() {
            Mode::Cluster => Self::given(config).map(drop),
            Mode::Embedded => parse_state_keys(&config.storage.state_keys).map(drop),
        }
    }

    fn given(config: &Config) -> Result<Self, SecretError> {
        let state_keys = parse_state_keys(&config.storage.state_keys)?;
        let mut unfit = Vec::new();
        let mut all = |name: &str, secrets: &[Secret]| {
            let weakest = secrets.iter().find_map(|secret| weakness(secret.expose()));
            let weakness = if secrets.is_empty() {
                Some("is not set")
            } else {
                weakest
            };
            unfit.extend(weakness.map(|weakness| format!("{name} {weakness}")));
        };
        let auth = &config.auth;
        all("JWT_SECRET", &auth.jwt_secrets);
        let bootstrap = config.workers.bootstrap_token.clone();
        all("WORKER_AUTH_TOKEN", bootstrap.as_slice());
        all(
            "GATEWAY_AUTH_WORKER_TOKEN_KEY",
            auth.worker_token_key.as_slice(),
        );
        all(
            "GATEWAY_AUTH_MESSAGE_ID_KEY",
            auth.message_id_key.as_slice(),
        );
        all("GATEWAY_STORAGE_STATE_KEYS", &config.storage.state_keys);
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

    fn kept(config: &Config, entropy: &dyn Entropy) -> Result<Self, SecretError> {
        let kept = Kept::load_or_make(&config.storage.data_dir, entropy)?;
        let auth = &config.auth;
        let or = |given: &Option<Secret>, kept: String| {
            given.clone().unwrap_or_else(|| Secret::new(kept))
        };
        let mut state_keys = parse_state_keys(&config.storage.state_keys)?;
        // State that was encrypted before a key was given stays readable.
        let own = Secret::new(format!("0:{}", kept.state_key));
        if state_keys.iter().all(|key| key.id != 0) {
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

fn weakness(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let different: BTreeSet<u8> = text.bytes().collect();
    if text.len() < SHORTEST {
        Some("is shorter than 32 characters")
    } else if different.len() < FEWEST_DIFFERENT
        || WELL_KNOWN.iter().any(|known| lower.contains(known))
    {
        Some("is taken from an example or easy to guess")
    } else {
        None
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

/// The file in the data folder. A secret that a newer version adds is made when it is missing.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    jwt_secret: String,
    worker_auth_token: String,
    worker_token_key: String,
    message_id_key: String,
    state_key: String,
}

impl Kept {
    fn load_or_make(folder: &Path, entropy: &dyn Entropy) -> Result<Self, SecretError> {
        let path = folder.join(FILE);
        let failed = |source| SecretError::File {
            path: path.clone(),
            source,
        };
        let mut kept = match fs::metadata(&path) {
            Ok(data) if data.mode() & 0o077 != 0 => return Err(SecretError::Readable { path }),
            Ok(_) => {
                let text = fs::read(&path).map_err(failed)?;
                serde_json::from_slice(&text).map_err(|error| failed(error.into()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(failed(error)),
        };
        if kept.fill(entropy) {
            kept.write(folder, &path).map_err(failed)?;
        }
        Ok(kept)
    }

    /// Makes what is missing; whether anything was.
    fn fill(&mut self, entropy: &dyn Entropy) -> bool {
        let all = [
            &mut self.jwt_secret,
            &mut self.worker_auth_token,
            &mut self.worker_token_key,
            &mut self.message_id_key,
            &mut self.state_key,
        ];
        let mut made = false;
        for secret in all.into_iter().filter(|secret| secret.is_empty()) {
            let mut bytes = [0; 32];
            entropy.fill(&mut bytes);
            *secret = URL_SAFE_NO_PAD.encode(bytes);
            made = true;
        }
        made
    }

    /// All or nothing, also when the machine goes down: state encrypted under a key that was not kept
    /// would be lost.
    fn write(&self, folder: &Path, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let unfinished = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Source};
    use super::*;
    use crate::system::OsEntropy;

    fn resolve(variables: &[(&str, &str)]) -> Result<Secrets, SecretError> {
        let source: Source = variables.iter().copied().collect();
        let loaded = Config::load(&source, None).expect("a good configuration");
        Secrets::resolve(&loaded.config, &OsEntropy)
    }

    #[test]
    fn embedded_mode_makes_secrets_once_and_keeps_them_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let variables = [("GATEWAY_STORAGE_DATA_DIR", data.to_str().expect("a path"))];
        let first = resolve(&variables).expect("secrets");
        let mode = fs::metadata(data.join(FILE)).expect("a file").mode();
        assert_eq!(mode & 0o777, 0o600);

        let second = resolve(&variables).expect("secrets");
        assert!(first.jwt == second.jwt && first.message_id_key == second.message_id_key);
        assert_eq!(first.state_keys[0].key, second.state_keys[0].key);
        assert_ne!(first.worker_token_key, first.message_id_key);
    }

    #[test]
    fn given_secrets_stand_above_kept_ones_and_old_state_stays_readable() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = (
            "GATEWAY_STORAGE_DATA_DIR",
            folder.path().to_str().expect("a path"),
        );
        let given = [
            data,
            ("WORKER_AUTH_TOKEN", "mine"),
            ("GATEWAY_STORAGE_STATE_KEYS", "7:new"),
        ];
        let secrets = resolve(&given).expect("secrets");
        assert_eq!(secrets.worker_bootstrap.expose(), "mine");
        let ids: Vec<u32> = secrets.state_keys.iter().map(|key| key.id).collect();
        assert_eq!(ids, [7, 0]);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        fs::write(&path, "{}").expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("its mode");
        let data = (
            "GATEWAY_STORAGE_DATA_DIR",
            folder.path().to_str().expect("a path"),
        );
        assert!(matches!(
            resolve(&[data]),
            Err(SecretError::Readable { .. })
        ));
    }

    const STRONG: &str = "0sXkq3v9Jw7mZr5tYb1nLp8dHf2gAc6e";

    #[test]
    fn cluster_mode_names_every_missing_or_weak_secret() {
        let database = ("DATABASE_URL", "postgres://db/gateway");
        let weak = [
            database,
            (
                "JWT_SECRET",
                "your-super-secret-jwt-key-change-in-production",
            ),
            ("WORKER_AUTH_TOKEN", "short"),
            ("GATEWAY_AUTH_WORKER_TOKEN_KEY", STRONG),
        ];
        let refused = resolve(&weak).expect_err("weak secrets").to_string();
        for part in [
            "JWT_SECRET is taken from an example",
            "WORKER_AUTH_TOKEN is shorter than 32",
            "GATEWAY_AUTH_MESSAGE_ID_KEY is not set",
            "GATEWAY_STORAGE_STATE_KEYS is not set",
        ] {
            assert!(refused.contains(part), "{part} in: {refused}");
        }
        assert!(!refused.contains("WORKER_TOKEN_KEY"), "{refused}");
    }

    #[test]
    fn cluster_mode_takes_strong_secrets_and_writes_nothing() {
        let state_key = format!("1:{STRONG}");
        let secrets = resolve(&[
            ("DATABASE_URL", "postgres://db/gateway"),
            ("JWT_SECRET", STRONG),
            ("WORKER_AUTH_TOKEN", STRONG),
            ("GATEWAY_AUTH_WORKER_TOKEN_KEY", STRONG),
            ("GATEWAY_AUTH_MESSAGE_ID_KEY", STRONG),
            ("GATEWAY_STORAGE_STATE_KEYS", &state_key),
            ("GATEWAY_STORAGE_DATA_DIR", "/nonexistent/folder"),
        ]);
        assert_eq!(secrets.expect("secrets").state_keys[0].id, 1);
    }

    #[test]
    fn state_keys_have_a_number_each() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = (
            "GATEWAY_STORAGE_DATA_DIR",
            folder.path().to_str().expect("a path"),
        );
        for bad in ["secret", "x:secret", "1:", "1:a,1:b"] {
            let refused = resolve(&[data, ("GATEWAY_STORAGE_STATE_KEYS", bad)]);
            assert!(refused.is_err(), "{bad}");
        }
    }
}
