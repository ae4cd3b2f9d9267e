//! SASL OAUTHBEARER: tokens that are renewed while dejaq runs, and those that are not.
//!
//! The broker believes unsigned tokens and ends a connection whose token has expired, so that living longer than a token means
//! that the next one was handed over in time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{SEED_RECORDS, User, listener, report, says, seed, seed_recording, text, trusted};
use crate::background::{Background, wait_until};
use crate::dejaq::{command, dejaq, ended, inspect};
use crate::peer::{Peer, clusters, unique};

/// An unsigned token of `user`'s that lives for so long from now.
pub(super) fn token(user: &str, life: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("past 1970");
    let claims = serde_json::json!({"sub": user, "iat": now.as_secs_f64(), "exp": (now + life).as_secs_f64()});
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Replaces a token as a sidecar does: at once.
fn write(file: &Path, token: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, token).expect("written");
    std::fs::rename(&new, file).expect("renamed");
}

/// The program that keeps a token file up to date.
struct Sidecar {
    file: PathBuf,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<u32>>,
}

impl Sidecar {
    fn start(file: &Path, user: &str, life: Duration) -> Self {
        write(file, &token(user, life));
        let (stop, stopped) = channel::<()>();
        let (path, user) = (file.to_owned(), user.to_owned());
        let thread = std::thread::spawn(move || {
            let mut written = 1;
            while stopped.recv_timeout(life / 2) == Err(RecvTimeoutError::Timeout) {
                write(&path, &token(&user, life));
                written += 1;
            }
            written
        });
        Self { file: file.to_owned(), stop: Some(stop), thread: Some(thread) }
    }

    /// Ends it; gives the number of tokens that it wrote.
    fn end(mut self) -> u32 {
        drop(self.stop.take());
        self.thread.take().expect("only this ends it").join().expect("it writes")
    }
}

fn by_token(args: &[&str], file: &Path) -> Command {
    let trusted = trusted();
    let mut command = command(&[args, &["-X", "sasl.mechanisms=OAUTHBEARER", "-X", &trusted]].concat());
    command.env("DEJAQ_KAFKA_TOKEN_FILE", file);
    command
}

#[test]
fn a_capture_and_a_replay_outlive_their_tokens() {
    const LIFE: Duration = Duration::from_secs(4);
    const RECORDS_PER_S: u64 = 8;
    let (at, scratch) = (clusters(), tempfile::tempdir().expect("temporary directory"));
    let user = unique("token");
    let (topic, source) = (Peer::create_topic(&at.prod, "token", 2, ""), seed());
    Peer::run(&["access", "--bootstrap", &at.prod, "--grant", &format!("{user}:Read:topic:{topic}")]);
    Peer::run(&["access", "--bootstrap", &at.staging, "--grant", &format!("{user}:Write:topic:{source}")]);
    let recording = seed_recording(scratch.path());
    let file = scratch.path().join("token");
    let sidecar = Sidecar::start(&file, &user, LIFE);
    let (dir, url) = (scratch.path().join("rec"), format!("kafkas://{}", listener("PROD", "SASL")));
    let mut capture = Background::spawn(by_token(&["capture", "--from", &url, "--topics", &topic, "--out", text(&dir)], &sidecar.file));
    capture.wait_for("capturing");
    // Both for twelve seconds and a half: three lives.
    let (run, url) = (scratch.path().join("run"), format!("kafkas://{}", listener("STAGING", "SASL")));
    let rate = RECORDS_PER_S.to_string();
    let replay = ["replay", text(&recording), "--to", &url, "--run", text(&run), "--rate", &format!("{rate}/s")];
    let replay = Background::spawn(by_token(&replay, &sidecar.file));
    let (count, began) = (SEED_RECORDS, Instant::now());
    let feed = ["feed-synthetic", "--bootstrap", &at.prod, "--topic", &topic, "--bytes", "50", "--rate", &rate, "--count"];
    Peer::run(&[&feed[..], &[&count.to_string()]].concat());
    wait_until(&dir, "complete", |r| r["records"] == count);
    assert!(began.elapsed() > 3 * LIFE, "{:?}", began.elapsed());
    for said in [capture.interrupt().expect(0).stderr, replay.wait().stderr] {
        assert!(!said.contains("is needed") && !said.contains("authentication error"), "{said}");
    }
    let report = report(&run);
    assert_eq!((&report["ledger"]["scheduled"], &report["ledger"]["acked"]), (&count.into(), &count.into()), "{report:#}");
    assert!(sidecar.end() > 4);
}

