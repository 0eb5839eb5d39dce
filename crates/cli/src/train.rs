//! `frostline train`.

use crate::Failure;
use crate::args::{Auto, ModelFile, Reuse, Train, Training};
use crate::cache;
use crate::console::{Console, scores_text, table};
use crate::depth;
use crate::evaluate::print_classes;
use crate::images::load;
use frostline::data;
use frostline::fit::{
    Caching, Check, Event, FINE_TUNE_SHARE, GradualRecipe, Head, Observer, Prepared, PretrainedWeights,
    Recipe, ReusedStatistics, SolveRecipe, SolvedHead, StageDefaults, StageRecipe, Trained, Validation,
    prepare_by,
};
use frostline::graph::Pooling;
use frostline::graph::Unfreeze;
use frostline::report::{Provenance, RunFolder, RunRecord};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub(crate) fn run(command: &Train, seed: u64, console: &Console) -> Result<(), Failure> {
    let start = Instant::now();
    RunFolder::check(&command.output, &command.data)?;
    let mut prepared =
        prepared(Check::FirstPass, &command.model, &command.data, &command.training, seed, console)?;
    let ModelFile { path, arch } = &command.model;
    let source = Provenance::new(path, *arch, &command.data, rayon::current_num_threads())?;
    let folder = RunFolder::create(&command.output, &command.data)?;
    let trained = trained(&mut prepared, &folder, &|event| console.show(event))?;
    console.clear();
    let record = folder.finish(&prepared, &trained, source, start.elapsed().as_secs_f64())?;
    match command.json {
        true => console.print(serde_json::to_string_pretty(&record)?),
        false => summary(&record, &trained, &command.output, console),
    }
}

/// Trains, and writes each epoch to the folder.
pub(crate) fn trained(
    prepared: &mut Prepared,
    folder: &RunFolder,
    show: Observer<'_>,
) -> frostline::Result<Trained> {
    let broken: Mutex<Option<frostline::Error>> = Mutex::new(None);
    let trained = prepared.train(&|event: &Event<'_>| {
        if let Event::Epoch(record) = event
            && let Err(error) = folder.epoch(record)
        {
            broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        show(event);
    })?;
    broken.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(trained), Err)
}

/// The model with its new head, and its data. Tells what there is to know.
pub(crate) fn prepared(
    check: Check,
    model: &ModelFile,
    data: &Path,
    training: &Training,
    seed: u64,
    console: &Console,
) -> Result<Prepared, Failure> {
    let mut recipe = recipe(training)?;
    let (model, _) = load(model, console)?;
    if matches!(training.reuse.unfreeze, Some(Auto::To(Unfreeze::Nothing)))
        && let Some(note) = model.graph.number_note("--unfreeze", "0", "trains the head alone")
    {
        console.warn(note);
    }
    let dataset = match (&recipe.head, &model.info.classes) {
        (Head::Keep, Some(classes)) => data::open_for(data, classes)?,
        _ => data::open(data)?,
    };
    if matches!(training.reuse.keep, Some(Auto::Auto)) {
        recipe.keep = Some(depth::keep(&model, &dataset, &recipe, console)?);
    }
    if matches!(training.reuse.unfreeze, Some(Auto::Auto)) {
        if recipe.weights == PretrainedWeights::Reinit {
            return Err(
                "--unfreeze auto scores pretrained weights, --weights reinit drops them\nhelp: give one of them".into()
            );
        }
        let unfreeze = depth::unfreeze(&model, &dataset, &recipe, seed, console)?;
        recipe.stage.extend(fine_tuning(&training.reuse, unfreeze));
    }
    let caching = caching(training.no_cache, training.cache.as_deref(), training.cache_limit)?;
    let validation = validation(training.val.as_deref());
    let show = |event: &Event<'_>| console.show(event);
    let prepared = prepare_by(check, model, dataset, recipe, &validation, seed, caching, &show)?;
    console.clear();
    prepared.notes.iter().for_each(|note| console.warn(note));
    console.progress(prepared.dataset.summary());
    Ok(prepared)
}

