//! From a config to a model with its new head, its data and its loss.

use crate::fit::prepare::calibration::numbers;
use crate::fit::prepare::first_pass::{self, Checked, FirstPass};
use crate::fit::prepare::number_names::number_notes;
use crate::fit::takes_sequences;
use crate::fit::train::evaluate::returns;
use crate::fit::train::stages::Stages;
use crate::fit::{
    Applied, Caching, Check, Head, LossSetting, Metric, Observer, Outputs, PretrainedWeights, Setting,
    Solving, Task, TrainConfig, fit_of, input_shape, resize_of, scaled_decode_of,
};
use frostline_data::{Dataset, Fit, LabelKind, Pipeline, Resize, SkipReport, files, serialize_path};
use frostline_engine::compile::Prefixes;
use frostline_formats as formats;
use frostline_graph::layers::{Kind, OneDimensional, ThreeDimensional, parse_head};
use frostline_graph::ops::PoolKind;
use frostline_graph::{Body, Error, Keep, Model, Result, Shape, Transfer};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// With fewer validation images, the standard error of an accuracy is above 9 points.
const FEW: usize = 30;

/// Where the validation images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// The data's own, else a fifth of the training images, stratified.
    Auto,
    /// This share of the training images, stratified; 0 for none.
    Fraction(f64),
    /// Another folder or CSV.
    Folder(#[serde(serialize_with = "serialize_path")] PathBuf),
}

/// A training that is ready to run.
#[derive(Debug)]
pub struct Prepared {
    /// The reused layers and the new head.
    pub model: Model,
    /// The paths of the reused layers, from the lowest to the highest.
    pub reused: Vec<String>,
    /// How many layers the model had before it was cut.
    pub layers: usize,
    /// What is trained on, without the damaged images.
    pub dataset: Dataset,
    /// How images become inputs.
    pub pipeline: Pipeline,
    /// What all stages share.
    pub setting: Setting,
    /// Where the validation images came from.
    pub validation: Validation,
    /// The images that were left out.
    pub skips: SkipReport,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Where the head is solved: what it is solved on.
    pub(crate) solving: Option<Solving>,
    /// What the first pass compiled.
    pub(crate) known: Prefixes,
}

/// Cuts the model, puts the head on, checks the images and splits them. The weights are copied: what shares those of
/// `model` is left as it is.
///
/// Errors: a cut, a head or a setting that does not fit; data that cannot be trained on.
pub fn prepare(
    check: Check,
    model: Model,
    mut dataset: Dataset,
    config: TrainConfig,
    validation: &Validation,
    seed: u64,
    caching: Caching,
    observe: Observer<'_>,
) -> Result<Prepared> {
    config.check()?;
    let mut notes = std::mem::take(&mut dataset.warnings);
    let task = Task::of(&dataset);
    check_labels(&config, &task, &dataset)?;
    let Surgery { model: mut kept, reused, shape, mut solving } =
        surgery(&model, &config, &task, &dataset, seed, &mut notes)?;
    let goal = goal(&config, &task, &dataset, &kept, &shape, &mut notes)?;
    notes.extend(flag_note(&kept, &reused));
    notes.extend(regularizer_note(&kept));
    let (pipeline, of_pipeline) = pipeline(&model, &config, &dataset, &shape, &mut kept)?;
    let layers = model.graph.counted_paths().len();
    drop(model); // before a first pass takes its memory
    if !dataset.is_regression() {
        kept.info.classes = Some(dataset.classes.clone());
        kept.info.several_labels = dataset.kind() == LabelKind::Labels;
    }
    let Goal { loss, outputs, metric } = goal;
    let dtype = numbers(config.precision, &dataset, &pipeline)?;
    let shown = task.shown().to_vec();
    let setting = Setting { loss, outputs, metric, shown, seed, caching, dtype, config };
    if let Some(solving) = &mut solving {
        let keeps_shape = setting.config.fit.is_some() || pipeline.fit != Fit::Squash;
        let reads_own = setting.config.has_stages() || keeps_shape;
        solving.choose_inputs(&dataset, &pipeline, &setting.dtype, reads_own)?;
    }
    let stages = Stages { model: &kept, reused: &reused, config: &setting.config, solving: solving.as_ref() };
    let ahead = stages.ahead()?;
    let mut pass = FirstPass {
        model: &kept,
        dataset: &mut dataset,
        pipeline: &pipeline,
        setting: &setting,
        solving: solving.as_mut(),
        ahead: &ahead,
    };
    let Checked { skips, known } = first_pass::check(check, &mut pass, observe)?;
    notes.extend(skips.note());
    notes.extend(skips.odd_note().or_else(|| pipeline.told()));
    notes.extend(split(&mut dataset, &skips, check, validation, &setting)?);
    notes.extend(few_note(&dataset));
    notes.extend(of_pipeline);
    notes.extend(idle_notes(&setting.config, &dataset, &pipeline));
    let validation = validation.clone();
    let prepared = Prepared {
        model: kept,
        reused,
        layers,
        dataset,
        pipeline,
        setting,
        validation,
        skips,
        notes,
        solving,
        known,
    };
    prepared.stages()?; // what is wrong with a later stage is said before the first is trained
    Ok(prepared)
}

