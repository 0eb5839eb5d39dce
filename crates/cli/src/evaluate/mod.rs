//! `frostline evaluate`.

mod chosen;

use crate::Failure;
use crate::args::Evaluate;
use crate::console::{Console, scores_text, table};
use crate::images::{load_for, pipeline};
use crate::train::given;
use chosen::Chosen;
use frostline::data::{Example, Split, check_all};
use frostline::fit::{Evaluation, Event, LossSetting, Source, Task, evaluate};
use frostline::report::{EvaluationPage, RunImages};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub(crate) fn run(command: &Evaluate, console: &Console) -> Result<(), Failure> {
    let page = command.output.as_deref().map(EvaluationPage::place).transpose()?;
    let (mut model, loaded) = load_for(&command.model, command.images.image_size, console)?;
    command.views.onto(&mut model);
    let mut dataset = match &model.info.classes {
        Some(classes) => {
            let reading = command.labels.reading_for(&model)?;
            command.labels.source(&command.data).open_for_as(classes, &reading)?
        }
        None => command.labels.source(&command.data).open_as(&command.labels.reading())?,
    };
    dataset.warnings.iter().for_each(|warning| console.warn(warning));
    let images = dataset.examples().count();
    let skips = check_all(&dataset, &|done| console.count("checking images", done, images))?;
    let mut listed = BTreeSet::new();
    for skip in &skips.skipped {
        let line = format!("`{}` {}; left out", skip.name, skip.reason);
        console.warn(&line);
        listed.insert(line);
    }
    if let Some(counts) = skips.counts() {
        console.warn(format_args!("of {} images {counts}: they are left out of the scores", skips.checked));
    }
    skips.odd_note().iter().for_each(|note| console.warn(note));
    dataset = dataset.without(&skips);
    let path = &command.model.path;
    let record = RunImages::read(path)?;
    if record.is_none() && path.is_dir() {
        console.warn(format_args!(
            "`{}` has no `images.csv`, which tells what it was trained on: images that it has seen count as new",
            path.display()
        ));
    }
    let wanted = Split::ALL.into_iter().find(|split| command.split.as_deref() == Some(split.name()));
    let chosen =
        Chosen::new(&mut dataset, wanted, record.as_ref().map(|record| (path.as_path(), record)), console)?;
    let seen = chosen.by_what_was_seen(&mut dataset, record.as_ref())?;
    let pipeline = pipeline(&model, &command.images, Some(&dataset), console)?;
    let task = Task::of(&dataset);
    let shapes = model.graph.infer_shapes(&[pipeline.input().to_vec()])?;
    let width =
        model.graph.outputs.first().map_or(1, |output| shapes[output.call][output.output].iter().product());
    let loss = LossSetting { loss: command.loss.unwrap_or_else(|| task.loss(width)), label_smoothing: 0.0 };
    let source = Source { dataset: &dataset, pipeline: &pipeline };
    // what holds for all images is told once
    let told: Mutex<BTreeSet<String>> = Mutex::default();
    let observe = |event: &Event<'_>| match event {
        Event::Note(note)
            if !told.lock().unwrap_or_else(PoisonError::into_inner).insert((*note).to_owned()) => {}
        event => console.show(event),
    };
    let numbers = command.storage.precision.unwrap_or_default().try_into()?;
    let score = |examples: &[Example]| {
        let mut metrics = task.shown().to_vec();
        if !metrics.contains(&task.metric()) {
            metrics.push(task.metric());
        }
        evaluate(&numbers, &model, source, examples, "scored", &loss, &metrics, &observe)
    };
    let [trained, validated, new] = &seen;
    let apart = [("trained", trained), ("validated", validated)];
    let apart: Vec<(&str, usize, Evaluation)> = apart
        .into_iter()
        .filter(|(_, examples)| !examples.is_empty())
        .map(|(name, examples)| Ok((name, examples.len(), score(examples)?)))
        .collect::<Result<_, Failure>>()?;
    // a score of nothing says nothing: where all was seen, all is scored, and told to be so
    let headline = if new.is_empty() { &chosen.examples } else { new };
    let found = score(headline)?;
    console.clear();
    if !apart.is_empty() {
        console.warn(overlap(&seen, &chosen.what));
    }
    if let Some(page) = &page {
        let notes: Vec<String> = console.warned().into_iter().filter(|line| !listed.contains(line)).collect();
        let written = EvaluationPage {
            model: &model,
            path,
            dataset: &dataset,
            pipeline: &pipeline,
            examples: headline,
            what: &chosen.what,
            found: &found,
            seen: &apart,
            notes: &notes,
            skipped: &skips.skipped,
            load: &loaded,
            command: &given(console),
        };
        written.write(page)?;
    }
    if command.json {
        let mut document = match &found.report {
            Some(report) => serde_json::to_value(report)?,
            None => serde_json::to_value(&found.scores)?,
        };
        document["images"] = json!(headline.len());
        document["skipped"] = json!(skips.skipped);
        if record.is_some() {
            let part = |(name, images, found): &(&str, usize, Evaluation)| {
                let mut scores = serde_json::to_value(&found.scores)?;
                scores["images"] = json!(images);
                Ok(((*name).to_owned(), scores))
            };
            document["seen"] =
                Value::Object(apart.iter().map(part).collect::<Result<Map<_, _>, serde_json::Error>>()?);
        }
        return console.print(document);
    }
    let which = match (apart.is_empty(), new.is_empty()) {
        (true, _) => "",
        (false, false) => " that are new to the run",
        (false, true) => ", all of which the run has seen",
    };
    let (images, what) = (headline.len(), &chosen.what);
    console.print(format_args!("{images} images of {what}{which}: {}", scores_text(&found.scores)))?;
    for (name, images, found) in &apart {
        console.print(format_args!("{images} images that were {name} on: {}", scores_text(&found.scores)))?;
    }
    print_classes(&found, console)?;
    match &page {
        Some(page) => console.print(format_args!("\nwrote  {}", page.display())),
        None => Ok(()),
    }
}

