use serde_json::json;

use crate::app::TestApp;

const ME: &str = "/api/v1/users/me";

#[tokio::test]
async fn a_profile_changes_field_by_field() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let patch = |body| app.patch(ME).bearer(&login.access).json(&body).expect(200);
    let answer = patch(json!({"name": "Åsa"})).await;
    assert_eq!(answer.data()["name"], "Åsa");
    assert_eq!(answer.data()["email"], "acme@example.com");
    let answer = patch(json!({"email": "Other@example.com"})).await;
    assert_eq!(answer.data()["name"], "Åsa");
    assert_eq!(answer.data()["email"], "other@example.com");
    patch(json!({"name": null})).await;
    patch(json!({})).await;
    let answer = app.get(ME).bearer(&login.access).expect(200).await;
    assert_eq!(answer.data()["name"], json!(null));
}

#[tokio::test]
async fn bad_profiles_are_refused() {
    let app = TestApp::start().await;
    app.register("other").await;
    let login = app.register("acme").await;
    for (body, field) in [
        (json!({"email": "nobody"}), "email"),
        (json!({"email": 7}), "email"),
        (json!({"name": " "}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
    ] {
        let answer = app
            .patch(ME)
            .bearer(&login.access)
            .json(&body)
            .expect(400)
            .await;
        assert_eq!(answer.fields(), [field], "{body}");
    }
    let taken = json!({"email": "other@example.com"});
    let answer = app
        .patch(ME)
        .bearer(&login.access)
        .json(&taken)
        .expect(409)
        .await;
    assert_eq!(answer.is("duplicate").fields(), ["email"]);
}
