//! Server processes that die with the test process.
//!
//! The kernel is asked to signal them when their parent ends (`PR_SET_PDEATHSIG`), which holds also
//! when the parent is killed. That wish is tied to the *thread* that started them, and a test runs on
//! a thread that ends with it, so all of them are started by one thread that lives for ever.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LINES_KEPT: usize = 20;

/// The last lines that a server printed.
type Tail = Arc<Mutex<VecDeque<String>>>;

/// A running server process, which is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    output: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` and returns when it has printed `ready`. It gets `at_parents_death` when this
    /// process ends.
    pub(super) fn start(
        mut command: Command,
        ready: &'static str,
        at_parents_death: Signal,
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        die_with_parent(&mut command, at_parents_death);
        let child = start_on_the_lasting_thread(command)?;
        let (is_ready, readiness) = mpsc::channel();
        let tail = Tail::default();
        let kept = Arc::clone(&tail);
        let output = thread::spawn(move || read_output(reader, ready, is_ready, &kept));
        let mut process = Self {
            child,
            output: Some(output),
        };
        if readiness.recv_timeout(PATIENCE).is_err() {
            process.kill();
            let lines = Vec::from(tail.lock().unwrap_or_else(PoisonError::into_inner).clone());
            return Err(io::Error::other(lines.join("; ")));
        }
        Ok(process)
    }

    /// Kills the process with SIGKILL. Returns when it *and* its children are gone, which is when nobody
    /// holds its output any more.
    pub(super) fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Ends the process with `signal`, and waits like [`Process::kill`].
    pub(super) fn end(&mut self, signal: Signal) {
        // A process that has ended already is what is wanted; the wait below tells.
        let _ = self.signal(signal);
        let _ = self.child.wait();
        if let Some(output) = self.output.take() {
            let _ = output.join();
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("impossible process id"))?;
        Ok(kill_process(pid, signal)?)
    }
}

fn read_output(pipe: PipeReader, ready: &str, is_ready: Sender<()>, tail: &Tail) {
    let mut is_ready = Some(is_ready);
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if line.contains(ready)
            && let Some(is_ready) = is_ready.take()
        {
            // Nobody listens any more when the start took too long.
            let _ = is_ready.send(());
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_back(line);
        if tail.len() > LINES_KEPT {
            tail.pop_front();
        }
    }
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "no safe interface runs anything between fork and exec"
)]
fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent = rustix::process::getpid();
    let wish = move || {
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        // The parent may have ended before the wish was heard.
        match rustix::process::getppid() == Some(parent) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    };
    // SAFETY: the closure makes two system calls and touches no memory of the parent, no allocator
    // and no lock, so it may run between fork and exec.
    unsafe { command.pre_exec(wish) };
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command, _: Signal) {}

struct Order {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

fn start_on_the_lasting_thread(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (orders, taken) = mpsc::channel();
        thread::spawn(move || carry_out(&taken));
        orders
    });
    let (answer, answered) = mpsc::channel();
    let lost = |_| io::Error::other("the thread that starts servers is gone");
    orders
        .send(Order { command, answer })
        .map_err(|_| lost(mpsc::RecvError))?;
    answered.recv().map_err(lost)?
}

fn carry_out(orders: &Receiver<Order>) {
    while let Ok(Order {
        mut command,
        answer,
    }) = orders.recv()
    {
        let started = command.spawn();
        // The command holds our copies of the output pipe.
        drop(command);
        let _ = answer.send(started);
    }
}

/// Returns a port of the loopback address that is free now. Somebody else may take it first; try again
/// then.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Finds a program on the search path or in one of `folders`.
pub(super) fn find_program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = super::variable("PATH").unwrap_or_default();
    let searched = std::env::split_paths(&path).chain(folders.iter().cloned());
    searched
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Returns the sub-folders of `folder`, with `tail` added to each, the last one first.
pub(super) fn versions(folder: &str, tail: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(folder))
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path().join(tail)).collect();
    found.sort();
    found.reverse();
    found
}
