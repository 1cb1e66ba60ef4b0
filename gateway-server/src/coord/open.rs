//! Opening the coordinator that the configuration names.

use std::sync::Arc;

use gateway_core::coord::Coordinator;
use gateway_core::time::Clock;

use super::local::{LocalCoordinator, LocalLimits};
use super::redis::{RedisCoordinator, RedisError, RedisOptions};
use super::sheltered::Sheltered;
use crate::config::Config;
use crate::shutdown::Shutdown;

/// Opens Redis with this process's memory behind it, or that memory alone. `replica` is the name of this
/// process among the others; `shutdown` owns the tasks that keep the connections.
///
/// # Errors
/// A [`RedisError`] if Redis is configured and what answers there cannot be used. It is no error if
/// nobody answers, now or later.
pub async fn coordinator(
    config: &Config,
    replica: &str,
    clock: &Arc<dyn Clock>,
    shutdown: &Shutdown,
) -> Result<Arc<dyn Coordinator>, RedisError> {
    let own = LocalCoordinator::new(Arc::clone(clock), LocalLimits::default());
    let Some(url) = &config.redis.url else {
        return Ok(Arc::new(own));
    };
    let options = RedisOptions {
        url: url.clone(),
        command_timeout: config.redis.command_timeout,
        connect_timeout: config.redis.connect_timeout,
        probe_interval: config.redis.probe_interval,
        prefix: config.redis.prefix.clone(),
    };
    let redis = RedisCoordinator::connect(&options, replica, Arc::clone(clock), shutdown).await?;
    Ok(Arc::new(Sheltered::new(Arc::new(redis), own)))
}
