//! What the kernel tells about processes.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Kernel ticks per second in `/proc/PID/stat`: fixed at 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of this process.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("less than a second"))
}

/// Seconds of user and system time of a process, in steps of 10 ms.
pub fn cpu_seconds(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name of the program, in brackets, may hold spaces; `utime` and `stime` are fields 14 and 15.
    let ticks = stat.rsplit_once(") ").and_then(|(_, fields)| {
        let mut fields = fields.split(' ').skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        Some(user + system)
    });
    ticks.map(|ticks| ticks / TICKS_PER_SECOND).ok_or_else(|| format!("{path} cannot be understood"))
}

/// Bytes of this process that are in memory.
pub fn resident() -> Result<f64, String> {
    field("/proc/self/status", "VmRSS:").map(|kilobytes| kilobytes * 1024.0)
}

/// Context switches of all threads of a process so far, of its own will and not.
pub fn context_switches(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
    let mut switches = 0.0;
    for thread in threads {
        let thread = thread.map_err(|error| format!("{path}: {error}"))?;
        let status = thread.path().join("status");
        let status = status.to_string_lossy();
        switches += field(&status, "voluntary_ctxt_switches:")?;
        switches += field(&status, "nonvoluntary_ctxt_switches:")?;
    }
    Ok(switches)
}

/// The first number of a line of a file in `/proc`.
fn field(path: &str, name: &str) -> Result<f64, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).ok_or_else(|| format!("{path} has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let own = std::process::id();
        assert!(resident().expect("there is a /proc") > 100e3);
        assert!(context_switches(own).expect("there is a /proc") >= 0.0);
        while own_cpu() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        assert!(cpu_seconds(own).expect("there is a /proc") >= 0.01);
    }

    #[test]
    fn a_process_that_is_gone_has_no_figures() {
        assert!(cpu_seconds(u32::MAX).is_err());
        assert!(context_switches(u32::MAX).is_err());
    }
}
