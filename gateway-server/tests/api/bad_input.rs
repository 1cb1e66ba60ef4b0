//! Whatever comes in: a 4xx that says what to do, never a 500.

use std::io::ErrorKind;

use axum::body::Body;
use gateway_server::http::door::Door;
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use crate::app::TestApp;

const REGISTER: &str = "/api/v1/auth/register";

#[tokio::test]
async fn broken_json_is_said_to_be_broken() {
    let app = TestApp::start().await;
    for body in [
        "",
        "{",
        "{\"email\":\"a@b.example\",\"password\":\"a long password\"}}",
        "{\"email\":}",
        "nope",
        "{\"email\":\"\u{1}\"}",
    ] {
        let sent = app.post(REGISTER).raw("application/json", body.to_owned());
        sent.expect(400).await.is("invalid_json");
    }
    let bytes = vec![b'{', b'"', 0xff, 0xfe, b'"', b'}'];
    app.post(REGISTER)
        .raw("application/json", bytes)
        .expect(400)
        .await;
    let deep = "[".repeat(200_000);
    app.post(REGISTER)
        .raw("application/json", deep)
        .expect(400)
        .await;
}

#[tokio::test]
async fn wrong_types_and_huge_numbers_name_the_field() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    for (body, field) in [
        (r#"{"email":[],"password":"x"}"#, "email"),
        (r#"{"email":{"a":1},"password":"x"}"#, "email"),
        (r#"{"email":null,"password":"x"}"#, "email"),
        (r#"{"email":true,"password":"x"}"#, "email"),
    ] {
        let sent = app.post(REGISTER).raw("application/json", body);
        assert_eq!(sent.expect(400).await.fields(), [field], "{body}");
    }
    for body in ["[]", "7", "\"text\"", "null"] {
        let sent = app.post(REGISTER).raw("application/json", body);
        sent.expect(400).await.is("validation_error");
    }
    let key = app.post("/api/v1/users/me/api-keys").bearer(&login.access);
    let key = key.json(&json!({"name": "x"})).expect(201).await;
    let path = format!(
        "/api/v1/users/me/api-keys/{}/rotate",
        crate::app::text(&key.data()["id"])
    );
    for number in ["1e999", "-1", "99999999999999999999999", "1.5", "\"60\""] {
        let body = format!("{{\"overlapSeconds\":{number}}}");
        let sent = app
            .post(&path)
            .bearer(&login.access)
            .raw("application/json", body);
        let answer = sent.expect(400).await;
        let named = answer.fields() == ["overlapSeconds"] || answer.kind() == "invalid_json";
        assert!(named, "{number}: {}", answer.text);
    }
}

#[tokio::test]
async fn an_array_of_its_fields_is_no_object() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let body = format!(r#" ["{}","{}"]"#, login.email, crate::app::PASSWORD);
    for path in ["/api/v1/auth/login", "/api/v1/sessions"] {
        let sent = app.post(path).bearer(&login.access);
        let answer = sent.raw("application/json", body.clone()).expect(400).await;
        assert_eq!(answer.fields(), ["body"], "{path}");
    }
}

#[tokio::test]
async fn an_answer_quotes_little_of_what_it_refuses() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let long = "x".repeat(100_000);
    let odd: Vec<&str> = (0..1_000).map(|_| "\u{1b}").collect();
    for body in [
        json!({"name": "a", "scopes": long}),
        json!({"name": "a", "scopes": [long]}),
        json!({"name": "a", "scopes": odd}),
        json!({"name": "a", long: "\u{1b}"}),
    ] {
        let sent = app.post("/api/v1/users/me/api-keys").bearer(&login.access);
        let answer = sent.json(&body).expect(400).await;
        assert!(answer.text.len() < 8_000, "{}", answer.text.len());
        assert!(!answer.fields().is_empty());
    }
}

#[tokio::test]
async fn control_characters_are_refused_everywhere() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    for escape in ["\\u0000", "\\u001b", "\\u007f", "\\b"] {
        let body = format!("{{\"name\":\"a{escape}\"}}");
        let sent = app.patch("/api/v1/users/me").bearer(&login.access);
        let answer = sent.raw("application/json", body).expect(400).await;
        assert_eq!(answer.fields(), ["name"], "{escape}");
    }
    let query = app
        .get("/api/v1/users/me/api-keys?cursor=%00")
        .bearer(&login.access);
    assert_eq!(query.expect(400).await.fields(), ["cursor"]);
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let app = TestApp::start().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "json",
        "*",
    ] {
        let sent = app.post(REGISTER).raw(kind, "{}");
        sent.expect(415).await.is("unsupported_media_type");
    }
    app.post(REGISTER).expect(415).await;
    for kind in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.api+json",
    ] {
        let sent = app.post(REGISTER).raw(kind, "{}");
        sent.expect(400).await.is("validation_error");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let app = TestApp::with(|config| config.http.body_limit = 1000).await;
    let body = json!({"email": "x".repeat(2000), "password": "x"});
    app.post(REGISTER)
        .json(&body)
        .expect(413)
        .await
        .is("payload_too_large");
}

#[tokio::test]
async fn unknown_routes_and_methods_have_the_envelope() {
    let app = TestApp::start().await;
    for path in [
        "/nowhere",
        "/api/v1/nowhere",
        "/api/v2/auth/me",
        "/api/v1/auth/login/x",
        "/api",
    ] {
        app.get(path).expect(404).await.is("unknown_route");
    }
    app.get("/api/v1/auth/login")
        .expect(405)
        .await
        .is("method_not_allowed");
    app.delete("/health")
        .expect(405)
        .await
        .is("method_not_allowed");
}

