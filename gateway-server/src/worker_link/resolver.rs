//! From the name of a worker's host to its addresses, but for those at which no worker should be.
//!
//! A registration is checked by the name in it, and whoever owns the name decides later where it leads. So what
//! it leads to is checked again, with every connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use gateway_core::worker::AllowedHost;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

/// The system's resolver, without the addresses that the operator does not permit.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    system: GaiResolver,
    allowed: Arc<[AllowedHost]>,
}

/// Why a name has no address for us.
#[derive(Debug, thiserror::Error)]
#[error("{name} leads to {address}, where no worker should be; see workers.allowed_endpoints")]
struct NoPlace {
    name: String,
    address: SocketAddr,
}

impl CheckedResolver {
    pub(super) fn new(allowed: &[AllowedHost]) -> Self {
        Self {
            system: GaiResolver::new(),
            allowed: allowed.into(),
        }
    }
}

type Resolving = Pin<Box<dyn Future<Output = io::Result<vec::IntoIter<SocketAddr>>> + Send>>;

impl Service<Name> for CheckedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Resolving;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.allowed);
        let text = name.as_str().to_owned();
        let found = self.system.call(name);
        Box::pin(async move { permitted(&allowed, text, found.await?) })
    }
}

fn permitted(
    allowed: &[AllowedHost],
    name: String,
    found: impl Iterator<Item = SocketAddr>,
) -> io::Result<vec::IntoIter<SocketAddr>> {
    let permits = |address: &SocketAddr| AllowedHost::permit_address(allowed, &name, address.ip());
    let (good, bad): (Vec<_>, Vec<_>) = found.partition(permits);
    let Some(address) = bad.first().copied().filter(|_| good.is_empty()) else {
        return Ok(good.into_iter());
    };
    let error = NoPlace { name, address };
    tracing::warn!(%error, "a worker cannot be reached");
    Err(io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &[&str], name: &str, addresses: &[&str]) -> Option<Vec<String>> {
        let allowed: Vec<AllowedHost> = list
            .iter()
            .map(|entry| entry.parse().expect("an entry"))
            .collect();
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"));
        let found = permitted(&allowed, name.to_owned(), addresses).ok()?;
        Some(found.map(|address| address.to_string()).collect())
    }

    #[test]
    fn a_name_that_leads_to_a_special_address_leads_nowhere() {
        let (metadata, worker) = ("169.254.169.254:80", "10.0.0.7:80");
        assert_eq!(found(&["*"], "evil.test", &[metadata]), None);
        assert_eq!(found(&["*.test"], "evil.test", &[metadata]), None);
        assert_eq!(
            found(&["*"], "evil.test", &["[::ffff:169.254.169.254]:80"]),
            None
        );
        assert_eq!(
            found(&["*"], "w.test", &[metadata, worker]),
            Some(vec![worker.to_owned()])
        );
        assert_eq!(found(&["*"], "w.test", &[]), Some(vec![]));
    }

    #[test]
    fn an_operator_may_name_the_address_or_the_host() {
        let address = "169.254.7.9:80";
        let expected = Some(vec![address.to_owned()]);
        assert_eq!(
            found(&["*", "169.254.7.0/24"], "w.test", &[address]),
            expected
        );
        assert_eq!(found(&["w.test"], "W.test", &[address]), expected);
    }
}
