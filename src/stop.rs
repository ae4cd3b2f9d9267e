//! Asking a running command to end: SIGINT and SIGTERM set a flag that it looks at; the second one kills.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::progress::talk;

/// One flag for the process: a command that runs others (the demo) is ended as a whole.
static STOP: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

/// A flag that is set on the first SIGINT or SIGTERM. On the second the process ends at once, with exit code 1.
///
/// # Errors
/// When the signals cannot be waited for.
pub(crate) fn on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let mut known = STOP.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stop) = &*known {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    watch(Arc::clone(&stop))?;
    *known = Some(Arc::clone(&stop));
    Ok(stop)
}

fn watch(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the signal thread")?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt()).context("waiting for SIGINT")?, signal(SignalKind::terminate()).context("waiting for SIGTERM")?)
    };
    let wait = async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.swap(true, Ordering::SeqCst) {
                talk(format_args!("stopped at once, as asked twice"));
                std::process::exit(i32::from(dejaq_shared::outcome::Outcome::Failed.code()));
            }
            talk(format_args!("stopping: finishing what is in hand (again to stop at once)"));
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(wait)).context("starting the signal thread")?;
    Ok(())
}
