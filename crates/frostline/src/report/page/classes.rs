//! Scores by class, how sure predictions are, and how far numbers are off.

use super::answer::percent;
use super::confusion::confusion;
use super::frame::{Column, Section, figure, grid, name};
use super::scored::Scored;
use crate::fit::{ClassReport, predicted_class};
use crate::report::charts::{Chart, Point, Scale, Series, Style};
use crate::report::interval::LEVEL;
use frostline_data::Target;
use frostline_graph::Result;
use frostline_head::interval;
use maud::{Markup, html};

/// Parts of equal width that probabilities are counted in, for the picture.
const BINS: usize = 10;
/// A table of more classes is closed at first.
const MOST: usize = 40;
/// More points than this are drawn as every second, third and so on.
const MOST_POINTS: usize = 400;

/// What is known of each class, or of the numbers.
pub(in crate::report) fn sections(scored: &Scored<'_>, noun: &str) -> Result<Vec<Section>> {
    let what = scored.origin.of(noun);
    let Some(report) = &scored.report else {
        return Ok(vec![Section::new("numbers", "True and predicted numbers", numbers(scored)?)]);
    };
    let mut sections = Vec::new();
    if !report.confusion.is_empty() {
        let body = html! { div.side { div { (confusion(report, &what)?) } div { (by_class(report)) } } };
        sections.push(Section::new("classes", "Which classes are confused", body));
    } else {
        sections.push(Section::new("classes", "Each label", by_class(report)));
    }
    if let Some(body) = calibration(scored, &what)? {
        sections.push(Section::new("certainty", "How sure it is", body));
    }
    Ok(sections)
}

fn by_class(report: &ClassReport) -> Markup {
    let of_labels = report.labels.map.is_some();
    let share = |value: f64| html! { (format!("{value:.3}")) };
    let rows = report.classes.iter().map(|class| {
        let support = class.support as f64;
        let found = (class.recall * support).round();
        let ends = interval::wilson(found, support, LEVEL).ok().filter(|_| class.support > 0);
        let mut row =
            vec![name(&class.name), html! { (class.support) }, share(class.precision), share(class.recall)];
        row.push(html! {
            @match ends { Some(ends) => { (format!("{:.2} to {:.2}", ends.low, ends.high)) } None => { "–" } }
        });
        row.push(share(class.f1));
        if of_labels {
            row.push(class.average_precision.map_or_else(|| html! { "–" }, share));
        }
        row
    });
    let mut columns = vec![
        Column::text(if of_labels { "label" } else { "class" }),
        Column::number("images"),
        Column::number("precision"),
        Column::number("recall"),
        Column::number("95 % interval"),
        Column::number("F1"),
    ];
    if of_labels {
        columns.push(Column::number("average precision"));
    }
    let table = grid("Scores by class", &columns, rows.collect());
    html! {
        @if report.classes.len() > MOST { details { summary { "Scores of " (report.classes.len()) " classes" } (table) } }
        @else { (table) }
        p.note {
            "Precision: the share that is right of what was taken for the class. Recall: the share of the class that is found, with "
            "Wilson's 95 % interval. F1: the harmonic mean of both."
        }
    }
}

