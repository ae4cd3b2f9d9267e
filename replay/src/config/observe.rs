//! What was typed about looking at the system under test → what it means.

use std::net::{SocketAddr, ToSocketAddrs as _};

use dejaq_shared::broker::sink::TargetKind;

use super::{ConfigError, RawOptions};
use crate::fail_if::of_run::Measurable;
use crate::measure::probe::spec::{ProbeKind, ProbeSpec};
use crate::measure::watch::spec::WatchSpec;
use crate::schedule::Pace;

/// The most probes, groups and sources each.
pub(super) const EACH_MAX: usize = 32;

/// What is looked at during a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObserveOptions {
    /// `--probe`.
    pub probes: Vec<ProbeSpec>,
    /// `--lag`: consumer groups; RabbitMQ: queues.
    pub lag: Vec<String>,
    /// `--watch`.
    pub watch: Vec<WatchSpec>,
    /// `--metrics`: where the run's own figures can be had.
    pub metrics: Option<SocketAddr>,
}

impl ObserveOptions {
    /// Whether a probe matches outputs with what was sent.
    fn end_to_end(&self) -> bool {
        self.probes.iter().any(|probe| matches!(probe.kind, ProbeKind::EndToEnd(_)))
    }

    /// What a run will measure, for its thresholds; `target` once that is known.
    pub(super) fn measurable(&self, pace: &Pace, target: Option<TargetKind>) -> Measurable<'_> {
        Measurable { scheduled: pace.is_scheduled(), end_to_end: self.end_to_end(), lag: &self.lag, target }
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigError`]: a usage error.
    pub(super) fn of(raw: &RawOptions, pace: &Pace) -> Result<Self, ConfigError> {
        for (option, given) in [("probe", raw.probe.len()), ("lag", raw.lag.len()), ("watch", raw.watch.len())] {
            if given > EACH_MAX {
                return Err(ConfigError::Value { option, found: given.to_string(), expected: "32 times at most" });
            }
        }
        let probe = |text: &String| ProbeSpec::parse(text).map_err(|wrong| ConfigError::Pointed("probe", wrong));
        let probes = raw.probe.iter().map(probe).collect::<Result<Vec<_>, _>>()?;
        let matching = probes.iter().filter(|probe| matches!(probe.kind, ProbeKind::EndToEnd(_))).count();
        if matching > 1 {
            let expected = "one probe with match=, beside any with freshness=";
            return Err(ConfigError::Value { option: "probe", found: format!("{matching} with match="), expected });
        }
        if matching == 1 && *pace == Pace::Max {
            return Err(ConfigError::Contradiction("max", "probe", "end to end counts from the intended time, and a flood has none"));
        }
        if let Some(group) = raw.lag.iter().find(|group| group.is_empty()) {
            return Err(ConfigError::Value {
                option: "lag",
                found: group.clone(),
                expected: "the name of a consumer group, or of a queue",
            });
        }
        let watch = |text: &String| WatchSpec::parse(text).map_err(|wrong| ConfigError::Pointed("watch", wrong));
        Ok(Self {
            probes,
            lag: raw.lag.clone(),
            watch: raw.watch.iter().map(watch).collect::<Result<_, _>>()?,
            metrics: raw.metrics.as_deref().map(address).transpose()?,
        })
    }
}

/// `HOST:PORT`, or a port of this machine alone.
fn address(typed: &str) -> Result<SocketAddr, ConfigError> {
    let full = if typed.parse::<u16>().is_ok() { format!("127.0.0.1:{typed}") } else { typed.to_owned() };
    let wrong = || ConfigError::Value { option: "metrics", found: typed.to_owned(), expected: "ADDRESS:PORT, or a port of this machine" };
    full.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(raw: &RawOptions) -> Result<ObserveOptions, String> {
        ObserveOptions::of(raw, &Pace::Max).map_err(|error| error.to_string())
    }

    #[test]
    fn a_port_alone_is_of_this_machine() {
        let found = options(&RawOptions { metrics: Some("9464".into()), ..RawOptions::default() }).expect("an address");
        assert_eq!(found.metrics, Some(SocketAddr::from(([127, 0, 0, 1], 9464))));
        let error = options(&RawOptions { metrics: Some("here".into()), ..RawOptions::default() }).expect_err("no port");
        assert!(error.contains("--metrics \"here\": expected ADDRESS:PORT"), "{error}");
    }

    #[test]
    fn what_cannot_be_looked_at_is_refused() {
        let with = |probe: &[&str]| RawOptions { probe: probe.iter().map(|p| (*p).to_owned()).collect(), ..RawOptions::default() };
        let error = options(&with(&["topic=a,match=id"])).expect_err("no field");
        assert!(error.starts_with("--probe, column 15: "), "{error}");
        let error = options(&with(&["topic=a,match=key", "topic=b,match=key"])).expect_err("two");
        assert!(error.contains("one probe with match="), "{error}");
        let error = options(&with(&["topic=a,match=key"])).expect_err("a flood");
        assert!(error.contains("--max and --probe contradict each other"), "{error}");
        options(&with(&["topic=a,freshness=json:$.ts", "topic=b,freshness=json:$.ts"])).expect("freshness needs no schedule");
        let error = options(&RawOptions { lag: vec![String::new()], ..RawOptions::default() }).expect_err("no name");
        assert!(error.contains("--lag"), "{error}");
        let error = options(&RawOptions { watch: vec!["x".into()], ..RawOptions::default() }).expect_err("nothing");
        assert!(error.starts_with("--watch, column 1: "), "{error}");
    }
}
