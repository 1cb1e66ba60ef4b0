//! Real processes of this program, killed when the test ends however it ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

/// A running gateway or simulated worker.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts the program in `folder` with these arguments and variables and nothing else of ours.
    pub(crate) fn start(
        folder: &Path,
        arguments: &[&str],
        variables: &BTreeMap<String, String>,
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gateway-server"))
            .args(arguments)
            .current_dir(folder)
            .env_remove("DATABASE_URL")
            .env_remove("REDIS_URL")
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let log = Arc::new(Mutex::new(String::new()));
        let errors = child.stderr.take().expect("piped");
        collect(errors, Arc::clone(&log));
        Self { child, log }
    }

    /// Reads standard output up to the line that contains `needle` and returns everything read.
    ///
    /// Panics with the log if the process ends first.
    pub(crate) fn read_until(&mut self, needle: &str) -> String {
        let output = self.child.stdout.take().expect("read once");
        let mut lines = BufReader::new(output);
        let mut text = String::new();
        while !text.lines().any(|line| line.contains(needle)) {
            let read = lines.read_line(&mut text).expect("text");
            assert!(read > 0, "ended before {needle:?}:\n{text}\n{}", self.log());
        }
        collect(lines, Arc::clone(&self.log));
        text
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("running");
        self.child.wait().expect("a child of ours");
    }

    /// SIGSTOP: its sockets stay open and nothing answers.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: the end of [`Process::freeze`].
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("running");
    }

    /// The memory it has in use, in MiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("running, on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: u64 = kilobytes.expect("a size").parse().expect("a number");
        kilobytes / 1024
    }

    /// Asks it to stop as a service manager does, and waits.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().expect("a child of ours")
    }

    /// Waits for its end and returns how it ended and what it said on standard error.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("a child of ours");
        // The reader ends with the pipe; its last lines may still be on their way.
        crate::eventually_now(|| !self.log().is_empty() || status.success());
        (status, self.log())
    }

    /// Waits for its own end and returns how it ended and what it said on standard error.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        self.ended()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut log = into.lock().expect("no panic");
            log.push_str(&line);
            log.push('\n');
        }
    });
}