/// Where features are kept.
pub(crate) fn caching(no_cache: bool, folder: Option<&Path>, limit: u64) -> Result<Caching, Failure> {
    Ok(match no_cache {
        true => Caching::Nothing,
        false => Caching::Disk(cache::open(folder, limit)?),
    })
}

fn recipe(training: &Training) -> Result<Recipe, Failure> {
    let reuse = &training.reuse;
    if reuse.reject.is_some() && (tunes(reuse) || !solves(reuse)) {
        return Err(
            "--reject goes with a head that is solved, on layers that stay frozen\nhelp: leave out what says how to train".into()
        );
    }
    let mut recipe = match &reuse.recipe {
        Some(path) => Recipe::read(path)?,
        None => from_flags(reuse),
    };
    recipe = training.images.onto(recipe);
    recipe.precision = training.storage.precision.unwrap_or(recipe.precision);
    recipe.features = training.features.or(recipe.features);
    Ok(recipe)
}

fn from_flags(reuse: &Reuse) -> Recipe {
    let weights = match reuse.weights.as_str() {
        "reinit" => PretrainedWeights::Reinit,
        _ => PretrainedWeights::Copy,
    };
    let stage = |name: &str, unfreeze: Unfreeze| stage(reuse, name, unfreeze);
    let all_alike = reuse.backbone_lr_factor.unwrap_or(StageDefaults::ALIKE.backbone_lr_factor);
    let (mut stages, mut gradual) = (Vec::new(), None);
    let solves = solves(reuse);
    let unfreeze = match &reuse.unfreeze {
        // the stage is added when the layer is found
        None | Some(Auto::Auto) => None,
        Some(Auto::To(unfreeze)) => Some(unfreeze.clone()),
    };
    match (&reuse.freeze, unfreeze, weights) {
        (Some(list), ..) => {
            let paths = list.split(',').map(str::trim).filter(|path| !path.is_empty() && *path != "none");
            let freeze = Some(paths.map(str::to_owned).collect());
            stages.push(StageRecipe {
                freeze,
                backbone_lr_factor: all_alike,
                ..stage("train", Unfreeze::All)
            });
        }
        (None, None | Some(Unfreeze::All), PretrainedWeights::Reinit) if !reuse.gradual => {
            stages
                .push(StageRecipe { backbone_lr_factor: all_alike, ..stage("from scratch", Unfreeze::All) });
        }
        (None, unfreeze, _) => {
            stages.extend((!solves).then(|| stage("head", Unfreeze::Nothing)));
            if reuse.gradual {
                gradual = Some(GradualRecipe {
                    epochs: reuse.fine_tune_epochs,
                    learning_rate: learning_rate(reuse) * FINE_TUNE_SHARE,
                    backbone_lr_factor: reuse
                        .backbone_lr_factor
                        .unwrap_or(StageDefaults::FINE_TUNE.backbone_lr_factor),
                });
            } else {
                stages.extend(fine_tuning(reuse, unfreeze.unwrap_or(Unfreeze::Nothing)));
            }
        }
    }
    Recipe {
        keep: match &reuse.keep {
            Some(Auto::To(keep)) => Some(keep.clone()),
            Some(Auto::Auto) | None => None,
        },
        head: reuse.head.clone(),
        weights,
        loss: reuse.loss,
        metric: reuse.metric,
        optimizer: reuse.optimizer.unwrap_or_default(),
        schedule: reuse.schedule.unwrap_or_default(),
        weight_decay: reuse.weight_decay,
        label_smoothing: reuse.label_smoothing,
        class_weights: reuse.class_weights.clone(),
        clip_norm: reuse.clip_norm,
        batch: reuse.batch.unwrap_or(Recipe::default().batch),
        batch_norm: reuse.batch_norm.as_deref().map(|name| match name {
            "train" => ReusedStatistics::Train,
            _ => ReusedStatistics::Frozen,
        }),
        solve: solves.then(|| SolveRecipe {
            reject: reuse.reject,
            unfreeze: !tunes(reuse) && !reuse.head_only && reuse.reject.is_none(),
            ..SolveRecipe::default()
        }),
        shuffle: !reuse.no_shuffle,
        patience: reuse.patience,
        augment: reuse.augment,
        views: reuse.views,
        stage: stages,
        gradual,
        ..Recipe::default()
    }
}

