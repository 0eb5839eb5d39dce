//! Scores of a model on examples.

use crate::fit::features::batches::Batches;
use crate::fit::features::feature_store::{Begin, BoundaryId, FeatureStore};
use crate::fit::features::passes::{Features, images_at_once};
use crate::fit::objective::lost::first_lost;
use crate::fit::train::observe::counter;
use crate::fit::{
    Caching, ClassReport, Event, Examples, LossSetting, Metric, Observer, Outputs, Scores, Source,
    TargetColumn, Task, Viewed, predicted_class,
};
use frostline_data::Example;
use frostline_engine::Squash;
use frostline_engine::compile::{Compiled, Statistics, compile};
use frostline_graph::layers::Kind;
use frostline_graph::{Body, Error, Freeze, Graph, Model, PrefixDType, Result};

/// Images that are predicted at a time.
pub(in crate::fit) const CHUNK: usize = 64;

/// The same where sizes differ from image to image: those of one size come together.
const VIEWED: usize = 512;

/// What a model scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Loss and metrics.
    pub scores: Scores,
    /// By class, with the confusion matrix; none where numbers are predicted.
    pub report: Option<ClassReport>,
    /// The class that each image is given; empty where numbers or several labels are predicted.
    pub predicted: Vec<usize>,
    /// `[images, width]`: the probabilities that the model puts out, also where it returns logits, or numbers.
    pub outputs: Vec<f32>,
    /// The first image for which the model puts out something that is not a finite number: its scores are none.
    pub not_finite: Option<usize>,
}

/// Predicts `examples` and scores the predictions. `part` names them for the observer.
///
/// Errors: labels that the model's output does not suit; a loss or a metric that says nothing about them.
pub fn evaluate(
    numbers: &PrefixDType,
    model: &Model,
    source: Source<'_>,
    examples: &[Example],
    part: &str,
    loss: &LossSetting,
    metrics: &[Metric],
    observe: Observer<'_>,
) -> Result<Evaluation> {
    let (task, input) = (Task::of(source.dataset), source.pipeline.input().to_vec());
    let width = output_width(model, &task, source)?;
    task.check_loss(loss.loss, width, model)?;
    metrics.iter().try_for_each(|metric| task.check_metric(*metric))?;
    if let Some(note) = task.order_note(model, source.dataset, width) {
        observe(&Event::Note(&note));
    }
    let found = match Viewed::where_needed(model, None)? {
        Some(viewed) => {
            let outputs = outputs_in_views(&viewed, numbers, source, examples, part, observe)?;
            scored(outputs, model, source, examples, loss, metrics)
        }
        None => {
            let all = Freeze::everything(&model.graph);
            let compiled = compile(numbers, model, all, &[input], 0, Statistics::Moving)?;
            let mut store = FeatureStore::new(&Caching::default(), None);
            score(compiled, model, &mut store, source, examples, part, loss, metrics, observe)?
        }
    };
    match found.not_finite {
        None => Ok(found),
        Some(image) => Err(no_scores(model, &examples[image].name)),
    }
}

/// A model with a dense output layer, and its views.
pub(in crate::fit) fn viewed_of(model: &Model) -> Result<Viewed> {
    Viewed::of(model, None)?.ok_or_else(|| {
        Error::setting(
            "the model does not end in a dense layer\nhelp: leave the setting `head = keep` out".to_owned(),
        )
    })
}

/// The predictions of several views of each example together, `[examples, width]`.
pub(in crate::fit) fn outputs_in_views(
    viewed: &Viewed,
    numbers: &PrefixDType,
    source: Source<'_>,
    examples: &[Example],
    part: &str,
    observe: Observer<'_>,
) -> Result<Vec<f32>> {
    let mut pass = viewed.pass(numbers, source.pipeline)?;
    let told = counter(part, examples.len(), observe);
    let mut outputs = Vec::new();
    for chunk in examples.chunks(VIEWED) {
        let chosen: Vec<&Example> = chunk.iter().collect();
        let pictures = Examples { dataset: source.dataset, examples: &chosen };
        for seen in viewed.predict(&mut pass, &pictures, &told)? {
            outputs.extend(seen?.outputs);
        }
    }
    Ok(outputs)
}

/// The error of outputs that name no class.
pub fn no_scores(model: &Model, image: &str) -> Error {
    let why = match model.layers_not_finite().as_slice() {
        [] => "look at the image's values: they may be too large for the model, or scaled otherwise than it expects (the setting `preprocess`)".to_owned(),
        layers => format!("the weights of `{}` are no finite numbers: take another copy of the model", layers.join("`, `")),
    };
    Error::data(format!(
        "what the model puts out for `{image}` is no finite number, and no prediction\nhelp: {why}"
    ))
}

/// The number of the model's outputs, which must suit the labels.
fn output_width(model: &Model, task: &Task, source: Source<'_>) -> Result<usize> {
    let shapes = model.graph.infer_shapes(&[source.pipeline.input().to_vec()])?;
    let Some(output) = model.graph.outputs.first() else {
        return Err(Error::setting(
            "the model has no output\nhelp: give a model that predicts something".to_owned(),
        ));
    };
    let help = match task {
        Task::Numbers(_) => "give labels of the model's kind; labels of classes are names, as `class_3`",
        _ => "evaluate on the classes that the model was trained on",
    };
    task.width(&shapes[output.call][output.output], source.dataset, help)
}

