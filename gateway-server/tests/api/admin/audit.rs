//! `/admin/audit`

use serde_json::{Value, json};

use crate::app::{Login, TestApp, TestRequest, text};
use crate::scene::{Scene, WORKER};

const PATH: &str = "/api/v1/admin/audit";

fn audit<'a>(app: &'a TestApp, admin: &Login, query: &str) -> TestRequest<'a> {
    app.get(&format!("{PATH}{query}")).bearer(&admin.access)
}

fn actions(data: &Value) -> Vec<String> {
    let entries = data.as_array().expect("a list").iter();
    entries.map(|entry| text(&entry["action"])).collect()
}

#[tokio::test]
async fn an_operator_sees_who_did_what_and_no_secret() {
    let app = TestApp::start().await;
    let admin = app.register_admin("boss").await;
    let login = app.register("acme").await;
    let secret = app.key(&login, &["messages:send"]).await;
    let answer = audit(&app, &admin, "").expect(200).await;
    assert!(!answer.text.contains(&secret), "{}", answer.text);
    let mut seen = actions(answer.data());
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "api_key.created",
            "login.opened",
            "login.opened",
            "user.registered",
            "user.registered"
        ]
    );
    let entries = answer.data().as_array().expect("a list");
    let made = entries
        .iter()
        .find(|entry| entry["action"] == "api_key.created");
    let made = made.expect("seen");
    assert!(text(&made["id"]).starts_with("aud_"));
    assert_eq!(made["tenantId"], json!(login.tenant.to_string()));
    assert_eq!(made["actor"]["type"], "user");
    assert!(text(&made["actor"]["id"]).starts_with("usr_"));
    assert_eq!(made["object"]["type"], "api_key");
    assert!(text(&made["object"]["id"]).starts_with("key_"));
    assert_eq!(made["changes"]["name"], json!({"after": "test"}));
    assert!(!text(&made["requestId"]).is_empty());
    assert!(text(&made["createdAt"]).ends_with('Z'));
}

#[tokio::test]
async fn pages_follow_each_other_from_the_newest_on() {
    let app = TestApp::start().await;
    let admin = app.register_admin("boss").await;
    for name in ["one", "two"] {
        app.register(name).await;
    }
    let whole = audit(&app, &admin, "").expect(200).await;
    let mut seen = Vec::new();
    let mut query = "?limit=4".to_owned();
    loop {
        let page = audit(&app, &admin, &query).expect(200).await;
        seen.extend(page.data().as_array().expect("a list").clone());
        let Some(next) = page.body["pagination"]["nextCursor"].as_str() else {
            break;
        };
        query = format!("?limit=4&cursor={next}");
    }
    assert_eq!(&json!(seen), whole.data());
    assert_eq!(seen.len(), 6);
}

#[tokio::test]
async fn filters_narrow_the_log() {
    let scene = Scene::set().await;
    let (app, admin) = (&scene.app, scene.app.register_admin("boss").await);
    let whole = audit(app, &admin, "").expect(200).await;
    let of_worker = audit(app, &admin, "?action=worker.registered")
        .expect(200)
        .await;
    let [joined] = of_worker.data().as_array().expect("a list").as_slice() else {
        panic!("{}", of_worker.text)
    };
    assert_eq!(joined["object"], json!({"type": "worker", "id": WORKER}));
    assert_eq!(joined["actor"]["type"], "worker");
    assert_eq!(joined["tenantId"], Value::Null);

    let tenant = scene.login.tenant;
    let theirs = audit(app, &admin, &format!("?tenantId={tenant}"))
        .expect(200)
        .await;
    let tenants = theirs.data().as_array().expect("a list").iter();
    let mut tenants = tenants.map(|entry| text(&entry["tenantId"]));
    assert!(tenants.len() > 0 && tenants.all(|id| id == tenant.to_string()));

    let newest = text(&whole.data()[0]["createdAt"]);
    let since = audit(app, &admin, &format!("?since={newest}"))
        .expect(200)
        .await;
    let until = audit(app, &admin, &format!("?until={newest}"))
        .expect(200)
        .await;
    let count = |answer: &crate::app::TestAnswer| answer.data().as_array().map_or(0, Vec::len);
    assert!(count(&since) > 0);
    assert_eq!(count(&since) + count(&until), count(&whole));
    let none = audit(app, &admin, "?action=nothing.done").expect(200).await;
    assert_eq!(none.data(), &json!([]));
}

#[tokio::test]
async fn only_operators_read_it_and_wrong_filters_are_named() {
    let app = TestApp::start().await;
    let (admin, login) = (app.register_admin("boss").await, app.register("acme").await);
    audit(&app, &login, "").expect(403).await.is("forbidden");
    app.get(PATH).expect(401).await;
    for query in [
        "tenantId=acme",
        "since=yesterday",
        "until=1",
        "limit=0",
        "cursor=x",
    ] {
        let answer = audit(&app, &admin, &format!("?{query}")).expect(400).await;
        let answer = answer.is("validation_error");
        let field = query.split_once('=').expect("a pair").0;
        assert_eq!(answer.fields(), [field], "{query}: {}", answer.text);
    }
}