/// `212 of 265 images of `photos` were trained on and 53 were validated on: …`.
fn overlap([trained, validated, new]: &[Vec<Example>; 3], what: &str) -> String {
    let all = trained.len() + validated.len() + new.len();
    let seen: Vec<String> = [(trained, "trained"), (validated, "validated")]
        .iter()
        .filter(|(examples, _)| !examples.is_empty())
        .map(|(examples, how)| format!("{} were {how} on", examples.len()))
        .collect();
    let so = match new.len() {
        0 => "a score on them says nothing of new images".to_owned(),
        new => format!("they are scored apart from the {new} others"),
    };
    format!("of {all} images of {what} {}: {so}", seen.join(" and "))
}

/// Scores by class and the confusion matrix; of labels that an image may have several of, scores by label.
pub(crate) fn print_classes(found: &Evaluation, console: &Console) -> Result<(), Failure> {
    /// A wider confusion matrix is for `--json`.
    const WIDEST: usize = 20;
    let Some(report) = &found.report else { return Ok(()) };
    let of_labels = report.labels.map.is_some();
    let kind = if of_labels { "label" } else { "class" };
    let mut rows = vec![[kind, "precision", "recall", "f1"].map(str::to_owned).to_vec()];
    rows[0].extend(of_labels.then(|| "average precision".to_owned()));
    rows[0].push("images".to_owned());
    rows.extend(report.classes.iter().map(|class| {
        let score = |value: f64| format!("{value:.3}");
        let mut row = vec![class.name.clone(), score(class.precision), score(class.recall), score(class.f1)];
        if of_labels {
            row.push(class.average_precision.map_or_else(|| "-".to_owned(), score));
        }
        row.push(class.support.to_string());
        row
    }));
    console.print("")?;
    console.print(table(&rows, &[false, true, true, true, true, true]))?;
    if (1..=WIDEST).contains(&report.confusion.len()) {
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