/// Scores the predictions of a plan, from feature vectors that are kept where there are such.
pub(in crate::fit) fn score(
    Compiled { mut plan, frozen }: Compiled,
    model: &Model,
    store: &mut FeatureStore,
    source: Source<'_>,
    examples: &[Example],
    part: &str,
    loss: &LossSetting,
    metrics: &[Metric],
    observe: Observer<'_>,
) -> Result<Evaluation> {
    let mut features = Features::new(source, examples, part, None, store.is_on_disk());
    let parts = [features.part(store)?];
    // no other boundary lies ahead, which would have to be compiled
    let numbers = &PrefixDType::F32;
    store.begin(frozen, &Begin { model, numbers, source, parts: &parts, ahead: &[] })?;
    // each feature vector is read once: in memory many of them would only lie there
    let keeps =
        !store.is_memory(BoundaryId::OWN) || examples.len() <= images_at_once(plan.prefix().feature_len());
    if keeps {
        features.prepare(store, 0, observe)?;
    }
    let mut batches = Batches::new(&mut features, store, (0..examples.len()).collect(), CHUNK, 0)?;
    let (mut outputs, mut done) = (Vec::new(), 0);
    while let Some((images, vectors)) = batches.next(&mut features, store)? {
        outputs.extend(plan.predict_features(vectors, images.len()).swap_remove(0));
        done += images.len();
        if !keeps {
            observe(&Event::Features { part, done, images: examples.len() });
        }
    }
    Ok(scored(outputs, model, source, examples, loss, metrics))
}

/// The scores of outputs, `[examples, width]`.
pub(in crate::fit) fn scored(
    mut outputs: Vec<f32>,
    model: &Model,
    source: Source<'_>,
    examples: &[Example],
    loss: &LossSetting,
    metrics: &[Metric],
) -> Evaluation {
    let width = outputs.len() / examples.len().max(1);
    let not_finite = first_lost(&outputs, examples.len());
    let targets = TargetColumn::of(examples, source.dataset.classes.len());
    // numbers are what the model returns; only classes can be logits
    let from = match &targets {
        TargetColumn::Classes(_) | TargetColumn::Labels { .. } => returns(&model.graph),
        TargetColumn::Values { .. } => Outputs::Probabilities,
    };
    let scores = Scores::of(&outputs, from, width, &targets.all(), loss, metrics);
    let mut predicted = Vec::new();
    let report = match &targets {
        TargetColumn::Classes(classes) => {
            if from == Outputs::Logits && width == 1 {
                outputs.iter_mut().for_each(|logit| *logit = 1.0 / (1.0 + (-*logit).exp()));
            }
            predicted.extend(outputs.chunks_exact(width.max(1)).map(predicted_class));
            let report = ClassReport::new(&outputs, width, classes, &source.dataset.classes, scores.loss);
            if from == Outputs::Logits && width > 1 {
                outputs.chunks_exact_mut(width).for_each(softmax);
            }
            Some(report)
        }
        TargetColumn::Labels { values, .. } => {
            if from == Outputs::Logits {
                outputs.iter_mut().for_each(|logit| *logit = 1.0 / (1.0 + (-*logit).exp()));
            }
            Some(ClassReport::of_labels(&outputs, width, values, &source.dataset.classes, scores.loss))
        }
        TargetColumn::Values { .. } => None,
    };
    Evaluation { scores, report, predicted, outputs, not_finite }
}

fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|logit| *logit = (*logit - most).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|share| *share /= sum);
}

/// Whether a model returns probabilities, because its output comes from a sigmoid or a softmax, or logits. Says nothing
/// for a model that predicts numbers.
pub fn returns(graph: &Graph) -> Outputs {
    match squash(graph) {
        Some(_) => Outputs::Probabilities,
        None => Outputs::Logits,
    }
}

/// What the model's output comes from.
pub(crate) fn squash(graph: &Graph) -> Option<Squash> {
    let output = graph.outputs.first()?;
    let layer = &graph.layers[graph.calls[output.call].layer];
    let (kind, activation) = match &layer.body {
        Body::Model(inner) => return squash(inner),
        Body::Kind(kind) => (kind, layer.config.get("activation").and_then(|a| a.as_str())),
        Body::Unsupported { .. } => return None,
    };
    match (kind, activation) {
        (Kind::Softmax(_), _) | (_, Some("softmax")) => Some(Squash::Softmax),
        (_, Some("sigmoid")) => Some(Squash::Sigmoid),
        // what only moves values about returns what the layer below it does
        (Kind::Flatten(_) | Kind::Reshape(_) | Kind::Dropout(_), _) => {
            match graph.calls[output.call].inputs.first() {
                Some(below) => squash(&Graph { outputs: vec![*below], ..graph.clone() }),
                None => None,
            }
        }
        _ => None,
    }
}
