//! What /proc says of processes: CPU, memory, threads, open files.
//!
//! Processes of one name are added up, children that fork off among them. CPU is the time used since the look before over the
//! time that passed, in cores: of a process that is seen for the first time it is not known yet.

use std::collections::HashMap;

use procfs::process::{Process, all_processes};
use procfs::{ProcError, WithCurrentSystemInfo as _};

use super::Reading;

/// Which processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// One, by its number.
    Pid(i32),
    /// All of this name: that of the program file, or the one that the kernel shows.
    Name(String),
}

/// Processes that are looked at again and again.
#[derive(Debug)]
pub struct Processes {
    which: Which,
    /// CPU ticks at the last look, by number and start time: numbers are used again.
    ticks: HashMap<(i32, u64), u64>,
    looked_ns: Option<u64>,
}

/// What one look saw, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    processes: u64,
    rss_bytes: u64,
    threads: u64,
    /// `None`: not permitted.
    fds: Option<u64>,
}

impl Processes {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(which: Which) -> Self {
        Self { which, ticks: HashMap::new(), looked_ns: None }
    }

    /// Looks, at `now_ns` on any steady clock.
    ///
    /// # Errors
    /// Why there is nothing, in words: no such process.
    pub fn read(&mut self, now_ns: u64) -> Result<Vec<Reading>, String> {
        let found = self.find()?;
        let mut seen = Seen { fds: Some(0), ..Seen::default() };
        let mut ticks = HashMap::new();
        let (mut used, mut known) = (0, false);
        for process in found {
            // It may end between one question and the next.
            let Ok(stat) = process.stat() else { continue };
            seen.processes += 1;
            seen.rss_bytes += stat.rss_bytes().get();
            seen.threads += u64::try_from(stat.num_threads).unwrap_or(0);
            seen.fds = seen.fds.zip(process.fd_count().ok()).map(|(sum, fds)| sum + fds as u64);
            let (who, now) = ((process.pid, stat.starttime), stat.utime + stat.stime);
            if let Some(before) = self.ticks.get(&who) {
                used += now.saturating_sub(*before);
                known = true;
            }
            ticks.insert(who, now);
        }
        if seen.processes == 0 {
            return Err(self.missing());
        }
        let passed_ns = self.looked_ns.replace(now_ns).map(|before| now_ns.saturating_sub(before)).filter(|ns| *ns > 0 && known);
        self.ticks = ticks;
        let cpu = passed_ns.map(|ns| used as f64 / procfs::ticks_per_second() as f64 / (ns as f64 / 1e9));
        Ok(readings(&seen, cpu))
    }

    fn find(&self) -> Result<Vec<Process>, String> {
        match &self.which {
            Which::Pid(pid) => match Process::new(*pid) {
                Ok(process) => Ok(vec![process]),
                Err(ProcError::NotFound(_)) => Err(self.missing()),
                Err(error) => Err(error.to_string()),
            },
            Which::Name(name) => {
                let all = all_processes().map_err(|error| error.to_string())?;
                Ok(all.filter_map(Result::ok).filter(|process| is_called(process, name)).collect())
            }
        }
    }

    fn missing(&self) -> String {
        match &self.which {
            Which::Pid(pid) => format!("there is no process {pid}"),
            Which::Name(name) => format!("there is no process called {name}"),
        }
    }
}

/// Whether a process has this name: that of its program file, of its first argument's file, or what the kernel shows (15 bytes).
fn is_called(process: &Process, name: &str) -> bool {
    let first = process.cmdline().ok().and_then(|line| line.into_iter().next());
    let of_argument = first.is_some_and(|first| first.rsplit('/').next() == Some(name));
    of_argument || process.stat().is_ok_and(|stat| stat.comm == name)
}

fn readings(seen: &Seen, cpu: Option<f64>) -> Vec<Reading> {
    #[expect(clippy::cast_precision_loss, reason = "figures for people: 53 bits are more than any of these has")]
    let number = |value: u64| value as f64;
    let reading = |metric: &str, value: f64| Reading { metric: metric.to_owned(), value };
    let mut readings = vec![
        reading("processes", number(seen.processes)),
        reading("rss_bytes", number(seen.rss_bytes)),
        reading("threads", number(seen.threads)),
    ];
    readings.extend(seen.fds.map(|fds| reading("fds", number(fds))));
    readings.extend(cpu.map(|cores| reading("cpu_cores", cores)));
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(readings: &[Reading], metric: &str) -> Option<f64> {
        readings.iter().find(|reading| reading.metric == metric).map(|reading| reading.value)
    }

    #[test]
    fn this_process_is_seen_by_number_and_its_cpu_from_the_second_look_on() {
        let own = i32::try_from(std::process::id()).expect("small");
        let mut processes = Processes::new(Which::Pid(own));
        let first = processes.read(0).expect("it runs");
        assert!(value(&first, "rss_bytes").is_some_and(|bytes| bytes > 1e6), "{first:?}");
        assert!(value(&first, "threads").is_some_and(|threads| threads >= 1.0) && value(&first, "fds").is_some(), "{first:?}");
        assert_eq!((value(&first, "processes"), value(&first, "cpu_cores")), (Some(1.0), None));
        let second = processes.read(1_000_000_000).expect("it runs");
        assert!(value(&second, "cpu_cores").is_some_and(|cores| cores >= 0.0), "{second:?}");
    }

    #[test]
    fn a_process_is_found_by_its_name_and_missed_when_it_has_ended() {
        let dir = tempfile::tempdir().expect("tmp");
        let name = "dejaq-watched-one";
        std::fs::copy("/bin/sleep", dir.path().join(name)).expect("a program");
        let mut child = std::process::Command::new(dir.path().join(name)).arg("600").spawn().expect("started");
        // For a moment after its start it has the name of its parent.
        let comm = format!("/proc/{}/comm", child.id());
        while !name.starts_with(std::fs::read_to_string(&comm).expect("it runs").trim_end()) {
            std::thread::yield_now();
        }
        let mut processes = Processes::new(Which::Name(name.to_owned()));
        let seen = processes.read(0);
        child.kill().expect("running");
        child.wait().expect("ended");
        assert_eq!(value(&seen.expect("it ran"), "processes"), Some(1.0));
        assert_eq!(processes.read(1), Err("there is no process called dejaq-watched-one".to_owned()));
        assert_eq!(Processes::new(Which::Pid(i32::MAX)).read(0), Err(format!("there is no process {}", i32::MAX)));
    }
}
