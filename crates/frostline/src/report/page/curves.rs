//! Loss and score by epoch, and the loss by the learning rate.

use super::frame::{figure, marked_up, visible};
use crate::fit::StageReport;
use crate::report::charts::{Chart, Point, Scale, Series, Style};
use frostline_graph::{Error, Result};
use maud::{Markup, html};
use serde_json::Value;
use std::path::Path;

/// A line of `metrics.jsonl`.
pub(in crate::report) struct Epoch {
    stage: String,
    /// 0 is the state before the first.
    number: usize,
    rate: f64,
    train: Value,
    val: Value,
}

/// The epochs that a run has written down so far, none where the file is not there.
///
/// Errors: a file that cannot be read.
pub(in crate::report) fn epochs(file: &Path) -> Result<Vec<Epoch>> {
    let broken = |source: std::io::Error| Error::io(file, source);
    let text = match frostline_files::regular::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(broken)?,
    };
    let mut found = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut line: Value = serde_json::from_slice(line).map_err(|error| broken(error.into()))?;
        found.push(Epoch {
            stage: line["stage"].as_str().unwrap_or_default().to_owned(),
            number: line["epoch"].as_u64().unwrap_or_default() as usize,
            rate: line["learning_rate"].as_f64().unwrap_or_default(),
            train: line["train"].take(),
            val: line["val"].take(),
        });
    }
    Ok(found)
}

/// A stage's epochs, one after the other.
struct Stretch<'a> {
    name: &'a str,
    /// The epoch of all, from 0, that comes before its first.
    before: usize,
    epochs: &'a [Epoch],
    /// What was kept of it.
    best: Option<usize>,
    kept: bool,
}

fn stretches<'a>(epochs: &'a [Epoch], stages: &[StageReport]) -> Vec<Stretch<'a>> {
    let goes_on = |one: &Epoch, next: &Epoch| one.stage == next.stage && one.number < next.number;
    let mut before = 0;
    // stages that told of no epoch were trained besides, on parts of the images
    let mut told = stages.iter();
    let stretch = |epochs: &'a [Epoch]| {
        let first = epochs.first()?;
        let report = told.by_ref().find(|stage| stage.name == first.stage);
        let stretch = Stretch {
            name: &first.stage,
            before,
            epochs,
            best: report.map(|report| report.best_epoch),
            kept: report.is_some_and(|report| report.kept),
        };
        before += epochs.last().map_or(0, |last| last.number);
        Some(stretch)
    };
    epochs.chunk_by(goes_on).filter_map(stretch).collect()
}

/// Loss and score by epoch, with stages and what was kept. `metric`: the score that decides.
pub(in crate::report) fn curves(
    epochs: &[Epoch],
    stages: &[StageReport],
    metric: &str,
) -> Result<Option<Markup>> {
    let stretches = stretches(epochs, stages);
    let count: usize = stretches.iter().map(|stretch| stretch.epochs.len()).sum();
    if count < 2 {
        return Ok(None);
    }
    let caption = |what: &str| format!("{what} by epoch; a ring is around the epoch that was kept.");
    let mut figures = vec![figure(&chart(&stretches, "loss"), &caption("Loss"))?];
    let score = chart(&stretches, metric);
    if metric != "loss" && score.series.iter().any(|series| series.points.len() > 1) {
        figures.push(figure(&score, &caption(&format!("Score (`{metric}`)")))?);
    }
    Ok(Some(html! {
        div.charts { @for figure in figures { (figure) } }
        p.note { (marked_up(&stages_in_words(&stretches))) }
    }))
}

fn stages_in_words(stretches: &[Stretch<'_>]) -> String {
    let stage = |stretch: &Stretch<'_>| {
        let last = stretch.before + stretch.epochs.last().map_or(0, |last| last.number);
        let kept = match (stretch.best, stretch.kept) {
            (Some(0), _) | (_, false) => "stepped back to the state before it".to_owned(),
            (Some(best), true) => format!("epoch {} kept", stretch.before + best),
            (None, true) => "kept".to_owned(),
        };
        let rate = stretch.epochs.last().map_or(0.0, |last| last.rate);
        format!(
            "`{}`: epochs {} to {last}, last rate {}, {kept}",
            visible(stretch.name),
            stretch.before + 1,
            short_rate(rate)
        )
    };
    let told: Vec<String> = stretches.iter().map(stage).collect();
    let lines = if told.len() > 1 { " A dashed line is where the next one begins." } else { "" };
    let word = if told.len() > 1 { "Stages" } else { "Stage" };
    format!("{word} {}.{lines}", told.join("; "))
}

/// A rate by two digits: 0.001, 3.3e-5.
fn short_rate(rate: f64) -> String {
    if rate >= 1e-4 {
        return format!("{}", (rate * 1e6).round() / 1e6);
    }
    format!("{rate:.1e}")
}