/// Whether reused layers are to be trained.
fn tunes(reuse: &Reuse) -> bool {
    reuse.gradual || !matches!(reuse.unfreeze, None | Some(Auto::To(Unfreeze::Nothing)))
}

/// Whether the head is solved: nothing says how it is to be trained.
fn solves(reuse: &Reuse) -> bool {
    // where layers are unfrozen, these say how those are trained
    let says_how = reuse.lr.is_some()
        || reuse.optimizer.is_some()
        || reuse.schedule.is_some()
        || reuse.batch.is_some()
        || reuse.weight_decay != 0.0
        || reuse.clip_norm.is_some()
        || reuse.no_shuffle
        || reuse.patience.is_some();
    let trains = reuse.epochs.is_some()
        || reuse.freeze.is_some()
        || reuse.head != Head::Output
        || reuse.loss.is_some()
        || reuse.label_smoothing != 0.0
        || !reuse.augment.is_identity()
        || reuse.weights == "reinit";
    !trains && (tunes(reuse) || !says_how)
}

fn learning_rate(reuse: &Reuse) -> f32 {
    reuse.lr.unwrap_or(StageDefaults::HEAD.learning_rate)
}

fn stage(reuse: &Reuse, name: &str, unfreeze: Unfreeze) -> StageRecipe {
    StageRecipe {
        name: name.to_owned(),
        unfreeze,
        freeze: None,
        epochs: reuse.epochs.unwrap_or(StageDefaults::HEAD.epochs),
        learning_rate: learning_rate(reuse),
        backbone_lr_factor: reuse.backbone_lr_factor.unwrap_or(StageDefaults::HEAD.backbone_lr_factor),
        warm_up: StageDefaults::HEAD.warm_up,
    }
}

/// The stage after the head's, if any layer is unfrozen.
fn fine_tuning(reuse: &Reuse, unfreeze: Unfreeze) -> Option<StageRecipe> {
    (unfreeze != Unfreeze::Nothing).then(|| StageRecipe {
        epochs: reuse.fine_tune_epochs,
        learning_rate: learning_rate(reuse) * FINE_TUNE_SHARE,
        warm_up: StageDefaults::FINE_TUNE.warm_up,
        ..stage(reuse, "fine-tune", unfreeze)
    })
}

fn validation(text: Option<&str>) -> Validation {
    match text.map(|text| (text, text.parse::<f64>())) {
        None => Validation::Auto,
        Some((_, Ok(fraction))) => Validation::Fraction(fraction),
        Some((path, Err(_))) => Validation::Folder(path.into()),
    }
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
        let [low, high] = estimate.interval;
        let images = estimate.images;
        let line = match (estimate.accuracy, estimate.mse) {
            (Some(accuracy), _) => format!(
                "expect {:.1} % of new photos like these to be right (95 % interval {:.1} to {:.1}): each of the {images} training images was predicted by a head that had not seen it",
                100.0 * accuracy,
                100.0 * low,
                100.0 * high
            ),
            (None, mse) => format!(
                "expect a mean squared error of {:.4} on new images like these (95 % interval {low:.4} to {high:.4}): each of the {images} training images was predicted by a head that had not seen it",
                mse.unwrap_or(f64::NAN)
            ),
        };
        console.print(line)?;
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

fn summary(record: &RunRecord, trained: &Trained, output: &Path, console: &Console) -> Result<(), Failure> {
    if let Some(head) = &record.solved {
        solved_summary(head, record, console)?;
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
        console.print(format_args!("test   {}", scores_text(&test.scores)))?;
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
