//! `report.html` of a search: one file, which loads nothing.

use super::super::charts::{Chart, Point, Series};
use super::{DepthReport, Table, arms, cuts, freezes, learning};
use crate::depth::{Arm, CutScore, Estimate, FreezeScore, Training, more_data, selection};
use frostline_graph::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeMap;

const STYLE: &str = "
body{font:15px/1.5 system-ui,sans-serif;color:#1c1c1c;background:#fff;max-width:84rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}
.verdict{font-size:1.15rem;border-left:4px solid #0072b2;padding:.4rem 1rem;background:#f4f8fb}
.charts{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0;flex:1 1 28rem;max-width:40rem}
svg{width:100%;height:auto}figcaption{margin-bottom:.8rem;font-size:.9rem;color:#444}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.82rem}
th,td{padding:.2rem .45rem;border-bottom:1px solid #e2e2e2;text-align:left;vertical-align:bottom}
td:not(:first-child){white-space:nowrap}td:first-child{overflow-wrap:anywhere;min-width:10rem}
.number{text-align:right;font-variant-numeric:tabular-nums}.marked td{background:#eaf3f9;font-weight:600}
.note{font-size:.85rem;color:#444}.key{display:inline-block;margin-right:1rem}
.key i{display:inline-block;width:.8rem;height:.8rem;border-radius:50%;margin-right:.35rem;vertical-align:-.05rem}
";

impl DepthReport {
    /// The page.
    pub fn page(&self) -> Result<String> {
        let Self { model, data, images, scores, found, learning: curves, verdict } = self;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "How many layers to reuse" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { "How many layers to reuse" }
                    p.note { "Model " code { (model) } ", data " code { (data) } }
                    p.verdict { (marked_up(&verdict.text)) }
                    @if let Some(text) = more_data(curves) { p { (marked_up(&text)) } }
                    h2 { "What was trained" }
                    (figure(&reuse(self), "Share of the held-out test images whose class is found, with 95 % intervals, by how many layers stay frozen; a colour for each number of layers kept, and a ring around what is chosen. Points of one place stand side by side. Where several rates were tried, the one that is chosen, or was on the most splits, or was best on the selection images; gradual unfreezing is in the table alone.")?)
                    (table(&arms(found, *images)))
                    h2 { "Scores of the features, before any training" }
                    div.charts {
                        @for (y, of, caption) in of_cuts() {
                            (figure(&by_cut(&scores.cuts, y, of), caption)?)
                        }
                        (figure(&by_freeze(&scores.freezes), "Leave-one-out squared error of ridge regression on the tangent kernel of the layers that train, by how many stay frozen: lower is better.")?)
                    }
                    (table(&cuts(scores)))
                    (table(&freezes(scores)))
                    @if curves.iter().any(|curve| curve.points.len() > 1) {
                        h2 { "How much data" }
                        (figure(&by_images(self), "Share of the held-out test images whose class is found, by how many images were trained on, over the first splits.")?)
                        (table(&learning(curves)))
                    }
                }
            }
        };
        Ok(page.into_string())
    }
}

fn table(table: &Table) -> Markup {
    let class = |is_number: bool| is_number.then_some("number");
    html! {
        div.scroll {
            table {
                tr { @for (title, is_number) in &table.titles { th class=[class(*is_number)] { (title) } } }
                @for row in &table.rows {
                    tr class=[row.last().is_some_and(|mark| mark.starts_with("<-")).then_some("marked")] {
                        @for (cell, (_, is_number)) in row.iter().zip(&table.titles) {
                            td class=[class(*is_number)] { (cell.replace("<-", "←")) }
                        }
                    }
                }
            }
        }
        p.note { (marked_up(&table.note)) }
    }
}

/// Text with `names` in it.
fn marked_up(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn figure(chart: &Chart, caption: &str) -> Result<Markup> {
    let svg = chart.svg()?;
    Ok(html! {
        figure {
            (PreEscaped(svg))
            @if chart.series.len() > 1 {
                div {
                    @for (index, series) in chart.series.iter().enumerate() {
                        @let (red, green, blue) = chart.colour(index);
                        span.key { i style=(format!("background:rgb({red},{green},{blue})")) {} (series.name) }
                    }
                }
            }
            figcaption { (caption) }
        }
    })
}

/// Scores over frozen layers, a series for each number of layers kept, and one for training from scratch.
fn reuse(report: &DepthReport) -> Chart {
    let found = &report.found;
    let scratch = &found.baselines.scratch;
    let chosen = &found.arms[found.recommended].0;
    let rank = |arm: &Arm| (arm == chosen, found.of(arm).len(), selection(found.of(arm)));
    let mut best: BTreeMap<(usize, usize), &Arm> = BTreeMap::new();
    // how many layers gradual unfreezing leaves frozen differs from split to split
    let has_place = |arm: &Arm| arm != scratch && arm.training != Training::Gradual;
    let trained = found.arms.iter().filter(|(arm, outcomes)| has_place(arm) && !outcomes.is_empty());
    for (arm, _) in trained {
        let place = best.entry((arm.kept_layers, arm.frozen_layers)).or_insert(arm);
        if rank(arm) > rank(place) {
            *place = arm;
        }
    }
    let point =
        |arm: &Arm| Some(Point { is_chosen: arm == chosen, ..percent(arm.frozen_layers, found.score(arm)?) });
    let mut kept: BTreeMap<usize, Series> = BTreeMap::new();
    for ((layers, _), arm) in best {
        let empty = || Series { name: format!("{layers} layers kept"), points: Vec::new(), is_line: true };
        kept.entry(layers).or_insert_with(empty).points.extend(point(arm));
    }
    let name = "from scratch".to_owned();
    let scratch = Series { name, points: point(scratch).into_iter().collect(), is_line: false };
    let series = kept.into_values().chain([scratch]).filter(|series| !series.points.is_empty());
    Chart { x: "layers frozen", y: "accuracy, %", series: series.collect() }
}

type Of = fn(&CutScore) -> f64;

fn of_cuts() -> [(&'static str, Of, &'static str); 3] {
    [
        (
            "probe error",
            |score| score.probe.error(),
            "Leave-one-out squared error of a linear probe on the features, by how many layers are kept: lower is better. Cuts are chosen by it.",
        ),
        (
            "LogME",
            |score| score.logme,
            "LogME, by how many layers are kept. It grows with the width of the features.",
        ),
        (
            "H-score",
            |score| score.h_score,
            "H-score, by how many layers are kept. It grows with the width of the features.",
        ),
    ]
}

fn by_cut(scores: &[CutScore], y: &'static str, of: Of) -> Chart {
    let point = |score: &CutScore| Point::new(score.cut.layers, of(score), None);
    Chart { x: "layers kept", y, series: vec![line(y, scores.iter().map(point))] }
}

fn by_freeze(scores: &[FreezeScore]) -> Chart {
    let point = |score: &FreezeScore| Point::new(score.frozen_layers, score.probe.error(), None);
    Chart {
        x: "layers frozen",
        y: "kernel error",
        series: vec![line("kernel error", scores.iter().map(point))],
    }
}

fn by_images(report: &DepthReport) -> Chart {
    let series = report.learning.iter().map(|curve| {
        let points = curve.points.iter().map(|point| percent(point.images, point.score));
        line(&curve.arm, points)
    });
    Chart { x: "images trained on", y: "accuracy, %", series: series.collect() }
}

/// A score over a count.
fn percent(x: usize, score: Estimate) -> Point {
    let interval = score.interval().map(|bounds| bounds.map(|bound| 100.0 * bound));
    Point::new(x, 100.0 * score.mean, interval)
}

fn line(name: &str, points: impl Iterator<Item = Point>) -> Series {
    Series { name: name.to_owned(), points: points.collect(), is_line: true }
}
