//! A run's report, a comparison and the interval log, as others read them: a browser, and HdrHistogram's own Java library.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::dejaq::dejaq;
use crate::peer::Peer;

/// The run of `dejaq demo`, whatever its verdict: it needs no cluster, and this is not about one.
fn demo(dir: &Path) -> String {
    let ended = dejaq(&["demo", "--out", dir.to_str().expect("UTF-8")]);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    dir.join("run").to_str().expect("UTF-8").to_owned()
}

fn run_json(run: &str) -> Value {
    serde_json::from_slice(&std::fs::read(Path::new(run).join("run.json")).expect("run.json")).expect("JSON")
}

#[test]
fn hdr_histogram_s_own_library_reads_the_percentiles_of_run_json() {
    let dir = tempfile::tempdir().expect("tmp");
    let run = demo(dir.path());
    let report = run_json(&run);
    assert_eq!(report["latency"]["response"]["unanswered"], 0, "the log has answered messages only: {report:#}");
    let file = format!("{run}/latency.hlog");
    let from = report["warm_up"]["until_s"].as_u64().unwrap_or(0).to_string();
    for tag in ["response", "service", "schedule_error"] {
        let ours = &report["latency"][tag];
        let theirs = Peer::run(&["hlog", "--file", &file, "--tag", tag, "--from", &from]);
        assert_eq!(theirs["count"], ours["count"], "{tag}");
        let max = ours["max_ns"].as_u64().expect("all were answered");
        for name in ["p50_ns", "p90_ns", "p99_ns", "p999_ns"] {
            // They answer with the top of a bucket, which may lie above every value.
            let theirs = theirs[name].as_u64().expect("a number").min(max);
            assert_eq!(Some(theirs), ours[name].as_u64(), "{tag} {name}");
        }
        let theirs = theirs["max_ns"].as_u64().expect("a number");
        assert!(theirs.abs_diff(max) <= max / 1_000, "{tag}: {theirs} is not {max}");
    }
}

/// A page in a browser without a window, after its script: its text form, and what the browser said.
fn opened(page: &Path, width: u32, theme: &str) -> (String, String) {
    let profile = tempfile::tempdir().expect("tmp");
    let output = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr", "--dump-dom"])
        .arg("--virtual-time-budget=5000")
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}#theme={theme}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("there is no chromium: run scripts/test, which installs it, or install it");
    (String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into())
}

/// Opens a page as a phone and as a desk do, light and dark: it draws so many charts without a complaint. Gives each text form.
fn drawn(page: &Path, charts: usize) -> [String; 4] {
    [(400, "light"), (400, "dark"), (1280, "light"), (1280, "dark")].map(|(width, theme)| {
        let (dom, said) = opened(page, width, theme);
        assert!(dom.contains(&format!("data-drawn=\"{charts}\"")), "the script came to its end: {said}\n{dom:.2000}");
        assert_eq!(dom.matches("<canvas").count(), charts, "{said}");
        assert!(dom.contains(&format!("data-theme=\"{theme}\"")), "{dom:.2000}");
        assert!(!said.contains("CONSOLE"), "the page complains: {said}");
        dom
    })
}

#[test]
fn a_browser_draws_every_chart_at_any_width_in_both_themes_without_an_error() {
    let dir = tempfile::tempdir().expect("tmp");
    let run = demo(dir.path());
    let report = dejaq(&["report", &run, "--json"]).json();
    let [charts, of_fidelity] = [&report["charts"], &report["fidelity"]["charts"]].map(|charts| charts.as_array().expect("charts").len());
    assert!(charts >= 4 && of_fidelity == 3, "{report:#}");
    for dom in drawn(&Path::new(&run).join("report.html"), charts + of_fidelity) {
        let verdict = report["run"]["verdict"].as_str().expect("a verdict");
        assert!(dom.contains(&format!("<h1>{verdict}</h1>")), "{dom:.2000}");
        for number in report["numbers"].as_array().expect("numbers") {
            let value = number["value"].as_str().expect("text");
            assert!(dom.contains(&format!("<strong>{}</strong>", value.replace('>', "&gt;"))), "{value} is not shown");
        }
        let score = format!("{:.4}", report["fidelity"]["score"].as_f64().expect("a score"));
        assert!(dom.contains(&format!("Fidelity {score}")), "{score} is not shown");
    }
}

#[test]
fn a_browser_draws_a_comparison_at_any_width_in_both_themes_without_an_error() {
    let dir = tempfile::tempdir().expect("tmp");
    let [base, new] = ["base", "new"].map(|side| demo(&dir.path().join(side)));
    let page = dir.path().join("comparison.html");
    let ended = dejaq(&["compare", &base, &new, "--anyway", "--json", "--html", page.to_str().expect("UTF-8")]);
    assert!(matches!(ended.code, Some(0 | 3 | 4)), "{ended:?}");
    let found = ended.json();
    let tested = found["measures"].as_array().expect("measures").iter().filter(|m| m["tested"] == true).count();
    let written = std::fs::read_to_string(&page).expect("a page");
    let charts = written.matches("<figure class=\"chart\"").count();
    assert!(charts >= 3 && tested > 0, "{found:#}");
    for dom in drawn(&page, charts) {
        let verdict = found["verdict"].as_str().expect("a verdict").to_uppercase();
        assert!(dom.contains(&format!("<h1>{verdict}</h1>")), "{dom:.2000}");
        assert_eq!(dom.matches("class=\"whisker\"").count(), tested, "an interval each");
    }
}
