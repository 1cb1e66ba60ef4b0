//! `gateway-server health`.
//!
//! Container images without a shell have no `curl`, so the program asks itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::{CommandFailure, Context, runtime};
use crate::config::Http;

/// The time limit of the check, shorter than those that container tools set by default.
const LIMIT: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub(super) struct HealthCommand {}

impl HealthCommand {
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        let url = format!(
            "http://{}/health/live",
            reachable(&context.load()?.config.http)
        );
        let asked = runtime()?.block_on(ask(&url));
        let status = asked.map_err(|source| Unreachable {
            url: url.clone(),
            source,
        })?;
        if !status.is_success() {
            return Err(format!("{url} answered {status}").into());
        }
        Ok(writeln!(context.output, "alive")?)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{url} does not answer")]
struct Unreachable {
    url: String,
    source: reqwest::Error,
}

async fn ask(url: &str) -> Result<reqwest::StatusCode, reqwest::Error> {
    // The server is on this machine, whatever proxy the environment names.
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT);
    Ok(client.build()?.get(url).send().await?.status())
}

/// Returns the address under which this machine reaches the server, also if it listens on all addresses.
fn reachable(http: &Http) -> SocketAddr {
    let mut address = http.address();
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::super::tests::run;

    /// Runs the command against a server that gives one fixed answer.
    fn health(answer: &'static str) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener
            .local_addr()
            .expect("an address")
            .port()
            .to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let read = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("sent");
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let outcome = run(&["health"], &[("PORT", &port)]);
        let request = server.join().expect("no panic");
        assert!(request.starts_with("GET /health/live "), "{request}");
        outcome
    }

    #[test]
    fn a_living_server_is_alive() {
        assert_eq!(
            health("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").as_deref(),
            Ok("alive\n")
        );
    }

    #[test]
    fn another_answer_is_a_failure() {
        let sentence = health("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
        assert!(sentence.is_err_and(|text| text.contains("503")));
    }

    #[test]
    fn nobody_there_is_a_failure() {
        // Port 1 needs special rights, so nobody listens there by accident.
        let sentence = run(&["health"], &[("PORT", "1")]);
        assert!(sentence.is_err());
    }
}
