//! What operators read in the log.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::subscriber::DefaultGuard;

use crate::app::TestApp;

/// The lines that this thread has logged since.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn captured() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn with(&self, words: &str) -> Vec<String> {
        let bytes = self.0.lock().expect("no panic").clone();
        let text = String::from_utf8(bytes).expect("text");
        let lines = text.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_request_is_a_line_of_the_log_only_if_that_is_asked_for() {
    let (lines, _guard) = Lines::captured();
    for (asked, expected) in [(false, 0), (true, 1)] {
        let app = TestApp::with(|config| config.http.access_log = asked).await;
        app.get("/health").expect(200).await;
        let found = lines.with("answered");
        assert_eq!(found.len(), expected, "{found:?}");
    }
    let line = &lines.with("answered")[0];
    for part in ["http.status=200", "duration_ms="] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[tokio::test]
async fn a_limit_that_somebody_runs_into_is_one_line() {
    let (lines, _guard) = Lines::captured();
    let app = TestApp::with(|config| config.limits.address_requests = 2).await;
    for _ in 0..6 {
        let request = app.get("/api/v1/sessions").from("192.0.2.1");
        request.send().await;
    }
    let found = lines.with("an address is over its limit");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("192.0.2.1"), "{found:?}");

    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    let refused = loop {
        let answer = app.get("/api/v1/sessions").key(&key).send().await;
        if answer.status.as_u16() == 429 {
            break answer;
        }
    };
    refused.is("rate_limited");
    app.get("/api/v1/sessions").key(&key).expect(429).await;
    let found = lines.with("a tenant has used the requests of this hour");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(&login.tenant.to_string()), "{found:?}");
}

#[tokio::test]
async fn an_outage_is_one_line_a_second_and_every_failure_is_counted() {
    let (lines, _guard) = Lines::captured();
    let app = TestApp::start().await;
    app.store.set_available(false);
    for _ in 0..5 {
        app.get("/health/ready").expect(503).await;
    }
    let found = lines.with("a request failed");
    assert_eq!(found.len(), 1, "{found:?}");
    app.clock.advance(Duration::from_secs(1));
    app.get("/health/ready").expect(503).await;
    let found = lines.with("a request failed");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].contains("left_out=4"), "{found:?}");
    let metrics = app.get("/metrics").expect(200).await.text;
    let counted = "gateway_http_failures_total{type=\"connectivity_error\"} 6";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_proxy_whose_word_does_not_count_is_warned_of_once() {
    let (lines, _guard) = Lines::captured();
    let app = TestApp::start().await;
    for client in ["192.0.2.7", "192.0.2.8"] {
        let request = app.get("/health").header("x-forwarded-for", client);
        request.expect(200).await;
    }
    let found = lines.with("http.trusted_proxies");
    assert_eq!(found.len(), 1, "{found:?}");

    let proxies = vec!["10.0.0.0/24".parse().expect("a network")];
    let app = TestApp::with(|config| config.http.trusted_proxies = proxies).await;
    let request = app.get("/health").header("x-forwarded-for", "192.0.2.7");
    request.expect(200).await;
    assert_eq!(lines.with("http.trusted_proxies").len(), 1);
}
