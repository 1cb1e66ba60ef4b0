//! Simulated workers that the gateway does not let in, or does not trust for a while.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;

use crate::eventually;
use crate::gateway::{BOOTSTRAP, Gateway};
use crate::process::Process;
use crate::start::fails;

async fn says(process: &Process, what: &str) {
    eventually(what, || async {
        process.log().contains(what).then_some(())
    })
    .await;
}

fn arguments<'a>(id: &'a str, gateway: &'a str, token: &'a str) -> [&'a str; 7] {
    [
        "sim-worker",
        "--id",
        id,
        "--gateway",
        gateway,
        "--token",
        token,
    ]
}

pub(crate) async fn a_worker_with_a_wrong_token_ends_with_one_sentence() {
    let gateway = Gateway::serve(&[]);
    for (token, id) in [
        ("a-token-that-is-not-the-gateways", "worker-1"),
        ("gwj_a-one-time-token-of-nobody", "worker-2"),
    ] {
        let arguments = arguments(id, &gateway.url, token);
        let says = format!("{} does not take the token of {id}", gateway.url);
        fails(gateway.folder(), &arguments, &[], &says);
    }
}

pub(crate) async fn a_worker_without_a_gateway_says_so_once_and_registers_when_there_is_one() {
    let mut gateway = Gateway::serve(&[]);
    gateway.process.kill();
    let worker = gateway.worker("worker-1", &[]);
    says(&worker, "does not answer: check this URL").await;
    gateway.start_again();
    says(&worker, "\"message\":\"registered\"").await;
    let log = worker.log();
    assert_eq!(log.matches("does not answer").count(), 1, "{log}");
}

pub(crate) async fn a_worker_whose_id_is_in_use_says_so_and_takes_over_when_it_is_free() {
    // Nobody takes a slot from a worker that was heard a moment ago.
    let gateway = Gateway::serve(&[("GATEWAY_ORCHESTRATION_LEASE", "60s")]);
    let mut first = gateway.worker("worker-1", &[]);
    says(&gateway.process, "a worker has registered").await;
    let second = gateway.worker("worker-1", &[]);
    says(&second, "another process uses this worker id").await;
    assert!(first.terminate().success(), "{}", first.log());
    says(&second, "\"message\":\"registered\"").await;
}

pub(crate) async fn a_worker_that_asks_something_else_says_so() {
    let gateway = Gateway::serve(&[]);
    let elsewhere = format!("{}/somewhere/else", gateway.url);
    let folder = gateway.folder();
    let worker = |id, url| Process::start(folder, &arguments(id, url, BOOTSTRAP), &BTreeMap::new());
    let lost = worker("worker-1", &elsewhere);
    says(&lost, "refuses: no route POST /somewhere/else").await;
    // Connections are accepted by the system and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("bound"));
    let waiting = worker("worker-2", &url);
    says(&waiting, "does not answer").await;
}

pub(crate) async fn a_worker_that_does_not_answer_is_suspected_by_its_probe_and_trusted_again() {
    // Silence alone makes nobody suspect in the time that this takes.
    let gateway = Gateway::serve(&[("GATEWAY_ORCHESTRATION_SUSPECT_AFTER", "19s")]);
    let worker = gateway.worker("worker-1", &[]);
    says(&gateway.process, "a worker has registered").await;
    worker.freeze();
    let suspected = "a worker has missed a heartbeat and does not answer";
    says(&gateway.process, suspected).await;
    worker.thaw();
    let tenant = gateway.tenant("ada@example.com").await;
    tenant.connected_session("sales").await;
}

pub(crate) async fn a_worker_that_is_stopped_leaves_no_message_behind() {
    let gateway = Gateway::serve(&[]);
    let tenant = gateway.tenant("ada@example.com").await;
    // WhatsApp acknowledges after the worker was asked to stop.
    let script = gateway.folder().join("slow.toml");
    let receipts = "[receipts]\nsent_ms = 700\ndelivered_ms = 100000\n";
    fs::write(&script, format!("auto_scan_ms = 100\n{receipts}")).expect("a file");
    let script = script.to_str().expect("a path");
    let mut worker = gateway.worker("worker-1", &["--script", script]);
    tenant.connected_session("sales").await;
    for number in 1..=6 {
        let sent = tenant.send("sales", &number.to_string(), None).await;
        let (answer, body) = sent.expect("an answer");
        assert!(answer.is_success(), "{body}");
    }
    assert!(worker.terminate().success(), "{}", worker.log());
    let history = tenant.history("sales").await;
    let statuses: Vec<_> = history.iter().map(|message| &message["status"]).collect();
    assert_eq!(statuses, ["sent"; 6], "{}", worker.log());
}
