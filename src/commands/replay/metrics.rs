//! `--metrics`: the figures of the live view as a page that Prometheus scrapes, at `/metrics`.
//!
//! Guarantees: the page is served from a thread of its own; a client that is slow or says nothing is let go after
//! [`ANSWER_WITHIN`], and nothing of the run waits for it. An address that is not this machine's own is served without any
//! sign-in: what can reach it can read it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use dejaq_replay::engine::Progress;
use dejaq_replay::measure::latency::LatencySummary;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How long a connection may take from its first byte to its last.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What OpenMetrics text is called.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Number = Gauge<f64, AtomicU64>;
type Numbers = Family<Labels, Number>;

/// The run's figures.
struct Figures {
    registry: Registry,
    scheduled: Counter,
    sent: Counter,
    in_flight: Number,
    acked_per_s: Number,
    latency: Numbers,
    held: Numbers,
    run: Number,
    left: Number,
    outputs_open: Number,
    distinct: Numbers,
    lag_messages: Numbers,
    lag_time: Numbers,
    silent: Numbers,
}

impl Figures {
    fn new() -> Self {
        let mut figures = Self {
            registry: Registry::with_prefix("dejaq"),
            scheduled: Counter::default(),
            sent: Counter::default(),
            in_flight: Number::default(),
            acked_per_s: Number::default(),
            latency: Numbers::default(),
            held: Numbers::default(),
            run: Number::default(),
            left: Number::default(),
            outputs_open: Number::default(),
            distinct: Numbers::default(),
            lag_messages: Numbers::default(),
            lag_time: Numbers::default(),
            silent: Numbers::default(),
        };
        figures.register();
        figures
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("scheduled_messages", "Messages whose intended time has come", self.scheduled.clone());
        registry.register("sent_messages", "Messages handed to the client", self.sent.clone());
        registry.register("in_flight_messages", "Messages without an answer yet", self.in_flight.clone());
        registry.register("acked_per_second", "Confirmations per second, of the last whole seconds", self.acked_per_s.clone());
        let help = "Latency of the last whole seconds, by measure and quantile; quantile 1 is the maximum";
        registry.register_with_unit("latency", help, Unit::Seconds, self.latency.clone());
        registry.register_with_unit("held", "Time that sending was held back, by what", Unit::Seconds, self.held.clone());
        registry.register_with_unit("run", "Time since the start", Unit::Seconds, self.run.clone());
        registry.register_with_unit("left", "Time until the last intended time, where that is known", Unit::Seconds, self.left.clone());
        registry.register("outputs_open", "Messages whose output is waited for", self.outputs_open.clone());
        registry.register("distinct_values", "Different values of a tag that were sent", self.distinct.clone());
        registry.register(
            "lag_messages",
            "Messages that a consumer group is behind, or that are ready in a queue",
            self.lag_messages.clone(),
        );
        registry.register_with_unit("lag", "Time that a consumer group is behind", Unit::Seconds, self.lag_time.clone());
        registry.register("silent", "Sources of signals that do not answer", self.silent.clone());
    }

    fn update(&self, p: &Progress, planned_ns: Option<u64>) {
        self.scheduled.inner().store(p.scheduled, std::sync::atomic::Ordering::Relaxed);
        self.sent.inner().store(p.sent, std::sync::atomic::Ordering::Relaxed);
        self.in_flight.set(number(p.in_flight as u64));
        self.acked_per_s.set(number(p.recent.acked) / number(p.recent.seconds.max(1)));
        self.latency("response", &p.recent.response);
        self.latency("service", &p.recent.service);
        self.latency("schedule_error", &p.recent.schedule_error);
        if let Some(end_to_end) = &p.observed.end_to_end {
            self.latency("end_to_end", end_to_end);
        }
        self.held.get_or_create(&vec![("by", "target".to_owned())]).set(seconds(p.pushed_back_ns));
        self.run.set(seconds(p.run_ns));
        self.left.set(planned_ns.map_or(f64::NAN, |planned| seconds(planned.saturating_sub(p.run_ns))));
        self.outputs_open.set(number(p.observed.outputs_open));
        for (tag, count) in &p.distinct {
            self.distinct.get_or_create(&vec![("tag", tag.clone())]).set(number(*count));
        }
        for (group, lag) in &p.observed.lag {
            let Some(lag) = lag else { continue };
            let labels = vec![("group", group.clone())];
            self.lag_messages.get_or_create(&labels).set(number(lag.messages));
            if let Some(time_ns) = lag.time_ns {
                self.lag_time.get_or_create(&labels).set(seconds(time_ns));
            }
        }
        self.silent.clear();
        for source in &p.observed.silent {
            self.silent.get_or_create(&vec![("source", source.clone())]).set(1.0);
        }
    }

