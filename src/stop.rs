//! Asking a running command to end: SIGINT and SIGTERM set a flag that it looks at; the second one kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::progress::talk;

/// A flag that is set on the first SIGINT or SIGTERM. On the second the process ends at once, with exit code 1.
///
/// # Errors
/// When the signals cannot be waited for.
pub(crate) fn on_signal(first: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the signal thread")?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt()).context("waiting for SIGINT")?, signal(SignalKind::terminate()).context("waiting for SIGTERM")?)
    };
    let flag = Arc::clone(&stop);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if flag.swap(true, Ordering::SeqCst) {
                    talk(format_args!("stopped at once, as asked twice"));
                    std::process::exit(i32::from(dejaq_shared::outcome::Outcome::Failed.code()));
                }
                talk(format_args!("{first} (again to stop at once)"));
            }
        });
    })?;
    Ok(stop)
}
