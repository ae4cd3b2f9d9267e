//! Signing in by SASL: each mechanism works, and what does not says why, at once.

use super::{SEED_RECORDS, User, admit, listener, says, seed, text, trusted};
use crate::dejaq::{dejaq, inspect};
use crate::peer::{Peer, clusters};

#[test]
fn each_mechanism_lets_a_user_in() {
    let (at, topic, scratch) = (clusters(), seed(), tempfile::tempdir().expect("temporary directory"));
    let user = User::named("user");
    let plain = User { name: "plain".to_owned(), password: "plain-secret".to_owned() };
    let read = format!("Read:topic:{topic}");
    admit(&at.prod, &[&user], &[(&user, &read), (&plain, &read)]);
    let url = |user: &User| user.url(&listener("PROD", "SASL"));
    for (who, mechanism) in [(&user, "SCRAM-SHA-512"), (&user, "SCRAM-SHA-256"), (&plain, "PLAIN")] {
        let (out, property) = (scratch.path().join(mechanism), format!("sasl.mechanisms={mechanism}"));
        let args = ["capture", "--from", &url(who), "--topics", topic, "--out", text(&out), "--start", "beginning", "--until", "end"];
        who.run(&[&args[..], &["-X", &property]].concat()).expect(0);
        assert_eq!(inspect(&out)["records"], SEED_RECORDS, "{mechanism}");
    }
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let (at, scratch) = (clusters(), tempfile::tempdir().expect("temporary directory"));
    let (out, user) = (scratch.path().join("rec"), User::named("user"));
    admit(&at.prod, &[&user], &[]);
    let wrong = User { name: user.name.clone(), password: "something-else".to_owned() };
    let nobody = User::named("nobody");
    let (sasl, tls) = (listener("PROD", "SASL"), listener("PROD", "TLS"));
    let refused = |who: &User, url: &str, more: &[&str]| {
        let ended = who.run(&[&["capture", "--from", url, "--topics", "t", "--out", text(&out)], more].concat()).expect(1);
        assert!(!ended.stderr.contains("within 10 s") && !ended.stderr.contains(&who.password), "{}", ended.stderr);
        assert!(!out.exists());
        ended.stderr
    };
    let credentials = "does not exist at this broker, or the password is another one";
    says(&refused(&wrong, &wrong.url(&sasl), &[]), &[&user.name, "SCRAM-SHA-512", &sasl, credentials]);
    says(&refused(&nobody, &nobody.url(&sasl), &[]), &[&nobody.name, "SCRAM-SHA-512", credentials]);
    says(&refused(&user, &user.url(&sasl), &["-X", "sasl.mechanisms=PLAIN"]), &[&user.name, "by PLAIN", credentials]);
    says(&refused(&user, &user.url(&sasl), &["-X", "sasl.mechanisms=GSSAPI"]), &["GSSAPI"]);
    // A listener that takes no user; and one that wants one.
    says(&refused(&user, &user.url(&tls), &[]), &[&user.name, "takes no user", "USER@"]);
    says(&refused(&user, &format!("kafka://{}@{}", user.name, at.prod), &[]), &["takes no user"]);
    says(&refused(&user, &format!("kafkas://{sasl}"), &[]), &["expects a user", "USER@"]);

    // A target says the same.
    let recording = super::seed_recording(scratch.path());
    let url = format!("kafkas://{}:nonsense@{}", user.name, listener("STAGING", "SASL"));
    let ended = dejaq(&["plan", text(&recording), "--to", &url, "-X", &trusted()]).expect(1);
    says(&ended.stderr, &[&user.name, credentials]);
    assert!(!ended.stderr.contains("nonsense"), "{}", ended.stderr);
    let ended = dejaq(&["plan", text(&recording), "--to", &url, "-X", &trusted(), "-X", "sasl.mechanisms=PLAIN"]).expect(1);
    says(&ended.stderr, &["does not offer PLAIN", "SCRAM-SHA-512", "-X sasl.mechanisms="]);
    // Nothing of all this left a group or an offset.
    assert!(!Peer::run(&["offsets", "--bootstrap", &at.prod]).to_string().contains("dejaq-"));
}
