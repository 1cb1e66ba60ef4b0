//! What happens when the program cannot start, and when two are started.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::gateway::Gateway;
use crate::ground::variables;
use crate::process::Process;

/// A server that does not start.
pub(crate) fn refuses(folder: &std::path::Path, variables: &[(&str, &str)], says: &str) -> String {
    fails(folder, &["serve"], variables, says)
}

/// One sentence on standard error and exit code 1. Answers all that was said there.
pub(crate) fn fails(
    folder: &std::path::Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
    says: &str,
) -> String {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let variables: BTreeMap<String, String> = variables.iter().map(owned).collect();
    let (status, log) = Process::start(folder, arguments, &variables).wait();
    assert_eq!(status.code(), Some(1), "{log}");
    let errors: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "one sentence: {log}");
    assert!(errors[0].contains(says), "{log}");
    log
}

pub(crate) async fn an_occupied_port_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [
        ("PORT", port.as_str()),
        ("GATEWAY_HTTP_LISTEN", "127.0.0.1"),
    ];
    refuses(
        folder.path(),
        &variables,
        &format!("port {port} is already in use"),
    );
}

pub(crate) async fn an_unreadable_database_is_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("gateway-data")).expect("a folder");
    fs::write(
        folder.path().join("gateway-data/gateway.db"),
        "this is no database at all",
    )
    .expect("written");
    refuses(folder.path(), &[("PORT", "0")], "gateway.db");
}

pub(crate) async fn an_unreachable_database_server_is_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    // Connections are accepted by the system and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hangs = silent.local_addr().expect("bound").to_string();
    for (place, says) in [
        ("127.0.0.1:1", "connection refused; start it"),
        (hangs.as_str(), "no answer within 200ms; start it"),
    ] {
        let url = format!("postgres://nobody:hush@{place}/none");
        let mut variables = variables(&url);
        variables.push(("GATEWAY_DATABASE_ACQUIRE_TIMEOUT", "200ms"));
        let says = format!("PostgreSQL cannot be reached at {place}: {says}");
        for command in [
            &["serve"][..],
            &["migrate"],
            &["admin", "create", "--email", "root@example.com"],
        ] {
            let log = fails(folder.path(), command, &variables, &says);
            assert!(!log.contains("hush"), "{log}");
        }
    }
}

pub(crate) async fn a_wrong_value_is_one_sentence_that_names_the_variable() {
    let folder = tempfile::tempdir().expect("a folder");
    let says = "variable PORT cannot be used";
    let log = refuses(folder.path(), &[("PORT", "70000")], says);
    assert!(log.contains("70000"), "{log}");
    for command in ["migrate", "serve"] {
        let all = variables("postgres://me:hush@db:port/x");
        let log = fails(
            folder.path(),
            &[command],
            &all,
            "DATABASE_URL is no address",
        );
        assert!(!log.contains("hush"), "{log}");
    }
}

pub(crate) async fn what_is_kept_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("gateway-data");
    fs::create_dir(&data).expect("a folder");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("others may look");
    let gateway = Gateway::serve_in(folder, &[]);
    let _tenant = gateway.tenant("private@example.com").await;
    for file in ["gateway.db", "gateway.db-wal", "secrets.json"] {
        let kept = fs::metadata(data.join(file)).expect("kept");
        assert_eq!(kept.permissions().mode() & 0o077, 0, "{file}");
    }
}

pub(crate) async fn a_data_folder_without_its_secrets_is_refused_until_they_are_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gateway-data/secrets.json");
    let mut gateway = Gateway::serve_in(folder, &[]);
    let folder = gateway.folder().to_owned();
    let secrets = fs::read(&file).expect("the secrets");
    gateway.process.terminate();
    fs::remove_file(&file).expect("lost");
    for _ in 0..2 {
        refuses(&folder, &[("PORT", "0")], "secrets.json is missing");
        assert!(!file.exists(), "no others are made");
    }
    let given = [
        ("PORT", "0"),
        ("GATEWAY_HTTP_LISTEN", "127.0.0.1"),
        ("GATEWAY_STORAGE_STATE_KEYS", "0:others"),
        ("GATEWAY_AUTH_MESSAGE_ID_KEY", "others"),
    ];
    refuses(&folder, &given, "existing data was written under");
    fs::write(&file, secrets).expect("put back");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    gateway.start_again();
}

pub(crate) async fn accounts_of_a_closed_gateway_are_made_by_its_operator() {
    let gateway = Gateway::serve(&[("GATEWAY_AUTH_REGISTRATION", "closed")]);
    let login = |password: String| {
        let url = format!("{}/api/v1/auth/login", gateway.url);
        let body = serde_json::json!({"email": "new@example.com", "password": password});
        async move {
            let answer = reqwest::Client::new().post(url).json(&body).send().await;
            answer.expect("an answer").status().as_u16()
        }
    };
    let create = ["admin", "create-tenant", "--email", "new@example.com"];
    let misspelt = [&create[..], &["--tier", "GOLD"]].concat();
    fails(gateway.folder(), &misspelt, &[], "there is no tier GOLD");
    let none = BTreeMap::new();
    let output = Process::start(gateway.folder(), &create, &none).read_until("password: ");
    let password = output
        .lines()
        .find_map(|line| line.strip_prefix("password: "));
    let password = password.unwrap_or_else(|| panic!("no password in: {output}"));
    assert_eq!(login(password.to_owned()).await, 200);
}

pub(crate) async fn a_second_gateway_on_the_same_data_is_refused() {
    let gateway = Gateway::serve(&[]);
    refuses(
        gateway.folder(),
        &[("PORT", "0")],
        "held by another gateway",
    );
}

pub(crate) async fn a_gateway_that_is_asked_to_stop_ends_well() {
    let mut gateway = Gateway::serve(&[]);
    let tenant = gateway.tenant("stop@example.com").await;
    let (status, _) = tenant
        .call(reqwest::Method::GET, "/sessions", None)
        .await
        .expect("an answer");
    assert!(status.is_success());
    assert!(
        gateway.process.terminate().success(),
        "{}",
        gateway.process.log()
    );
    gateway.start_again();
    let (status, _) = tenant
        .call(reqwest::Method::GET, "/sessions", None)
        .await
        .expect("an answer");
    assert!(status.is_success(), "the key still works");
}
