//! What a line does once, when a capture begins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::line::{Line, Opened};
use super::survey;
use crate::broker::BrokerError;
use crate::record::GapReason;

/// How long the broker may take to show which policy holds for a new queue.
const POLICY_SHOWS: Duration = Duration::from_secs(6);

impl Line {
    /// What policies say of our queue, as the broker sees it. Where there are none there is nothing to wait for.
    ///
    /// # Errors
    /// When one is in force that the queue must not have.
    pub(super) fn bears_policies(&mut self) -> Result<(), BrokerError> {
        let site = Arc::clone(&self.site);
        let deadline = Instant::now() + POLICY_SHOWS;
        while self.governed {
            let status = site.management.queue(&site.vhost, &site.ours.name)?.unwrap_or_default();
            if let Some(says) = status.effective_policy_definition {
                let policy = status.policy.or(status.operator_policy).unwrap_or_default();
                let says = says.as_object().cloned().unwrap_or_default();
                if !matches!(status.kind.as_str(), "" | "classic") {
                    return Err(BrokerError::Fatal(format!(
                        "our queue in virtual host {:?} became one of type {}",
                        site.vhost, status.kind
                    )));
                }
                let warnings = site.ours.bears(&site.vhost, &policy, 0, &says)?;
                warnings.into_iter().for_each(|text| self.warn(text));
                return Ok(());
            }
            // The broker shows it with the queue's first statistics.
            if Instant::now() > deadline {
                break;
            }
            let _ = self.signal(Duration::from_millis(200));
        }
        Ok(())
    }

    /// A queue that is found full has thrown away what did not fit.
    pub(super) fn tell_if_full(&mut self, opened: Opened) {
        let site = Arc::clone(&self.site);
        let bytes = survey::bytes_waiting(&site.management, &site.vhost, &site.ours.name).ok().flatten().unwrap_or(0);
        let full = opened.found.is_some_and(|found| u64::from(found) >= site.ours.messages_max / 20 * 19)
            || bytes >= site.ours.bytes_max / 20 * 19;
        if full {
            let detail = "our queue was found full: what came before what is in it was thrown away".to_owned();
            self.lost(format!("virtual host {}", site.vhost), self.good_ns, site.now_ns(), GapReason::Drop, detail);
        }
    }

    /// Leaves nothing behind of a beginning that failed.
    pub(super) fn undo(&mut self, remove: bool) {
        if let (true, Some(session)) = (remove, &self.session) {
            // The error that led here says more.
            let _ = self.site.remove(&session.connection);
        }
    }
}