    fn latency(&self, measure: &str, summary: &LatencySummary) {
        let quantiles = [("0.5", summary.p50_ns), ("0.9", summary.p90_ns), ("0.99", summary.p99_ns), ("0.999", summary.p999_ns)];
        for (quantile, ns) in quantiles.into_iter().chain([("1", summary.max_ns)]) {
            let labels = vec![("measure", measure.to_owned()), ("quantile", quantile.to_owned())];
            // A second without an answer has no percentiles.
            self.latency.get_or_create(&labels).set(ns.map_or(f64::NAN, seconds));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for charts")]
fn number(value: u64) -> f64 {
    value as f64
}

fn seconds(ns: u64) -> f64 {
    number(ns) / 1e9
}

/// The page, served until this is dropped.
pub(super) struct Page {
    figures: Arc<Mutex<Figures>>,
    /// Where it is served.
    pub(super) address: SocketAddr,
    _end: oneshot::Sender<Infallible>,
}

impl Page {
    /// Serves it at this address.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(super) fn serve(address: SocketAddr) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the metrics thread")?;
        let listener = runtime.block_on(TcpListener::bind(address)).with_context(|| format!("--metrics: serving at {address}"))?;
        let address = listener.local_addr().context("--metrics")?;
        let figures = Arc::new(Mutex::new(Figures::new()));
        let (end, ended) = oneshot::channel();
        let served = Arc::clone(&figures);
        let serving = move || runtime.block_on(accept(&listener, &served, ended));
        std::thread::Builder::new().name("metrics".into()).spawn(serving).context("starting the metrics thread")?;
        Ok(Self { figures, address, _end: end })
    }

    /// Shows the newest state.
    pub(super) fn update(&self, progress: &Progress, planned_ns: Option<u64>) {
        lock(&self.figures).update(progress, planned_ns);
    }
}

async fn accept(listener: &TcpListener, figures: &Arc<Mutex<Figures>>, mut ended: oneshot::Receiver<Infallible>) {
    loop {
        tokio::select! {
            _ = &mut ended => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(answer(stream, Arc::clone(figures)))),
                // Out of descriptors: they come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

async fn answer(stream: TcpStream, figures: Arc<Mutex<Figures>>) {
    let service = service_fn(|request| {
        let response = page(&request, &figures);
        async move { response }
    });
    let connection = hyper::server::conn::http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    // Who asks and goes away, or says what is no HTTP, is not heard of again.
    let _ = tokio::time::timeout(ANSWER_WITHIN, connection).await;
}

fn page(request: &Request<Incoming>, figures: &Mutex<Figures>) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    if request.uri().path() != "/metrics" || request.method() != Method::GET {
        return Response::builder().status(StatusCode::NOT_FOUND).body(Full::from("the figures are at /metrics\n"));
    }
    let mut text = String::new();
    match encode(&mut text, &lock(figures).registry) {
        Ok(()) => Response::builder().header(CONTENT_TYPE, OPEN_METRICS).body(Full::from(text)),
        Err(_) => Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).body(Full::default()),
    }
}

fn lock(figures: &Mutex<Figures>) -> std::sync::MutexGuard<'_, Figures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dejaq_replay::measure::lag::Lag;
    use std::io::{Read as _, Write as _};

    fn get(page: &Page, path: &str) -> String {
        let mut socket = std::net::TcpStream::connect(page.address).expect("served");
        write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn the_page_has_the_figures_of_the_newest_state() {
        let page = Page::serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let mut progress = Progress { scheduled: 12, sent: 10, run_ns: 2_500_000_000, ..Progress::default() };
        (progress.recent.seconds, progress.recent.acked) = (2, 9);
        progress.recent.response.p99_ns = Some(3_000_000);
        progress.observed.silent = vec!["pid:1".to_owned()];
        page.update(&progress, Some(10_000_000_000));
        let answer = get(&page, "/metrics");
        for line in [
            "HTTP/1.1 200 OK",
            "dejaq_scheduled_messages_total 12",
            "dejaq_sent_messages_total 10",
            "dejaq_acked_per_second 4.5",
            "dejaq_latency_seconds{measure=\"response\",quantile=\"0.99\"} 0.003",
            "dejaq_run_seconds 2.5",
            "dejaq_left_seconds 7.5",
            "dejaq_silent{source=\"pid:1\"} 1.0",
            "# EOF",
        ] {
            assert!(answer.lines().any(|found| found.trim_end() == line), "{line} is not in\n{answer}");
        }
        progress.observed.silent.clear();
        page.update(&progress, None);
        assert!(!get(&page, "/metrics").contains("dejaq_silent{"), "it answers again");
        assert!(get(&page, "/").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn the_dashboard_asks_for_what_the_page_has() {
        let page = Page::serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let mut progress = Progress { distinct: vec![("host".to_owned(), 7)], ..Progress::default() };
        progress.observed.end_to_end = Some(LatencySummary::default());
        progress.observed.lag = vec![("billing".to_owned(), Some(Lag { time_ns: Some(0), ..Lag::default() }))];
        page.update(&progress, None);
        let answer = get(&page, "/metrics");
        let dashboard = include_str!("../../../examples/grafana-dashboard.json");
        let dashboard: serde_json::Value = serde_json::from_str(dashboard).expect("JSON");
        let mut selectors = 0;
        for target in dashboard["panels"].as_array().expect("panels").iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
            let query = target["expr"].as_str().expect("a query");
            let (name, labels) = query[query.find("dejaq_").expect("a metric")..].split_once('{').expect("labels");
            let labels = labels.split_once('}').expect("an end").0.split(',').filter(|label| !label.starts_with("job"));
            let labels: Vec<&str> = labels.collect();
            let found = |line: &str| {
                let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']));
                rest.is_some_and(|rest| labels.iter().all(|label| rest.contains(label)))
            };
            assert!(answer.lines().any(found), "{query} finds nothing in\n{answer}");
            selectors += 1;
        }
        assert!(selectors > 15, "all panels were looked at: {selectors}");
    }

    #[test]
    fn one_who_says_nothing_does_not_keep_others_waiting() {
        let page = Page::serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let _silent = std::net::TcpStream::connect(page.address).expect("served");
        assert!(get(&page, "/metrics").starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn an_address_that_is_taken_is_an_error_that_names_it() {
        let page = Page::serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let error = Page::serve(page.address).err().expect("taken");
        assert!(format!("{error:#}").contains(&page.address.to_string()), "{error:#}");
    }
}
