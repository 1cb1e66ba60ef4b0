use gateway_core::identity::{ApiKeySecret, Scope};
use gateway_core::store::Store;
use gateway_testkit::fixture::a_session;
use serde_json::{Value, json};

use crate::app::{Login, TestAnswer, TestApp, text};

const PATH: &str = "/api/v1/users/me/api-keys";

async fn make(app: &TestApp, login: &Login, body: Value) -> TestAnswer {
    app.post(PATH)
        .bearer(&login.access)
        .json(&body)
        .expect(201)
        .await
}

async fn list(app: &TestApp, login: &Login) -> Vec<Value> {
    let answer = app.get(PATH).bearer(&login.access).expect(200).await;
    answer.data().as_array().expect("a list").clone()
}

/// Whether the key is let in anywhere.
async fn works(app: &TestApp, key: &str) -> bool {
    let answer = app.get("/api/v1/auth/me").key(key).send().await;
    match answer.status.as_u16() {
        403 => true,
        401 => false,
        other => panic!("{other}: {}", answer.text),
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_has_every_scope_unless_said_otherwise() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let made = make(&app, &login, json!({"name": "shop"})).await;
    let key = text(&made.data()["key"]);
    assert!(ApiKeySecret::parse(&key).is_ok());
    assert!(key.starts_with(&text(&made.data()["prefix"])));
    assert_eq!(made.data()["scopes"], json!(Scope::ALL));
    assert!(works(&app, &key).await);

    let answer = app.get(PATH).bearer(&login.access).expect(200).await;
    assert!(!answer.text.contains(&key), "{}", answer.text);
    assert_eq!(answer.data()[0]["id"], made.data()["id"]);
    assert_eq!(
        answer.body["pagination"],
        json!({"nextCursor": null, "limit": 50})
    );
}

#[tokio::test]
async fn keys_are_listed_in_pages() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    for name in ["one", "two", "three"] {
        make(&app, &login, json!({"name": name})).await;
        app.advance(1);
    }
    let page = |query: String| {
        app.get(&format!("{PATH}{query}"))
            .bearer(&login.access)
            .expect(200)
    };
    let first = page("?limit=2".to_owned()).await;
    assert_eq!(first.data().as_array().map(Vec::len), Some(2));
    let cursor = text(&first.body["pagination"]["nextCursor"]);
    let second = page(format!("?limit=2&cursor={cursor}")).await;
    assert_eq!(second.data()[0]["name"], "three");
    assert_eq!(second.body["pagination"]["nextCursor"], json!(null));
}

#[tokio::test]
async fn bad_keys_are_refused_with_the_field() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let theirs = app.register("other").await;
    let session = a_session().of(theirs.tenant).build();
    let mut tx = app.store.begin().await.expect("a transaction");
    tx.insert_session(&session, None).await.expect("inserted");
    tx.commit().await.expect("a commit");
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
        (json!({"name": "x", "scopes": []}), "scopes"),
        (
            json!({"name": "x", "scopes": ["sessions:everything"]}),
            "scopes[0]",
        ),
        (json!({"name": "x", "scopes": "sessions:read"}), "scopes"),
        (json!({"name": "x", "expiresAt": "yesterday"}), "expiresAt"),
        (
            json!({"name": "x", "expiresAt": "2001-01-01T00:00:00Z"}),
            "expiresAt",
        ),
        (
            json!({"name": "x", "sessionId": "ses_nonsense"}),
            "sessionId",
        ),
        (json!({"name": "x", "sessionId": session.id}), "sessionId"),
    ] {
        let answer = app
            .post(PATH)
            .bearer(&login.access)
            .json(&body)
            .expect(400)
            .await;
        assert_eq!(answer.is("validation_error").fields(), [field], "{body}");
    }
}

#[tokio::test]
async fn a_key_expires() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let made = make(
        &app,
        &login,
        json!({"name": "x", "expiresAt": "2023-11-14T23:00:00Z"}),
    )
    .await;
    let key = text(&made.data()["key"]);
    assert!(works(&app, &key).await);
    app.advance(3600);
    assert!(!works(&app, &key).await);
}

