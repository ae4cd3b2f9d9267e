//! Talk: everything for people goes to stderr, lines that rewrite themselves on a terminal, plain lines when piped. Stdout
//! is data.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often a plain line is written when stderr is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// What a whole bar is made of.
#[cfg(feature = "replay")]
const BAR_STEPS: u64 = 1_000;

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

    /// Whether lines are drawn anew, so that there is room for more than one.
    #[cfg(feature = "replay")]
    pub(crate) fn draws(&self) -> bool {
        self.bar.is_some()
    }

    /// Shows lines where they are drawn anew, under a bar when the share that is done is known.
    #[cfg(feature = "replay")]
    pub(crate) fn view(&mut self, done: Option<f64>, lines: String) {
        let Some(bar) = &self.bar else { return };
        if let Some(done) = done {
            if bar.length().is_none() {
                bar.set_length(BAR_STEPS);
                if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:40.green/dim} {msg}") {
                    bar.set_style(style.progress_chars("━╸─"));
                }
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "from 0 to the steps"
            )]
            bar.set_position((done.clamp(0.0, 1.0) * BAR_STEPS as f64) as u64);
        }
        bar.set_message(lines);
        bar.tick();
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
