//! A password is told to the broker and to nobody else.

use std::path::Path;

use crate::dejaq::{Ended, command, dejaq, ended};
use crate::kit::{PROMPT, Scratch, capture, kafka, records, replay};

const SECRET: &str = "hunter2-correct-horse";

/// Neither what was said nor any file under `dir` holds the secret.
fn kept(what: &Ended, dir: &Path) {
    assert!(!what.stdout.contains(SECRET) && !what.stderr.contains(SECRET), "{what:?}");
    kept_in(dir);
}

fn kept_in(dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            kept_in(&path);
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            assert!(!bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "{}", path.display());
        }
    }
}

#[test]
fn a_password_in_an_argument_is_never_shown_nor_written() {
    let (scratch, kafka) = (Scratch::new(), kafka(&[("t", 1)]));
    let work = scratch.path("work");
    std::fs::create_dir(&work).expect("a directory");
    let place = |name: &str| work.join(name).to_str().expect("UTF-8").to_owned();
    let recording = scratch.recording("seed", &records(5, 1), Some("elsewhere"));
    let property = format!("sasl.password={SECRET}");
    // The embedded cluster speaks neither SASL nor TLS: the protocol is put back, so that the run goes through.
    let plain = ["-X", "security.protocol=plaintext"];
    let with_user = kafka.url().replace("kafka://", &format!("kafka://me:{SECRET}@"));

    for (n, (url, more)) in [(kafka.url(), &["-X", property.as_str()][..]), (with_user, &[])].into_iter().enumerate() {
        let run = place(&format!("run{n}"));
        let sent = dejaq(&[&["replay", &recording, "--to", &url, "--run", &run, "--max"][..], &plain, more].concat());
        assert!(Path::new(&run).join("run.json").exists(), "{sent:?}");
        kept(&sent, &work);
        kept(&dejaq(&[&["plan", &recording, "--to", &url, "--json"][..], &plain, more].concat()).expect(0), &work);
        let out = place(&format!("rec{n}"));
        let args =
            [&["capture", "--from", &url, "--topics", "t", "--out", &out, "--replayed", "include"], &PROMPT[..], &plain, more].concat();
        let check = dejaq(&[&args[..], &["--check"]].concat()).expect(0);
        assert!(check.stdout.contains("***"), "{}", check.stdout);
        kept(&check, &work);
        kept(&dejaq(&[&args[..], &["--start", "beginning", "--until", "end"]].concat()).expect(0), &work);
        for reader in [&["inspect", &out, "--json"][..], &["export", &out], &["verify", &out]] {
            kept(&dejaq(reader).expect(0), &work);
        }
    }
}

#[test]
fn a_password_in_a_failing_argument_is_not_shown_either() {
    let scratch = Scratch::new();
    let recording = scratch.recording("seed", &records(5, 1), Some("elsewhere"));
    let run = scratch.arg("run");
    let property = format!("sasl.password={SECRET}");
    let nonsense = format!("ssl.key.password.nonsense={SECRET}");
    let (bad_port, bad_scheme) = (format!("kafka://me:{SECRET}@h:x"), format!("carrier://me:{SECRET}@h"));
    let odd = format!("kafka://me:{SECRET}@@h:9092/a");
    for (url, more) in [
        ("kafka://127.0.0.1:1", &["-X", &property, "-X", "no.such.property=1"][..]),
        ("kafka://127.0.0.1:1", &["-X", &nonsense]),
        ("kafka://127.0.0.1:1", &["-X", SECRET]),
        ("kafka://127.0.0.1:1", &["-X", &property, "-X", "security.protocol=carrier"]),
        (&bad_port, &[]),
        (&bad_scheme, &[]),
        (&odd, &[]),
    ] {
        let sent = dejaq(&[&["replay", &recording, "--to", url, "--run", &run, "--max"], more].concat());
        assert!(matches!(sent.code, Some(1 | 2)), "{sent:?}");
        kept(&sent, &scratch.path(""));
        let out = scratch.arg("rec");
        let read = dejaq(&[&["capture", "--from", url, "--topics", "t", "--out", &out], more].concat());
        assert!(matches!(read.code, Some(1 | 2)), "{read:?}");
        kept(&read, &scratch.path(""));
    }
}

#[test]
fn a_password_in_a_configuration_or_the_environment_is_not_shown() {
    let (scratch, outside, kafka) = (Scratch::new(), Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("seed", &records(5, 1), Some("elsewhere"));
    let secret = format!("[properties]\n\"sasl.password\" = \"{SECRET}\"\n\"security.protocol\" = \"plaintext\"\n");
    let config = outside.file("config.toml", &secret);
    let run = scratch.arg("run");
    kept(&replay(&recording, &kafka, &run, &["--config", &config, "--max", "--mark", "off"]), &scratch.path(""));
    kept(&capture(&kafka, "t", &scratch.arg("rec"), &["--config", &config]).expect(0), &scratch.path(""));
    // A mistake beside the secret: the parser shows the line it stumbles over, which must not be that one.
    let broken = outside.file("broken.toml", &format!("[properties]\n\"sasl.password\" = \"{SECRET}\" oops\n"));
    kept(&capture(&kafka, "t", &scratch.arg("rec2"), &["--config", &broken]).expect(2), &scratch.path(""));
    kept(&replay(&recording, &kafka, &scratch.arg("run2"), &["--config", &broken]).expect(2), &scratch.path(""));

    let url = kafka.url().replace("kafka://", "kafka://me@");
    let out = scratch.arg("rec3");
    let args = ["capture", "--from", &url, "--topics", "t", "--out", &out, "-X", "security.protocol=plaintext", "--check"];
    let output = command(&args).env("DEJAQ_KAFKA_PASSWORD", SECRET).output().expect("it starts");
    let check = ended(&output).expect(0);
    assert!(check.stdout.contains("sasl.password = ***"), "{}", check.stdout);
    kept(&check, &scratch.path(""));
}
