//! A comparison as a page of its own: the verdict first, then every measure with its interval as a picture, then both sides on the
//! same axes. What [`crate::report::shell`] guarantees holds: one file, no network, no text of a run is more than text.

use maud::{Markup, html};

use super::charts::{Sides, charts};
use super::picture::{Scale, class};
use super::result::{Comparison, Measure};
use super::text::{against, cells, lines, word};
use super::verdict::Verdict;
use crate::report::events::{Event, Kind};
use crate::report::shell::{Drawn, figure, page, top, without_script};

/// The page.
#[must_use]
pub fn html(comparison: &Comparison, sides: &Sides<'_>) -> String {
    let charts = charts(sides);
    let axis = sides.axis;
    let warm_up = Event { kind: Kind::WarmUp, from_s: 0.0, to_s: axis.from_s as f64, label: "warm-up, left out".to_owned() };
    let events: Vec<Event> = (axis.from_s > 0).then_some(warm_up).into_iter().collect();
    let end_s = (axis.from_s + axis.unit_s * axis.units as u64) as f64;
    let body = html! {
        header { (top()) (verdict(comparison)) }
        main {
            (measures(comparison))
            (without_script("compare --json and the files of the run directories"))
            div class="charts lead" { @for chart in &charts { (figure(chart)) } }
            section {
                h2 { "How it was compared" }
                ul { @for line in lines(comparison) { li { (line) } } }
            }
        }
        footer { p { "dejaq compare" } }
    };
    let title = format!("{}: dejaq compare", word(comparison.verdict));
    page(&title, &body, &Drawn { charts: charts.iter().collect(), events: &events, end_s })
}

fn verdict(comparison: &Comparison) -> Markup {
    let class = match comparison.verdict {
        Verdict::Same | Verdict::Better => "valid",
        Verdict::Worse => "invalid",
        Verdict::CannotTell => "unfinished",
    };
    html! {
        div class={ "verdict " (class) } {
            h1 { (word(comparison.verdict)) }
            p { (against(comparison)) }
        }
        p class="sides" {
            span { i class="side base" {} "BASE " (comparison.base.join(", ")) }
            span { i class="side new" {} "NEW " (comparison.new.join(", ")) }
        }
    }
}

fn measures(comparison: &Comparison) -> Markup {
    let scale = Scale::of(comparison);
    let (primary, shown): (Vec<&Measure>, Vec<&Measure>) = comparison.measures.iter().partition(|measure| measure.primary);
    html! {
        section class="measures" {
            h2 { "NEW against BASE" }
            p class="about" {
                "The dot is the ratio NEW/BASE, the line its 95 % interval, the band what counts as the same. Equal distances are equal factors."
            }
            table {
                thead { tr {
                    th {} th scope="col" { "BASE" } th scope="col" { "NEW" } th scope="col" { "NEW/BASE" } th { (scale.ticks()) }
                    th scope="col" class="text" { "verdict" }
                } }
                tbody { @for measure in primary { (row(measure, &scale)) } }
                tbody class="shown" {
                    tr class="divider" { th colspan="6" scope="rowgroup" { "shown, not decisive" } }
                    @for measure in shown { (row(measure, &scale)) }
                }
            }
        }
    }
}

fn row(measure: &Measure, scale: &Scale) -> Markup {
    let [title, base, new, ratio, interval, verdict] = cells(measure);
    html! {
        tr {
            th scope="row" { (title) }
            td class="base" { (base) }
            td class="new" { (new) }
            td class="ratio" { (ratio) }
            td class="picture" { (scale.picture(measure)) @if !interval.is_empty() { small { (interval) } } }
            td class={ "text says " (class(measure)) } { (verdict) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::observed::{Axis, Observed, Unit};
    use crate::compare::{Options, compare};

    fn run(name: &str, slower: u64) -> Observed {
        let mut run = Observed { name: name.to_owned(), shown: [None, None, None, Some(1.0)], ..Observed::default() };
        for second in 0..40u64 {
            let mut unit = Unit { scheduled: 200, answered: 200, confirmed: 200, active_s: 1.0, ..Unit::default() };
            for message in 0..200u64 {
                let ns = slower * (1_000 + (second * 31 + message * 17) % 97);
                unit.response.add(ns, 1);
                run.response.record(ns);
            }
            run.units.push(unit);
        }
        run
    }

    #[test]
    fn the_verdict_comes_first_and_no_name_is_more_than_text() {
        let hostile = "</script><script>alert(1)</script>";
        let (base, new) = ([run(hostile, 10)], [run("new", 15)]);
        let axis = Axis { from_s: 3, unit_s: 1, units: 40 };
        let mut found = compare(&base, &new, axis, &Options { replicates: 50, ..Options::default() });
        found.notes.push(hostile.to_owned());
        let page = html(&found, &Sides { runs: [&base, &new], axis, paired: true, closed_loop: false });
        assert!(page.contains("<h1>WORSE</h1>") && page.contains("warm-up, left out"));
        let places = ["<h1>", "class=\"whisker\"", "id=\"chart-latency\""].map(|part| page.find(part));
        assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
        // What is shown without an interval has a dot alone, such as `delivered`; what has no ratio has no picture.
        let count = |which: fn(&&Measure) -> bool| found.measures.iter().filter(which).count();
        let (tested, shown) = (count(|m| m.tested), count(|m| !m.tested && m.ratio.is_some()));
        assert_eq!((page.matches("class=\"whisker\"").count(), page.matches("ratios untested").count()), (tested, shown));
        assert!(tested >= 3 && shown >= 1 && tested + shown < found.measures.len(), "{tested} {shown}");
        assert_eq!((page.matches("<script").count(), page.contains("<script>alert")), (3, false));
        assert!(!page.contains("src=") && !page.contains("href=") && page.contains("default-src 'none'"));
    }
}
