//! `[runtime]`: which runtimes requests are served on.

use std::num::NonZero;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

use super::unit::choice;

/// How requests are spread over the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A runtime per core, each with a listener and connections to workers of its own.
    PerCore,
    /// One work-stealing runtime for everything.
    Shared,
}

/// The options of the runtimes that serve requests.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// How requests are spread.
    #[serde(deserialize_with = "choice")]
    pub shape: Shape,
    /// How many cores serve requests; 0 for as many as the machine has.
    pub cores: usize,
}

impl Runtime {
    /// Returns how many cores serve requests, each on a runtime of its own; none if all share one.
    #[must_use]
    pub fn cores(&self) -> Option<NonZero<usize>> {
        match self.shape {
            Shape::Shared => None,
            Shape::PerCore => NonZero::new(self.cores)
                .or_else(|| available_parallelism().ok())
                .or(Some(NonZero::<usize>::MIN)),
        }
    }
}
