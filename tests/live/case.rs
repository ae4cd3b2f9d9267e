//! docs/CASE.md, as its reader goes through it: every command in the page is run, in its order, in one shell, and then what the
//! page says of the outcome is checked.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::peer::{clusters, unique};

const PAGE: &str = include_str!("../../docs/CASE.md");

/// The shell that the commands are run in. Not every machine that runs this test has the time that the reader's has: it may be that a
/// run is INVALID there (3). Then `compare` would refuse it and is told to take it; and what it compares first, dejaq's own
/// response, may by chance be worse in the second run (4). Nothing of that is what the page is about.
const SHELL: &str = r#"
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
dejaq() {
  local code=0
  case $1 in
    replay) command dejaq "$@" || code=$?; [[ $code == [03] ]] ;;
    compare) command dejaq "$@" --anyway || code=$?; [[ $code == [034] ]] ;;
    *) command dejaq "$@" ;;
  esac
}
"#;

/// The commands of the page, with what is another here: no release build but the one that is under test, beside which the
/// aggregator is built, and topics that no other run has.
fn commands() -> String {
    let mut blocks = String::new();
    for block in PAGE.split("```sh\n").skip(1) {
        blocks.push_str(block.split("```").next().expect("a block ends"));
    }
    let built = Path::new(env!("CARGO_BIN_EXE_dejaq")).parent().expect("a directory");
    let profile = if built.ends_with("release") { " --release" } else { "" };
    let here = [
        ("cargo build --release --workspace", format!("'{}' build{profile} --workspace --bin aggregator", env!("CARGO"))),
        ("$PWD/target/release", built.display().to_string()),
        ("T=case1", format!("T={}", unique("case"))),
    ];
    for (page, here) in here {
        assert_eq!(blocks.matches(page).count(), 1, "{page:?} is what this test puts something else in the place of");
        blocks = blocks.replace(page, &here);
    }
    blocks
}

/// Runs the page; where it has put its runs, and what it printed.
fn run_page(scratch: &Path) -> (PathBuf, String) {
    clusters();
    let script = format!("{SHELL}\n{}\nexec >&2\npwd >\"$TMPDIR/where\"\n", commands());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success() && !err.contains("panicked"), "{}\n{out}\n{err}", output.status);
    let at = std::fs::read_to_string(scratch.join("where")).expect("where it ended");
    (PathBuf::from(at.trim_end()), out)
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).expect("a file of the run")).expect("JSON")
}

/// What the page tells of a run.
#[derive(Debug)]
struct Seen {
    lag_max: f64,
    lag_end: f64,
    rss_max: f64,
    age_end: f64,
}

fn seen(run: &Path) -> Seen {
    let report = json(&run.join("run.json"));
    assert_eq!(report["ledger"]["scheduled"], report["ledger"]["acked"], "{report:#}");
    let observed = &report["observed"];
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{observed:#}"));
    let lag = &observed["lag"][0];
    Seen {
        lag_max: number(&lag["messages_max"]),
        lag_end: number(&lag["end"]["messages"]),
        rss_max: number(&observed["watch"][0]["metrics"]["rss_bytes"]["max"]),
        age_end: number(&observed["probes"][0]["freshness"]["age_ns_end"]) / 1e9,
    }
}

/// The ratio of a line of `compare`.
fn ratio(compared: &str, measure: &str) -> f64 {
    let line = compared.lines().find(|line| line.starts_with(measure)).unwrap_or_else(|| panic!("no {measure}: {compared}"));
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    numbers.next_back().unwrap_or_else(|| panic!("no ratio: {line}"))
}

#[test]
fn the_case_in_the_page_is_what_happens() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (at, said) = run_page(scratch.path());
    let [healthy, exploded, fixed] = ["healthy", "exploded", "fixed"].map(|run| seen(&at.join(run)));
    let all = format!("{healthy:#?} {exploded:#?} {fixed:#?}\n{said}");

    // As many processes as were asked for, where there were forty.
    let rule = json(&at.join("exploded/cardinality.json"))["rules"][0].clone();
    assert_eq!((&rule["asked"], &rule["sent_distinct"]), (&Value::from(100_000), &Value::from(100_000)), "{rule:#}");
    assert!(rule["metrics"].as_array().is_some_and(|m| m.iter().all(|m| m["distinct_before"] == 40)), "{rule:#}");

    // The factors are those that the page states.
    assert!(exploded.lag_end > 3.0 * healthy.lag_max && exploded.lag_end > 0.9 * exploded.lag_max, "it only falls behind: {all}");
    assert!(exploded.rss_max > 10.0 * healthy.rss_max, "{all}");
    assert!(exploded.age_end > 2.0 * healthy.age_end, "{all}");
    assert!(fixed.lag_end < exploded.lag_end / 2.0 && fixed.rss_max < exploded.rss_max / 10.0, "{all}");
    assert!(ratio(&said, "lag_messages_end") < 0.5 && ratio(&said, "rss_bytes_max") < 0.1, "{all}");
}
