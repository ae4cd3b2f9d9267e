//! A page of metrics, asked for over HTTP: the chosen metrics with their labels.
//!
//! Guarantees: an answer takes [`TIMEOUT`] and [`PAGE_BYTES_MAX`] at most, whatever the other side does.

use std::time::Duration;

use ureq::Agent;

use super::Reading;
use crate::transform::formats::read_exposition;

/// How long a page may take, connecting and all.
pub const TIMEOUT: Duration = Duration::from_secs(2);
/// The largest page that is read.
pub const PAGE_BYTES_MAX: u64 = 8 << 20;

/// A page that is asked for again and again, over one connection where the other side keeps it.
#[derive(Debug)]
pub struct Page {
    agent: Agent,
    url: String,
    metrics: Vec<String>,
}

impl Page {
    /// These metrics of the page at `url`; none: those that begin with `process_`.
    #[must_use]
    pub fn new(url: &str, metrics: &[String]) -> Self {
        let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0).build();
        Self { agent: config.into(), url: url.to_owned(), metrics: metrics.to_vec() }
    }

    /// Asks for the page.
    ///
    /// # Errors
    /// Why there is nothing, in words.
    pub fn read(&mut self) -> Result<Vec<Reading>, String> {
        let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4";
        let mut answer = self.agent.get(&self.url).header("Accept", accept).call().map_err(|e| e.to_string())?;
        let page = answer.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_vec().map_err(|e| e.to_string())?;
        let readings = readings(&page, &self.metrics)?;
        if readings.is_empty() {
            return Err("the page has none of the metrics asked for".to_owned());
        }
        Ok(readings)
    }
}

/// The chosen metrics of a page.
///
/// # Errors
/// What is wrong with the page, in words.
fn readings(page: &[u8], metrics: &[String]) -> Result<Vec<Reading>, String> {
    let mut found = Vec::new();
    read_exposition(page, &mut |sample| {
        let name = String::from_utf8_lossy(sample.metric);
        let wanted = if metrics.is_empty() { name.starts_with("process_") } else { metrics.iter().any(|m| *m == name) };
        if let Some(value) = sample.value.filter(|_| wanted) {
            found.push(Reading { metric: format!("{name}{}", String::from_utf8_lossy(sample.labels)), value });
        }
    })
    .map_err(|malformed| format!("not a page of metrics: {malformed}"))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    const PAGE: &[u8] = b"# HELP process_cpu_seconds_total CPU\nprocess_cpu_seconds_total 1.5\nqueue{shard=\"a b\"} 7\nqueue{shard=\"c\"} +Inf\nother 1 1700000000000\n";

    #[test]
    fn the_chosen_metrics_come_with_their_labels() {
        let read = |metrics: &[&str]| readings(PAGE, &metrics.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>()).expect("a page");
        assert_eq!(read(&[]), [Reading { metric: "process_cpu_seconds_total".into(), value: 1.5 }]);
        let both = [("queue{shard=\"a b\"}", 7.0), ("queue{shard=\"c\"}", f64::INFINITY), ("other", 1.0)];
        assert_eq!(read(&["queue", "other"]), both.map(|(metric, value)| Reading { metric: metric.into(), value }));
        let error = readings(b"<html>", &[]).expect_err("no page");
        assert!(error.contains("at byte 0: not a metric's name"), "{error}");
    }

    #[test]
    fn a_page_comes_over_http_and_a_wrong_answer_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/metrics", listener.local_addr().expect("bound"));
        let server = std::thread::spawn(move || {
            for status in ["200 OK", "500 Broken"] {
                let (mut socket, _) = listener.accept().expect("a client");
                let mut seen = Vec::new();
                let mut byte = [0; 1];
                while !seen.ends_with(b"\r\n\r\n") && socket.read(&mut byte).expect("a request") > 0 {
                    seen.push(byte[0]);
                }
                write!(socket, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", PAGE.len()).expect("write");
                socket.write_all(PAGE).expect("write");
            }
        });
        let mut page = Page::new(&url, &["other".to_owned()]);
        assert_eq!(page.read().expect("a page"), [Reading { metric: "other".into(), value: 1.0 }]);
        let error = page.read().expect_err("a broken server");
        assert!(error.contains("500"), "{error}");
        server.join().expect("ended");
        assert!(page.read().is_err(), "nobody listens");
    }
}