/// A model that is cut and has its head.
struct Surgery {
    model: Model,
    /// The paths of the reused layers, from the lowest to the highest.
    reused: Vec<String>,
    /// Of the input, without the batch.
    shape: Shape,
    /// Where the head is to be solved.
    solving: Option<Solving>,
}

/// Cuts the model and puts the head on.
fn surgery(
    model: &Model,
    config: &TrainConfig,
    task: &Task,
    dataset: &Dataset,
    seed: u64,
    notes: &mut Vec<String>,
) -> Result<Surgery> {
    let mut kept = cut(model, config, seed, notes)?;
    notes.extend(number_notes(&model.graph, config));
    let shape = input_shape(&kept, config.image_size, Some(dataset))?;
    let mut reused = kept.graph.counted_paths();
    let solving = match &config.solve {
        Some(solve) => Some(Solving::new(kept.clone(), &shape, solve.clone())?),
        None => None,
    };
    if let Some(solving) = &solving {
        kept.join(&solving.usual(), &shape)?;
    }
    match head_layers(config, task, &kept, &shape, notes)? {
        Some(layers) => drop(kept.add_layers(layers, std::slice::from_ref(&shape), seed)?),
        None => {
            if let Keep::AllBut(top) = kept.graph.default_keep() {
                reused.truncate(reused.len().saturating_sub(top));
            }
        }
    }
    formats::check_can_be_written(&kept)?;
    Ok(Surgery { model: kept, reused, shape, solving })
}

/// The layers that are kept.
fn cut(model: &Model, config: &TrainConfig, seed: u64, notes: &mut Vec<String>) -> Result<Model> {
    let transfer = match config.weights {
        PretrainedWeights::Copy => Transfer::Copy,
        PretrainedWeights::Reinit => Transfer::Reinit { seed },
    };
    let keep = match (&config.head, &config.keep) {
        (Head::Keep, Some(keep)) => {
            return Err(Error::setting(format!(
                "the setting `head = keep` leaves the graph as it is, the setting `keep = {keep}` cuts it\nhelp: give one of them"
            )));
        }
        (Head::Keep, None) => Keep::AllBut(0),
        (_, keep) => keep.clone().unwrap_or_else(|| model.graph.default_keep()),
    };
    if config.keep.is_none() && config.head != Head::Keep && keep == Keep::AllBut(0) {
        notes.push("the model ends in features, not in a classifier: all its layers are kept; the setting `keep` cuts it elsewhere".to_owned());
    }
    let kept = model.keep_with(&keep, transfer)?;
    let can_be_run = kept.graph.leaves().iter().all(|(_, layer)| matches!(layer.body, Body::Kind(_)));
    if can_be_run && kept.layers_with_kernels().is_empty() {
        let first = model.graph.useful_cut_points().into_iter().next();
        let help = first.map_or_else(
            || "the model has no layer that frostline could reuse".to_owned(),
            |cut| format!("keep more: `{cut}` is the lowest layer worth a cut"),
        );
        return Err(Error::setting(format!(
            "no layer that is kept has a kernel: nothing that was learned would be reused, and the head would see bare pixels\nhelp: {help}"
        )));
    }
    Ok(kept)
}