fn chart(stretches: &[Stretch<'_>], score: &str) -> Chart {
    type Part = fn(&Epoch) -> &Value;
    let parts: [(&str, Part); 2] = [("training", |epoch| &epoch.train), ("validation", |epoch| &epoch.val)];
    let has_val = stretches.iter().flat_map(|stretch| stretch.epochs).any(|epoch| !epoch.val.is_null());
    let series = parts.iter().enumerate().map(|(index, (name, part))| {
        let points = stretches.iter().flat_map(|stretch| {
            stretch.epochs.iter().filter_map(move |epoch| {
                let value = part(epoch)[score].as_f64().filter(|value| value.is_finite())?;
                let decides = if has_val { index == 1 } else { index == 0 };
                let is_chosen =
                    decides && stretch.kept && stretch.best == Some(epoch.number) && epoch.number > 0;
                Some(Point { is_chosen, ..Point::new(stretch.before + epoch.number, value, None) })
            })
        });
        Series { name: (*name).to_owned(), points: points.collect(), style: Style::Line }
    });
    let series = series.filter(|series| !series.points.is_empty()).collect();
    let marks = stretches.iter().skip(1).map(|stretch| stretch.before as f64 + 0.5).collect();
    Chart { marks, ..Chart::of_counts("epoch", score, series) }
}

/// The loss at each rate of a range test, and the rate that was chosen, from what a record has as `lr_search`:
/// `{"rates": […], "losses": […], "chosen": …}`. None where it has none.
pub(in crate::report) fn rates(search: &Value) -> Result<Option<Markup>> {
    let (Some(rates), Some(losses)) = (search["rates"].as_array(), search["losses"].as_array()) else {
        return Ok(None);
    };
    let point = |(rate, loss): (&Value, &Value)| {
        let (rate, loss) = (rate.as_f64().filter(|rate| *rate > 0.0)?, loss.as_f64()?);
        Some(Point::at(rate.log10(), loss))
    };
    let points = rates.iter().zip(losses).filter_map(point).collect();
    let series = vec![Series { name: "loss".to_owned(), points, style: Style::Line }];
    let chosen = search["chosen"].as_f64().filter(|rate| *rate > 0.0);
    let chart = Chart {
        scale: Scale::Logarithms,
        marks: chosen.map(f64::log10).into_iter().collect(),
        ..Chart::of_counts("learning rate", "loss", series)
    };
    let caption = "Loss by the learning rate of a step; the dashed line is the rate that was chosen.";
    Ok(Some(html! { div.charts { (figure(&chart, caption)?) } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, best: usize) -> StageReport {
        StageReport {
            name: name.to_owned(),
            epochs: 3,
            best_epoch: best,
            train: None,
            val: None,
            last_val: None,
            boundary: Vec::new(),
            frozen_layers: 0,
            trained_parameters: 1,
            feature_bytes: 0,
            kept: best > 0,
            frozen_unchanged: true,
            seconds: 0.0,
        }
    }

    fn read(lines: &str) -> Vec<Epoch> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("metrics.jsonl");
        std::fs::write(&file, lines).expect("written");
        epochs(&file).expect("read")
    }

    #[test]
    fn stages_follow_each_other_and_the_kept_epoch_has_a_ring() {
        let lines = r#"{"stage":"head","epoch":1,"learning_rate":0.001,"train":{"loss":2.0,"accuracy":0.4},"val":{"loss":2.1,"accuracy":0.5},"seconds":0.1}
{"stage":"head","epoch":2,"learning_rate":0.001,"train":{"loss":1.0,"accuracy":0.6},"val":{"loss":1.1,"accuracy":0.6},"seconds":0.1}
{"stage":"top","epoch":0,"learning_rate":0.0,"val":{"loss":1.1,"accuracy":0.6},"seconds":0.1}
{"stage":"top","epoch":1,"learning_rate":0.0001,"train":{"loss":0.5,"accuracy":0.9},"val":{"loss":1.3,"accuracy":0.5},"seconds":0.1}
"#;
        let epochs = read(lines);
        let stages = [report("head", 2), report("top", 0)];
        let stretches = stretches(&epochs, &stages);
        let places: Vec<(&str, usize, usize)> =
            stretches.iter().map(|one| (one.name, one.before, one.epochs.len())).collect();
        assert_eq!(places, [("head", 0, 2), ("top", 2, 2)]);
        let chart = chart(&stretches, "accuracy");
        assert_eq!(chart.marks, [2.5]);
        let val: Vec<(f64, f64, bool)> =
            chart.series[1].points.iter().map(|point| (point.x, point.y, point.is_chosen)).collect();
        assert_eq!(val, [(1.0, 0.5, false), (2.0, 0.6, true), (2.0, 0.6, false), (3.0, 0.5, false)]);
        let page = curves(&epochs, &stages, "accuracy").expect("drawn").expect("epochs").into_string();
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains("epoch 2 kept") && page.contains("stepped back"), "{page}");
    }

    #[test]
    fn a_range_test_is_drawn_over_powers_of_ten() {
        // a loss that is no number is null in JSON
        let search = serde_json::json!({
            "rates": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1], "losses": [2.0, 1.9, 1.5, 1.4, null], "chosen": 1e-3,
        });
        let page = rates(&search).expect("drawn").expect("a search").into_string();
        assert_eq!(page.matches("<circle").count(), 4);
        assert!(page.contains("1e-4") && page.contains("the rate that was chosen"), "{page}");
        assert!(rates(&Value::Null).expect("nothing").is_none());
    }

    #[test]
    fn no_epochs_make_no_curves() {
        assert!(curves(&[], &[], "accuracy").expect("nothing").is_none());
        let folder = tempfile::tempdir().expect("a folder");
        assert!(epochs(&folder.path().join("none")).expect("none").is_empty());
    }
}
