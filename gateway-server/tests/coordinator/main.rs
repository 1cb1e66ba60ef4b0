//! The coordinator on real Redis servers that are stopped, frozen, emptied and cut off.
//!
//! Each test has servers of its own. Waiting is for a condition, with a limit far above what is expected;
//! that something ends in time is shown by a limit of the test's own around it.

mod outage;
mod shapes;
mod start;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use gateway_server::coord::RedisCoordinator;
use gateway_server::coord::redis::{RedisError, RedisOptions};
use gateway_server::shutdown::Shutdown;
use gateway_server::system::SystemClock;
use gateway_testkit::services::{self, Missing};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// Names a test after its place: `tests!(outage: a, b)`.
macro_rules! tests {
    ($($part:ident: $($test:ident),+ $(,)?;)+) => {
        vec![$($(test(
            concat!(stringify!($part), "::", stringify!($test)),
            || $part::$test(),
        )),+),+]
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = tests! {
        start:
            a_server_that_is_away_is_an_outage_until_it_is_there,
            a_password_that_proves_wrong_later_is_an_outage_until_it_is_right,
            somebody_else_who_answers_is_one_sentence,
            a_wrong_password_is_one_sentence_that_does_not_show_it,
            a_server_that_hangs_is_an_outage_until_it_goes_on,
            a_server_that_takes_no_writes_is_one_sentence,
            an_address_that_makes_no_sense_is_one_sentence,
            a_server_without_tls_does_not_answer_where_tls_is_asked_for;
        outage:
            a_stopped_server_is_asked_no_more_and_comes_back,
            a_frozen_server_costs_one_time_out,
            a_server_that_restarts_empty_has_forgotten_and_goes_on,
            a_changed_password_is_an_outage_until_it_is_changed_back,
            a_cut_subscription_ends_streams_and_hears_again,
            hints_of_its_own_are_heard_without_a_server,
            what_requests_need_is_there_without_a_server;
        shapes:
            scripts_and_hints_work_behind_a_sentinel,
            scripts_and_hints_work_again_after_a_failover,
            scripts_and_hints_work_on_a_cluster,
            a_frozen_node_of_a_cluster_makes_nobody_wait_in_line;
    };
    let absent = missing() && !services::in_ci();
    let trials = trials
        .into_iter()
        .map(|trial| trial.with_ignored_flag(absent));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Whether servers of one's own can be had; a server given by `REDIS_URL` must not be stopped.
fn missing() -> bool {
    services::PrivateRedis::start().is_err()
}

fn test<F>(name: &str, run: impl Fn() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()>,
{
    Trial::test(name, move || {
        let runtime = Runtime::new().map_err(Failed::from)?;
        runtime.block_on(run());
        Ok(())
    })
}

/// A server of a test's own.
fn own<T>(server: Result<T, Missing>) -> T {
    server.unwrap_or_else(|missing| panic!("{missing}"))
}

fn options(url: &str) -> RedisOptions {
    RedisOptions {
        url: url.parse().expect("an address"),
        command_timeout: Duration::from_millis(250),
        connect_timeout: Duration::from_secs(3),
        probe_interval: Duration::from_millis(100),
        prefix: "test".to_owned(),
    }
}

async fn connect(url: &str, replica: &str) -> Result<RedisCoordinator, RedisError> {
    RedisCoordinator::connect(
        &options(url),
        replica,
        Arc::new(SystemClock),
        &Shutdown::new(),
    )
    .await
}

/// How long anything may take before a test has failed.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `condition` answers something.
///
/// # Panics
/// It never does; `what` says what was waited for.
async fn eventually<T, F>(what: &str, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    for _ in 0..LIMIT.as_millis() / PAUSE.as_millis() {
        if let Some(found) = condition().await {
            return found;
        }
        #[expect(clippy::disallowed_methods, reason = "another process has to get on")]
        tokio::time::sleep(PAUSE).await;
    }
    panic!("never seen: {what}");
}
