//! The program: an allocator, a TLS provider, and the command line.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Refused only when there is one already, and nothing ran before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    gateway_server::cli::run()
}
