//! Clusters that do not answer and topics that are not there.

use std::time::{Duration, Instant};

use crate::dejaq::{Ended, dejaq};
use crate::kit::{PROMPT, Scratch, kafka, records, replay};

#[test]
fn a_broker_that_does_not_answer_is_named_and_given_up_after_the_stated_time() {
    let scratch = Scratch::new();
    // Taken by us and never served: connects, answers nothing. And one that refuses.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().expect("an address").to_string();
    let recording = scratch.recording("rec", &records(3, 1), Some("elsewhere"));
    let check = |ended: Ended, address: &str, began: Instant| {
        let waited = began.elapsed();
        assert!(ended.stderr.contains(address) && ended.stderr.contains("within 10 s"), "{}", ended.stderr);
        assert!((Duration::from_secs(9)..Duration::from_secs(25)).contains(&waited), "{waited:?}");
    };
    std::thread::scope(|scope| {
        let mut waiting = Vec::new();
        for (n, address) in ["127.0.0.1:1", &silent].into_iter().enumerate() {
            let url = format!("kafka://{address}");
            let (out, run) = (scratch.arg(&format!("out{n}")), scratch.arg(&format!("run{n}")));
            for args in [
                vec!["capture".to_owned(), "--from".into(), url.clone(), "--topics".into(), "t".into(), "--out".into(), out.clone()],
                vec!["replay".into(), recording.clone(), "--to".into(), url.clone(), "--run".into(), run],
                vec!["plan".into(), recording.clone(), "--to".into(), url.clone()],
            ] {
                let address = address.to_owned();
                waiting.push(scope.spawn(move || {
                    let began = Instant::now();
                    check(dejaq(&args.iter().map(String::as_str).collect::<Vec<_>>()).expect(1), &address, began);
                }));
            }
        }
        for thread in waiting {
            thread.join().expect("as it should");
        }
    });
    assert!(!scratch.path("out0").exists() && !scratch.path("out1").exists(), "nothing is begun that cannot be");
}

#[test]
fn an_unknown_topic_is_named_and_nothing_is_left() {
    let (scratch, kafka) = (Scratch::new(), kafka(&[("t", 1)]));
    let url = kafka.url();
    let out = scratch.arg("rec");
    let args = [&["capture", "--from", &url, "--topics", "t,nosuch", "--out", &out], &PROMPT[..]].concat();
    for more in [&[][..], &["--check"]] {
        let ended = dejaq(&[&args, more].concat()).expect(1);
        assert!(ended.stderr.contains("\"nosuch\""), "{}", ended.stderr);
        assert!(!scratch.path("rec").exists());
    }
    // The target's: what to do about it is said.
    let recording = scratch.recording("sent", &records(3, 1), Some("elsewhere"));
    let ended = replay(&recording, &kafka, &scratch.arg("run"), &["--map", "t=nosuch"]).expect(1);
    assert!(ended.stderr.contains("no topic \"nosuch\"") && ended.stderr.contains("--create-topics"), "{}", ended.stderr);
    let ended = replay(&recording, &kafka, &scratch.arg("run"), &["--map", "x=t"]).expect(1);
    assert!(ended.stderr.contains("no selected topic \"x\"; it has t"), "{}", ended.stderr);
    let ended = replay(&recording, &kafka, &scratch.arg("run"), &["--streams", "x*"]).expect(1);
    assert!(ended.stderr.contains("x*"), "{}", ended.stderr);
}
