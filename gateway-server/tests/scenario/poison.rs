//! One message that the database refuses, among others in its group.

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::eventually;
use crate::gateway::{Gateway, METRICS_TOKEN};
use crate::ground::Ground;

const SENDS: usize = 100;
const POISONED: usize = 33;

/// Nothing that passes the edge is refused by the schema, so the story's own database refuses one text.
/// To the program it is what any such refusal is: an error of class 23.
const REFUSE: &str = "ALTER TABLE messages ADD CONSTRAINT no_poison \
    CHECK (content->>'text' IS DISTINCT FROM 'poison')";

/// The value of a metric without labels, or with exactly these.
async fn metric(gateway: &Gateway, name: &str) -> f64 {
    let path = format!("{}/metrics", gateway.url);
    let request = reqwest::Client::new().get(path).bearer_auth(METRICS_TOKEN);
    let text = request
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a text");
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    value.parse().expect("a number")
}

pub(crate) async fn a_message_that_the_database_refuses_fails_alone() {
    let ground = Ground::new();
    ground.execute(REFUSE).await;
    let gateway = ground.serve(&[("GATEWAY_MESSAGE_LOG_BATCH_WAIT", "2s")]);
    let _worker = gateway.worker("worker-1", &[]);
    let tenant = gateway.tenant("poison@example.com").await;
    tenant.connected_session("poison").await;
    let texts: Vec<String> = (0..SENDS)
        .map(|n| match n {
            POISONED => "poison".to_owned(),
            n => format!("message {n}"),
        })
        .collect();
    let sends = texts.iter().map(|text| tenant.send("poison", text, None));
    let answers = join_all(sends).await;
    let mut stored = 0;
    for (n, answer) in answers.into_iter().enumerate() {
        let (status, answer) = answer.expect("an answer");
        let expected = match n {
            POISONED => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::OK,
        };
        assert_eq!(status, expected, "{n}: {answer}");
        stored += usize::from(status.is_success());
        if n == POISONED {
            assert_eq!(answer["type"], "outcome_unknown", "it went out: {answer}");
            assert!(answer["id"].is_string(), "{answer}");
        }
    }
    assert_eq!(stored, SENDS - 1);
    let count = metric(&gateway, "gateway_message_log_batch_facts_count").await;
    let small = metric(
        &gateway,
        "gateway_message_log_batch_facts_bucket{le=\"10\"}",
    )
    .await;
    assert!(count > small, "the poison had company");
    let refused = metric(&gateway, "gateway_message_log_refused_total").await;
    assert!(refused >= 1.0, "{refused}");
    eventually("all others are in the history", || async {
        let history = tenant.history("poison").await;
        let written = history
            .iter()
            .filter(|row| row["content"]["text"].is_string());
        (written.count() == SENDS - 1).then_some(())
    })
    .await;
}
