//! A fresh coordinator for every case.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike, LuaInterface};
use fred::types::Builder;
use fred::types::config::Config;
use gateway_server::coord::local::{LocalCoordinator, LocalLimits};
use gateway_server::coord::redis::RedisOptions;
use gateway_server::coord::{RedisCoordinator, Sheltered};
use gateway_server::shutdown::Shutdown;
use gateway_server::system::SystemClock;
use gateway_testkit::clock::ManualClock;
use gateway_testkit::conformance::{Advance, Backend, CoordinatorUnderTest, Failure, Need};
use gateway_testkit::services;

/// In process.
pub(crate) struct Local;

impl Backend for Local {
    type UnderTest = CoordinatorUnderTest;

    fn name(&self) -> &'static str {
        "local"
    }

    fn offers(&self, need: Need) -> bool {
        need != Need::SecondReplica
    }

    async fn open(&self) -> Result<CoordinatorUnderTest, Failure> {
        let clock = Arc::new(ManualClock::default());
        let coordinator = LocalCoordinator::new(clock.clone(), LocalLimits::default());
        let coordinator = Arc::new(coordinator);
        Ok(CoordinatorUnderTest {
            coordinator: coordinator.clone(),
            other: coordinator,
            clock: Some(clock),
            keep: Box::new(()),
        })
    }
}

/// Brings every key with the prefix ARGV[1] nearer to its end by ARGV[2] milliseconds.
const PASS: &str = "
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[2])) end
end
return 1";

/// On one server.
pub(crate) struct OverRedis;

/// Time passes in Redis by taking it from what every key has left.
#[derive(Debug)]
struct Shortened {
    client: Client,
    prefix: String,
}

impl Advance for Shortened {
    fn advance(&self, by: Duration) {
        let by = by.as_millis().to_string();
        let passed = self
            .client
            .eval::<i64, _, _, _>(PASS, (), vec![self.prefix.clone(), by]);
        let runtime = tokio::runtime::Handle::current();
        let passed = tokio::task::block_in_place(|| runtime.block_on(passed));
        assert_eq!(passed.expect("Redis is there"), 1);
    }
}

fn prefix() -> String {
    format!("test-{:016x}", rand::random::<u64>())
}

impl Backend for OverRedis {
    type UnderTest = CoordinatorUnderTest;

    fn name(&self) -> &'static str {
        "redis"
    }

    fn missing(&self) -> Option<String> {
        services::redis().err().map(|missing| missing.to_string())
    }

    fn offers(&self, _: Need) -> bool {
        true
    }

    async fn open(&self) -> Result<CoordinatorUnderTest, Failure> {
        let server = services::redis().map_err(|missing| Failure::new(missing.to_string()))?;
        let options = RedisOptions {
            url: server.url().parse()?,
            // A promise is not about speed, and this machine runs many tests at once.
            command_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(30),
            probe_interval: Duration::from_secs(1),
            prefix: prefix(),
        };
        let replica = async |name| {
            let connected =
                RedisCoordinator::connect(&options, name, Arc::new(SystemClock), &Shutdown::new())
                    .await;
            connected.map(Arc::new)
        };
        let (coordinator, other) = (replica("a").await?, replica("b").await?);
        let client = Builder::from_config(Config::from_url(server.url())?).build()?;
        client.init().await?;
        Ok(CoordinatorUnderTest {
            coordinator,
            other,
            clock: Some(Arc::new(Shortened {
                client,
                prefix: options.prefix,
            })),
            keep: Box::new(()),
        })
    }
}

/// With the memory of the process behind what is shared: nothing changes while that is there.
pub(crate) struct OverShelter;

impl Backend for OverShelter {
    type UnderTest = CoordinatorUnderTest;

    fn name(&self) -> &'static str {
        "sheltered"
    }

    fn offers(&self, _: Need) -> bool {
        true
    }

    async fn open(&self) -> Result<CoordinatorUnderTest, Failure> {
        let clock = Arc::new(ManualClock::default());
        let own = || LocalCoordinator::new(clock.clone(), LocalLimits::default());
        let shared = Arc::new(own());
        let replica = || Arc::new(Sheltered::new(shared.clone(), own()));
        Ok(CoordinatorUnderTest {
            coordinator: replica(),
            other: replica(),
            clock: Some(clock.clone()),
            keep: Box::new(()),
        })
    }
}
