//! A process that outlives the test process and cleans up after it.
//!
//! Values in statics are never dropped and a killed process runs no destructor, so cleaning up is the
//! work of a shell that waits for the end of its input: that end comes when the test process closes
//! the pipe or is gone, however it went. It ignores the signals that a terminal sends to everyone.

use std::io;
use std::process::{Child, ChildStdin, Command, Stdio};

use std::os::unix::process::CommandExt;

const WAIT: &str = "trap '' INT TERM HUP; cat >/dev/null; ";

/// Runs a shell script when it is dropped or when this process ends, whichever comes first.
#[derive(Debug)]
pub(super) struct Janitor {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Janitor {
    /// Starts a janitor that will run `script`, which sees `arguments` as `$1`, `$2`, …
    pub(super) fn hire(script: &str, arguments: &[&str]) -> io::Result<Self> {
        let mut shell = Command::new("sh")
            .arg("-c")
            .arg(format!("{WAIT}{script}"))
            .arg("janitor")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let input = shell.stdin.take();
        Ok(Self { shell, input })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.input.take());
        // Nothing depends on how the cleaning went; waiting leaves no zombie and no race.
        let _ = self.shell.wait();
    }
}
