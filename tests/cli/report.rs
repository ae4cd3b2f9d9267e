//! `dejaq report`, of runs that ended and of one that was killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::dejaq::{command, dejaq};
use crate::kit::*;

fn page(run: &str) -> String {
    std::fs::read_to_string(Path::new(run).join("report.html")).expect("a page")
}

#[test]
fn a_run_has_a_page_and_report_writes_the_same_again() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(400, 1), Some("elsewhere"));
    let (url, run) = (target.url(), scratch.arg("run"));
    let replayed = dejaq(&["replay", &recording, "--to", &url, "--run", &run, "--rate", "400/s", "-X", "ssl.key.password=hush"]);
    let written = page(&run);
    assert!(written.contains("<h1>VALID</h1>") || written.contains("<h1>INVALID</h1>"), "{replayed:?}");
    let again = dejaq(&["report", &run]);
    assert_eq!((page(&run), again.code), (written.clone(), replayed.code));

    let report = run_json(&run);
    let expected = json!(["dejaq", "replay", recording, "--to", url, "--run", run, "--rate", "400/s", "-X", "ssl.key.password=***"]);
    let command = report["command"].as_array().expect("words");
    assert_eq!(command[1..], expected.as_array().expect("words")[1..]);
    assert!(written.contains(&format!("--to {url} --run")) && !written.contains("hush"));

    let shown = dejaq(&["report", &run, "--json"]).json();
    assert_eq!(shown["run"], report);
    let ids: Vec<&str> = shown["charts"].as_array().expect("charts").iter().filter_map(|chart| chart["id"].as_str()).collect();
    assert_eq!(ids, ["rate", "latency", "percentiles", "schedule-error"], "nothing was unanswered, nothing was watched");
    let markdown = dejaq(&["report", &run, "--markdown"]).stdout;
    assert!(markdown.contains("| rate achieved | **") && markdown.contains("| response |"), "{markdown}");
}

#[test]
fn a_run_that_was_killed_reports_what_it_had_saved() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(400, 1), Some("elsewhere"));
    let (url, run) = (target.url(), scratch.arg("run"));
    let mut child = command(&["replay", &recording, "--to", &url, "--run", &run, "--loop", "--mark", "off"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // The second line of progress comes after five seconds: by then some were closed and saved.
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert_eq!(lines.map_while(Result::ok).filter(|line| line.contains(" in flight ")).take(2).count(), 2, "it ended too early");
    assert!(Command::new("kill").args(["-KILL", &child.id().to_string()]).status().expect("kill").success());
    child.wait().expect("it ends");

    let ended = dejaq(&["report", &run]).expect(3);
    assert!(ended.stderr.contains("report.html"), "{ended:?}");
    let written = page(&run);
    assert!(written.contains("<h1>UNFINISHED</h1>") && written.contains("<strong>unfinished</strong>"), "{written:.3000}");
    let shown = dejaq(&["report", &run, "--json"]).expect(3).json();
    assert_eq!(shown["run"]["verdict"], "INVALID");
    let ids: Vec<&str> = shown["charts"].as_array().expect("charts").iter().filter_map(|chart| chart["id"].as_str()).collect();
    assert!(ids.contains(&"rate") && ids.contains(&"latency"), "{ids:?}");
    assert!(dejaq(&["report", &run, "--markdown"]).stdout.contains("UNFINISHED"));
}

#[test]
fn what_is_no_run_is_refused_in_words() {
    let scratch = Scratch::new();
    let ended = dejaq(&["report", &scratch.arg("nothing")]).expect(1);
    assert!(ended.stderr.contains("has no run.json: it is no run directory"), "{ended:?}");
    std::fs::create_dir(scratch.path("bad")).expect("made");
    scratch.file("bad/run.json", "{\"schema_version\": 1}");
    let ended = dejaq(&["report", &scratch.arg("bad")]).expect(1);
    assert!(ended.stderr.contains("run.json") && ended.stderr.contains("missing field"), "{ended:?}");
    dejaq(&["report", "x", "--json", "--markdown"]).expect(2);
}

#[test]
fn the_chart_library_is_the_one_that_was_published() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/assets/uplot");
    let checked = Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(assets).output().expect("sha256sum");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
