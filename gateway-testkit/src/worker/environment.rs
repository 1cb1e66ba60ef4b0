//! What the workers of a fleet have in common.

use std::sync::Arc;

use gateway_core::entropy::Entropy;

use super::phone::PhoneNetwork;
use super::recorder::Recorder;

/// What the workers of a fleet share.
#[derive(Clone, Debug)]
pub struct SimEnvironment {
    pub network: Arc<PhoneNetwork>,
    pub recorder: Arc<Recorder>,
    /// Where incarnations and codes come from.
    pub entropy: Arc<dyn Entropy>,
}

impl SimEnvironment {
    /// Makes a new network and a recorder that keeps everything.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            network: Arc::default(),
            recorder: Arc::new(Recorder::on()),
            entropy,
        }
    }
}
