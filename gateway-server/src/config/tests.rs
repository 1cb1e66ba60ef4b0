//! Loading as a whole.

use gateway_core::balance::BalancePolicy;
use gateway_core::message::SendLimits;
use gateway_core::orchestrator::EffectLimits;
use gateway_core::retention::RetentionPolicy;
use gateway_core::session::SessionPolicy;
use gateway_core::worker::LeasePolicy;

use super::*;

fn load(variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    Config::load(&variables.iter().copied().collect(), None)
}

fn refused(variables: &[(&str, &str)]) -> String {
    load(variables).expect_err("a refusal").to_string()
}

fn with_file(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("a file");
    Config::load(&variables.iter().copied().collect(), Some(file.path()))
        .map(|loaded| loaded.config)
        .map_err(|error| error.to_string())
}

/// Keys of the defaults with whether a comment stands above each.
fn documented_keys() -> BTreeMap<String, bool> {
    let (mut section, mut above, mut keys) = (String::new(), "", BTreeMap::new());
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.insert(format!("{section}.{key}"), above.starts_with("# "));
        }
        above = line;
    }
    keys
}

#[test]
fn every_option_has_its_default_and_a_comment_in_the_file() {
    let config = load(&[]).expect("the defaults").config;
    let described = config.describe();
    let known = described
        .lines()
        .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()));
    let documented = documented_keys();
    let undocumented: Vec<_> = documented
        .iter()
        .filter(|(_, comment)| !**comment)
        .collect();
    assert!(
        undocumented.is_empty(),
        "without a comment: {undocumented:?}"
    );
    let known: std::collections::BTreeSet<String> = known.collect();
    assert_eq!(known, documented.into_keys().collect());
}

#[test]
fn what_is_described_can_be_loaded_again_and_is_the_same() {
    let config = load(&[("GATEWAY_HTTP_BODY_LIMIT", "1536")])
        .expect("a good one")
        .config;
    let as_file = config.describe();
    let again = with_file(&as_file, &[]).expect("the same");
    assert_eq!(again.describe(), as_file);
}

#[test]
fn defaults_are_those_of_the_contract() {
    let config = load(&[]).expect("the defaults").config;
    assert_eq!(config.http.address().to_string(), "0.0.0.0:8000");
    assert_eq!(config.auth.access_ttl, Duration::from_mins(15));
    assert_eq!(config.http.body_limit, 1024 * 1024);
    assert_eq!(config.mode(), Mode::Embedded);
}

