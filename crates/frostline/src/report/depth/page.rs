//! `report.html` of a search.

use super::super::charts::{Chart, Point, Series, Style};
use super::super::page::frame::{Column, Frame, Section, code, figure, grid_with_marks, marked_up, name};
use super::super::page::{Training, sentence};
use super::{DepthReport, Table, arms, cuts, freezes, learning};
use crate::depth::{Arm, CutScore, Estimate, FreezeScore, Training as HowTrained, more_data, selection};
use frostline_graph::Result;
use maud::{Markup, html};
use std::collections::BTreeMap;

const REUSE: &str = "Share of the held-out test images whose class is found, with 95 % intervals, by how many layers stay frozen; a colour for each number of layers kept, and a ring around what is chosen. Points of one place stand side by side. Where several rates were tried, the one that is chosen, or was on the most splits, or was best on the selection images; gradual unfreezing is in the table alone.";
const KERNEL: &str = "Leave-one-out squared error of ridge regression on the tangent kernel of the layers that train, by how many stay frozen: lower is better.";
const DATA: &str = "Share of the held-out test images whose class is found, by how many images were trained on, over the first splits.";

impl DepthReport {
    /// The page. `written`: the training of the model that is recommended.
    pub(in crate::report) fn page(&self, written: &Training<'_>) -> Result<String> {
        let Self { model, data, images, scores, found, learning: curves, verdict } = self;
        let mut sections = vec![
            Section::new(
                "trained",
                "What was trained",
                html! {
                    @let reuse = reuse(self);
                @if !reuse.series.is_empty() { div.charts { (figure(&reuse, REUSE)?) } }
                    (table("What was trained", &arms(found, *images)))
                },
            ),
            Section::new(
                "features",
                "Scores of the features, before any training",
                html! {
                    div.charts {
                        @for (y, of, caption) in of_cuts() { (figure(&by_cut(&scores.cuts, y, of), caption)?) }
                        (figure(&by_freeze(&scores.freezes), KERNEL)?)
                    }
                    (table("Scores of cuts", &cuts(scores)))
                    (table("Scores of how far down to train", &freezes(scores)))
                },
            ),
        ];
        if curves.iter().any(|curve| curve.points.len() > 1) {
            let body = html! {
                div.charts { (figure(&by_images(self), DATA)?) }
                (table("Accuracy by the number of images", &learning(curves)))
            };
            sections.push(Section::new("amount", "How much data", body));
        }
        let answer = written.answer();
        let body = html! {
            p { strong { (answer.figure) } " " (marked_up(&answer.text)) }
            @for caution in &answer.cautions { p.note { (marked_up(caution)) } }
            (written.reuse())
        };
        sections.push(Section::new("written", "The model that was written", body));
        sections.extend(written.scored_sections(&written.album())?);
        sections.push(written.made());
        let frame = Frame {
            kind: "Search report",
            about: "How many layers to reuse".to_owned(),
            subtitle: html! { "Model " (code(model)) ", data " (code(data)) },
            answer: html! {
                section.answer aria-label="The answer" {
                    p.verdict.text { (marked_up(&sentence(&verdict.text))) }
                    @if let Some(text) = more_data(curves) { p.reuse { (marked_up(&sentence(&text))) } }
                }
            },
            sections,
        };
        Ok(frame.page())
    }
}

fn table(caption: &str, table: &Table) -> Markup {
    let columns: Vec<Column<'_>> =
        table.titles.iter().map(|(title, is_number)| Column { title, is_number: *is_number }).collect();
    let rows = table.rows.iter().map(|row| {
        let is_marked = row.last().is_some_and(|mark| mark.starts_with("<-"));
        (row.iter().map(|cell| name(&cell.replace("<-", "←"))).collect(), is_marked)
    });
    html! {
        (grid_with_marks(caption, &columns, rows.collect()))
        p.note { (marked_up(&table.note)) }
    }
}

/// Scores over frozen layers, a series for each number of layers kept, and one for training from scratch.
fn reuse(report: &DepthReport) -> Chart {
    let found = &report.found;
    let scratch = &found.baselines.scratch;
    let chosen = &found.arms[found.recommended].0;
    let rank = |arm: &Arm| (arm == chosen, found.of(arm).len(), selection(found.of(arm)));
    let mut best: BTreeMap<(usize, usize), &Arm> = BTreeMap::new();
    // how many layers gradual unfreezing leaves frozen differs from split to split
    let has_place = |arm: &Arm| arm != scratch && arm.training != HowTrained::Gradual;
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
        let empty =
            || Series { name: format!("{layers} layers kept"), points: Vec::new(), style: Style::Line };
        kept.entry(layers).or_insert_with(empty).points.extend(point(arm));
    }
    let name = "from scratch".to_owned();
    let scratch = Series { name, points: point(scratch).into_iter().collect(), style: Style::Dots };
    let series = kept.into_values().chain([scratch]).filter(|series| !series.points.is_empty());
    Chart::of_counts("layers frozen", "accuracy, %", series.collect())
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
    Chart::of_counts("layers kept", y, vec![line(y, scores.iter().map(point))])
}

fn by_freeze(scores: &[FreezeScore]) -> Chart {
    let point = |score: &FreezeScore| Point::new(score.frozen_layers, score.probe.error(), None);
    let series = vec![line("kernel error", scores.iter().map(point))];
    Chart::of_counts("layers frozen", "kernel error", series)
}

fn by_images(report: &DepthReport) -> Chart {
    let series = report.learning.iter().map(|curve| {
        let points = curve.points.iter().map(|point| percent(point.images, point.score));
        line(&curve.arm, points)
    });
    Chart::of_counts("images trained on", "accuracy, %", series.collect())
}

/// A score over a count.
fn percent(x: usize, score: Estimate) -> Point {
    let interval = score.interval().map(|bounds| bounds.map(|bound| 100.0 * bound));
    Point::new(x, 100.0 * score.mean, interval)
}

fn line(name: &str, points: impl Iterator<Item = Point>) -> Series {
    Series { name: name.to_owned(), points: points.collect(), style: Style::Line }
}
