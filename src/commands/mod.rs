//! The commands: one thin file each. What they do is in the crates; here arguments become calls, and results become text.

#[cfg(all(feature = "capture", feature = "kafka"))]
mod capture;
#[cfg(feature = "replay")]
mod compare;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "replay")]
mod expand;
mod export;
#[cfg(feature = "replay")]
mod fidelity;
#[cfg(all(feature = "replay", any(feature = "kafka", feature = "amqp")))]
mod following;
mod import;
mod inspect;
#[cfg(all(feature = "replay", any(feature = "kafka", feature = "amqp")))]
mod replay;
#[cfg(feature = "replay")]
mod report;
mod sort;
#[cfg(feature = "replay")]
mod tags;
#[cfg(all(feature = "replay", any(feature = "kafka", feature = "amqp")))]
mod typed;
mod verify;

use std::ffi::OsString;

use dejaq_shared::outcome::Outcome;

/// What was asked for.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Record a broker's traffic
    #[cfg(all(feature = "capture", feature = "kafka"))]
    Capture(Box<capture::Arguments>),
    /// Say what replay would do, without doing it
    #[cfg(all(feature = "replay", any(feature = "kafka", feature = "amqp")))]
    Plan(Box<replay::PlanArguments>),
    /// Send a recording into a broker, on time, and measure it
    #[cfg(all(feature = "replay", any(feature = "kafka", feature = "amqp")))]
    Replay(Box<replay::Arguments>),
    /// Show a run: the verdict, the numbers, charts, as one HTML file
    #[cfg(feature = "replay")]
    Report(report::Arguments),
    /// Show what is in a recording: streams, rates, sizes, gaps
    Inspect(inspect::Arguments),
    /// Check a recording: checksums, missing segments, gaps, books
    Verify(verify::Arguments),
    /// Write a recording's records as lines of JSON on stdout
    Export(export::Arguments),
    /// Make a recording from lines of JSON (what export writes)
    Import(import::Arguments),
    /// Make a copy of a recording whose records lie in time order
    Sort(sort::Arguments),
    /// Say whether a run is better than another, the same, or worse
    #[cfg(feature = "replay")]
    Compare(compare::Arguments),
    /// Say how like the recording a replay was
    #[cfg(feature = "replay")]
    Fidelity(fidelity::Arguments),
    /// Suggest rules that multiply tags, for replay --expand
    #[cfg(feature = "replay")]
    Expand(expand::Arguments),
    /// See the whole loop at once: nothing needed, under a minute
    #[cfg(feature = "demo")]
    Demo(demo::Arguments),
}

impl Command {
    /// Runs it. `words` is what was typed.
    #[cfg_attr(
        not(all(feature = "replay", any(feature = "kafka", feature = "amqp"))),
        expect(unused_variables, reason = "only a run keeps its command")
    )]
    pub(crate) fn run(self, words: &[OsString]) -> anyhow::Result<Outcome> {
        match self {
            #[cfg(all(feature = "capture", feature = "kafka"))]
            Self::Capture(arguments) => capture::run(*arguments),
            #[cfg(all(feature = "replay", any(feature = "kafka", feature = "amqp")))]
            Self::Plan(arguments) => replay::run_plan(&arguments),
            #[cfg(all(feature = "replay", any(feature = "kafka", feature = "amqp")))]
            Self::Replay(arguments) => replay::run(&arguments, typed::without_secrets(words)),
            #[cfg(feature = "replay")]
            Self::Report(arguments) => report::run(&arguments),
            Self::Inspect(arguments) => inspect::run(&arguments),
            Self::Verify(arguments) => verify::run(&arguments),
            Self::Export(arguments) => export::run(&arguments),
            Self::Import(arguments) => import::run(&arguments),
            Self::Sort(arguments) => sort::run(&arguments),
            #[cfg(feature = "replay")]
            Self::Compare(arguments) => compare::run(&arguments),
            #[cfg(feature = "replay")]
            Self::Fidelity(arguments) => fidelity::run(&arguments),
            #[cfg(feature = "replay")]
            Self::Expand(arguments) => expand::run(&arguments),
            #[cfg(feature = "demo")]
            Self::Demo(arguments) => demo::run(&arguments),
        }
    }
}

/// An error that is the caller's: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

impl Usage {
    /// As an [`anyhow::Error`].
    pub(crate) fn error(what: impl std::fmt::Display) -> anyhow::Error {
        anyhow::Error::new(Self(what.to_string()))
    }
}

/// Whether it only says that nobody reads our output any more (`dejaq export … | head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>()).any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The error and its causes in a line. Many texts end with the cause's words already: those are not said again.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |mut text, cause| {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        text
    })
}

/// A number of segments, for people.
fn segments(count: usize) -> String {
    if count == 1 { "1 segment".to_owned() } else { format!("{count} segments") }
}

/// Writes data for scripts or people to stdout.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a value as indented JSON to stdout.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Splits each `-X key=value`. What was typed is not said again: it may be a secret.
#[cfg(any(all(feature = "capture", feature = "kafka"), all(feature = "replay", any(feature = "kafka", feature = "amqp"))))]
fn properties(typed: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let split = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Usage::error("-X expects KEY=VALUE, for example -X client.rack=eu-1a")),
    };
    typed.iter().map(split).collect()
}

/// An identity for a run.
#[cfg(feature = "replay")]
fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
