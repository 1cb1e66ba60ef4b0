//! What a process and its children have used, as the kernel counts it.
//!
//! `/proc/<pid>/stat` counts threads that have ended too, and of children that have ended after they
//! were waited for; servers that fork (PostgreSQL, nginx) are therefore counted as a whole tree.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

/// `USER_HZ`: the same on every Linux, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// One line of `/proc/<pid>/stat`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

/// CPU time, user and system, that `pid` and everything below it have used.
///
/// # Errors
/// There is no such process.
pub(crate) fn cpu(pid: u32) -> io::Result<Duration> {
    let all = all()?;
    let root = all.get(&pid).ok_or(io::ErrorKind::NotFound)?;
    let mut ticks = root.own + root.ended_children;
    let mut todo = vec![pid];
    while let Some(parent) = todo.pop() {
        for (child, stat) in all.iter().filter(|(_, stat)| stat.parent == parent) {
            ticks += stat.own + stat.ended_children;
            todo.push(*child);
        }
    }
    Ok(TICK * u32::try_from(ticks).unwrap_or(u32::MAX))
}

/// Returns what the children of this process that have ended have used.
pub(crate) fn ended_children() -> io::Result<Duration> {
    let line = fs::read_to_string("/proc/self/stat")?;
    let stat = parse(&line).ok_or(io::ErrorKind::InvalidData)?;
    Ok(TICK * u32::try_from(stat.ended_children).unwrap_or(u32::MAX))
}

/// Returns who started `pid`.
pub(crate) fn parent(pid: u32) -> io::Result<u32> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let stat = parse(&line).ok_or(io::ErrorKind::InvalidData)?;
    Ok(stat.parent)
}

/// Returns the memory that `pid` holds at the moment, in bytes.
pub(crate) fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status_line(&status, "VmRSS:").ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn status_line(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn all() -> io::Result<BTreeMap<u32, Stat>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end between the two looks.
        let Ok(line) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        found.extend(parse(&line).map(|stat| (pid, stat)));
    }
    Ok(found)
}

/// Parses a line. The name of the program stands in parentheses and may contain anything, so fields are
/// counted from its end.
fn parse(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line
        .get(line.rfind(')')? + 1..)?
        .split_whitespace()
        .collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: number(11)? + number(12)?,
        ended_children: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let line = "42 (a ) b) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 9 0 1 2 3";
        let stat = Stat {
            parent: 7,
            own: 30,
            ended_children: 70,
        };
        assert_eq!(parse(line), Some(stat));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let status = "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n";
        assert_eq!(status_line(status, "VmRSS:"), Some(1234 * 1024));
    }

    #[test]
    fn this_process_has_a_parent_and_memory() {
        let own = std::process::id();
        assert!(parent(own).is_ok());
        assert!(resident(own).is_ok_and(|bytes| bytes > 0));
        assert!(cpu(own).is_ok());
    }
}
