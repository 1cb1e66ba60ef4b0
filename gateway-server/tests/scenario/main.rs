//! Stories with real processes: the program as a user starts it, killed as a machine dies.
//!
//! Everything else is tested closer to its code; here stands what only processes can show. Waiting is for
//! a condition, with a limit far above what is expected.

mod clients;
mod clock;
mod cluster;
mod crash;
mod dev;
mod gateway;
mod ground;
mod kills;
mod outage;
mod poison;
mod process;
mod proxy;
mod readme;
mod replicas;
mod slow;
mod start;
mod stop;
mod tls;
mod workers;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use gateway_testkit::services;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// Names a story after its place: `stories!(crash: a, b)`.
macro_rules! stories {
    ($($part:ident: $($story:ident),+ $(,)?;)+) => {
        vec![$($(story(
            concat!(stringify!($part), "::", stringify!($story)),
            || $part::$story(),
        )),+),+]
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = stories! {
        clients:
            a_body_at_one_byte_a_second_is_refused_and_its_connection_freed,
            thousands_of_idle_connections_end_and_others_are_served;
        crash:
            nothing_acknowledged_is_lost_when_the_gateway_is_killed_during_writes,
            the_sessions_of_a_killed_worker_live_on_another_one_without_a_scan,
            a_crash_between_the_workers_answer_and_the_commit_sends_once;
        dev:
            the_printed_lines_work_through_to_a_delivered_message,
            the_credentials_are_kept_for_their_owner_alone,
            lost_credentials_are_made_again,
            nobody_is_vouched_for_by_name;
        readme: its_commands_do_what_it_says;
        start:
            an_occupied_port_is_one_sentence,
            an_unreadable_database_is_one_sentence,
            an_unreachable_database_server_is_one_sentence,
            a_wrong_value_is_one_sentence_that_names_the_variable,
            what_is_kept_is_for_its_owner_alone,
            a_data_folder_without_its_secrets_is_refused_until_they_are_back,
            accounts_of_a_closed_gateway_are_made_by_its_operator,
            a_second_gateway_on_the_same_data_is_refused,
            a_gateway_that_is_asked_to_stop_ends_well;
        stop:
            it_is_not_ready_and_serves_on_until_load_balancers_have_noticed,
            it_does_not_wait_for_uploads,
            a_second_signal_cuts_a_send_and_its_message_is_unknown;
        workers:
            a_worker_with_a_wrong_token_ends_with_one_sentence,
            a_worker_without_a_gateway_says_so_once_and_registers_when_there_is_one,
            a_worker_whose_id_is_in_use_says_so_and_takes_over_when_it_is_free,
            a_worker_that_asks_something_else_says_so,
            a_worker_that_does_not_answer_is_suspected_by_its_probe_and_trusted_again,
            a_worker_that_is_stopped_leaves_no_message_behind;
    };
    let on_postgres = stories! {
        clock: a_store_whose_clock_jumps_fences_nobody;
        cluster:
            an_older_schema_is_refused_and_a_migrated_one_serves,
            a_second_gateway_on_the_same_database_is_refused,
            nothing_acknowledged_is_lost_when_the_gateway_is_killed,
            a_login_that_postgres_refuses_is_one_sentence,
            a_database_that_takes_no_writes_is_one_sentence,
            a_database_that_stops_taking_writes_is_waited_for,
            in_cluster_mode_too_each_wrong_start_is_one_sentence;
        kills: a_gateway_killed_again_and_again_loses_and_repeats_nothing;
        poison: a_message_that_the_database_refuses_fails_alone;
        slow:
            a_slow_database_fills_the_log_and_loses_nothing,
            a_gateway_that_was_cut_off_from_its_database_keeps_its_place,
            a_database_that_stops_answering_loses_nothing;
    };
    let with_redis = stories! {
        outage:
            a_revoked_key_stops_everywhere_whatever_redis_does,
            without_postgres_nobody_is_served_on_old_knowledge,
            guessing_passwords_is_slow_without_redis_too,
            every_replica_shows_a_code_without_redis,
            redis_that_cannot_be_used_is_one_sentence,
            replicas_start_without_redis_and_share_it_once_it_is_there,
            a_replica_that_proves_not_to_belong_stops_once_redis_is_there,
            a_replica_that_does_not_belong_to_the_others_is_refused;
        readme: its_cluster_starts_and_delivers_a_message;
        replicas:
            every_message_is_delivered_once_while_redis_and_a_replica_restart,
            a_frozen_replica_holds_up_nobody_else,
            connects_through_all_replicas_never_overfill_a_worker,
            a_plan_is_never_exceeded_through_two_replicas;
        kills: two_replicas_killed_by_turns_lose_and_repeat_nothing;
        tls: redis_is_used_over_tls_if_its_certificate_is_trusted;
    };
    let no_postgres = services::postgres().is_err();
    let no_redis = services::PrivateRedis::start().is_err();
    let ignored = |trials: Vec<Trial>, absent: bool| {
        let absent = absent && !services::in_ci();
        let trials = trials.into_iter();
        trials.map(move |trial| trial.with_ignored_flag(absent))
    };
    trials.extend(ignored(on_postgres, no_postgres));
    trials.extend(ignored(with_redis, no_postgres || no_redis));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A story on a runtime of its own; whatever it panics with is its failure.
fn story<F>(name: &str, tell: impl Fn() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()>,
{
    Trial::test(name, move || {
        let runtime = Runtime::new().map_err(Failed::from)?;
        runtime.block_on(tell());
        Ok(())
    })
}

/// How long anything may take before a story has failed.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

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

/// What a story's actor does between two acts; nothing is concluded from it.
#[expect(clippy::disallowed_methods, reason = "actors have a pace")]
async fn pause(pace: Duration) {
    tokio::time::sleep(pace).await;
}

/// The same without a runtime.
fn eventually_now(mut condition: impl FnMut() -> bool) {
    for _ in 0..LIMIT.as_millis() / PAUSE.as_millis() {
        if condition() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "another process has to get on")]
        std::thread::sleep(PAUSE);
    }
    panic!("never seen");
}
