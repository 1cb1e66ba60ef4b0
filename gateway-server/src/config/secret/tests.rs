//! What each mode takes for secrets, and where it finds them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::super::kept::FILE;
use super::super::{Config, Source};
use super::*;
use crate::system::OsEntropy;

fn resolve(variables: &[(&str, &str)]) -> Result<Secrets, SecretError> {
    let source: Source = variables.iter().copied().collect();
    let loaded = Config::load(&source, None).expect("a good configuration");
    Secrets::resolve(&loaded.config, &[], &OsEntropy)
}

#[test]
fn embedded_mode_makes_secrets_once_and_keeps_them_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let variables = [("GATEWAY_STORAGE_DATA_DIR", data.to_str().expect("a path"))];
    let first = resolve(&variables).expect("secrets");
    let mode = fs::metadata(data.join(FILE)).expect("a file").mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = resolve(&variables).expect("secrets");
    assert!(first.jwt == second.jwt && first.message_id_key == second.message_id_key);
    assert_eq!(first.state_keys[0].key, second.state_keys[0].key);
    assert_ne!(first.worker_token_key, first.message_id_key);
}

#[test]
fn given_secrets_stand_above_kept_ones_and_old_state_stays_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = (
        "GATEWAY_STORAGE_DATA_DIR",
        folder.path().to_str().expect("a path"),
    );
    resolve(&[data]).expect("a first start");
    let given = [
        data,
        ("GATEWAY_HTTP_LISTEN", "127.0.0.1"),
        ("WORKER_AUTH_TOKEN", "mine"),
        ("GATEWAY_STORAGE_STATE_KEYS", "7:new"),
    ];
    let secrets = resolve(&given).expect("secrets");
    assert_eq!(secrets.worker_bootstrap.expose(), "mine");
    let ids: Vec<u32> = secrets.state_keys.iter().map(|key| key.id).collect();
    assert_eq!(ids, [7, 0]);
    let file = fs::read_to_string(folder.path().join(FILE)).expect("the file");
    assert!(
        !file.contains("workerAuthToken"),
        "only what is in effect: {file}"
    );
    assert!(file.contains("jwtSecret"), "{file}");
}

#[test]
fn a_data_folder_without_its_secrets_is_refused_and_gets_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path");
    let source = [("GATEWAY_STORAGE_DATA_DIR", data)];
    let kept = resolve(&source).expect("a first start").lasting_checks();
    let file = folder.path().join(FILE);
    let text = fs::read(&file).expect("the file");
    fs::remove_file(&file).expect("lost");

    let source: Source = source.into_iter().collect();
    let config = Config::load(&source, None).expect("a good one").config;
    let refused = Secrets::resolve(&config, &kept, &OsEntropy);
    assert!(
        matches!(refused, Err(SecretError::Lost { .. })),
        "{refused:?}"
    );
    assert!(!file.exists());

    fs::write(&file, text).expect("put back");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    Secrets::resolve(&config, &kept, &OsEntropy).expect("the same secrets");
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(FILE);
    fs::write(&path, "{}").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("its mode");
    let data = (
        "GATEWAY_STORAGE_DATA_DIR",
        folder.path().to_str().expect("a path"),
    );
    assert!(matches!(
        resolve(&[data]),
        Err(SecretError::Readable { .. })
    ));
}

const STRONG: &str = "0sXkq3v9Jw7mZr5tYb1nLp8dHf2gAc6e";

#[test]
fn cluster_mode_names_every_missing_or_weak_secret() {
    let database = ("DATABASE_URL", "postgres://db/gateway");
    let weak = [
        database,
        (
            "JWT_SECRET",
            "your-super-secret-jwt-key-change-in-production",
        ),
        ("WORKER_AUTH_TOKEN", "short"),
        ("GATEWAY_AUTH_WORKER_TOKEN_KEY", STRONG),
    ];
    let refused = resolve(&weak).expect_err("weak secrets").to_string();
    for part in [
        "JWT_SECRET is taken from an example",
        "WORKER_AUTH_TOKEN is shorter than 32",
        "GATEWAY_AUTH_MESSAGE_ID_KEY is not set",
        "GATEWAY_STORAGE_STATE_KEYS is not set",
    ] {
        assert!(refused.contains(part), "{part} in: {refused}");
    }
    assert!(!refused.contains("WORKER_TOKEN_KEY"), "{refused}");
}

#[test]
fn cluster_mode_takes_strong_secrets_and_writes_nothing() {
    let state_key = format!("1:{STRONG}");
    let secrets = resolve(&[
        ("DATABASE_URL", "postgres://db/gateway"),
        ("JWT_SECRET", STRONG),
        ("WORKER_AUTH_TOKEN", STRONG),
        ("GATEWAY_AUTH_WORKER_TOKEN_KEY", STRONG),
        ("GATEWAY_AUTH_MESSAGE_ID_KEY", STRONG),
        ("GATEWAY_STORAGE_STATE_KEYS", &state_key),
        ("GATEWAY_STORAGE_DATA_DIR", "/nonexistent/folder"),
    ]);
    assert_eq!(secrets.expect("secrets").state_keys[0].id, 1);
}

#[test]
fn a_weak_secret_is_refused_on_an_address_that_others_can_reach_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = (
        "GATEWAY_STORAGE_DATA_DIR",
        folder.path().to_str().expect("a path"),
    );
    for (name, weak) in [
        ("JWT_SECRET", "secret"),
        ("WORKER_AUTH_TOKEN", "changeme"),
        (
            "GATEWAY_AUTH_WORKER_TOKEN_KEY",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        ("GATEWAY_AUTH_MESSAGE_ID_KEY", "mine"),
        (
            "GATEWAY_STORAGE_STATE_KEYS",
            "1:0123456789012345678901234567890",
        ),
        ("GATEWAY_HTTP_METRICS_TOKEN", "metrics"),
    ] {
        for (listen, is_open) in [
            ("0.0.0.0", true),
            ("192.0.2.7", true),
            ("::", true),
            ("127.0.0.1", false),
            ("127.0.0.2", false),
            ("::1", false),
        ] {
            let given = resolve(&[data, ("GATEWAY_HTTP_LISTEN", listen), (name, weak)]);
            assert_eq!(given.is_err(), is_open, "{name} on {listen}");
            let Err(error) = given else { continue };
            let text = error.to_string();
            assert!(
                text.contains(name) && text.contains("openssl rand"),
                "{text}"
            );
            assert!(!text.contains(weak), "{text}");
        }
    }
    let kept = resolve(&[data, ("GATEWAY_HTTP_LISTEN", "0.0.0.0")]);
    assert!(kept.is_ok(), "what the server made is strong");
    let strong = [data, ("GATEWAY_HTTP_LISTEN", "::"), ("JWT_SECRET", STRONG)];
    assert!(resolve(&strong).is_ok());
}

#[test]
fn state_keys_have_a_number_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = (
        "GATEWAY_STORAGE_DATA_DIR",
        folder.path().to_str().expect("a path"),
    );
    for bad in ["secret", "x:secret", "1:", "1:a,1:b"] {
        let refused = resolve(&[data, ("GATEWAY_STORAGE_STATE_KEYS", bad)]);
        assert!(refused.is_err(), "{bad}");
    }
}
