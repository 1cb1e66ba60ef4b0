//! The secrets that embedded mode makes and keeps.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::entropy::Entropy;
use serde::{Deserialize, Serialize};

use super::SecretError;

/// The name of the file in the data folder.
pub(super) const FILE: &str = "secrets.json";

/// The content of the file in the data folder: the secrets that no option gives, and what old data needs. The
/// empty ones are left out.
#[derive(Default, PartialEq, Eq, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KeptSecrets {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) jwt_secret: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) worker_auth_token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) worker_token_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) message_id_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) state_key: String,
}

/// Which secrets no option gives.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) jwt: bool,
    pub(super) worker_auth_token: bool,
    pub(super) worker_token_key: bool,
    pub(super) message_id_key: bool,
    pub(super) state_key: bool,
}

impl KeptSecrets {
    /// Reads the file, and makes what is wanted and missing in it. A token that an option gives instead
    /// leaves the file, so that nobody takes it from there; keys that old data may need stay.
    pub(super) fn load_or_make(
        folder: &Path,
        wanted: Wanted,
        has_data: bool,
        entropy: &dyn Entropy,
    ) -> Result<Self, SecretError> {
        let path = folder.join(FILE);
        let failed = |source| SecretError::File {
            path: path.clone(),
            source,
        };
        let before = match fs::metadata(&path) {
            Ok(data) if data.mode() & 0o077 != 0 => return Err(SecretError::Readable { path }),
            Ok(_) => {
                let text = fs::read(&path).map_err(failed)?;
                serde_json::from_slice(&text).map_err(|error| failed(error.into()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(failed(error)),
        };
        let lost = wanted.message_id_key && before.message_id_key.is_empty()
            || wanted.state_key && before.state_key.is_empty();
        if has_data && lost {
            return Err(SecretError::Lost { path });
        }
        let mut kept = before.clone();
        kept.fill(wanted, entropy);
        if kept != before {
            kept.write(folder, &path).map_err(failed)?;
        }
        Ok(kept)
    }

    /// Makes what is wanted and missing, and drops tokens that are not wanted.
    fn fill(&mut self, wanted: Wanted, entropy: &dyn Entropy) {
        let tokens = [
            (&mut self.jwt_secret, wanted.jwt),
            (&mut self.worker_auth_token, wanted.worker_auth_token),
            (&mut self.worker_token_key, wanted.worker_token_key),
        ];
        for (token, wanted) in tokens {
            if !wanted {
                token.clear();
            }
        }
        let all = [
            (&mut self.jwt_secret, wanted.jwt),
            (&mut self.worker_auth_token, wanted.worker_auth_token),
            (&mut self.worker_token_key, wanted.worker_token_key),
            (&mut self.message_id_key, wanted.message_id_key),
            (&mut self.state_key, wanted.state_key),
        ];
        for (secret, wanted) in all {
            if wanted && secret.is_empty() {
                let mut bytes = [0; 32];
                entropy.fill(&mut bytes);
                *secret = URL_SAFE_NO_PAD.encode(bytes);
            }
        }
    }

    /// Writes the file completely or not at all, also when the machine goes down meanwhile: state
    /// encrypted under a key that was not kept would be lost.
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
