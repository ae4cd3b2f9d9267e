//! The commands: one thin file each. What they do is in the crates; here arguments become calls, and results become text.

#[cfg(all(feature = "capture", feature = "kafka"))]
mod capture;
mod export;
mod import;
mod inspect;
mod verify;

use dejaq_shared::outcome::Outcome;

/// What was asked for.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Record a broker's traffic
    #[cfg(all(feature = "capture", feature = "kafka"))]
    Capture(Box<capture::Arguments>),
    /// Show what is in a recording: streams, rates, sizes, gaps
    Inspect(inspect::Arguments),
    /// Check a recording: checksums, missing segments, gaps, books
    Verify(verify::Arguments),
    /// Write a recording's records as lines of JSON on stdout
    Export(export::Arguments),
    /// Make a recording from lines of JSON (what export writes)
    Import(import::Arguments),
}

impl Command {
    /// Runs it.
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        match self {
            #[cfg(all(feature = "capture", feature = "kafka"))]
            Self::Capture(arguments) => capture::run(*arguments),
            Self::Inspect(arguments) => inspect::run(&arguments),
            Self::Verify(arguments) => verify::run(&arguments),
            Self::Export(arguments) => export::run(&arguments),
            Self::Import(arguments) => import::run(&arguments),
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

/// Splits a `-X key=value`.
#[cfg(feature = "kafka")]
fn parse_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, for example client.rack=eu-1a".to_owned()),
    }
}
