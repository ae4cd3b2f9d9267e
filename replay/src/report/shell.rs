//! A page of its own with charts: head, style, the charts' data, the chart library, the script. For the report of a run, and for
//! whatever else draws [`Chart`]s.
//!
//! Guarantees: everything is in the file, and its content policy forbids the network; data is embedded so that nothing in it
//! can end the script that holds it. The library is uPlot 1.6.32 (MIT; `replay/assets/uplot`, unchanged).

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;

use super::chart::Chart;
use super::events::Event;

const UPLOT_JS: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("../../assets/uplot/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("../../assets/uplot/LICENSE");
const STYLE: &str = include_str!("../../assets/report.css");
const SCRIPT: &str = include_str!("../../assets/report.js");
/// Nothing but what stands in the file.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// What the script draws.
#[derive(Debug, Serialize)]
pub struct Drawn<'a> {
    /// The charts.
    pub charts: Vec<&'a Chart>,
    /// What is marked on those over time.
    pub events: &'a [Event],
    /// Where the time axis ends, in seconds.
    pub end_s: f64,
}

/// A whole page. Each chart is drawn where [`figure`] stands.
#[must_use]
pub fn page(title: &str, body: &Markup, drawn: &Drawn<'_>) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(UPLOT_CSS)) (PreEscaped(STYLE)) }
            }
            body {
                (body)
                script type="application/json" id="drawn" { (PreEscaped(embedded(drawn))) }
                script { (PreEscaped("/*\n")) (PreEscaped(UPLOT_LICENSE)) (PreEscaped("*/\n")) (PreEscaped(UPLOT_JS)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// What stands above everything.
#[must_use]
pub fn top() -> Markup {
    html! {
        div class="top" {
            span class="brand" { "dejaq" }
            button id="theme" type="button" title="light or dark" { "light / dark" }
        }
    }
}

/// What is said where there is no JavaScript: charts alone need it.
#[must_use]
pub fn without_script(data: &str) -> Markup {
    html! { noscript { p class="remark" { "The charts need JavaScript. What they show stands in " (data) "." } } }
}

/// The place of a chart.
#[must_use]
pub fn figure(chart: &Chart) -> Markup {
    html! {
        figure class="chart" id={ "chart-" (chart.id) } {
            figcaption { h2 { (chart.title) } p { (chart.about) } }
            div class="plot" role="img" aria-label=(chart.title) {}
        }
    }
}

/// JSON that can stand in a script: no `<`, so that no text in it ends the script or begins a comment.
fn embedded(value: &impl Serialize) -> String {
    // A value of our own types has a form in JSON; were there none, the page would have no charts.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()).replace('<', "\\u003c")
}
