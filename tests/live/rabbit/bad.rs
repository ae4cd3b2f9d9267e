//! What cannot work is refused before anything is made, with what mends it.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::held::{essence, exported};
use super::peer::{Node, Pika, World, required};
use super::*;
use crate::background::wait_until;
use crate::dejaq::inspect;
use crate::held::count;

/// What a capture says that must be refused; nothing is left behind, neither on disk nor at the node.
fn refused(world: &World, url: &str, more: &[&str]) -> String {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let out = scratch.path().join("rec");
    let said = refused_into(world, url, &out, more);
    assert!(!out.exists(), "{said}");
    said
}

/// The same where the refusal comes when the queue is made: what is left then is a recording of nothing.
fn refused_into(world: &World, url: &str, out: &Path, more: &[&str]) -> String {
    let ended = dejaq(&[&["capture"], &strs(&at(world.node, url, out, more))[..]].concat()).expect(1);
    assert!(world.own_queues().is_empty(), "{}", ended.stderr);
    assert!(!out.exists() || count(&inspect(out)) == 0, "{}", ended.stderr);
    ended.stderr
}

#[test]
fn a_wrong_password_or_virtual_host_says_which_it_is() {
    let _nodes = beside();
    let world = World::new(Node::Prod, "who", &shop());
    let (user, _) = nobody(&world);
    let said = refused(&world, &world.node.url_as(&user, "wrong-secret", &world.vhost), &["--exchanges", SHOP]);
    says(&said, &[&user, "password"]);
    assert!(!said.contains("wrong-secret"), "{said}");
    says(&refused(&world, &world.node.url("no-such-vhost"), &["--exchanges", SHOP]), &["virtual host", "no-such-vhost"]);
}

#[test]
fn an_exchange_that_is_not_there_is_refused_with_those_that_are() {
    let _nodes = beside();
    let world = World::new(Node::Prod, "missing", &shop());
    says(&refused(&world, &world.url, &["--exchanges", "orders,ordres"]), &["ordres", "files, jobs, news, orders"]);
}

#[test]
fn exchanges_that_a_binding_would_change_are_refused_with_the_reason() {
    let _nodes = beside();
    let world = World::new(Node::Prod, "hash", &json!({"exchanges": [{"name": "sharded", "type": "x-consistent-hash"}]}));
    says(&refused(&world, &world.url, &["--exchanges", "sharded"]), &["sharded", "x-consistent-hash", "share", "--firehose"]);
}

/// The command that a refusal names.
fn command_in(said: &str) -> String {
    let at = said.find("rabbitmqctl ").unwrap_or_else(|| panic!("no command in: {said}"));
    let rest = &said[at..];
    let end = ["\n", "`", " ("].iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len());
    rest[..end].trim_end().to_owned()
}

/// Runs it as the operator would, in a shell.
fn run_as_operator(node: Node, command: &str) {
    let ctl = required(if node == Node::Prod { "DEJAQ_RABBITMQCTL_PROD" } else { "DEJAQ_RABBITMQCTL_STAGING" });
    let script = format!("rabbitmqctl() {{ '{ctl}' \"$@\"; }}; {command}");
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh");
    assert!(output.status.success(), "{command}: {output:?}");
}

/// A user who may nothing in a virtual host.
fn nobody(world: &World) -> (String, String) {
    let user = crate::peer::unique("nobody");
    world.declare(&json!({"users": [{"name": user, "password": "pw"}]}));
    let url = world.node.url_as(&user, "pw", &world.vhost);
    (user, url)
}

#[test]
fn each_right_that_is_missing_comes_with_the_command_that_gives_it() {
    let _nodes = beside();
    let world = World::new(Node::Prod, "rights", &shop());
    let (user, url) = nobody(&world);
    let scratch = tempfile::tempdir().expect("temporary directory");
    let out = scratch.path().join("rec");
    let args = at(world.node, &url, &out, &["--exchanges", SHOP, "--for", "1s"]);
    let mut commands: Vec<String> = Vec::new();
    loop {
        let ended = dejaq(&[&["capture"], &strs(&args)[..]].concat());
        if ended.code == Some(0) {
            break;
        }
        let command = command_in(&ended.stderr);
        says(&command, &[&user]);
        assert!(!commands.contains(&command), "the command did not help: {}", ended.stderr);
        run_as_operator(world.node, &command);
        commands.push(command);
    }
    world.node.api("DELETE", &format!("/api/users/{user}"), None);
    assert!((1..=5).contains(&commands.len()), "{commands:#?}");
    let all = commands.join("\n");
    says(&all, &["set_permissions -p", &world.vhost, "set_user_tags", "monitoring"]);
}

