//! TLS that cannot be set up says which of its faults it is and what to do, at once.

use super::{certificate, listener, says, seed, text, trusted};
use crate::dejaq::{Ended, dejaq, inspect};
use crate::peer::{Peer, clusters};

/// Asks for the seed topic at this URL, with these client properties, which is expected to fail.
fn refused(url: &str, properties: &[&str]) -> Ended {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let out = scratch.path().join("rec");
    let more: Vec<&str> = properties.iter().flat_map(|property| ["-X", property]).collect();
    let ended = dejaq(&[&["capture", "--from", url, "--topics", "t", "--out", text(&out)], &more[..]].concat()).expect(1);
    assert!(!out.exists());
    // The first answer decides: nothing waits for the time that a cluster may take to answer.
    assert!(!ended.stderr.contains("within 10 s"), "{}", ended.stderr);
    ended
}

#[test]
fn a_certificate_that_is_refused_says_why() {
    let other = format!("ssl.ca.location={}", certificate("other-ca"));
    let tls = format!("kafkas://{}", listener("PROD", "TLS"));
    says(&refused(&tls, &[&other]).stderr, &["authority", "not known", "ssl.ca.location=FILE", "CN=localhost"]);
    // The system's authorities do not know it either.
    says(&refused(&tls, &[]).stderr, &["authority", "not known", "ssl.ca.location=FILE"]);
    let expired = format!("kafkas://{}", listener("PROD", "EXPIRED"));
    says(&refused(&expired, &[&trusted()]).stderr, &["certificate has expired", "renewed at the broker"]);
    let wrong_host = format!("kafkas://{}", listener("PROD", "WRONG_HOST"));
    says(&refused(&wrong_host, &[&trusted()]).stderr, &["IP address mismatch", "for another host", "CN=elsewhere.example"]);
    let by_name = wrong_host.replace("127.0.0.1", "localhost");
    says(&refused(&by_name, &[&trusted()]).stderr, &["hostname mismatch", "for another host"]);
    says(&refused(&tls, &["ssl.ca.location=/nowhere/ca.pem"]).stderr, &["ssl.ca.location"]);
    // A file of the right kind with no certificate in it.
    says(&refused(&tls, &[&format!("ssl.ca.location={}", file!())]).stderr, &["ssl.ca.location"]);
}

#[test]
fn tls_where_there_is_none_and_none_where_there_is_tls_say_what_to_try() {
    let at = clusters();
    let (plain, tls, sasl) = (&at.prod, listener("PROD", "TLS"), listener("PROD", "SASL"));
    says(&refused(&format!("kafkas://{plain}"), &[&trusted()]).stderr, &[plain, "use kafka:// instead of kafkas://"]);
    says(&refused(&format!("kafka://{tls}"), &[]).stderr, &[&tls, "use kafkas:// instead of kafka://"]);
    says(&refused(&format!("kafka://me:secret@{sasl}"), &[]).stderr, &[&sasl, "use kafkas:// instead of kafka://"]);
}

#[test]
fn a_client_certificate_makes_a_user() {
    let (at, topic, scratch) = (clusters(), seed(), tempfile::tempdir().expect("temporary directory"));
    let out = scratch.path().join("rec");
    let (url, client) = (format!("kafkas://{}", listener("PROD", "TLS")), certificate("client"));
    let properties = [trusted(), format!("ssl.certificate.location={client}"), format!("ssl.key.location={client}")];
    let properties: Vec<&str> = properties.iter().flat_map(|property| ["-X", property]).collect();
    let args = ["capture", "--from", &url, "--topics", topic, "--out", text(&out), "--start", "beginning", "--until", "end"];
    let ended = dejaq(&[&args[..], &properties].concat()).expect(1);
    says(&ended.stderr, &["the client certificate's user may not DESCRIBE topic", topic]);
    Peer::run(&["access", "--bootstrap", &at.prod, "--grant", &format!("CN=certified:Read:topic:{topic}")]);
    dejaq(&[&args[..], &properties].concat()).expect(0);
    assert_eq!(inspect(&out)["records"], super::SEED_RECORDS);
}
