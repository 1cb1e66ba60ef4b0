//! Whose address counts when requests come over proxies.

use gateway_server::config::Config;
use serde_json::json;

use crate::app::{PASSWORD, TestApp, TestRequest};

const ROUTE: &str = "/api/v1/sessions";
const PROXY: &str = "10.0.0.1";

fn behind_a_proxy(config: &mut Config) {
    config.http.trusted_proxies = vec!["10.0.0.0/24".parse().expect("a network")];
    config.limits.address_requests = 3;
    config.auth.login_attempts = 3;
}

/// A request that a proxy passes on for a client, who may have written such a header itself.
fn over<'a>(request: TestRequest<'a>, proxy: &str, forwarded: &str) -> TestRequest<'a> {
    request.from(proxy).header("x-forwarded-for", forwarded)
}

#[tokio::test]
async fn strangers_behind_one_proxy_are_counted_each_for_itself() {
    let app = TestApp::with(behind_a_proxy).await;
    let stranger = |client: &str| over(app.get(ROUTE).key("gwk_nonsense"), PROXY, client);
    for made_up in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        // What the client wrote stands before what the proxy appended.
        stranger(&format!("{made_up}, 192.0.2.7")).expect(401).await;
    }
    stranger("192.0.2.7").expect(429).await;
    stranger("192.0.2.7, 10.0.0.2").expect(429).await;
    stranger("192.0.2.8").expect(401).await;
    let direct = app.get(ROUTE).key("gwk_nonsense").from("192.0.2.7");
    direct.expect(429).await;
}

#[tokio::test]
async fn whoever_guesses_passwords_behind_a_proxy_locks_out_nobody_else() {
    let app = TestApp::with(behind_a_proxy).await;
    app.register("acme").await;
    let login = |client: &str, name: &str, password: &str| {
        let body = json!({"email": format!("{name}@example.com"), "password": password});
        over(app.post("/api/v1/auth/login").json(&body), PROXY, client)
    };
    for name in ["one", "two", "three"] {
        let guess = login("192.0.2.7", name, "a wrong password");
        guess.expect(401).await.is("invalid_credentials");
    }
    login("192.0.2.7", "acme", PASSWORD).expect(429).await;
    login("192.0.2.8", "acme", PASSWORD).expect(200).await;
}

#[tokio::test]
async fn nobody_else_may_say_for_whom_it_asks() {
    let app = TestApp::with(behind_a_proxy).await;
    for made_up in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        let request = over(app.get(ROUTE), "192.0.2.7", made_up);
        request.expect(401).await;
    }
    let request = over(app.get(ROUTE), "192.0.2.7", "198.51.100.4");
    request.expect(429).await;
}

#[tokio::test]
async fn metrics_of_this_machine_are_not_for_those_behind_its_proxy() {
    let local = |config: &mut Config| {
        config.http.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    };
    for app in [TestApp::with(local).await, TestApp::start().await] {
        for forwarded in ["192.0.2.7", "unknown", "127.0.0.1"] {
            let request = over(app.get("/metrics"), "127.0.0.1", forwarded);
            request.expect(403).await;
        }
        for name in ["forwarded", "via", "x-real-ip"] {
            let request = app.get("/metrics").from("127.0.0.1");
            request.header(name, "192.0.2.7").expect(403).await;
        }
        app.get("/metrics").expect(200).await;
    }
}