#[test]
fn defaults_are_those_of_the_core() {
    let config = load(&[]).expect("the defaults").config;
    assert_eq!(
        config.orchestration.session_policy(),
        SessionPolicy::default()
    );
    assert_eq!(config.orchestration.lease_policy(), LeasePolicy::default());
    assert_eq!(
        config.orchestration.effect_limits(),
        EffectLimits::default()
    );
    assert_eq!(config.retention.policy(), RetentionPolicy::default());
    assert_eq!(config.workers.send_limits(), SendLimits::default());
    let mut plans = Tier::defaults().to_vec();
    plans.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(config.plans(), plans);
    // Addresses of functions differ from crate to crate.
    let shown = |policy: &BalancePolicy| {
        let text = format!("{policy:?}");
        let words = text
            .split_whitespace()
            .filter(|word| !word.starts_with("0x"));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let policy = config.balance.policy().expect("a good one");
    assert_eq!(shown(&policy), shown(&BalancePolicy::default()));
}

#[test]
fn weights_and_tiers_are_checked() {
    let weights = with_file("[balance.weights]\nluck = 1\n", &[]).expect_err("a refusal");
    assert!(weights.contains("balance.weights"), "{weights}");
    let negative = refused(&[("GATEWAY_BALANCE_WEIGHTS_CPU", "-1")]);
    assert!(negative.contains("balance.weights"), "{negative}");
    let tier = "sessions = 1\nrequests_per_hour = 1\nwebhook_endpoints = 1\nhistory_days = 1\npriority = 1\n";
    let tiers = with_file(&format!("[tiers.gold]\n{tier}"), &[]).expect_err("a refusal");
    assert!(tiers.contains("capital letters"), "{tiers}");
}

#[test]
fn only_plans_that_a_file_or_a_variable_names_are_configured() {
    let configures = |config: &Config| -> Vec<String> {
        let plans = config.plans().into_iter();
        let named = plans.filter(|plan| config.configures(&plan.name));
        named.map(|plan| plan.name.to_string()).collect()
    };
    let defaults = with_file("[http]\nport = 7000\n", &[]).expect("a good one");
    assert_eq!(configures(&defaults), [""; 0]);
    let variables = [("GATEWAY_TIERS_MAX_HISTORY_DAYS", "365")];
    let own = with_file("[tiers.BASIC]\nhistory_days = 365\n", &variables).expect("a good one");
    assert_eq!(configures(&own), ["BASIC", "MAX"]);
    assert_eq!(own.tiers["BASIC"].requests_per_hour, 100);
}

#[test]
fn nothing_is_forgotten_before_anybody_can_look_at_it() {
    for option in [
        "EVENTS",
        "ARCHIVED_CREDENTIALS",
        "AUDIT",
        "LEASES",
        "PLACEMENTS",
    ] {
        let variable = format!("GATEWAY_RETENTION_{option}");
        let why = refused(&[(&variable, "23h")]);
        assert!(why.contains(&variable) && why.contains("day"), "{why}");
        assert!(load(&[(&variable, "1d")]).is_ok(), "{option}");
    }
    let long = refused(&[("GATEWAY_RETENTION_EVENTS", "31d")]);
    assert!(long.contains("30 days"), "{long}");
}

#[test]
fn older_names_keep_working() {
    let loaded = load(&[
        ("PORT", "9000"),
        ("DATABASE_URL", "postgres://me:hush@db/gateway"),
        ("JWT_SECRET", "eins, zwei"),
        ("JWT_EXPIRES_IN", "1h"),
        ("WORKER_AUTH_TOKEN", "token"),
        ("WORKER_HEALTH_CHECK_INTERVAL", "5000"),
        ("RATE_LIMIT_WINDOW_MS", "60000"),
        ("RATE_LIMIT_MAX_REQUESTS", "7"),
        ("LOG_LEVEL", "debug"),
        ("CORS_ORIGIN", "https://a.example,https://b.example"),
    ]);
    let config = loaded.expect("a good one").config;
    assert_eq!(config.http.port, 9000);
    assert_eq!(config.mode(), Mode::Cluster);
    let jwt: Vec<_> = config.auth.jwt_secrets.iter().map(Secret::expose).collect();
    assert_eq!(jwt, ["eins", "zwei"]);
    assert_eq!(config.auth.access_ttl, Duration::from_hours(1));
    assert_eq!(config.workers.health_check_interval, Duration::from_secs(5));
    assert_eq!(config.limits.address_window, Duration::from_mins(1));
    assert_eq!(config.limits.address_requests, 7);
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.http.cors_origins.len(), 2);
    let shown = config.describe() + &format!("{config:?}");
    assert!(!shown.contains("hush") && !shown.contains("eins") && !shown.contains("\"token"));
}

#[test]
fn a_bare_number_of_the_token_life_is_seconds() {
    let config = load(&[("JWT_EXPIRES_IN", "900")])
        .expect("a good one")
        .config;
    assert_eq!(config.auth.access_ttl, Duration::from_mins(15));
}

#[test]
fn the_environment_stands_above_the_file_and_the_file_above_the_defaults() {
    let file = "[http]\nport = 7000\nmax_connections = 5\n[tiers.TRIAL]\nsessions = 1\nrequests_per_hour = 10\nwebhook_endpoints = 0\nhistory_days = 1\npriority = 0\n";
    let variables = [("PORT", "7001"), ("GATEWAY_TIERS_TRIAL_SESSIONS", "2")];
    let config = with_file(file, &variables).expect("a good one");
    assert_eq!((config.http.port, config.http.max_connections), (7001, 5));
    assert_eq!((config.tiers["TRIAL"].sessions, config.tiers.len()), (2, 4));
}

#[test]
fn unknown_keys_and_variables_are_errors() {
    let unknown = with_file("[http]\nprot = 1\n", &[]).expect_err("a refusal");
    assert!(unknown.contains("prot"), "{unknown}");
    let section = with_file("[htpp]\nport = 1\n", &[]).expect_err("a refusal");
    assert!(section.contains("htpp"), "{section}");
    assert!(refused(&[("GATEWAY_HTTP_PROT", "1")]).contains("GATEWAY_HTTP_PROT"));
}

