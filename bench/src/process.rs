//! Running a program and knowing what it used.

use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::resource::{UsageWho, getrusage};

/// What a program did and used.
pub(crate) struct Used {
    /// Its standard output.
    pub(crate) stdout: String,
    /// User and system time, seconds.
    pub(crate) cpu_s: f64,
    /// The most memory it held, bytes: looked at every 20 ms, so a short peak at the very end can be missed.
    pub(crate) memory_max: u64,
}

/// Runs a program to its end. Only one at a time: what it used is the difference of what all children used.
///
/// # Errors
/// When it cannot be started, takes longer than `limit` (it is killed then), or ends with none of the `good` exit codes; with
/// the end of what it said.
pub(crate) fn run(command: &mut Command, good: &[i32], limit: Duration) -> anyhow::Result<Used> {
    let shown = format!("{command:?}");
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let before = children_cpu_s()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .spawn()
        .with_context(|| format!("starting {shown}"))?;
    let began = Instant::now();
    let mut memory_max = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        memory_max = memory_max.max(peak_memory(child.id()));
        if began.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("{shown} did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let cpu_s = children_cpu_s()? - before;
    let text = |file: &mut std::fs::File| -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (stdout, stderr) = (text(&mut out)?, text(&mut err)?);
    if !status.code().is_some_and(|code| good.contains(&code)) {
        let tail = |text: &str| text.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n  | ");
        bail!("{shown} ended with {status}\n  | {}\n  | {}", tail(&stdout), tail(&stderr));
    }
    Ok(Used { stdout, cpu_s, memory_max })
}

/// User and system time of all children that have ended, seconds.
///
/// # Errors
/// The system's.
pub(crate) fn children_cpu_s() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    peak.unwrap_or(0) * 1024
}
