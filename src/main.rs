//! The command `dejaq`: parse the arguments, run a command, turn its outcome into an exit code.

mod commands;
mod progress;
#[cfg(any(feature = "capture", feature = "replay"))]
mod stop;

use std::process::ExitCode;

use clap::Parser;
use dejaq_shared::outcome::Outcome;

/// Records the traffic of a message queue in production and replays it into a test environment, on time.
#[derive(Parser)]
#[command(name = "dejaq", version, about, long_about = None, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "\
Exit codes: 0 done and trustworthy, 1 failed, 2 usage, 3 finished with loss, INVALID or load not \
delivered, 4 threshold crossed.

Examples:
  dejaq demo
  dejaq capture --from kafka://prod:9092 --topics '^metrics' --out rec --for 10m
  dejaq replay rec --to kafka://staging:9092 --run run1 --speed 4
  dejaq report run1")]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let arguments = Arguments::parse_from(&words);
    match arguments.command.run(&words) {
        Ok(outcome) => outcome.into(),
        Err(error) if commands::is_broken_pipe(&error) => Outcome::Done.into(),
        Err(error) => {
            progress::talk(format_args!("error: {}", commands::explain(&error)));
            match error.downcast_ref::<commands::Usage>() {
                Some(_) => Outcome::Usage.into(),
                None => Outcome::Failed.into(),
            }
        }
    }
}
