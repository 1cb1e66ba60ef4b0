#[cfg(feature = "services")]
pub mod services;
