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

/// The content of the file in the data folder. A secret that a newer version adds is made when it is
/// missing.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KeptSecrets {
    pub(super) jwt_secret: String,
    pub(super) worker_auth_token: String,
    pub(super) worker_token_key: String,
    pub(super) message_id_key: String,
    pub(super) state_key: String,
}

impl KeptSecrets {
    pub(super) fn load_or_make(folder: &Path, entropy: &dyn Entropy) -> Result<Self, SecretError> {
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

    /// Makes the missing secrets, and returns whether any was missing.
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
