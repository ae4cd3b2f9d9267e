//! What is compared: the primary measures, which decide, and the others, which are shown.

/// Something that is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// A percentile of response, in thousandths; the unanswered rank as infinity.
    Response(u64),
    /// A percentile of service, in thousandths, of answered messages.
    Service(u64),
    /// Confirmations per second of the time in which the run was at work.
    AchievedRate,
    /// Scheduled messages that were never confirmed, as a share of all.
    UnansweredShare,
}

/// A quantity as a measure of the comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) quantity: Quantity,
    pub(crate) primary: bool,
}

impl Definition {
    pub(crate) fn quantile(&self) -> Option<f64> {
        self.thousandths().map(|q| q as f64 / 1_000.0)
    }

    /// What its values are counted in.
    pub(crate) fn unit(&self) -> &'static str {
        match self.quantity {
            Quantity::Response(_) | Quantity::Service(_) => "ns",
            Quantity::AchievedRate => "1/s",
            Quantity::UnansweredShare => "share",
        }
    }

    /// Whether more is better.
    pub(crate) fn more_is_better(&self) -> bool {
        self.quantity == Quantity::AchievedRate
    }

    /// How many of `count` values lie beyond a percentile; all, for what is none.
    pub(crate) fn beyond(&self, count: u64) -> u64 {
        self.thousandths().map_or(count, |q| count - (count * q).div_ceil(1_000))
    }

    fn thousandths(&self) -> Option<u64> {
        match self.quantity {
            Quantity::Response(q) | Quantity::Service(q) => Some(q),
            Quantity::AchievedRate | Quantity::UnansweredShare => None,
        }
    }
}

const fn measure(name: &'static str, quantity: Quantity, primary: bool) -> Definition {
    Definition { name, quantity, primary }
}

/// What is resampled, primary measures first.
pub(crate) const MEASURES: [Definition; 8] = [
    measure("response", Quantity::Response(500), true),
    measure("response", Quantity::Response(990), true),
    measure("achieved_rate", Quantity::AchievedRate, true),
    measure("unanswered_share", Quantity::UnansweredShare, true),
    measure("response", Quantity::Response(900), false),
    measure("response", Quantity::Response(999), false),
    measure("service", Quantity::Service(500), false),
    measure("service", Quantity::Service(990), false),
];