#[test]
fn a_wrong_value_names_its_variable_or_key() {
    let message = refused(&[("PORT", "eighty")]);
    assert!(
        message.contains("PORT") && message.contains("eighty"),
        "{message}"
    );
    for (variable, value, key) in [
        ("PORT", "70000", "http.port"),
        ("GATEWAY_HTTP_PORT", "70000", "http.port"),
        ("GATEWAY_HTTP_MAX_CONNECTIONS", "0", "http.max_connections"),
        ("RATE_LIMIT_WINDOW_MS", "0", "limits.address_window"),
        ("JWT_EXPIRES_IN", "soon", "auth.access_ttl"),
        (
            "GATEWAY_HTTP_TRUSTED_PROXIES",
            "::1,x",
            "http.trusted_proxies[1]",
        ),
        ("DATABASE_URL", "mysql://me:hush@db/x", "database.url"),
    ] {
        let message = refused(&[(variable, value)]);
        let begins = format!("variable {variable} cannot be used: ");
        assert!(message.starts_with(&begins), "{message}");
        assert!(message.contains(key), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }
    let in_file = with_file("[http]\nport = 70000\n", &[]).expect_err("a refusal");
    assert!(
        in_file.contains("http.port") && !in_file.contains("variable"),
        "{in_file}"
    );
    let message = refused(&[("JWT_EXPIRES_IN", "soon")]);
    assert!(message.contains("15m"), "{message}");
    let message = refused(&[("GATEWAY_BALANCE_STRATEGY", "best")]);
    assert!(
        message.contains("least_sessions") && message.contains("strategy"),
        "{message}"
    );
    let message = refused(&[("LOG_LEVEL", "loud")]);
    assert!(message.contains("log.level"), "{message}");
    let message = refused(&[("GATEWAY_ORCHESTRATION_LEASE", "3s")]);
    assert!(message.contains("orchestration.lease"), "{message}");
}

#[test]
fn a_broken_or_absent_file_is_named() {
    let broken = with_file("[http", &[]).expect_err("a refusal");
    assert!(
        broken.contains("cannot use the configuration file"),
        "{broken}"
    );
    assert!(refused(&[("GATEWAY_CONFIG", "/nonexistent.toml")]).contains("/nonexistent.toml"));
}

#[test]
fn two_names_for_one_option_are_an_error() {
    let message = refused(&[("PORT", "1"), ("GATEWAY_HTTP_PORT", "2")]);
    assert!(message.contains("PORT and GATEWAY_HTTP_PORT"), "{message}");
}

#[test]
fn variables_without_meaning_give_one_warning() {
    let loaded = load(&[("NODE_ENV", "production"), ("BCRYPT_ROUNDS", "12")]).expect("a good one");
    let warning = loaded.warning.expect("a warning");
    assert!(warning.contains("NODE_ENV, BCRYPT_ROUNDS"), "{warning}");
    assert!(load(&[]).expect("a good one").warning.is_none());
}

#[test]
fn service_links_of_kubernetes_are_not_options() {
    let links = [
        ("GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("GATEWAY_PORT", "tcp://10.0.0.1:8000"),
        ("GATEWAY_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("GATEWAY_HTTP_PORT", "tcp://10.0.0.4:8000"),
        ("GATEWAY_POSTGRESQL_SERVICE_HOST", "10.0.0.6"),
        ("GATEWAY_REDIS_MASTER_SERVICE_PORT_TCP_REDIS", "6379"),
        ("GATEWAY_REDIS_MASTER_PORT", "tcp://10.0.0.5:6379"),
        ("GATEWAY_DNS_PORT_53_UDP", "udp://10.0.0.7:53"),
        ("PORT", "tcp://10.0.0.4:8000"),
        ("REDIS_PORT", "tcp://10.0.0.5:6379"),
        ("REDIS_SERVICE_HOST", "10.0.0.5"),
    ];
    let loaded = load(&links).expect("links are passed over");
    assert_eq!(loaded.config.http.port, 8000);
    assert_eq!(loaded.warning, None);
    let refused = refused(&[("GATEWAY_POSTGRESQL_HOST", "10.0.0.6")]);
    assert!(refused.contains("GATEWAY_POSTGRESQL_HOST"), "{refused}");
}

#[test]
fn every_option_can_come_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("a path").to_owned()
    };
    let (url, jwt) = (
        write("url", "postgres://db/gateway\n"),
        write("jwt", "new\nold\n"),
    );
    let token = write("token", "hush");
    let config = load(&[
        ("DATABASE_URL_FILE", &url),
        ("JWT_SECRET_FILE", &jwt),
        ("GATEWAY_WORKERS_BOOTSTRAP_TOKEN_FILE", &token),
    ]);
    let config = config.expect("a good one").config;
    assert_eq!(config.mode(), Mode::Cluster);
    let jwt: Vec<_> = config.auth.jwt_secrets.iter().map(Secret::expose).collect();
    assert_eq!(jwt, ["new", "old"]);
    let token = config.workers.bootstrap_token.expect("a token");
    assert_eq!(token.expose(), "hush");
}

#[test]
fn a_file_that_holds_no_value_is_named() {
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let empty = empty.path().to_str().expect("a path");
    for (path, why) in [("/nowhere/secret", "cannot be read"), (empty, "is empty")] {
        let refused = refused(&[("JWT_SECRET_FILE", path)]);
        for part in ["JWT_SECRET_FILE", path, why] {
            assert!(refused.contains(part), "{part} in: {refused}");
        }
    }
    let twice = refused(&[("JWT_SECRET", "x"), ("JWT_SECRET_FILE", empty)]);
    assert!(twice.contains("keep one of them"), "{twice}");
}

#[test]
fn names_that_are_nearly_right_are_said() {
    let loaded = load(&[
        ("DATABASE_CONNECTION_URI", "postgres://db/evolution"),
        ("JWT_SECRETS", "x"),
        ("REDIS_URL_FIL", "/run/redis"),
        ("LANG", "C"),
        ("PATH", "/bin"),
    ]);
    let warning = loaded.expect("a good one").warning.expect("a warning");
    for part in [
        "DATABASE_CONNECTION_URI (DATABASE_URL is one)",
        "JWT_SECRETS (JWT_SECRET is one)",
        "REDIS_URL_FIL (REDIS_URL is one)",
    ] {
        assert!(warning.contains(part), "{part} in: {warning}");
    }
    assert!(
        !warning.contains("LANG") && !warning.contains("PATH"),
        "{warning}"
    );
}

#[test]
fn a_parameter_that_the_driver_would_leave_out_is_refused() {
    for good in [
        "",
        "?sslmode=require",
        "?options[search_path]=a&application_name=b",
    ] {
        let url = format!("postgres://db/gateway{good}");
        assert!(load(&[("DATABASE_URL", &url)]).is_ok(), "{good}");
    }
    for bad in [
        "?ssl=true",
        "?sslmode=require&pgbouncer=true",
        "?schema=public",
    ] {
        let url = format!("postgres://db/gateway{bad}");
        let refused = refused(&[("DATABASE_URL", &url)]);
        assert!(refused.contains("sslmode"), "{bad}: {refused}");
    }
}

#[test]
fn a_unit_that_is_given_is_not_taken_for_milliseconds() {
    let config = load(&[
        ("WORKER_HEALTH_CHECK_INTERVAL", "30s"),
        ("RATE_LIMIT_WINDOW_MS", "15m"),
    ]);
    let config = config.expect("a good one").config;
    assert_eq!(
        config.workers.health_check_interval,
        Duration::from_secs(30)
    );
    assert_eq!(config.limits.address_window, Duration::from_mins(15));
}

#[test]
fn redis_needs_a_database_server() {
    let alone = refused(&[("REDIS_URL", "redis://cache")]);
    assert!(alone.contains("DATABASE_URL"), "{alone}");
    assert!(refused(&[("DATABASE_URL", "mysql://db/x")]).contains("postgres://"));
}

#[test]
fn every_form_of_redis_is_taken_and_no_other_address() {
    let with = |url| load(&[("REDIS_URL", url), ("DATABASE_URL", "postgres://db/x")]);
    for url in [
        "redis://:hush@cache:6379/1",
        "rediss://cache",
        "redis-sentinel://one:26379?sentinelServiceName=main&sentinelPassword=hush",
        "redis-cluster://one:6379?node=two:6379",
    ] {
        let described = with(url).expect("a good one").config.describe();
        assert!(described.contains("redis.url = \"redis"), "{described}");
        assert!(!described.contains("hush"), "{described}");
    }
    let other = refused(&[
        ("REDIS_URL", "memcached://cache"),
        ("DATABASE_URL", "postgres://db/x"),
    ]);
    assert!(other.contains("redis-sentinel://"), "{other}");
}

#[test]
fn an_outage_of_redis_must_not_be_felt() {
    let slow = refused(&[("GATEWAY_REDIS_COMMAND_TIMEOUT", "301ms")]);
    assert!(slow.contains("300ms"), "{slow}");
    assert!(refused(&[("GATEWAY_REDIS_COMMAND_TIMEOUT", "0s")]).contains("redis.command_timeout"));
    assert!(refused(&[("GATEWAY_REDIS_PREFIX", "{a}")]).contains("redis.prefix"));
}

#[test]
fn trusted_proxies_are_addresses_and_networks_but_not_everybody() {
    let with = |value| load(&[("GATEWAY_HTTP_TRUSTED_PROXIES", value)]);
    let config = with("10.0.0.0/8, ::1").expect("a good one").config;
    let described = config.describe();
    let line = "http.trusted_proxies = [\"10.0.0.0/8\",\"::1/128\"]";
    assert!(described.contains(line), "{described}");
    for (bad, says) in [
        ("proxy.local", "10.0.0.0/8"),
        ("0.0.0.0/0", "must name the proxies"),
        ("::1,::/0", "must name the proxies"),
    ] {
        let refused = with(bad).expect_err("a refusal").to_string();
        assert!(
            refused.contains(says) && refused.contains("trusted_proxies"),
            "{refused}"
        );
    }
}
