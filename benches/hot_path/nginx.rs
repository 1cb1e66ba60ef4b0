//! nginx as a plain keep-alive proxy: what any gateway is measured against.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::process::{Process, free_port};

/// The places where distributions put nginx.
const PROGRAMS: [&str; 3] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];

/// Starts a proxy in front of `upstream`. Returns `None` where nginx is not installed.
pub(crate) async fn start(
    folder: &Path,
    upstream: SocketAddr,
) -> Result<Option<(Process, SocketAddr)>, Failure> {
    let found = PROGRAMS
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    let Some(program) = found else {
        return Ok(None);
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration(folder, address, upstream))?;
    let arguments = ["-c".to_owned(), file.to_string_lossy().into_owned()];
    let log = folder.join("nginx.log");
    let mut process = Process::start(&program, &arguments, &[], log)?;
    process.answers(address, "/health").await?;
    Ok(Some((process, address)))
}

fn configuration(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_timeout 120s;
    keepalive_requests 1000000000;
    upstream worker {{
        server {upstream};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address} reuseport;
        location / {{
            proxy_pass http://worker;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
"
    )
}