/// How often predictions of each certainty are right; none where nothing has probabilities.
fn calibration(scored: &Scored<'_>, what: &str) -> Result<Option<Markup>> {
    let mut bins = vec![(0usize, 0.0, 0usize); BINS];
    let (mut all, mut labels, mut width) = (Vec::new(), Vec::new(), 0);
    for (image, example) in scored.examples.iter().enumerate() {
        let Target::Class(class) = example.target else { return Ok(None) };
        let shares = scored.shares(image);
        let is_right = predicted_class(scored.row(image)) == class;
        let sure = f64::from(shares.iter().copied().fold(0.0, f32::max));
        if !(0.0..=1.0 + 1e-4).contains(&sure) || class >= shares.len() {
            return Ok(None); // no probabilities
        }
        let bin = &mut bins[((sure * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        *bin = (bin.0 + 1, bin.1 + sure, bin.2 + usize::from(is_right));
        width = shares.len();
        all.extend(shares.into_iter().map(f64::from));
        labels.push(class);
    }
    let Ok(error) = interval::expected_calibration_error(&all, &labels, width) else { return Ok(None) };
    let filled = || bins.iter().filter(|(images, ..)| *images > 0);
    let point = |(images, sure, right): &(usize, f64, usize)| {
        let ends = interval::wilson(*right as f64, *images as f64, LEVEL).ok();
        let interval = ends.map(|ends| [100.0 * ends.low, 100.0 * ends.high]);
        let share = 100.0 / *images as f64;
        Point { interval, ..Point::at(share * sure, share * *right as f64) }
    };
    let guide = [0.0, 100.0].map(|end| Point::at(end, end));
    let series = vec![
        Series { name: "predictions".to_owned(), points: filled().map(point).collect(), style: Style::Line },
        Series { name: "as sure as right".to_owned(), points: guide.into(), style: Style::Guide },
    ];
    let chart =
        Chart { scale: Scale::Numbers, ..Chart::of_counts("probability said, %", "share right, %", series) };
    let mean =
        |of: fn(&(usize, f64, usize)) -> f64| bins.iter().map(of).sum::<f64>() / labels.len().max(1) as f64;
    let (sure, right) = (mean(|bin| bin.1), mean(|bin| bin.2 as f64));
    let lean = match sure - right {
        difference if difference > 0.05 => "It is surer than it is right: take its probabilities with care.",
        difference if difference < -0.05 => "It is right more often than its probabilities say.",
        _ => "Probabilities are about as high as predictions are right.",
    };
    let caption = format!(
        "How often predictions are right, by the probability that they were made with, of {what}, with 95 % intervals."
    );
    Ok(Some(html! {
        div.side {
        div { (figure(&chart, &caption)?) }
        div { p {
            "The predicted class has a probability of " (percent(sure)) " on the mean, and is right in "
            (percent(right)) ". The expected calibration error is " (format!("{:.1}", 100.0 * error))
            " points. " (lean)
        }
        }
        }
    }))
}

/// True numbers against predicted ones.
fn numbers(scored: &Scored<'_>) -> Result<Markup> {
    let count = match scored.examples.first().map(|example| &example.target) {
        Some(Target::Value(values)) => values.len(),
        _ => 0,
    };
    let step = scored.examples.len().div_ceil(MOST_POINTS).max(1);
    let mut charts = Vec::new();
    for number in 0..count.min(6) {
        let pair = |image: usize| match &scored.examples[image].target {
            Target::Value(values) => {
                Some((f64::from(*values.get(number)?), f64::from(*scored.row(image).get(number)?)))
            }
            Target::Class(_) | Target::Labels(_) => None,
        };
        let pairs: Vec<(f64, f64)> = (0..scored.examples.len()).step_by(step).filter_map(pair).collect();
        let ends =
            |end: fn(f64, f64) -> f64| pairs.iter().map(|(value, _)| *value).reduce(end).unwrap_or(0.0);
        let guide = [ends(f64::min), ends(f64::max)].map(|end| Point::at(end, end));
        let points = pairs.iter().map(|(value, found)| Point::at(*value, *found)).collect();
        let series = vec![
            Series { name: "images".to_owned(), points, style: Style::Dots },
            Series { name: "all right".to_owned(), points: guide.into(), style: Style::Guide },
        ];
        let chart = Chart { scale: Scale::Numbers, ..Chart::of_counts("true", "predicted", series) };
        let which = if count > 1 { format!("Number {}: ", number + 1) } else { String::new() };
        charts.push(figure(&chart, &format!("{which}what is predicted over what is true."))?);
    }
    Ok(html! { div.charts { @for chart in charts { (chart) } } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::scored::Origin;
    use frostline_data::{Example, Input, Split};

    fn classes(outputs: &[f32], targets: &[usize]) -> String {
        let names = ["a", "b"].map(str::to_owned);
        let example = |(row, class): (usize, &usize)| Example {
            name: row.to_string(),
            input: Input::Row { split: Split::Test, row },
            target: Target::Class(*class),
        };
        let examples: Vec<Example> = targets.iter().enumerate().map(example).collect();
        let indices: Vec<u32> = targets.iter().map(|class| *class as u32).collect();
        let report = Some(ClassReport::new(outputs, 1, &indices, &names, 0.0));
        let examples = examples.iter().collect();
        let scored = Scored { origin: Origin::Test, examples, outputs, classes: &names, report };
        sections(&scored, "photos").expect("drawn").into_iter().map(|one| one.body.into_string()).collect()
    }

    #[test]
    fn recall_has_its_interval_and_probabilities_their_error() {
        // three of four of class a are found, and each probability is .9
        let page = classes(&[0.1, 0.1, 0.1, 0.9, 0.9], &[0, 0, 0, 0, 1]);
        // statsmodels: proportion_confint(3, 4, method="wilson") is .3006, .9544
        assert!(page.contains("0.30 to 0.95") && page.contains("0.750"), "{page}");
        // .9 said, .8 right
        assert!(page.contains("expected calibration error is 10.0 points"), "{page}");
        assert!(page.contains("surer than it is right"), "{page}");
    }

    #[test]
    fn what_is_no_probability_has_no_calibration() {
        let page = classes(&[3.0, -2.0], &[1, 0]);
        assert!(!page.contains("calibration error"), "{page}");
    }
}
