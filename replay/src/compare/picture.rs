//! The picture of a ratio: a dot for NEW / BASE, whiskers for its interval, against 1 and the margin around it. Drawn with
//! nothing but boxes, so it is there without a script and has the width that there is. Pure.
//!
//! All pictures of a page have one scale, on which equal distances are equal factors. What lies beyond it ends in an arrow.

use maud::{Markup, html};

use super::result::{Comparison, Measure};
use super::text::cells;
use super::verdict::Verdict;

/// The scale reaches no further than this factor: a ratio of a hundred would leave nothing of the others.
const FACTOR_MAX: f64 = 4.0;

/// The scale of all pictures of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// ln of the factor at its right end.
    reach: f64,
    margin: f64,
}

impl Scale {
    /// One that has room for every interval, and for three margins at least.
    pub(crate) fn of(comparison: &Comparison) -> Self {
        let room = 3.0 * libm::log1p(comparison.margin);
        let ends = comparison.measures.iter().filter_map(Measure::interval).flat_map(|(low, high)| [low, high]);
        let widest = ends.map(|ratio| libm::log(ratio).abs()).filter(|log| log.is_finite()).fold(room, f64::max);
        Self { reach: (widest * 1.1).min(libm::log(FACTOR_MAX)), margin: comparison.margin }
    }

    /// Where a ratio lies, in percent of the width; what is beyond lies at the end.
    fn place(&self, ratio: f64) -> f64 {
        (50.0 + 50.0 * libm::log(ratio) / self.reach).clamp(0.0, 100.0)
    }

    fn is_beyond(&self, ratio: f64) -> bool {
        libm::log(ratio).abs() > self.reach
    }

    /// What stands above the pictures: the ends, and 1.
    pub(crate) fn ticks(&self) -> Markup {
        let end = libm::exp(self.reach);
        html! {
            span class="ticks" { span { (format!("{:.2}", 1.0 / end)) } span { "1" } span { (format!("{end:.2}")) } }
        }
    }

    /// The picture of a measure; nothing for one without a ratio.
    pub(crate) fn picture(&self, measure: &Measure) -> Markup {
        let interval = measure.interval();
        // Between infinite ends a dot stands where the ratio is: at the end.
        let ratio = measure.ratio.or_else(|| interval.map(|(low, high)| if low > 1.0 { high } else { low }));
        let Some(ratio) = ratio else { return html! {} };
        let [_, _, _, shown, words, _] = cells(measure);
        let (from, to) = interval.map_or((50.0, 50.0), |(low, high)| (self.place(low), self.place(high)));
        let band = [1.0 - self.margin, 1.0 + self.margin].map(|ratio| self.place(ratio));
        html! {
            div class={ "ratios " (class(measure)) } role="img" aria-label={ "NEW/BASE " (shown) @if interval.is_some() { ", interval " (words) } } {
                span class="band" style=(span(band[0], band[1])) {}
                span class="one" {}
                @if let Some((low, high)) = interval {
                    span class="whisker" style=(span(from, to)) {}
                    @if self.is_beyond(low) && low < 1.0 { span class="beyond low" { "◂" } }
                    @if self.is_beyond(high) && high > 1.0 { span class="beyond high" { "▸" } }
                }
                span class="dot" style={ "left:" (format!("{:.2}", self.place(ratio))) "%" } {}
            }
        }
    }
}

fn span(from: f64, to: f64) -> String {
    format!("left:{from:.2}%;width:{:.2}%", to - from)
}

/// How a measure is coloured; one that is only shown is not.
pub(crate) fn class(measure: &Measure) -> &'static str {
    match measure.verdict {
        _ if !measure.tested => "untested",
        Verdict::Same => "same",
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::CannotTell => "unsure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(ratio: Option<f64>, interval: Option<(Option<f64>, Option<f64>)>) -> Measure {
        let (low, high) = interval.unwrap_or_default();
        Measure {
            name: "response".to_owned(),
            of: None,
            quantile: Some(0.5),
            unit: "ns".to_owned(),
            base: Some(1.0),
            new: ratio,
            ratio,
            low,
            high,
            tested: interval.is_some(),
            verdict: Verdict::CannotTell,
            single: false,
            primary: true,
            why: None,
        }
    }

    #[test]
    fn equal_factors_are_equally_far_from_one_and_what_is_beyond_lies_at_the_end() {
        let scale = Scale { reach: libm::log(2.0), margin: 0.05 };
        let places = [1.0, 2.0, 0.5, 4.0, 0.0, f64::INFINITY].map(|ratio| scale.place(ratio));
        assert_eq!(places, [50.0, 100.0, 0.0, 100.0, 0.0, 100.0]);
        let up = scale.place(1.1) - 50.0;
        assert!(up > 0.0 && (up + scale.place(1.0 / 1.1) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn an_interval_has_whiskers_and_one_that_is_not_known_has_none() {
        let scale = Scale { reach: libm::log(2.0), margin: 0.05 };
        let drawn = |measure: &Measure| scale.picture(measure).into_string();
        let known = drawn(&measure(Some(1.0), Some((Some(0.5), Some(1.0)))));
        assert!(known.contains("class=\"whisker\" style=\"left:0.00%;width:50.00%\"") && known.contains("left:50.00%"), "{known}");
        let infinite = drawn(&measure(None, Some((Some(1.5), None))));
        assert!(infinite.contains("beyond high") && infinite.contains("class=\"dot\" style=\"left:100.00%\""), "{infinite}");
        let shown = drawn(&measure(Some(1.2), None));
        assert!(shown.contains("untested") && shown.contains("dot") && !shown.contains("whisker"), "{shown}");
        assert_eq!(drawn(&measure(None, None)), "");
    }
}
