//! When a capture ends by itself.

/// Why a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It was asked to (SIGINT, SIGTERM).
    Asked,
    /// Every stream has reached the end that it had when the capture began (`--until end`).
    EndReached,
    /// The time is over (`--for`).
    TimeOver,
    /// The recording holds the number of records asked for (`--records`).
    RecordsReached,
    /// The recording has the size it may have (`disk_max`), or the disk has only the reserve left (`disk_free_min`).
    DiskBound,
}

impl StopReason {
    /// For people, as the end of "stopped: …".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Asked => "asked to",
            Self::EndReached => "every stream has reached its end",
            Self::TimeOver => "the time is over",
            Self::RecordsReached => "the number of records is reached",
            Self::DiskBound => "the disk space that it may use is used",
        }
    }
}

/// What ends a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Until {
    /// The end of every stream as it was at the beginning.
    pub end: bool,
    /// A monotonic time, in nanoseconds.
    pub deadline_ns: Option<u64>,
}

/// What the decision is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Monotonic time, in nanoseconds.
    pub now_ns: u64,
    /// Streams that have not reached their end.
    pub unfinished: usize,
    /// Records that may still be written.
    pub records_left: Option<u64>,
    /// Whether a signal came.
    pub asked: bool,
    /// Whether a bound of the disk is reached.
    pub disk_bound: bool,
}

impl Until {
    /// Whether, and why, it is time to stop.
    #[must_use]
    pub fn reached(&self, standing: Standing) -> Option<StopReason> {
        if standing.records_left == Some(0) {
            Some(StopReason::RecordsReached)
        } else if self.end && standing.unfinished == 0 {
            Some(StopReason::EndReached)
        } else if standing.asked {
            Some(StopReason::Asked)
        } else if self.deadline_ns.is_some_and(|at| standing.now_ns >= at) {
            Some(StopReason::TimeOver)
        } else if standing.disk_bound {
            Some(StopReason::DiskBound)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOING_ON: Standing = Standing { now_ns: 10, unfinished: 1, records_left: None, asked: false, disk_bound: false };

    #[test]
    fn each_condition_ends_it_and_none_does_not() {
        let until = Until { end: true, deadline_ns: Some(11) };
        assert_eq!(until.reached(GOING_ON), None);
        assert_eq!(until.reached(Standing { unfinished: 0, ..GOING_ON }), Some(StopReason::EndReached));
        assert_eq!(until.reached(Standing { now_ns: 11, ..GOING_ON }), Some(StopReason::TimeOver));
        assert_eq!(until.reached(Standing { records_left: Some(0), ..GOING_ON }), Some(StopReason::RecordsReached));
        assert_eq!(until.reached(Standing { asked: true, ..GOING_ON }), Some(StopReason::Asked));
        assert_eq!(until.reached(Standing { disk_bound: true, ..GOING_ON }), Some(StopReason::DiskBound));
    }

    #[test]
    fn without_until_end_an_idle_capture_goes_on() {
        assert_eq!(Until::default().reached(Standing { unfinished: 0, ..GOING_ON }), None);
    }
}