/// What is made small, and what decides.
struct Goal {
    loss: LossSetting,
    outputs: Outputs,
    metric: Metric,
}

/// What the labels and the model's outputs ask for, where the configuration does not say.
fn goal(
    config: &TrainConfig,
    task: &Task,
    dataset: &Dataset,
    model: &Model,
    shape: &Shape,
    notes: &mut Vec<String>,
) -> Result<Goal> {
    let width = task.width(
        &output_shape(model, shape)?,
        dataset,
        "leave the setting `head = keep` out to get a new output layer",
    )?;
    let loss = config.loss.unwrap_or_else(|| task.loss(width));
    task.check_loss(loss, width, model)?;
    notes.extend(task.order_note(model, dataset, width).filter(|_| config.head == Head::Keep));
    let metric = config.metric.unwrap_or_else(|| task.metric());
    if metric == Metric::Auc && width > 2 {
        return Err(Error::setting(format!(
            "auc is defined for two classes, the model tells {width} apart\nhelp: leave the setting `metric` out to watch the accuracy"
        )));
    }
    // numbers are what the model returns; only classes can be logits
    let outputs = match task {
        Task::Numbers(_) => Outputs::Probabilities,
        _ => returns(&model.graph),
    };
    Ok(Goal { loss: LossSetting { loss, label_smoothing: config.label_smoothing }, outputs, metric })
}

/// Leaves damaged images out and sets some aside to validate on.
fn split(
    dataset: &mut Dataset,
    skips: &SkipReport,
    check: Check,
    validation: &Validation,
    setting: &Setting,
) -> Result<Vec<String>> {
    *dataset = dataset.without(skips);
    let is_known = check != Check::Nothing;
    if is_known {
        dataset.know_contents()?; // so that copies of one image stay in one part
    }
    let mut notes = Vec::new();
    notes.extend(validate_by(dataset, validation, setting.config.is_watched(), setting.seed)?);
    if is_known {
        dataset.know_contents()?; // of what came in to validate on
        notes.extend(dataset.duplicates());
    }
    Ok(notes)
}

/// Errors where a setting says nothing about the labels.
fn check_labels(config: &TrainConfig, task: &Task, dataset: &Dataset) -> Result<()> {
    if let Some(metric) = config.metric {
        task.check_metric(metric)?;
    }
    if let Task::Labels(_) = task {
        let given = [
            (config.class_weights.is_some(), "class-weights"),
            (config.solve.as_ref().is_some_and(|solve| solve.reject.is_some()), "reject"),
        ];
        return match given.iter().find(|(given, _)| *given) {
            Some((_, name)) => Err(Error::setting(format!(
                "the setting `{name}` is for classes that exclude each other, the labels of `{}` are {task}\nhelp: leave it out",
                dataset.source.display()
            ))),
            None => Ok(()),
        };
    }
    if !dataset.is_regression() {
        return match &config.class_weights {
            Some(weights) => {
                weights.weights(&dataset.classes, &dataset.class_counts(&dataset.train)).map(drop)
            }
            None => Ok(()),
        };
    }
    let given = [
        (config.class_weights.is_some(), "class weights", "the setting `class-weights`"),
        (config.label_smoothing != 0.0, "label smoothing", "the setting `label-smoothing`"),
    ];
    match given.iter().find(|(given, ..)| *given) {
        Some((_, name, flag)) => Err(Error::setting(format!(
            "{name} cannot apply to the labels of `{}`, which are {task}\nhelp: leave {flag} out; labels of classes are names, as `class_3`",
            dataset.source.display()
        ))),
        None => Ok(()),
    }
}