#[tokio::test]
async fn the_version_may_be_left_out() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    app.get("/api/auth/me")
        .bearer(&login.access)
        .expect(200)
        .await;
    app.get("/api/auth/me").expect(401).await;
}

#[tokio::test]
async fn bad_pages_and_ids_name_the_parameter() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let keys = "/api/v1/users/me/api-keys";
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("cursor=%25%25", "cursor"),
        ("cursor=bm9uc2Vuc2U", "cursor"),
    ] {
        let list = app.get(&format!("{keys}?{query}")).bearer(&login.access);
        assert_eq!(list.expect(400).await.fields(), [field], "{query}");
    }
    let twice = app
        .get(&format!("{keys}?limit=1&limit=2"))
        .bearer(&login.access);
    twice.expect(400).await.is("validation_error");
    for id in [
        "nonsense",
        "ses_01j0000000e008000000000001",
        "key_01",
        "%00",
        "%F0%9F%94%91",
    ] {
        let gone = app.delete(&format!("{keys}/{id}")).bearer(&login.access);
        gone.expect(400).await.is("validation_error");
    }
    let unknown = format!("{keys}/key_01j0000000e008000000000001");
    app.delete(&unknown)
        .bearer(&login.access)
        .expect(404)
        .await
        .is("not_found");
    app.delete(&format!("{keys}/%FF"))
        .bearer(&login.access)
        .expect(400)
        .await;
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503_with_a_time_to_come_back() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    app.store.set_available(false);
    let answer = app
        .get("/api/v1/auth/me")
        .bearer(&login.access)
        .expect(503)
        .await;
    assert!(
        !answer
            .is("connectivity_error")
            .header("retry-after")
            .is_empty()
    );
}

#[tokio::test]
async fn a_body_that_stops_or_does_not_arrive_is_said_to_be_so() {
    let app = TestApp::start().await;
    for (kind, status, problem) in [
        (ErrorKind::TimedOut, 408, "request_timeout"),
        (ErrorKind::UnexpectedEof, 400, "incomplete_body"),
    ] {
        let broken = futures_util::stream::iter([Ok("{"), Err(std::io::Error::from(kind))]);
        let sent = app
            .post(REGISTER)
            .raw("application/json", Body::from_stream(broken));
        sent.expect(status).await.is(problem);
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    let app = TestApp::start().await;
    async fn broken() {
        panic!("the password is hunter2");
    }
    let routes = axum::Router::new().route("/broken", axum::routing::get(broken));
    let door = Door::to(routes, &app.app);
    let request = hyper::Request::get("/broken").body(Body::empty());
    let response = door.oneshot(request.expect("a request")).await;
    let response = response.unwrap_or_else(|never| match never {});
    assert_eq!(response.status().as_u16(), 500);
    let id = response.headers()["x-request-id"].clone();
    let body = response.into_body().collect().await.expect("a body");
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    assert!(body.contains(id.to_str().expect("a text")), "{body}");
    assert!(
        body.contains("internal_error") && !body.contains("hunter2"),
        "{body}"
    );
}

#[tokio::test]
async fn a_body_is_read_as_windows_programs_write_it() {
    let app = TestApp::start().await;
    let body = json!({"email": "a@example.com", "password": "correct horse battery"});
    let marked = format!("\u{feff}{body}");
    app.post(REGISTER)
        .raw("application/json", marked)
        .expect(201)
        .await;
}

#[tokio::test]
async fn a_body_in_another_encoding_is_refused_for_that_reason() {
    let app = TestApp::start().await;
    let zipped = app.post(REGISTER).header("content-encoding", "gzip");
    let answer = zipped.raw("application/json", b"\x1f\x8b\x08".as_slice());
    let answer = answer.expect(415).await.is("unsupported_media_type");
    assert_eq!(answer.header("accept-encoding"), "identity");
    let plain = app.post(REGISTER).header("content-encoding", "identity");
    plain
        .json(&json!({}))
        .expect(400)
        .await
        .is("validation_error");
    let latin = b"{\"email\":\"m\xfcller@example.com\"}".as_slice();
    let answer = app.post(REGISTER).raw("application/json", latin);
    let answer = answer.expect(400).await.is("invalid_json");
    assert!(
        answer.text.contains("not valid UTF-8 from byte 12"),
        "{}",
        answer.text
    );
    let half = r#"{"email":"hi \ud83d"}"#;
    let answer = app.post(REGISTER).raw("application/json", half);
    let answer = answer.expect(400).await.is("validation_error");
    assert_eq!(answer.fields(), ["email"]);
    assert!(answer.text.contains("half a character"), "{}", answer.text);
}

#[tokio::test]
async fn slashes_too_many_lead_to_the_same_route() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    for path in ["/health/", "//health", "/health//live/"] {
        app.get(path).expect(200).await;
    }
    for path in [
        "//api/v1/sessions",
        "/api/v1/sessions/",
        "/api//v1/sessions/?limit=1",
    ] {
        app.get(path).bearer(&login.access).expect(200).await;
    }
}

#[tokio::test]
async fn a_proxys_own_credential_does_not_stand_in_the_way_of_a_key() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    let request = app.get("/api/v1/sessions").key(&key);
    let request = request.header("authorization", "Basic dXNlcjpwYXNz");
    request.expect(200).await;
    let alone = app.get("/api/v1/sessions");
    let alone = alone.header("authorization", "Basic dXNlcjpwYXNz");
    alone.expect(401).await.is("unauthorized");
}
