//! Talk: everything for people goes to stderr, a line that rewrites itself on a terminal, plain lines when piped. Stdout
//! is data.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often a plain line is written when stderr is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Writes a line for people.
pub(crate) fn talk(line: fmt::Arguments<'_>) {
    // Nobody to talk to is no reason to fail.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Progress of long work.
pub(crate) struct Progress {
    bar: Option<indicatif::ProgressBar>,
    last: Option<Instant>,
}

impl Progress {
    /// Nothing is shown before the first [`Progress::show`].
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = indicatif::ProgressBar::new_spinner();
            // The template is a constant; the default one serves if it were refused.
            if let Ok(style) = indicatif::ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, last: None }
    }

    /// Shows the newest state: at once on a terminal, every few seconds otherwise.
    pub(crate) fn show(&mut self, line: fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(line.to_string());
                bar.tick();
            }
            None if self.last.is_none_or(|last| last.elapsed() >= PLAIN_EVERY) => {
                self.last = Some(Instant::now());
                talk(line);
            }
            None => {}
        }
    }

    /// Writes a line that stays, without disturbing the one that moves.
    pub(crate) fn note(&self, line: fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| talk(line)),
            None => talk(line),
        }
    }

    /// Takes the moving line away.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