/// The layers that go on top; none where the model keeps its own head.
fn head_layers(
    config: &TrainConfig,
    task: &Task,
    kept: &Model,
    shape: &Shape,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<Kind>>> {
    let mut layers = match &config.head {
        Head::Keep => return Ok(None),
        Head::Output => Vec::new(),
        Head::Layers(spec) => parse_head(spec)?,
    };
    let word = |kind: &Kind| match kind {
        Kind::GlobalPooling2D(pooling) if pooling.kind == PoolKind::Average => Some("gap"),
        Kind::GlobalPooling2D(_) => Some("gmp"),
        Kind::Flatten(_) => Some("flatten"),
        _ => None,
    };
    let output = output_shape(kept, shape)?;
    let pools = layers.iter().any(|kind| word(kind).is_some());
    match output.len() {
        2..=4 if !pools => layers.splice(0..0, kept.pooling_of(&output)?).for_each(drop),
        // the words for images mean the same for tokens and for volumes
        axes @ (2 | 4) => {
            for kind in &mut layers {
                if let Kind::GlobalPooling2D(pooling) = kind {
                    *kind = match axes {
                        2 => OneDimensional::pooling(pooling.kind)?.into(),
                        _ => ThreeDimensional::pooling(pooling.kind)?.into(),
                    };
                }
            }
        }
        1 => layers.retain(|kind| match word(kind) {
            Some(word) => {
                notes.push(format!(
                    "the kept layers' output is flat already: `{word}` is left out of the head"
                ));
                false
            }
            None => true,
        }),
        _ => {}
    }
    layers.push(task.output_layer(config.loss).into());
    Ok(Some(layers))
}

fn output_shape(model: &Model, input: &Shape) -> Result<Shape> {
    let [output] = model.graph.outputs.as_slice() else {
        return Err(Error::surgery(format!(
            "the model has {} outputs, a head stands on one\nhelp: keep up to a layer of your choice with the setting `keep = LAYER`",
            model.graph.outputs.len()
        )));
    };
    let shapes = model.graph.infer_shapes(std::slice::from_ref(input))?;
    Ok(shapes[output.call][output.output].clone())
}

/// Says where the file's own `trainable` flags differ from what is going to happen.
fn flag_note(model: &Model, reused: &[String]) -> Option<String> {
    let frozen = |path: &String| model.graph.layer(path).is_some_and(|layer| !layer.trainable);
    let count = reused.iter().filter(|path| frozen(path)).count();
    (count > 0).then(|| {
        format!("the file marks {count} of {} reused layers as not trainable; its flags are not followed: the setting `unfreeze` and the setting `freeze` decide", reused.len())
    })
}

fn regularizer_note(model: &Model) -> Option<String> {
    let has = |layer: &frostline_graph::Layer| {
        layer.config.iter().any(|(key, value)| key.ends_with("_regularizer") && !value.is_null())
    };
    let leaves = model.graph.leaves();
    let count = leaves.iter().filter(|(_, layer)| has(layer)).count();
    (count > 0).then(|| {
        format!("{count} layers carry a regularizer, which is not applied; use the setting `weight-decay`")
    })
}

/// Says where the validation images are too few to tell epochs apart.
fn few_note(dataset: &Dataset) -> Option<String> {
    let images = dataset.val.as_ref().map_or(0, Vec::len);
    let error = 50.0 / (images.max(1) as f64).sqrt();
    (images > 0 && images < FEW && !dataset.is_regression()).then(|| {
        format!("{images} validation images tell epochs apart only by chance (the standard error of an accuracy is up to {error:.0} points); the setting `val = 0` with the setting `epochs = 60` trains on all images and keeps the last weights")
    })
}

/// Names settings that decide nothing here.
fn idle_notes(config: &TrainConfig, dataset: &Dataset, pipeline: &Pipeline) -> Vec<String> {
    let own = pipeline.own_size();
    let has_own =
        dataset.row_shape().is_some_and(|row| own.is_none_or(|own| row.len() < 2 || row[..2] == own));
    let scales = config.scaled_decode.is_some_and(|scaled| !scaled.is_off());
    let unwatched = dataset.val.as_ref().is_none_or(Vec::is_empty);
    let unwatched = unwatched && config.is_watched();
    let idle = [
        (
            unwatched && config.patience.is_some(),
            "the setting `patience` is ignored: there are no validation images",
        ),
        (
            unwatched && config.metric.is_some(),
            "the setting `metric` chooses no epoch: there are no validation images",
        ),
        (
            config.augment.is_identity() && config.views != TrainConfig::default().views,
            "the setting `views` is ignored: without the setting `augment` all views of an image are the same",
        ),
        (
            has_own && config.fit.is_some(),
            "the setting `fit` is ignored: the arrays have the size of the model's input",
        ),
        (
            scales && files(dataset).is_empty(),
            "the setting `scaled-decode` is ignored: the data are arrays, there is nothing to decode",
        ),
    ];
    idle.iter().filter(|(is_idle, _)| *is_idle).map(|(_, note)| (*note).to_owned()).collect()
}

fn validate_by(
    dataset: &mut Dataset,
    validation: &Validation,
    holds_out: bool,
    seed: u64,
) -> Result<Option<String>> {
    match validation {
        Validation::Auto if dataset.val.is_some() || !holds_out => {}
        Validation::Auto => dataset.hold_out(0.2, seed)?,
        Validation::Folder(path) => {
            dataset.validate_on(path)?;
            let own = std::mem::take(&mut dataset.warnings);
            return Ok((!own.is_empty()).then(|| own.join("; ")));
        }
        Validation::Fraction(fraction) => {
            let note = dataset.val.as_ref().map(|val| {
                format!(
                    "the setting `val = {fraction}` is given: the {} validation images of the data are left out",
                    val.len()
                )
            });
            dataset.val = None;
            if *fraction != 0.0 {
                dataset.hold_out(*fraction, seed)?;
            }
            return Ok(note);
        }
    }
    Ok(None)
}

/// How a training by this config takes images in.
///
/// Errors: a setting that does not fit the model or the data.
pub fn pipeline_for(model: &Model, config: &TrainConfig, dataset: &Dataset) -> Result<Pipeline> {
    let shape = input_shape(model, config.image_size, Some(dataset))?;
    Ok(pipeline(model, config, dataset, &shape, &mut model.clone())?.0)
}

/// The pipeline, and what it will be in predictions, which is saved with the model.
fn pipeline(
    model: &Model,
    config: &TrainConfig,
    dataset: &Dataset,
    shape: &Shape,
    kept: &mut Model,
) -> Result<(Pipeline, Vec<String>)> {
    let resize = match config.resize {
        Some(resize) => resize,
        // of a model that does not say how it was trained: photos are made small by averaging, not by sampling
        None if config.solve.is_some() && model.info.resize.is_none() => Resize::PilBilinear,
        None => resize_of(model),
    };
    let fit = config.fit.unwrap_or_else(|| fit_of(model));
    let scaled = config.scaled_decode.unwrap_or_else(|| scaled_decode_of(model));
    let Applied { preprocess, arrays, of_files, mut notes } =
        Applied::to(model, &config.preprocess, Some(dataset), shape)?;
    kept.info.preprocess = serde_json::to_value(&of_files).ok();
    kept.info.resize = Some(resize.name().to_owned());
    kept.info.fit = Some(fit.name().to_owned());
    kept.info.scaled_decode = (!scaled.is_off()).then(|| scaled.times());
    kept.info.image_size = match shape.as_slice() {
        [height, width] | [height, width, _] if !takes_sequences(model) => Some([*height, *width]),
        _ => None,
    };
    let named = |is_one: fn(&Kind) -> bool| -> Vec<String> {
        let leaves = kept.graph.leaves().into_iter();
        let found = leaves.filter(|(_, layer)| matches!(&layer.body, Body::Kind(kind) if is_one(kind)));
        found.map(|(path, _)| path).collect()
    };
    let dropping = named(|kind| match kind {
        Kind::Recurrent(layer) => layer.drops(),
        Kind::Bidirectional(layer) => layer.layers().iter().any(|layer| layer.drops()),
        _ => false,
    });
    if !dropping.is_empty() {
        notes.push(format!(
            "the dropout in {} is not applied here, also where they train; put a Dropout layer below them for it",
            dropping.join(", ")
        ));
    }
    let random = named(|kind| matches!(kind, Kind::Identity(kind) if kind.is_augmentation()));
    if !random.is_empty() {
        notes.push(format!(
            "the augmentation layers {} do nothing here; use the setting `augment`",
            random.join(", ")
        ));
    }
    if !config.augment.is_identity() && (!matches!(shape.len(), 2 | 3) || takes_sequences(kept)) {
        return Err(Error::setting(format!(
            "the setting `augment` changes images, and the model takes values of {shape:?}\nhelp: leave the augmentation out"
        )));
    }
    let pipeline = Pipeline::new(shape, resize, config.augment, preprocess)?.fitted(fit);
    Ok((pipeline.scaled(scaled).of_arrays(arrays), notes))
}
