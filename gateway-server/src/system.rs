//! The machine's clocks, randomness and limits. Clocks and randomness are those of every worker, too.

pub use gateway_worker::system::{OsEntropy, SystemClock};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files and connections as far as this process may, and returns it. The usual
/// soft limit of 1,024 is for programs that still use `select`.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, most) {
        Ok(()) => most.current,
        Err(_) => limit.current,
    }
    .unwrap_or(u64::MAX)
}
