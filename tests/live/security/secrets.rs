//! A password or a token is told to the broker and to nobody else, whether it lets us in or not.

use std::path::Path;
use std::process::Command;

use super::{User, admit, listener, seed, seed_recording, text, trusted};
use crate::background::{Background, wait_until};
use crate::dejaq::{command, ended};
use crate::peer::{Peer, clusters, unique};

/// How a secret reaches dejaq.
enum Way<'a> {
    Environment(&'a str),
    File(&'a Path),
    Token(&'a Path),
    Url(&'a str),
}

/// Neither a text nor any file under `dir` holds one of the secrets.
fn kept(secrets: &[&str], said: &str, dir: &Path) {
    for secret in secrets {
        assert!(!said.contains(secret), "{said}");
        kept_in(secret.as_bytes(), dir);
    }
}

fn kept_in(secret: &[u8], dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            kept_in(secret, &path);
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{}", path.display());
        }
    }
}

/// A command that signs in at a cluster in this way.
fn signed(args: &[&str], flag: &str, address: &str, user: &str, way: &Way<'_>) -> Command {
    let url = match way {
        Way::Url(password) => format!("kafkas://{user}:{password}@{address}"),
        Way::Token(_) => format!("kafkas://{address}"),
        _ => format!("kafkas://{user}@{address}"),
    };
    let trusted = trusted();
    // What the client itself has to say, as far as it can.
    let mut args = [args, &[flag, &url, "-X", &trusted, "-X", "debug=all"]].concat();
    if matches!(way, Way::Token(_)) {
        args.extend(["-X", "sasl.mechanisms=OAUTHBEARER"]);
    }
    let mut command = command(&args);
    match way {
        Way::Environment(password) => command.env("DEJAQ_KAFKA_PASSWORD", password),
        Way::File(path) => command.env("DEJAQ_KAFKA_PASSWORD_FILE", path),
        Way::Token(path) => command.env("DEJAQ_KAFKA_TOKEN_FILE", path),
        Way::Url(_) => &mut command,
    };
    command
}

#[test]
fn secrets_stay_where_they_were_given() {
    let (at, topic) = (clusters(), seed());
    let (scratch, outside) = (tempfile::tempdir().expect("temporary directory"), tempfile::tempdir().expect("temporary directory"));
    let recording = seed_recording(outside.path());
    let user = User::named("secret");
    for (cluster, right) in [(&at.prod, "Read"), (&at.staging, "Write")] {
        admit(cluster, &[&user], &[(&user, &format!("{right}:topic:{topic}"))]);
    }
    let wrong = unique("battery-staple");
    let token = super::tokens::token(&user.name, std::time::Duration::from_secs(600));
    let bad_token = unique("opaque-staple");
    let file = |name: &str, secret: &str| {
        let path = outside.path().join(name);
        std::fs::write(&path, secret).expect("written");
        path
    };
    let (password_file, wrong_file) = (file("password", &user.password), file("wrong", &wrong));
    let (token_file, bad_token_file) = (file("token", &token), file("bad-token", &bad_token));
    let secrets = [user.password.as_str(), &wrong, &token, &bad_token];
    let ways = [
        (Way::Environment(&user.password), true),
        (Way::File(&password_file), true),
        (Way::Token(&token_file), true),
        (Way::Url(&user.password), true),
        (Way::Environment(&wrong), false),
        (Way::File(&wrong_file), false),
        (Way::Token(&bad_token_file), false),
        (Way::Url(&wrong), false),
    ];
    // Each waits for brokers most of the time: all at once.
    std::thread::scope(|scope| {
        for (n, (way, good)) in ways.iter().enumerate() {
            let dir = scratch.path().join(n.to_string());
            let (user, recording, secrets) = (&user, &recording, &secrets);
            scope.spawn(move || {
                std::fs::create_dir(&dir).expect("a directory");
                let (out, run) = (dir.join("rec"), dir.join("run"));
                let capture = ["capture", "--topics", topic, "--out", text(&out), "--start", "beginning", "--until", "end"];
                let replay = ["replay", text(recording), "--run", text(&run), "--max", "--for", "1s"];
                for (args, flag, cluster) in [(&capture[..], "--from", "PROD"), (&replay, "--to", "STAGING")] {
                    let output = signed(args, flag, &listener(cluster, "SASL"), &user.name, way).output().expect("it starts");
                    let said = ended(&output);
                    let codes = if *good { [Some(0), Some(3)] } else { [Some(1), Some(1)] };
                    assert!(codes.contains(&said.code), "{n}: {said:?}");
                    kept(secrets, &(said.stdout + &said.stderr), &dir);
                }
            });
        }
    });
}

#[test]
fn what_others_see_of_the_process_holds_no_secret() {
    let (at, topic, scratch) = (clusters(), seed(), tempfile::tempdir().expect("temporary directory"));
    let (dir, user) = (scratch.path().join("rec"), User::named("secret"));
    admit(&at.prod, &[&user], &[(&user, &format!("Read:topic:{topic}"))]);
    let args = ["capture", "--topics", topic, "--out", text(&dir), "--start", "beginning"];
    let mut running = Background::spawn(signed(&args, "--from", &listener("PROD", "SASL"), &user.name, &Way::Environment(&user.password)));
    running.wait_for("capturing");
    wait_until(&dir, "some", |r| r["records"].as_u64() > Some(0));
    // What `ps` and `top` show. (The environment is readable to the same user and to root only.)
    let shown = |name: &str| std::fs::read(format!("/proc/{}/{name}", running.pid())).expect("it runs");
    let command_line = String::from_utf8_lossy(&shown("cmdline")).into_owned();
    assert!(command_line.contains("capture") && command_line.contains(&user.name), "{command_line}");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", running.pid())).expect("it runs");
    let names: Vec<String> =
        tasks.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("comm")).ok()).chain([command_line]).collect();
    assert!(!names.concat().contains(&user.password), "{names:?}");
    let said = running.interrupt().expect(0);
    kept(&[&user.password], &said.stderr, scratch.path());
    assert!(!Peer::run(&["offsets", "--bootstrap", &at.prod]).to_string().contains(&user.name));
}
