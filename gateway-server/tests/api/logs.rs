//! What operators read in the log.

use std::io;
use std::sync::{Arc, Mutex};

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
