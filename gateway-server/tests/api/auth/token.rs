//! Credentials that are not what they seem.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use crate::app::{BOOTSTRAP, JWT_SECRETS, TestApp};

const ME: &str = "/api/v1/auth/me";

#[tokio::test]
async fn an_access_token_expires() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    app.advance(900);
    app.get(ME).bearer(&login.access).expect(200).await;
    app.advance(6);
    let answer = app.get(ME).bearer(&login.access).expect(401).await;
    assert!(answer.text.contains("expired"), "{}", answer.text);
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let header = jsonwebtoken::decode_header(&login.access).expect("a header");
    let mut rules = Validation::new(Algorithm::HS256);
    rules.validate_exp = false;
    let key = DecodingKey::from_secret(JWT_SECRETS[0].as_bytes());
    let claims: Value = jsonwebtoken::decode(&login.access, &key, &rules)
        .expect("claims")
        .claims;
    let sign = |header: &Header, claims: &Value, secret: &str| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(header, claims, &key).expect("a token")
    };
    let signed = |change: &dyn Fn(&mut Header, &mut Value)| {
        let (mut header, mut claims) = (header.clone(), claims.clone());
        change(&mut header, &mut claims);
        sign(&header, &claims, JWT_SECRETS[0])
    };
    app.get(ME).bearer(&signed(&|_, _| ())).expect(200).await;

    let body = login.access.split('.').nth(1).expect("claims");
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let wrong_secret = sign(&header, &claims, "another secret");
    let foreign_kid = signed(&|header, _| header.kid = Some("000000000000".to_owned()));
    let second_secret = sign(&header, &claims, JWT_SECRETS[1]);
    let other_typ = signed(&|_, claims| claims["typ"] = json!("refresh"));
    let other_header_typ = signed(&|header, _| header.typ = Some("at+jwt".to_owned()));
    let other_user = signed(&|_, claims| claims["sub"] = json!("usr_00000000000000000000000001"));
    let other_tenant =
        signed(&|_, claims| claims["tenant"] = json!("ten_00000000000000000000000001"));
    let other_login = signed(&|_, claims| claims["fam"] = json!("fam_00000000000000000000000001"));
    let older = signed(&|_, claims| claims["gen"] = json!(99));
    let no_claims = signed(&|_, claims| *claims = json!({"exp": 9_999_999_999_u64}));
    for (what, token) in [
        ("alg none", format!("{none}.{body}.")),
        (
            "a cut token",
            login.access[..login.access.len() - 2].to_owned(),
        ),
        ("another secret", wrong_secret),
        ("a foreign kid", foreign_kid),
        ("the kid of another secret", second_secret),
        ("another typ", other_typ),
        ("another typ in the header", other_header_typ),
        ("another user", other_user),
        ("another tenant", other_tenant),
        ("another login", other_login),
        ("another generation", older),
        ("no claims", no_claims),
        ("no token", "nonsense".to_owned()),
    ] {
        let answer = app.get(ME).bearer(&token).send().await;
        assert_eq!(answer.status.as_u16(), 401, "{what}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_role_in_the_token_does_not_count() {
    let app = TestApp::start().await;
    let login = app.register_admin("acme").await;
    let answer = app.get(ME).bearer(&login.access).expect(200).await;
    assert_eq!(answer.data()["role"], "ADMIN", "it is read from the store");
}

#[tokio::test]
async fn keys_and_fleet_tokens_are_no_logins() {
    let app = TestApp::start().await;
    let login = app.register("acme").await;
    let key = app.key(&login, &[]).await;
    app.get(ME).bearer(&key).expect(403).await.is("forbidden");
    app.get(ME)
        .bearer(BOOTSTRAP)
        .expect(403)
        .await
        .is("forbidden");
    app.get(ME)
        .bearer("gwj_invented")
        .expect(403)
        .await
        .is("forbidden");
    let mut typo = key.clone().into_bytes();
    typo[8] = if typo[8] == b'x' { b'y' } else { b'x' };
    let typo = String::from_utf8(typo).expect("ascii");
    app.get(ME).bearer(&typo).expect(401).await;
    app.get(&format!("{ME}?apikey={key}&token={}", login.access))
        .expect(401)
        .await;
    let two = app.get(ME).bearer(&login.access).key(&key);
    two.expect(401).await;
}
