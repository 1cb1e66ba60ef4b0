//! `http/v1/system`.

use std::time::Duration;

use gateway_core::coord::{Coordinator, ReplicaNumbers};
use gateway_core::time::Clock;
use gateway_server::telemetry::job_metrics::StepOutcome;
use gateway_testkit::fixture::a_worker;
use serde_json::json;

use crate::app::TestApp;

const TOKEN: &str = "metrics-token";

/// A server whose operator has configured a token for the metrics.
async fn watched() -> TestApp {
    let token = Some(gateway_server::config::Secret::new(TOKEN));
    TestApp::with(|config| config.http.metrics_token = token).await
}

#[tokio::test]
async fn strangers_learn_one_word_about_each_part() {
    let app = watched().await;
    let tenant = app.register("acme").await;
    let admin = app.register_admin("operator").await;
    let words = ["coordinator", "database", "messageLog", "status"];
    let ask = || app.get("/health/detailed");
    for request in [
        ask(),
        ask().bearer("another token"),
        ask().bearer(&tenant.access),
        ask().key("gwk_nobody"),
    ] {
        let answer = request.expect(200).await;
        let shown: Vec<_> = answer.data().as_object().expect("parts").keys().collect();
        assert_eq!(shown, words);
        for word in words {
            assert_eq!(answer.data()[word], "ok");
        }
    }
    for request in [ask().bearer(TOKEN), ask().bearer(&admin.access)] {
        let answer = request.expect(200).await;
        for more in ["version", "workers", "replicas", "jobs"] {
            assert!(!answer.data()[more].is_null(), "{more}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn looks_that_cost_something_count_against_the_address() {
    for path in ["/health/ready", "/health/detailed", "/metrics"] {
        let app = TestApp::with(|config| config.limits.address_requests = 2).await;
        for _ in 0..2 {
            let answer = app.get(path).from("192.0.2.1").send().await;
            assert_ne!(answer.status.as_u16(), 429, "{path}");
        }
        let over = app.get(path).from("192.0.2.1").expect(429).await;
        over.is("rate_limited");
        app.get("/health/live").from("192.0.2.1").expect(200).await;
        let elsewhere = app.get(path).from("192.0.2.2").send().await;
        assert_ne!(elsewhere.status.as_u16(), 429, "{path}");
    }
}

#[tokio::test]
async fn alive_asks_nobody_and_ready_asks_the_database() {
    let app = TestApp::start().await;
    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = app.get(path).expect(200).await;
        assert_eq!(answer.data()["status"], "ok", "{path}");
    }
    app.store.set_available(false);
    app.get("/health/live").expect(200).await;
    let away = app
        .get("/health/ready")
        .expect(503)
        .await
        .is("connectivity_error");
    assert!(!away.header("retry-after").is_empty());
    let detailed = app.get("/health/detailed").expect(200).await;
    assert_eq!(detailed.data()["database"], "down");
    assert_eq!(detailed.data()["status"], "down");
}

#[tokio::test]
async fn a_server_that_cannot_write_messages_is_not_ready() {
    let app = TestApp::start().await;
    let stalled = &app.app.metrics.message_log.stalled;
    for (is_stalled, ready, state) in [(true, 503, "down"), (false, 200, "ok")] {
        stalled.changed(is_stalled);
        app.get("/health/live").expect(200).await;
        app.get("/health/ready").expect(ready).await;
        let detailed = app.get("/health/detailed").expect(200).await;
        assert_eq!(detailed.data()["messageLog"], state);
        assert_eq!(
            detailed.data()["status"],
            state,
            "never ok beside a dead part"
        );
    }
}

#[tokio::test]
async fn metrics_say_whether_the_caches_are_trusted() {
    let app = TestApp::start().await;
    let line = |value| format!("gateway_caches_trusted {value}\n");
    let before = app.get("/metrics").expect(200).await;
    assert!(before.text.contains(&line(0)), "{}", before.text);
    app.look().await;
    let after = app.get("/metrics").expect(200).await;
    assert!(after.text.contains(&line(1)), "{}", after.text);
}

#[tokio::test]
async fn a_stopping_server_is_not_ready() {
    let app = TestApp::start().await;
    app.app.shutdown.begin();
    app.get("/health/live").expect(200).await;
    app.get("/health/ready").expect(503).await;
}

#[tokio::test]
async fn the_fleet_is_counted() {
    let app = watched().await;
    app.a_worker(&a_worker("one").build()).await;
    let answer = app.get("/health/detailed").bearer(TOKEN).expect(200).await;
    assert_eq!(answer.data()["workers"]["total"], 1);
    assert_eq!(answer.data()["workers"]["active"], 1);
}

#[tokio::test]
async fn replicas_show_their_numbers_side_by_side() {
    let app = watched().await;
    let numbers = [("requests".to_owned(), 7)];
    let live = ReplicaNumbers {
        replica: "rep_other".to_owned(),
        numbers: numbers.into(),
    };
    let shown = app
        .coord
        .publish_numbers(&live, Duration::from_secs(60))
        .await;
    shown.expect("shown");
    let answer = app.get("/health/detailed").bearer(TOKEN).expect(200).await;
    assert_eq!(answer.data()["coordinator"], "ok");
    assert_eq!(answer.data()["replicas"][0]["id"], "rep_other");
    assert_eq!(answer.data()["replicas"][0]["numbers"]["requests"], 7);
    app.coord.set_available(false);
    let answer = app.get("/health/detailed").expect(200).await;
    assert_eq!(answer.data()["coordinator"], "down");
    assert_eq!(answer.data()["status"], "ok", "requests are served");
}

#[tokio::test]
async fn jobs_are_shown_with_their_last_success_and_their_last_error() {
    let app = watched().await;
    let now = app.clock.now();
    let jobs = &app.app.metrics.jobs;
    let (one, two) = (jobs.report("claim_due"), jobs.report("keep_retention"));
    one.ended(StepOutcome::Done, None, now);
    one.ended(StepOutcome::Failed("store_unavailable"), None, now);
    two.ended(StepOutcome::Done, Some(true), now);
    let answer = app.get("/health/detailed").bearer(TOKEN).expect(200).await;
    let at = serde_json::to_value(now).expect("JSON");
    let expected = json!([
        {
            "name": "claim_due", "status": "down", "lastSuccess": at,
            "lastError": { "class": "store_unavailable", "at": at },
        },
        {
            "name": "keep_retention", "status": "ok", "lastSuccess": at, "lastError": null,
            "leader": true,
        },
    ]);
    assert_eq!(answer.data()["jobs"], expected);
    drop(one);
    let answer = app.get("/health/detailed").bearer(TOKEN).expect(200).await;
    assert_eq!(answer.data()["jobs"][0]["name"], "keep_retention");
    let text = app.get("/metrics").bearer(TOKEN).expect(200).await.text;
    assert!(
        text.contains("gateway_job_leads{job=\"keep_retention\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn metrics_are_for_this_machine_or_for_who_has_the_token() {
    let app = TestApp::start().await;
    app.get("/health").expect(200).await;
    let answer = app.get("/metrics").expect(200).await;
    assert!(
        answer.text.contains("gateway_http_requests_total"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("route=\"/health\""), "{}", answer.text);
    app.get("/metrics").from("192.0.2.1").expect(403).await;

    let token = gateway_server::config::Secret::new("metrics-token");
    let app = TestApp::with(|config| config.http.metrics_token = Some(token)).await;
    app.get("/metrics").expect(401).await;
    app.get("/metrics").bearer("another").expect(401).await;
    let allowed = app.get("/metrics").bearer("metrics-token");
    allowed.from("192.0.2.1").expect(200).await;
}

#[tokio::test]
async fn the_pages_of_the_documentation_are_in_the_binary() {
    let app = TestApp::start().await;
    let page = app.get("/docs/").expect(200).await;
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    assert!(page.header("content-security-policy").contains("'self'"));
    let script = app.get("/docs/swagger-initializer.js").expect(200).await;
    assert!(
        script.text.contains("/api/v1/openapi.json"),
        "{}",
        script.text
    );
    let large = app
        .get("/docs/swagger-ui-bundle.js")
        .header("accept-encoding", "gzip");
    assert_eq!(large.expect(200).await.header("content-encoding"), "gzip");
    app.get("/docs/nothing")
        .expect(404)
        .await
        .is("unknown_route");
    app.get("/").expect(200).await;
}

#[tokio::test]
async fn docs_and_links_hold_below_the_path_of_a_proxy() {
    let app = TestApp::start().await;
    let moved = app.get("/docs").send().await;
    assert!(moved.status.is_redirection(), "{}", moved.status);
    assert_eq!(moved.header("location"), "docs/");
    let script = app.get("/docs/swagger-initializer.js").expect(200).await;
    assert!(
        script.text.contains("\"../api/v1/openapi.json\""),
        "{}",
        script.text
    );
    let index = app.get("/").expect(200).await;
    assert_eq!(index.body["docs"], "/docs/");

    let public = "https://example.com/wa/".parse().expect("an address");
    let app = TestApp::with(|config| config.http.public_url = Some(public)).await;
    let index = app.get("/").expect(200).await;
    assert_eq!(index.body["api"], "https://example.com/wa/api/v1");
    assert_eq!(index.body["docs"], "https://example.com/wa/docs/");
    let document = app.get("/api/v1/openapi.json").expect(200).await;
    assert_eq!(document.body["servers"][0]["url"], "https://example.com/wa");
}

#[tokio::test]
async fn only_a_server_behind_tls_tells_browsers_to_keep_to_it() {
    for (public, sent) in [
        (None, ""),
        (Some("http://gateway.example"), ""),
        (Some("https://gateway.example"), "max-age=31536000"),
    ] {
        let public = public.map(|url| url.parse().expect("an address"));
        let app = TestApp::with(|config| config.http.public_url = public).await;
        for path in ["/health", "/nowhere"] {
            let answer = app.get(path).send().await;
            assert_eq!(answer.header("strict-transport-security"), sent, "{path}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_browsers_need() {
    let app = TestApp::start().await;
    for path in ["/health", "/nowhere"] {
        let answer = app.get(path).send().await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let origins = vec!["https://app.example".parse().expect("an origin")];
    let app = TestApp::with(|config| config.http.cors_origins = origins).await;
    for (origin, allowed) in [
        ("https://app.example", "https://app.example"),
        ("https://evil.example", ""),
    ] {
        let answer = app.get("/health").header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let app = TestApp::start().await;
    let kept = app
        .get("/nowhere")
        .header("x-request-id", "mine-1")
        .expect(404)
        .await;
    assert_eq!(kept.body["requestId"], "mine-1");
    for odd in ["with space", &"x".repeat(129), "tab\tbed"] {
        let answer = app.get("/health").header("x-request-id", odd).send().await;
        assert!(answer.header("x-request-id").starts_with("req_"), "{odd}");
    }
}