#[tokio::test]
async fn a_key_changes_field_by_field_and_keeps_its_secret() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let made = make(
        &app,
        &login,
        json!({"name": "x", "expiresAt": "2023-11-14T23:00:00Z"}),
    )
    .await;
    let path = format!("{PATH}/{}", text(&made.data()["id"]));
    let patch = |body| {
        app.patch(&path)
            .bearer(&login.access)
            .json(&body)
            .expect(200)
    };
    let answer = patch(json!({"scopes": ["messages:send", "messages:send"]})).await;
    assert_eq!(answer.data()["scopes"], json!(["messages:send"]));
    assert_eq!(answer.data()["name"], "x");
    let answer = patch(json!({"expiresAt": null, "name": "y"})).await;
    assert_eq!(answer.data()["expiresAt"], json!(null));
    app.advance(3600);
    assert!(works(&app, &text(&made.data()["key"])).await);
}

#[tokio::test]
async fn rotating_gives_a_new_secret_and_both_are_good_for_the_overlap() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let scopes = json!(["messages:send"]);
    let made = make(&app, &login, json!({"name": "x", "scopes": scopes})).await;
    let old = text(&made.data()["key"]);
    let path = format!("{PATH}/{}/rotate", text(&made.data()["id"]));
    let rotate = app
        .post(&path)
        .bearer(&login.access)
        .json(&json!({"overlapSeconds": 60}));
    let rotated = rotate.expect(201).await;
    let new = text(&rotated.data()["key"]);
    assert_eq!(rotated.data()["scopes"], scopes);
    assert!(works(&app, &old).await && works(&app, &new).await);
    app.advance(60);
    assert!(!works(&app, &old).await && works(&app, &new).await);
    let again = app.post(&path).bearer(&login.access).json(&json!({}));
    again.expect(409).await;
}

#[tokio::test]
async fn rotating_without_an_overlap_ends_the_old_secret_at_once() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let made = make(&app, &login, json!({"name": "x"})).await;
    let path = format!("{PATH}/{}/rotate", text(&made.data()["id"]));
    let refused = app
        .post(&path)
        .bearer(&login.access)
        .json(&json!({"overlapSeconds": 604_801}));
    assert_eq!(refused.expect(400).await.fields(), ["overlapSeconds"]);
    app.post(&path)
        .bearer(&login.access)
        .json(&json!({}))
        .expect(201)
        .await;
    assert!(!works(&app, &text(&made.data()["key"])).await);
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_stays_in_the_list() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let made = make(&app, &login, json!({"name": "x"})).await;
    let path = format!("{PATH}/{}", text(&made.data()["id"]));
    let first = app.delete(&path).bearer(&login.access).expect(200).await;
    app.advance(5);
    let second = app.delete(&path).bearer(&login.access).expect(200).await;
    assert_eq!(first.data()["revokedAt"], second.data()["revokedAt"]);
    assert!(!works(&app, &text(&made.data()["key"])).await);
    assert_eq!(
        list(&app, &login).await[0]["revokedAt"],
        first.data()["revokedAt"]
    );
}

#[tokio::test]
async fn the_last_use_is_noted_to_the_minute() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    assert_eq!(list(&app, &login).await[0]["lastUsedAt"], json!(null));
    app.advance(90);
    works(&app, &key).await;
    assert_eq!(
        list(&app, &login).await[0]["lastUsedAt"],
        "2023-11-14T22:14:00.000Z"
    );
    app.advance(60);
    works(&app, &key).await;
    assert_eq!(
        list(&app, &login).await[0]["lastUsedAt"],
        "2023-11-14T22:15:00.000Z"
    );
}

#[tokio::test]
async fn somebody_elses_key_is_not_there() {
    let app = TestApp::start().await;
    let (mine, theirs) = (app.register("acme").await, app.register("other").await);
    let made = make(&app, &theirs, json!({"name": "x"})).await;
    let path = format!("{PATH}/{}", text(&made.data()["id"]));
    app.delete(&path)
        .bearer(&mine.access)
        .expect(404)
        .await
        .is("not_found");
    let patch = app
        .patch(&path)
        .bearer(&mine.access)
        .json(&json!({"name": "y"}));
    patch.expect(404).await;
    let rotate = app
        .post(&format!("{path}/rotate"))
        .bearer(&mine.access)
        .json(&json!({}));
    rotate.expect(404).await;
    assert!(works(&app, &text(&made.data()["key"])).await);
    assert!(list(&app, &mine).await.is_empty());
}