#[test]
fn each_right_alone_is_asked_for_by_name() {
    let _nodes = beside();
    let world = World::new(Node::Prod, "each", &shop());
    let (user, url) = nobody(&world);
    let rights = |configure: &str, write: &str, read: &str, tags: &str| {
        world.declare(
            &json!({"users": [{"name": user, "password": "pw", "tags": tags, "permissions": {"VHOST": [configure, write, read]}}]}),
        );
        let scratch = tempfile::tempdir().expect("temporary directory");
        refused_into(&world, &url, &scratch.path().join("rec"), &["--exchanges", SHOP])
    };
    says(&rights("^$", ".*", ".*", "monitoring"), &["configure", "rabbitmqctl set_permissions"]);
    says(&rights(".*", "^$", ".*", "monitoring"), &["write", "rabbitmqctl set_permissions"]);
    says(&rights(".*", ".*", "^dejaq", "monitoring"), &["read", "rabbitmqctl set_permissions"]);
    says(&rights(".*", ".*", ".*", ""), &["monitoring", "rabbitmqctl set_user_tags"]);
    world.node.api("DELETE", &format!("/api/users/{user}"), None);
}

#[test]
fn a_policy_that_the_mirror_cannot_live_with_is_refused_with_the_command_that_keeps_it_off() {
    let _nodes = beside();
    let policies = [
        ("mirrored", json!({"ha-mode": "all"})),
        ("short-lived", json!({"message-ttl": 1000})),
        ("narrow", json!({"max-length": 10, "overflow": "reject-publish"})),
    ];
    for (name, definition) in policies {
        let world = World::new(Node::Prod, name, &shop());
        world.declare(
            &json!({"policies": [{"vhost": "VHOST", "name": name, "pattern": ".*", "definition": definition, "apply-to": "queues"}]}),
        );
        let said = refused(&world, &world.url, &["--exchanges", SHOP]);
        says(&said, &[name, &world.vhost]);
        run_as_operator(world.node, &command_in(&said));
        let scratch = tempfile::tempdir().expect("temporary directory");
        capture(&world, &scratch.path().join("rec"), &["--exchanges", SHOP, "--for", "1s"]).expect(0);
    }
}

#[test]
fn a_policy_that_rejects_or_dead_letters_does_neither_in_the_mirror() {
    const BOUND: u64 = 100;
    let _nodes = beside();
    let policies = [
        ("dead-lettering", json!({"dead-letter-exchange": "dead", "dead-letter-routing-key": "x"})),
        ("rejecting", json!({"overflow": "reject-publish", "max-length": 1000})),
    ];
    for (name, definition) in policies {
        let world = World::new(Node::Prod, name, &shop());
        world.declare(&json!({
            "exchanges": [{"name": "dead", "type": "fanout"}], "queues": [{"name": "graveyard"}],
            "bindings": [{"source": "dead", "destination": "graveyard"}],
            "policies": [{"vhost": "VHOST", "name": name, "pattern": "^dejaq", "definition": definition, "apply-to": "queues"}],
        }));
        let scratch = tempfile::tempdir().expect("temporary directory");
        let (dir, bound) = (scratch.path().join("rec"), format!("queue.messages={BOUND}"));
        let running = capturing(&world, &dir, &["--exchanges", SHOP, "-X", &bound, "-X", "prefetch=100"]);
        Pika::publish(&world.url, &shop_routes(), &["--count", "200", "--rate", "100", "--seed", "first"]);
        wait_until(&dir, "under way", |r| count(r) >= 200);
        signal(&running, "-STOP");
        let sent = Pika::publish(&world.url, &shop_routes(), &["--count", "2000"]);
        assert_eq!((&sent.summary["acked"], &sent.summary["nacked"]), (&json!(2000), &json!(0)), "{name}");
        assert!(Pika::depth(&world.url, &world.own_queues()[0]).0 <= BOUND, "it did throw away");
        assert_eq!(Pika::depth(&world.url, "graveyard").0, 0, "{name}");
        signal(&running, "-CONT");
        let last = Pika::publish(&world.url, &shop_routes(), &["--count", "1", "--seed", "last"]).lines;
        eventually("caught up", || exported(&dir).iter().any(|record| essence(record) == essence(&last[0])));
        running.interrupt().expect(3);
    }
}

#[test]
fn options_of_the_other_broker_are_refused() {
    let _nodes = beside();
    let world = World::new(Node::Prod, "options", &shop());
    let scratch = tempfile::tempdir().expect("temporary directory");
    let out = scratch.path().join("rec");
    let wrong: [(&[&str], &str); 3] = [
        (&["--topics", "t"], "topics"),
        (&["--exchanges", SHOP, "--start", "beginning"], "start"),
        (&["--exchanges", SHOP, "--until", "end"], "until"),
    ];
    for (more, word) in wrong {
        let ended = capture(&world, &out, more);
        assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
        says(&ended.stderr, &[word]);
        assert!(!out.exists());
    }
}

#[test]
fn a_property_of_no_client_is_refused_with_those_that_are() {
    let _nodes = beside();
    let world = World::new(Node::Prod, "property", &shop());
    let said = refused(&world, &world.url, &["--exchanges", SHOP, "-X", "prefech=10"]);
    says(&said, &["prefech", "prefetch", "queue.messages"]);
}
