use gateway_server::config::Registration;
use serde_json::json;

use crate::app::{PASSWORD, TestApp};

const PATH: &str = "/api/v1/auth/register";

#[tokio::test]
async fn registering_makes_a_tenant_on_the_smallest_plan_and_logs_in() {
    let app = TestApp::start().await;
    let body = json!({"email": " New@Example.COM ", "password": PASSWORD, "name": "Nova"});
    let answer = app.post(PATH).json(&body).expect(201).await;
    let user = &answer.data()["user"];
    assert_eq!(user["email"], "new@example.com");
    assert_eq!(user["role"], "USER");
    assert_eq!(user["tenant"]["tier"], "BASIC");
    assert_eq!(user["tenant"]["name"], "new@example.com");
    assert_eq!(answer.data()["expiresIn"], 900);
    let access = answer.data()["accessToken"].as_str().expect("a token");
    app.get("/api/v1/auth/me").bearer(access).expect(200).await;
}

#[tokio::test]
async fn nobody_registers_where_registration_is_closed() {
    let app = TestApp::with(|config| config.auth.registration = Registration::Closed).await;
    let body = json!({"email": "new@example.com", "password": PASSWORD});
    let refused = app.post(PATH).json(&body).expect(403).await;
    refused.is("registration_closed");
    let login = "/api/v1/auth/login";
    app.post(login).json(&body).expect(401).await;
}

#[tokio::test]
async fn an_address_is_registered_once_whatever_its_case() {
    let app = TestApp::start().await;
    app.register("acme").await;
    let body = json!({"email": "ACME@example.com", "password": PASSWORD});
    let answer = app.post(PATH).json(&body).expect(409).await.is("duplicate");
    assert_eq!(answer.fields(), ["email"]);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let app = TestApp::start().await;
    for (body, fields) in [
        (json!({}), vec!["email"]),
        (json!({"email": "a@b.example"}), vec!["password"]),
        (
            json!({"email": "nobody", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": "a@b.example", "password": "short"}),
            vec!["password"],
        ),
        (
            json!({"email": "a@b.example", "password": "x".repeat(129), "name": ""}),
            vec!["name", "password"],
        ),
        (
            json!({"email": "a@b.example", "password": PASSWORD, "tenantName": "x".repeat(101)}),
            vec!["tenantName"],
        ),
        (
            json!({"email": "a@b.example", "password": PASSWORD, "name": "two\nlines"}),
            vec!["name"],
        ),
    ] {
        let answer = app.post(PATH).json(&body).expect(400).await;
        let mut named = answer.is("validation_error").fields();
        named.sort();
        assert_eq!(named, fields, "{body}");
    }
}
