//! The ready-to-paste lines that `dev` prints. A test runs them as they are printed.

use super::credentials::DemoCredentials;

/// Returns the text that `dev` prints at the start.
pub(super) fn welcome(url: &str, credentials: &DemoCredentials, kept_in: &str) -> String {
    let DemoCredentials {
        admin_email,
        admin_password,
        email,
        password,
        api_key,
    } = credentials;
    format!(
        "\
The gateway runs with two simulated workers. Credentials (kept in {kept_in}):
  demo   {email}  {password}
  admin  {admin_email}  {admin_password}
  API key of the demo tenant: {api_key}
API: {url}/docs

Paste these lines, one after the other:

{lines}
",
        lines = lines(url, api_key).join("\n")
    )
}

/// Returns the commands that lead from nothing to a delivered message.
fn lines(url: &str, key: &str) -> Vec<String> {
    let api = format!("{url}/api/v1");
    let auth = format!("-H 'X-Api-Key: {key}'");
    let json = "-H 'Content-Type: application/json'";
    let again = "--fail --retry 30 --retry-delay 1 --retry-all-errors";
    vec![
        "# a session, its QR code as soon as it is there, and the code as text".to_owned(),
        format!("curl -s -X POST {api}/sessions {auth} {json} -d '{{\"name\":\"demo\"}}'; echo"),
        format!("curl -s -X POST '{api}/sessions/demo/connect?wait=20' {auth}; echo"),
        format!("curl -s {api}/sessions/demo/qr {auth} -H 'Accept: text/plain'; echo"),
        "# the simulated phone scans by itself after a few seconds; then a message goes out"
            .to_owned(),
        format!(
            "curl -s {again} -X POST {api}/sessions/demo/messages {auth} {json} \
             -d '{{\"to\":\"+491701234567\",\"type\":\"text\",\"text\":\"Hello\"}}'; echo"
        ),
        "# and is delivered a moment later".to_owned(),
        "sleep 1".to_owned(),
        format!(
            "curl -s '{api}/sessions/demo/messages?direction=outbound&status=delivered' {auth}; echo"
        ),
    ]
}
