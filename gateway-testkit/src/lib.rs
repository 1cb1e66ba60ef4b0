#[cfg(feature = "services")]
pub mod services;
#[cfg(feature = "strategies")]
pub mod strategies;
