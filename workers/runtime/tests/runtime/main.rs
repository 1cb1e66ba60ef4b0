//! The runtime around an engine that does only what it is told: what every engine can rely on.

mod engine;
mod facts;
mod orders;
mod sends;
mod state;
mod stops;
