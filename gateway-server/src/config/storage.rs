//! `[storage]`: files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// The options of the data folder and of the encryption of session state.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// The folder of everything that is not in a database server.
    pub data_dir: PathBuf,
    /// `number:secret`; the first encrypts, all decrypt.
    pub state_keys: Vec<Secret>,
}
