//! `frostline train`.

use crate::Failure;
use crate::args::{Auto, Labels, ModelFile, Train, Training};
use crate::auto;
use crate::cache;
use crate::console::{Console, scores_text, shell_line, table};
use crate::evaluate::print_classes;
use crate::images::{load_for, provenance};
use crate::stopping;
use frostline::fit::{
    Check, Checkpoints, Event, Head, Journal, Observer, Prepared, PretrainedWeights, Prospect, SolvedHead,
    TrainConfig, Trained, Validation, prepare,
};
use frostline::formats::LoadReport;
use frostline::graph::Pooling;
use frostline::graph::Unfreeze;
use frostline::report::{NextStep, RunFolder, RunRecord};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub(crate) fn run(command: &Train, seed: u64, console: &Console) -> Result<(), Failure> {
    let Finished { record, prepared, trained } = finished(command, seed, console)?;
    if command.json {
        return console.print(serde_json::to_string_pretty(&record)?);
    }
    summary(&record, &trained, &command.output, console)?;
    let next = NextStep::after(&record, &prepared, &command.output);
    console.print(format_args!("\nnext   {}\n       {}", next.reason, shell_line(&next.command)))
}

/// A training that has left its run behind.
pub(crate) struct Finished {
    pub(crate) record: RunRecord,
    pub(crate) prepared: Prepared,
    pub(crate) trained: Trained,
}

/// Trains, and writes the run.
pub(crate) fn finished(command: &Train, seed: u64, console: &Console) -> Result<Finished, Failure> {
    let start = Instant::now();
    let output = &command.output;
    match command.resume {
        true => RunFolder::check_resume(output, &command.data)?,
        false => RunFolder::check(output, &command.data)?,
    }
    let stop = stopping::on_signals(RunFolder::checkpoints_of(output), console)?;
    let (mut prepared, load) = prepared(
        Check::FirstPass,
        &command.model,
        &command.data,
        &command.labels,
        &command.training,
        seed,
        console,
    )?;
    let source = provenance(&command.model, &command.data, &command.labels, console)?;
    let folder = match command.resume {
        true => RunFolder::resume(output, &command.data)?,
        false => RunFolder::create(output, &command.data)?,
    };
    let folder = folder.telling(load, given(console));
    let checkpoints = Checkpoints::new(RunFolder::checkpoints_of(output));
    let checkpoints = checkpoints.every(command.checkpoint_every).until(stop);
    let journal = Journal::open(checkpoints, &prepared)?;
    if command.resume {
        resumes(&journal, &folder, output, console)?;
    }
    let trained = trained(&mut prepared, &journal, &folder, &|event| console.show(event))
        .map_err(|error| stopping::told(error, output, console))?;
    console.clear();
    let seconds = journal.seconds_before() + start.elapsed().as_secs_f64();
    let record = folder.finish(&prepared, &trained, source, seconds)?;
    tell_new(&record, &prepared, console);
    Ok(Finished { record, prepared, trained })
}

/// The command as it was given, word by word. A training that goes on is repeated from its beginning. Where no command was given,
/// there is none.
pub(crate) fn given(console: &Console) -> Vec<String> {
    if console.is_in_process() {
        return Vec::new();
    }
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("frostline".to_owned()).chain(words.filter(|word| word != "--resume")).collect()
}

/// Warns of what was noted when the run was written.
pub(crate) fn tell_new(record: &RunRecord, prepared: &Prepared, console: &Console) {
    record.notes.iter().skip(prepared.notes.len()).for_each(|note| console.warn(note));
}

/// Says where the training goes on, and cuts back what was written after that.
fn resumes(journal: &Journal, folder: &RunFolder, output: &Path, console: &Console) -> Result<(), Failure> {
    journal.notes().iter().for_each(|note| console.warn(note));
    let Some(resumed) = journal.resumed() else {
        folder.begin_training()?;
        console.progress(format_args!(
            "`{}` holds no checkpoint: the training begins from its start",
            output.display()
        ));
        return Ok(());
    };
    if let Some(note) = folder.go_on(resumed.told)? {
        console.warn(note);
    }
    console.progress(format_args!(
        "goes on with the training in `{}`, after {:.1} s of it",
        output.display(),
        journal.seconds_before()
    ));
    Ok(())
}

/// Trains, and writes each epoch to the folder.
pub(crate) fn trained(
    prepared: &mut Prepared,
    journal: &Journal,
    folder: &RunFolder,
    show: Observer<'_>,
) -> frostline::Result<Trained> {
    let broken: Mutex<Option<frostline::Error>> = Mutex::new(None);
    let trained = prepared.train_with(journal, &|event: &Event<'_>| {
        if let Event::Epoch(record) = event
            && let Err(error) = folder.epoch(record)
        {
            broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        show(event);
    })?;
    broken.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(trained), Err)
}

