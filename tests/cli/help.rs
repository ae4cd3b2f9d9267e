//! What `--help` says of each command is held by the files in `help/`: a flag that appears, goes or changes its meaning is
//! then seen in review, in the words that a user reads.
//!
//! When a change is meant, write them anew with `DEJAQ_WRITE_HELP=1 cargo test --test cli help::` and commit them with it.

use std::path::Path;

use crate::dejaq::{command, ended};

const COMMANDS: [&str; 14] =
    ["", "capture", "plan", "replay", "report", "inspect", "verify", "export", "import", "sort", "compare", "fidelity", "expand", "demo"];

fn help(command_name: &str) -> String {
    let args: Vec<&str> = [command_name, "--help"].into_iter().filter(|a| !a.is_empty()).collect();
    // The width is the terminal's, or this variable's.
    let output = command(&args).env("COLUMNS", "100").output().expect("the command starts");
    ended(&output).expect(0).stdout
}

#[test]
fn help_is_as_it_was_agreed() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help");
    let write = std::env::var_os("DEJAQ_WRITE_HELP").is_some();
    for name in COMMANDS {
        let path = dir.join(format!("{}.txt", if name.is_empty() { "dejaq" } else { name }));
        let now = help(name);
        if write {
            std::fs::write(&path, &now).expect("written");
        }
        let agreed = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(now, agreed, "{} (if the change is meant: DEJAQ_WRITE_HELP=1 cargo test --test cli help::)", path.display());
    }
}

#[test]
fn every_command_has_its_help_held() {
    let listed: Vec<String> = help("")
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|l| !l.starts_with(' ')).and_then(|l| l.split(' ').next()).map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    assert_eq!(listed, COMMANDS[1..]);
}

#[test]
fn nothing_asked_for_is_a_usage_error_that_shows_the_help() {
    let ended = ended(&command(&[]).output().expect("the command starts")).expect(2);
    assert!(ended.stderr.contains("Commands:") && ended.stderr.contains("Exit codes"), "{}", ended.stderr);
}
