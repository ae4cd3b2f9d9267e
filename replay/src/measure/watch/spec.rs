//! The grammar of `--watch`:
//!
//! ```text
//! watch = "http://" … [ "#" METRIC { "," METRIC } ]   a page of metrics as Prometheus scrapes it; https:// too
//!       | "pid:" N                                    a process
//!       | "name:" NAME                                all processes of that name together
//! ```
//!
//! Of a page the metrics named are taken with all their labels; without names those that begin with `process_`.

use crate::pointed::Pointed;

/// The most metrics that can be named.
const METRICS_MAX: usize = 64;
const KINDS: &str = "http://HOST/metrics#METRIC,METRIC, pid:N or name:NAME";

/// One `--watch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchSpec {
    /// A page of metrics.
    Page {
        /// Its address, without the part behind `#`.
        url: String,
        /// The metrics that are taken; none: those that begin with `process_`.
        metrics: Vec<String>,
    },
    /// A process by its number.
    Pid(i32),
    /// Processes by their name.
    Name(String),
}

impl WatchSpec {
    /// Reads it.
    ///
    /// # Errors
    /// [`Pointed`], with the column.
    pub fn parse(text: &str) -> Result<Self, Pointed> {
        if let Some(number) = text.strip_prefix("pid:") {
            let pid = number.parse().ok().filter(|pid| *pid > 0);
            return pid.map(Self::Pid).ok_or_else(|| Pointed::new(text, 4, "expected the number of a process"));
        }
        if let Some(name) = text.strip_prefix("name:") {
            if name.is_empty() || name.contains('/') {
                return Err(Pointed::new(text, 5, "expected the name of a program, without a directory"));
            }
            return Ok(Self::Name(name.to_owned()));
        }
        let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
            return Err(Pointed::new(text, 0, format!("expected {KINDS}")));
        };
        let (url, names) = text.split_once('#').unwrap_or((text, ""));
        if rest.is_empty() || rest.starts_with(['/', '#', '?']) {
            return Err(Pointed::new(text, text.len() - rest.len(), "expected a host"));
        }
        let mut metrics = Vec::new();
        let mut at = url.len() + 1;
        for name in names.split(',').filter(|_| text.contains('#')) {
            let first = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
            if !first || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')) {
                return Err(Pointed::new(text, at, "expected the name of a metric: letters, digits, _ and :"));
            }
            if metrics.len() == METRICS_MAX {
                return Err(Pointed::new(text, at, format!("more than {METRICS_MAX} metrics")));
            }
            metrics.push(name.to_owned());
            at += name.len() + 1;
        }
        Ok(Self::Page { url: url.to_owned(), metrics })
    }

    /// How it is called in reports: a user or a password in an address are left out.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Page { url, .. } => without_user(url),
            Self::Pid(pid) => format!("pid:{pid}"),
            Self::Name(name) => format!("name:{name}"),
        }
    }
}

/// An address without what stands before the host, and without a query, where tokens are.
fn without_user(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(before, _)| before);
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

impl std::fmt::Display for WatchSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Self::Page { metrics, .. } if !metrics.is_empty() => write!(f, "#{}", metrics.join(",")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_processes() {
        let page = WatchSpec::parse("http://127.0.0.1:9100/metrics#queue_depth,jvm:heap").expect("a page");
        let metrics = vec!["queue_depth".to_owned(), "jvm:heap".to_owned()];
        assert_eq!(page, WatchSpec::Page { url: "http://127.0.0.1:9100/metrics".into(), metrics });
        assert_eq!(WatchSpec::parse("https://h/m"), Ok(WatchSpec::Page { url: "https://h/m".into(), metrics: Vec::new() }));
        assert_eq!(WatchSpec::parse("pid:42"), Ok(WatchSpec::Pid(42)));
        assert_eq!(WatchSpec::parse("name:aggregator"), Ok(WatchSpec::Name("aggregator".into())));
    }

    #[test]
    fn a_report_has_no_password() {
        let page = WatchSpec::parse("http://me:secret@h:9100/metrics?token=secret#a").expect("a page");
        assert_eq!(page.to_string(), "http://h:9100/metrics#a");
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, column, what) in [
            ("localhost:9100", 1, "expected http://"),
            ("http://", 8, "expected a host"),
            ("http:///metrics", 8, "expected a host"),
            ("http://h/m#", 12, "the name of a metric"),
            ("http://h/m#a,1b", 14, "the name of a metric"),
            ("pid:x", 5, "number of a process"),
            ("pid:-1", 5, "number of a process"),
            ("name:", 6, "name of a program"),
            ("name:/bin/x", 6, "name of a program"),
        ] {
            let error = WatchSpec::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("column {column}: ")) && error.contains(what), "{text}: {error}");
        }
    }
}