/// The model with its new head, and its data; what became of the model's file. Tells what there is to know.
pub(crate) fn prepared(
    check: Check,
    model: &ModelFile,
    data: &Path,
    labels: &Labels,
    training: &Training,
    seed: u64,
    console: &Console,
) -> Result<(Prepared, LoadReport), Failure> {
    let mut recipe = recipe(training)?;
    let (model, report) = load_for(model, recipe.image_size, console)?;
    if matches!(training.reuse.unfreeze, Some(Auto::To(Unfreeze::Nothing)))
        && let Some(note) = model.graph.number_note("--unfreeze", "0", "trains the head alone")
    {
        console.warn(note);
    }
    let dataset = match (&recipe.head, &model.info.classes) {
        (Head::Keep, Some(classes)) => {
            labels.source(data).open_for_as(classes, &labels.reading_for(&model)?)?
        }
        _ => labels.source(data).open_as(&labels.reading())?,
    };
    if matches!(training.reuse.keep, Some(Auto::Auto)) {
        recipe.keep = Some(auto::keep(&model, &dataset, &recipe, console)?);
    }
    if matches!(training.reuse.unfreeze, Some(Auto::Auto)) {
        if recipe.weights == PretrainedWeights::Reinit {
            return Err(
                "--unfreeze auto scores pretrained weights, --weights reinit drops them\nhelp: give one of them".into()
            );
        }
        let unfreeze = auto::unfreeze(&model, &dataset, &recipe, seed, console)?;
        recipe.stage.extend(training.reuse.fine_tuning(unfreeze));
    }
    let caching = cache::caching(training.no_cache, training.cache.as_ref(), training.cache_limit, console);
    let validation = validation(training.val.as_deref());
    let show = |event: &Event<'_>| console.show(event);
    let told = dataset.warnings.clone();
    // before the photos are looked through, which takes time
    let counts = dataset.summary();
    console.progress(&counts);
    let prepared = prepare(check, model, dataset, recipe, &validation, seed, caching, &show)
        // what is odd about the data may be why it went wrong
        .inspect_err(|_| told.iter().for_each(|warning| console.warn(warning)))?;
    console.clear();
    prepared.notes.iter().for_each(|note| console.warn(note));
    // what was left out, and how the rest was split
    let counts = Some(prepared.dataset.summary()).filter(|now| *now != counts);
    counts.iter().for_each(|counts| console.progress(counts));
    Ok((prepared, report))
}

fn recipe(training: &Training) -> Result<TrainConfig, Failure> {
    let reuse = &training.reuse;
    if reuse.reject.is_some() && (reuse.tunes() || !reuse.solves()) {
        return Err(
            "--reject goes with a head that is solved, on layers that stay frozen\nhelp: leave out what says how to train".into()
        );
    }
    let mut recipe = match &training.recipe {
        Some(path) => TrainConfig::read(path)?,
        None => reuse.config(),
    };
    recipe = training.images.onto(recipe);
    recipe.precision = training.storage.precision.unwrap_or(recipe.precision);
    recipe.features = training.features.or(recipe.features);
    Ok(recipe)
}

fn validation(text: Option<&str>) -> Validation {
    match text.map(|text| (text, text.parse::<f64>())) {
        None => Validation::Auto,
        Some((_, Ok(fraction))) => Validation::Fraction(fraction),
        Some((path, Err(_))) => Validation::Folder(path.into()),
    }
}

/// What is to be expected of new photos, in one sentence.
fn expectation(estimate: &Prospect) -> String {
    let [low, high] = estimate.interval;
    let images = estimate.images;
    match (estimate.accuracy, estimate.mse) {
        (Some(accuracy), _)
            if let [Some(map), Some(f1), Some(micro)] =
                [estimate.labels.map, estimate.labels.f1, estimate.labels.f1_micro] =>
        {
            format!(
                "expect on new photos like these a mean average precision (mAP) of {map:.3}, F1 of {f1:.3} (mean over labels) and {micro:.3} (all together), and all labels right in {:.1} % (95 % interval {:.1} to {:.1}): each of the {images} training images was predicted by a head that had not seen it",
                100.0 * accuracy,
                100.0 * low,
                100.0 * high
            )
        }
        (Some(_), _) if estimate.alone == images => format!(
            "nothing tells how many new photos will be right: each of the {images} training images is the only one of its class, and a head that had not seen it knows nothing of that"
        ),
        (Some(accuracy), _) => format!(
            "expect {:.1} % of new photos like these to be right (95 % interval {:.1} to {:.1}): each of the {images} training images was predicted by a head that had not seen it{}",
            100.0 * accuracy,
            100.0 * low,
            100.0 * high,
            match estimate.alone {
                0 => String::new(),
                alone => format!("; {alone} of them are the only ones of their class, and count as wrong"),
            }
        ),
        (None, mse) => format!(
            "expect a mean squared error of {:.4} on new images like these (95 % interval {low:.4} to {high:.4}): each of the {images} training images was predicted by a head that had not seen it",
            mse.unwrap_or(f64::NAN)
        ),
    }
}

/// What came of a training in one sentence: what to expect of new photos, where that is known; else its scores on images that it was
/// not trained on, or else on those that it was.
pub(crate) fn verdict(record: &RunRecord) -> String {
    if let Some(estimate) = &record.estimate {
        return expectation(estimate);
    }
    let test = record.test.as_ref().map(|test| &test.scores);
    let scored = [("test", test), ("val", record.val.as_ref()), ("train", record.train.as_ref())];
    let found =
        scored.into_iter().find_map(|(part, scores)| Some(format!("{part}  {}", scores_text(scores?))));
    found.unwrap_or_default()
}

