//! `frostline evaluate`.

use crate::Failure;
use crate::args::Evaluate;
use crate::console::{Console, scores_text, table};
use crate::images::{load, pipeline};
use frostline::data::{self, Split, check_all};
use frostline::fit::{Evaluation, LossSetting, Source, Task, evaluate_in};

pub(crate) fn run(command: &Evaluate, console: &Console) -> Result<(), Failure> {
    let (model, _) = load(&command.model, console)?;
    let mut dataset = match &model.info.classes {
        Some(classes) => data::open_for(&command.data, classes)?,
        None => data::open(&command.data)?,
    };
    dataset.warnings.iter().for_each(|warning| console.warn(warning));
    let images = dataset.examples().count();
    let skips = check_all(&dataset, &|done| console.count("checking images", done, images))?;
    for skip in &skips.skipped {
        console.warn(format_args!("`{}` {}; left out", skip.name, skip.reason));
    }
    dataset = dataset.without(&skips);
    let split = match command.split.as_deref() {
        Some("train") => Split::Train,
        Some("val") => Split::Val,
        Some(_) => Split::Test,
        None if dataset.split(Split::Test).is_empty() => Split::Train,
        None => Split::Test,
    };
    let examples = dataset.split(split);
    if examples.is_empty() {
        return Err(format!(
            "`{}` has no `{}` part\nhelp: leave --split out to take what there is",
            command.data.display(),
            split.name()
        )
        .into());
    }
    let pipeline = pipeline(&model, &command.images, Some(&dataset), console)?;
    let task = Task::of(&dataset);
    let shapes = model.graph.infer_shapes(&[pipeline.input().to_vec()])?;
    let width =
        model.graph.outputs.first().map_or(1, |output| shapes[output.call][output.output].iter().product());
    let loss = LossSetting { loss: command.loss.unwrap_or_else(|| task.loss(width)), label_smoothing: 0.0 };
    let source = Source { dataset: &dataset, pipeline: &pipeline };
    let observe = |event: &frostline::fit::Event<'_>| console.show(event);
    let numbers = command.storage.precision.unwrap_or_default().try_into()?;
    let found =
        evaluate_in(&numbers, &model, source, examples, split.name(), &loss, &[task.metric()], &observe)?;
    console.clear();
    match command.json {
        true => console.print(match &found.report {
            Some(report) => serde_json::to_string(report)?,
            None => serde_json::to_string(&found.scores)?,
        }),
        false => {
            console.print(format_args!(
                "{} images of `{}`: {}",
                examples.len(),
                split.name(),
                scores_text(&found.scores)
            ))?;
            print_classes(&found, console)
        }
    }
}

/// Scores by class and the confusion matrix.
pub(crate) fn print_classes(found: &Evaluation, console: &Console) -> Result<(), Failure> {
    /// A wider confusion matrix is for `--json`.
    const WIDEST: usize = 20;
    let Some(report) = &found.report else { return Ok(()) };
    let mut rows = vec![["class", "precision", "recall", "f1", "images"].map(str::to_owned).to_vec()];
    rows.extend(report.classes.iter().map(|class| {
        let score = |value: f64| format!("{value:.3}");
        vec![
            class.name.clone(),
            score(class.precision),
            score(class.recall),
            score(class.f1),
            class.support.to_string(),
        ]
    }));
    console.print("")?;
    console.print(table(&rows, &[false, true, true, true, true]))?;
    if report.classes.len() <= WIDEST {
        let mut rows = vec![
            std::iter::once("true \\ predicted".to_owned())
                .chain(report.classes.iter().map(|class| class.name.clone()))
                .collect::<Vec<_>>(),
        ];
        rows.extend(report.confusion.iter().zip(&report.classes).map(|(counts, class)| {
            std::iter::once(class.name.clone()).chain(counts.iter().map(usize::to_string)).collect()
        }));
        console.print("")?;
        let right: Vec<bool> = (0..=report.classes.len()).map(|column| column > 0).collect();
        console.print(table(&rows, &right))?;
    }
    Ok(())
}
