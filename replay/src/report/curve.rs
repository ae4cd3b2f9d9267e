//! Curves of percentiles, from the median to five nines: twenty values for each nine.

use super::chart::{Across, Chart, Line, Unit};
use crate::measure::latency::Latency;

const STEPS_OF_A_NINE: u32 = 20;
/// Where the median lies, in steps.
const FIRST_STEP: u32 = 6;
const NINES: u32 = 5;

/// The quantiles, in millionths.
fn millionths() -> Vec<u64> {
    let quantile = |step| {
        let nines = f64::from(step) / f64::from(STEPS_OF_A_NINE);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
        let millionths = ((1.0 - libm::pow(10.0, -nines)) * 1e6).round() as u64;
        millionths
    };
    (FIRST_STEP..=NINES * STEPS_OF_A_NINE).map(quantile).collect()
}

/// The percentiles of the values and of so many more that are infinite. The line ends at 1 − 1/n, beyond which n messages tell
/// nothing but their maximum, or where the infinite ones begin.
#[must_use]
pub fn line(name: &str, latency: &Latency<u64>, unanswered: u64) -> Line {
    let (count, quantiles) = (latency.count() + unanswered, millionths());
    let told = |q: u64| u128::from(1_000_000 - q) * u128::from(count) >= 1_000_000;
    let values = latency.at_millionths(&quantiles, unanswered).into_iter().zip(&quantiles);
    Line { values: values.map(|(ns, q)| ns.filter(|_| told(*q)).map(|ns| ns as f64)).collect(), ..Line::named(name) }
}

/// A chart of such lines.
#[must_use]
pub fn chart(about: &str, lines: Vec<Line>) -> Chart {
    Chart {
        id: "percentiles".to_owned(),
        title: "Percentiles".to_owned(),
        about: format!(
            "{about} Each nine is as wide as the one before. A curve ends where there are no messages to tell more, or where the unanswered ones begin."
        ),
        unit: Unit::Ns,
        across: Across::Percentile,
        logarithmic: true,
        x: millionths().into_iter().map(|q| -libm::log10(1.0 - q as f64 / 1e6)).collect(),
        lines,
    }
}
