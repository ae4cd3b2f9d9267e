//! A replay that looks at the system under test: here the target itself, whose topic is its own output.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::dejaq::{command, dejaq};
use crate::kit::*;

#[test]
fn what_was_sent_is_seen_at_the_output() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 2)]));
    let recording = scratch.recording("rec", &records(400, 2), Some("elsewhere"));
    let run = scratch.arg("run");
    let watch = format!("pid:{}", std::process::id());
    let more = ["--probe", "topic=t,match=key,deadline=20s", "--lag", "nobody", "--watch", &watch];
    let ended = replay(&recording, &target, &run, &more);
    let report = run_json(&run);
    assert_sent_in_full(&ended, &report);
    let matched = &report["observed"]["probes"][0]["matched"];
    assert_eq!((&matched["expected"], &matched["answered"], &matched["lost"]), (&json!(400), &json!(400), &json!(0)), "{report:#}");
    assert_eq!((&matched["duplicates"], &matched["unmatched"]), (&json!(0), &json!(0)), "{report:#}");
    let end_to_end = &report["latency"]["end_to_end"];
    assert_eq!((&end_to_end["count"], &end_to_end["unanswered"]), (&json!(400), &json!(0)));
    // Whoever sees a message at the output sees it after the broker has it.
    assert!(end_to_end["p50_ns"].as_u64() > Some(0), "{end_to_end}");
    assert!(ended.stdout.contains("end to end") && ended.stdout.contains("outputs    400 of 400 came, 0 lost"), "{}", ended.stdout);
    let rss = &report["observed"]["watch"][0]["metrics"]["rss_bytes"];
    assert!(rss["max"].as_f64() > Some(1e6), "{report:#}");
    assert_eq!(report["observed"]["lag"][0]["messages_max"], Value::Null, "a group that has committed nothing has no lag of 0: {report:#}");
    assert_eq!(report["config"]["probe"], json!(["topic=t,match=key,from=key,deadline=20s,sample=1"]));
}

#[test]
fn a_run_that_is_killed_has_what_was_seen_of_its_outputs() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(400, 1), Some("elsewhere"));
    let (url, run) = (target.url(), scratch.arg("run"));
    let args = ["replay", &recording, "--to", &url, "--run", &run, "--loop", "--probe", "topic=t,match=key,deadline=20s"];
    let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let so_far = || std::fs::read(format!("{run}/run.json")).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let answered = |report: &Value| report["latency"]["end_to_end"]["count"].as_u64();
    // Each line of progress is a reason to look again; the limit is that of the command itself.
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    lines.find(|_| so_far().is_some_and(|report| answered(&report) > Some(400))).expect("outputs are seen while it runs");
    child.kill().expect("running");
    child.wait().expect("killed");
    let report = run_json(&run);
    assert_eq!((&report["finished"], &report["latency"]["end_to_end"]["unanswered"]), (&json!(false), &json!(0)), "{report:#}");
    let matched = &report["observed"]["probes"][0]["matched"];
    assert_eq!((&matched["expected"], &matched["lost"]), (&matched["answered"], &json!(0)), "what may still come is in no figure");
    let log = std::fs::read_to_string(format!("{run}/latency.hlog.part")).expect("it grew");
    assert!(log.lines().any(|line| line.starts_with("Tag=end_to_end,0.000,1.000,")), "{log:.500}");
}

#[test]
fn an_output_that_never_comes_is_lost_and_a_result() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1), ("out", 1)]));
    let recording = scratch.recording("rec", &records(200, 1), Some("elsewhere"));
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--probe", "topic=out,match=key,deadline=200ms"]);
    let report = run_json(&run);
    assert_sent_in_full(&ended, &report);
    assert_eq!(report["latency"]["end_to_end"]["unanswered"], 200, "{report:#}");
    assert!(ended.stdout.contains("> deadline"), "{}", ended.stdout);
}

#[test]
fn what_cannot_be_looked_at_is_refused_before_anything_is_sent() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(200, 1), Some("elsewhere"));
    let url = target.url();
    for (flag, value, code, words) in [
        ("--probe", "topic=t,match=id", 2, "column 15: \"id\" is none of key, header:NAME"),
        ("--probe", "topic=nowhere,match=key", 1, "\"nowhere\" does not exist"),
        ("--watch", "localhost:9100", 2, "column 1: expected http://"),
        ("--metrics", "here", 2, "expected ADDRESS:PORT"),
    ] {
        let run = scratch.arg(&format!("run-{code}-{}", value.len()));
        let ended = dejaq(&["replay", &recording, "--to", &url, "--run", &run, flag, value]).expect(code);
        assert!(ended.stderr.contains(words), "{value}: {}", ended.stderr);
    }
    assert_eq!(held(&scratch, &target, "held").len(), 0, "nothing was sent");
}

#[test]
fn the_figures_of_a_run_can_be_scraped_while_it_goes_on() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(400, 1), Some("elsewhere"));
    let (url, run) = (target.url(), scratch.arg("run"));
    let args = ["replay", &recording, "--to", &url, "--run", &run, "--loop", "--metrics", "127.0.0.1:0"];
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let at = lines.find_map(|line| Some(line.split_once("http://")?.1.strip_suffix("/metrics")?.to_owned())).expect("an address");
    lines.find(|line| line.contains(" in flight ")).expect("it runs");
    let mut socket = TcpStream::connect(&at).expect("served");
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: {at}\r\n\r\n").expect("write");
    let mut page = String::new();
    socket.read_to_string(&mut page).expect("a page");
    let sent = page.lines().find_map(|line| line.strip_prefix("dejaq_sent_messages_total ")?.parse::<u64>().ok());
    assert!(sent.is_some_and(|sent| sent > 0), "{page}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
    lines.for_each(drop);
    child.wait().expect("it ends");
    assert_eq!(run_json(&run)["finished"], true);
}
