//! Processes of a run: started, waited for, and gone with the value.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::Failure;
use crate::clock::{now, pause};

const PATIENCE: Duration = Duration::from_secs(120);

/// A process that is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; what it prints goes to `log`. Where the kernel can be asked through `setpriv`,
    /// it dies with this process however that ends.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        variables: &[(String, String)],
        log: PathBuf,
    ) -> Result<Self, Failure> {
        let mut command = match Path::new("/usr/bin/setpriv").exists() {
            true => {
                let mut command = Command::new("/usr/bin/setpriv");
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        let output = File::create(&log)?;
        command
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { child, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has printed `line`.
    pub(crate) async fn says(&mut self, line: &str) -> Result<(), Failure> {
        let asked = now();
        loop {
            let text = std::fs::read_to_string(&self.log)?;
            if text.contains(line) {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || asked.elapsed() > PATIENCE {
                return Err(format!("{} did not say {line:?}: {text}", self.log.display()).into());
            }
            pause(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `GET path` at `address` is answered 200, looking every millisecond.
    pub(crate) async fn answers(&mut self, address: SocketAddr, path: &str) -> Result<(), Failure> {
        let asked = now();
        while !answers(address, path).unwrap_or(false) {
            if self.child.try_wait()?.is_some() || asked.elapsed() > PATIENCE {
                let text = std::fs::read_to_string(&self.log)?;
                return Err(format!("nothing answers at {address}: {text}").into());
            }
            pause(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already. Its children (nginx's, say) are in its group.
        if let Some(group) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn answers(address: SocketAddr, path: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer.ends_with(b"200"))
}

/// Returns a port that is free at the moment.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