/// What was solved, and what that lets expect.
fn solved_summary(head: &SolvedHead, record: &RunRecord, console: &Console) -> Result<(), Failure> {
    let views: Vec<String> = head.views.iter().map(ToString::to_string).collect();
    let inputs = match head.cuts.len() {
        1 => format!("`{}`", head.cuts[0]),
        count => format!("{count} layers, `{}` and below", head.cuts[0]),
    };
    let cells = match head.pooling {
        Pooling::Mean => String::new(),
        cells => format!(", each in {cells} cells"),
    };
    console.print(format_args!(
        "head   solved ({}) on the features of {inputs}{cells}, views {}",
        head.method,
        views.join(" and ")
    ))?;
    if let Some(tried) = &record.unfreezing {
        let what = match tried.adopted {
            true => "is part of the model: on photos that it was not trained on",
            false => {
                "is left out: on photos that it was not trained on it is not better by more than a standard error, and"
            }
        };
        console.print(format_args!(
            "training `{}` and above {what} the cross-entropy falls by {:.4} ± {:.4} and {:+.1} points more are right",
            tried.from,
            tried.gain,
            tried.error,
            100.0 * tried.accuracy_gain
        ))?;
    }
    if let Some(estimate) = &record.estimate {
        console.print(expectation(estimate))?;
    }
    if let Some([share, low, high]) = record.refused {
        console.print(format_args!(
            "{:.1} % of photos of the classes are expected to be taken for none of them (95 % interval {:.1} to {:.1})",
            100.0 * share,
            100.0 * low,
            100.0 * high
        ))?;
    }
    if let Some(findings) = &record.findings
        && let suspects @ [first, ..] = findings.mislabelled.as_slice()
    {
        console.print(format_args!(
            "{} training photo{} may be mislabelled, such as `{}`, which is labelled {} and looks like {}; `frostline check --model` lists them",
            suspects.len(),
            if suspects.len() == 1 { "" } else { "s" },
            first.image,
            first.label,
            first.likelier
        ))?;
    }
    Ok(())
}

/// How far the test score may be off.
fn interval_text(record: &RunRecord) -> String {
    let Some([low, high]) = record.test.as_ref().and_then(|test| test.interval) else { return String::new() };
    let images = record.images[2];
    match record.classes.is_empty() {
        true => {
            format!("  (95 % interval of the mean squared error {low:.4} to {high:.4}, by {images} images)")
        }
        false => format!("  (95 % interval {:.1} to {:.1} %, by {images} images)", 100.0 * low, 100.0 * high),
    }
}

fn summary(record: &RunRecord, trained: &Trained, output: &Path, console: &Console) -> Result<(), Failure> {
    if let Some(head) = &record.solved {
        solved_summary(head, record, console)?;
    }
    if let Some(search) = &record.lr_search {
        console.print(format_args!("rate   {:.2e}, {}, by the range test", search.chosen, search.rule))?;
    }
    let mut rows =
        vec![["stage", "epochs", "kept", "trained", "frozen layers", "val"].map(str::to_owned).to_vec()];
    rows.extend(record.stages.iter().map(|stage| {
        let kept = match (stage.kept, stage.best_epoch) {
            (false, _) | (_, 0) => "stepped back".to_owned(),
            (_, epoch) => format!("epoch {epoch}"),
        };
        vec![
            stage.name.clone(),
            stage.epochs.to_string(),
            kept,
            stage.trained_parameters.to_string(),
            stage.frozen_layers.to_string(),
            stage.val.as_ref().map_or_else(|| "-".to_owned(), scores_text),
        ]
    }));
    if rows.len() > 1 {
        console.print(table(&rows, &[false, true, true, true, true]))?;
        console.print("")?;
    }
    if let Some(train) = &record.train {
        console.print(format_args!("train  {}", scores_text(train)))?;
    }
    if let Some(val) = &record.val {
        console.print(format_args!("val    {}", scores_text(val)))?;
    }
    if let Some(test) = &trained.test {
        console.print(format_args!("test   {}{}", scores_text(&test.scores), interval_text(record)))?;
        if let Some(exact) = &trained.test_f32 {
            console.print(format_args!("test   {}  (the whole model in f32)", scores_text(&exact.scores)))?;
        }
        if let Some(loss) = trained.loss_in_f32() {
            console.warn(format_args!(
                "the saved model runs in f32, where it finds {:.1} points fewer: its head has learned rounded features; train with --precision bf16 or f32",
                100.0 * loss
            ));
        }
        print_classes(test, console)?;
        console.print("")?;
    }
    let certificate = &record.certificate;
    console.print(format_args!(
        "frozen {} layers; {} tensors {} before and after",
        record.frozen.len(),
        certificate.before.len(),
        if certificate.equal { "hash the same" } else { "DIFFER" }
    ))?;
    console.print(format_args!("wrote  {} ({:.1} s)", output.display(), record.seconds))
}
