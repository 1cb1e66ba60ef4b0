//! The runtime around an engine that does only what it is told: what every engine can rely on.

mod answers;
mod engine;
mod facts;
mod failures;
mod leaving;
mod orders;
mod sends;
mod state;
mod stops;
