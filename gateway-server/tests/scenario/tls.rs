//! Redis over TLS, with a certificate of an authority of one's own.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use gateway_testkit::services::PrivateRedis;

use crate::eventually;
use crate::ground::{Ground, variables};
use crate::outage::replicas_seen;
use crate::start::refuses;

fn openssl(folder: &Path, arguments: &str) {
    let arguments = arguments.split(' ').filter(|argument| !argument.is_empty());
    let mut command = Command::new("openssl");
    let outcome = command.current_dir(folder).args(arguments).output();
    let outcome = outcome.expect("the program openssl is needed");
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{said}");
}

/// `ca.pem`, and `redis.pem` with `redis.key`, which it vouches for.
fn make_certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
    );
    openssl(
        folder,
        &format!("req {key} -keyout redis.key -out redis.csr -subj /CN=redis"),
    );
    let names = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    fs::write(folder.join("names"), names).expect("written");
    openssl(
        folder,
        "x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out redis.pem -days 2 -extfile names",
    );
}

pub(crate) async fn redis_is_used_over_tls_if_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    make_certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key, authority) = (path("redis.pem"), path("redis.key"), path("ca.pem"));
    let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
    let port = free.expect("a port").port().to_string();
    let redis = PrivateRedis::start_with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "no",
    ]);
    let _redis = redis.unwrap_or_else(|missing| panic!("{missing}"));
    let url = format!("rediss://127.0.0.1:{port}");
    let ground = Ground::new();
    let stranger = [variables(ground.url()), vec![("REDIS_URL", url.as_str())]].concat();
    let elsewhere = tempfile::tempdir().expect("a folder");
    refuses(elsewhere.path(), &stranger, "trust its certificate");
    let options = [("REDIS_URL", url.as_str()), ("SSL_CERT_FILE", &authority)];
    let gateway = ground.serve(&options);
    eventually("the replica is seen through Redis", || async {
        (replicas_seen(&gateway).await? == 1).then_some(())
    })
    .await;
}