#[test]
fn a_token_that_is_not_renewed_is_told_and_a_new_one_goes_on() {
    let (at, topic, scratch) = (clusters(), seed(), tempfile::tempdir().expect("temporary directory"));
    let user = unique("token");
    let target = Peer::create_topic(&at.prod, "late", 1, "");
    Peer::run(&["access", "--bootstrap", &at.prod, "--grant", &format!("{user}:Read:topic:{target}")]);
    let (file, dir) = (scratch.path().join("token"), scratch.path().join("rec"));
    let url = format!("kafkas://{}", listener("PROD", "SASL"));
    let capture = ["capture", "--from", &url, "--topics", &target, "--out", text(&dir)];
    let feed = || Peer::run(&["feed-synthetic", "--bootstrap", &at.prod, "--topic", &target, "--count", "40", "--bytes", "50"]);

    write(&file, &token(&user, Duration::from_secs(5)));
    let mut running = Background::spawn(by_token(&capture, &file));
    running.wait_for("capturing");
    feed();
    running.wait_for("a new one is needed");
    // Now the broker has ended what was open, too: nothing gets in until there is a new one.
    running.wait_for("authentication error");
    feed();
    write(&file, &token(&user, Duration::from_secs(60)));
    wait_until(&dir, "complete", |r| r["records"] == 80);
    running.interrupt().expect(0);
    assert_eq!(inspect(&dir)["gaps"].as_array().map(Vec::len), Some(0));

    // At the start it is an error at once, with its place and what to do.
    let out = scratch.path().join("none");
    let none = ["capture", "--from", &url, "--topics", topic, "--out", text(&out)];
    let refused = |command: &mut Command| {
        let began = Instant::now();
        let ended = ended(&command.output().expect("it starts"));
        assert!(began.elapsed() < Duration::from_secs(9) || !ended.stderr.contains("within 10 s"), "{ended:?}");
        assert!(!out.exists());
        (ended.code, ended.stderr)
    };
    write(&file, &token(&user, Duration::ZERO));
    let (code, stderr) = refused(&mut by_token(&none, &file));
    says(&stderr, &["expired at", "a new one is needed", text(&file), "DEJAQ_KAFKA_TOKEN_FILE"]);
    assert_eq!(code, Some(1));
    let (_, stderr) = refused(&mut by_token(&none, &scratch.path().join("nowhere")));
    says(&stderr, &["nowhere", "cannot be read"]);
    write(&file, "two words");
    says(&refused(&mut by_token(&none, &file)).1, &["something else than one token"]);
    // What only the broker can judge: it is no token of its kind.
    write(&file, "opaque");
    says(&refused(&mut by_token(&none, &file)).1, &["signing in at", "OAUTHBEARER", "check the token"]);

    // Given in the environment, for a short run; both; and none.
    let both = token(&user, Duration::from_secs(60));
    let given = |command: &mut Command| refused(command.env("DEJAQ_KAFKA_TOKEN", &both));
    says(&given(&mut by_token(&none, &file)).1, &["DEJAQ_KAFKA_TOKEN and DEJAQ_KAFKA_TOKEN_FILE are both set"]);
    let (_, stderr) = given(by_token(&none, &file).env_remove("DEJAQ_KAFKA_TOKEN_FILE"));
    says(&stderr, &[&user, "may not DESCRIBE topic", topic]);
    let (_, stderr) = refused(by_token(&none, &file).env_remove("DEJAQ_KAFKA_TOKEN_FILE"));
    says(&stderr, &["needs a token", "DEJAQ_KAFKA_TOKEN_FILE"]);
    // A user beside it has no meaning.
    let with_user = User::named("me").url(&listener("PROD", "SASL"));
    let args = ["capture", "--from", &with_user, "--topics", topic, "--out", text(&out)];
    says(&refused(by_token(&args, &file).env("DEJAQ_KAFKA_PASSWORD", "x")).1, &["leave USER@ out"]);
    let oidc = [&none[..], &["-X", "sasl.oauthbearer.method=oidc"]].concat();
    says(&dejaq(&oidc).stderr, &["DEJAQ_KAFKA_TOKEN_FILE"]);
}
