//! Grad-CAM of one model at one layer.

use super::heat_map::{Explained, HeatMap, stretched};
use super::plans::{Plans, Shared};
use crate::fit::{Viewed, no_scores, predicted_class, probabilities, squash};
use crate::predict::Picture;
use frostline_data::{DataError, Image, Pipeline, ValueRange, View};
use frostline_engine::{LossInput, Plan, Squash};
use frostline_graph::{Error, Grid, Model, Result, Shape};
use std::path::Path;
use std::sync::PoisonError;

/// Explains what one model says of pictures, at one of its layers.
///
/// The map is `ReLU(Σ_k α_k A_k)`, where `A_k` is channel `k` of the layer's output and `α_k` the gradient of the class's logit,
/// before the softmax or sigmoid, summed over the places of that channel; it is divided by its largest value, so that the
/// paper's mean instead of the sum makes no difference. Of a single sigmoid output the second class's logit is its input,
/// and the first one's that with the sign turned. A model that predicts from the mean over several views of a picture is
/// explained by the mean over them, before the ReLU.
///
/// All methods take `&self`: threads may share it.
pub struct Explainer {
    plans: Plans,
    pipeline: Pipeline,
    views: Vec<View>,
    squash: Option<Squash>,
    outputs: usize,
    several_labels: bool,
}

impl Explainer {
    /// For pictures that `pipeline` makes the model's inputs of. `layer`: the path of the layer whose output is explained by, or
    /// the end of it; else the highest whose output has places in the image, pooling layers left out. Where a transformer
    /// goes on from its class token alone, that is the highest whose other tokens still matter.
    ///
    /// # Errors
    ///
    /// The model takes no images; there is no such layer, or its output has no places in the image; the layers cannot be run.
    pub fn new(model: &Model, layer: Option<&str>, pipeline: Pipeline) -> Result<Self> {
        let views = Viewed::of(model, None)?.map_or(vec![View::Own], |viewed| viewed.views().to_vec());
        let squash = squash(&model.graph);
        let mut model = model.clone();
        if squash.is_some() {
            model.graph.end_with_last_activation();
        } else {
            model.graph.outputs.truncate(1);
            model.graph.prune();
        }
        if pipeline.own_size().is_none() || model.graph.inputs.len() != 1 {
            return Err(Error::surgery(
                "the model takes no images\nhelp: heat maps are for models whose one input is an image"
                    .to_owned(),
            ));
        }
        let inputs = [pipeline.input().to_vec()];
        let shapes = model.graph.infer_shapes(&inputs)?;
        let output = model.graph.outputs.first().map(|id| shapes[id.call][id.output].clone());
        let outputs = match output.unwrap_or_default().as_slice() {
            [places @ .., outputs] if places.iter().all(|extent| *extent == 1) => *outputs,
            shape => {
                return Err(Error::surgery(format!(
                    "the model's output has the shape {shape:?}: it names no class\nhelp: train a head on it first"
                )));
            }
        };
        let several_labels = model.info.several_labels;
        let with = |layer: String| Self {
            plans: Plans::new(model.clone(), layer),
            pipeline: pipeline.clone(),
            views: views.clone(),
            squash,
            outputs,
            several_labels,
        };
        if let Some(name) = layer {
            let explainer = with(model.graph.find_layer(name)?);
            let plan = explainer.plans.get(&inputs[0])?;
            explainer.grid(&read(&plan), &inputs[0])?;
            return match read(&plan).suffix_program().nodes.is_empty() {
                false => Ok(explainer),
                true => Err(Error::surgery(format!(
                    "nothing lies above `{}`, by whose output the score would be differentiated\nhelp: name a layer below it",
                    explainer.layer()
                ))),
            };
        }
        let reads_one = model.info.class_token || model.graph.reads_class_token();
        for layer in model.graph.layers_with_places(&inputs)?.into_iter().rev() {
            let explainer = with(layer);
            if !reads_one || explainer.is_seen()? {
                return Ok(explainer);
            }
        }
        Err(Error::surgery(
            "no layer of the model has an output with places in the image\nhelp: heat maps are for models whose layers keep height and width, or tokens in a grid".to_owned(),
        ))
    }

    /// The path of the layer.
    pub fn layer(&self) -> &str {
        self.plans.layer()
    }

    /// The number of the model's classes.
    pub fn classes(&self) -> usize {
        if self.is_of_two() { 2 } else { self.outputs }
    }

    /// Decodes a picture file as for a prediction.
    ///
    /// # Errors
    ///
    /// A file that is damaged or no picture.
    pub fn open(&self, path: &Path) -> Result<Image, DataError> {
        self.open_picture(&Picture::File(path.to_owned()))
    }

    /// The same of a picture wherever it is.
    ///
    /// # Errors
    ///
    /// As of [`Explainer::open`].
    pub fn open_picture(&self, picture: &Picture) -> Result<Image, DataError> {
        let sizes = self.sizes(picture.size()?);
        let largest = sizes.into_iter().max_by_key(|size| size[0] * size[1]);
        picture.decode(&largest.map_or(self.pipeline.clone(), |size| self.pipeline.of_size(size)))
    }

    /// Explains why a picture, of values from 0 to 255, is of a class: by default the one that is predicted. `name` is for
    /// messages.
    ///
    /// # Errors
    ///
    /// There is no such class; the picture does not suit the model; what the model puts out is not finite.
    pub fn explain(&self, picture: &Image, name: &str, class: Option<usize>) -> Result<HeatMap> {
        if let Some(class) = class.filter(|class| *class >= self.classes()) {
            return Err(Error::setting(format!(
                "there is no class {class}: the model has {}, counted from 0\nhelp: name one of them",
                self.classes()
            )));
        }
        let looks = (self.sizes([picture.height, picture.width]).into_iter())
            .map(|size| self.look(picture, name, size))
            .collect::<Result<Vec<_>>>()?;
        let mut logits = vec![0.0; self.outputs];
        for look in &looks {
            let mean = logits.iter_mut().zip(&look.logits);
            mean.for_each(|(mean, logit)| *mean += f64::from(*logit) / looks.len() as f64);
        }
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(no_scores(self.plans.model(), name));
        }
        let scores: Vec<f32> = probabilities(&logits, self.squash).collect();
        let predicted = || if self.classes() > 1 { predicted_class(&scores) } else { 0 };
        let class = class.unwrap_or_else(predicted);
        let (output, sign) =
            if self.is_of_two() { (0, if class == 0 { -1.0 } else { 1.0 }) } else { (class, 1.0) };
        let score = match scores.as_slice() {
            [one] if self.is_of_two() && class == 0 => 1.0 - one,
            scores => scores[output],
        };
        let mut maps = looks.iter().map(|look| self.map(look, output, sign)).collect::<Result<Vec<_>>>()?;
        let finest = (0..maps.len()).max_by_key(|at| maps[*at].1[0] * maps[*at].1[1]).unwrap_or(0);
        let (mut values, extents) = maps.swap_remove(finest);
        for (other, from) in maps {
            let other = stretched(&other, from, extents);
            values.iter_mut().zip(other).for_each(|(value, other)| *value += other);
        }
        values.iter_mut().for_each(|value| *value = value.max(0.0));
        let most = values.iter().copied().fold(0.0, f32::max);
        if most > 0.0 {
            values.iter_mut().for_each(|value| *value /= most);
        }
        Ok(HeatMap {
            values,
            height: extents[0],
            width: extents[1],
            layer: self.layer().to_owned(),
            class,
            score,
            of: if looks.iter().all(|look| look.has_logits) { Explained::Logit } else { Explained::Output },
            input: looks[finest].input[..2].try_into().unwrap_or_default(),
            fit: self.pipeline.fit,
        })
    }

    /// One output that is the probability of the second of two classes.
    fn is_of_two(&self) -> bool {
        self.outputs == 1 && self.squash == Some(Squash::Sigmoid) && !self.several_labels
    }

    /// The sizes of the input for a picture, by view.
    fn sizes(&self, picture: [usize; 2]) -> Vec<[usize; 2]> {
        let own = self.pipeline.own_size().unwrap_or_default();
        self.views.iter().map(|view| view.size(picture, own)).collect()
    }

    /// Takes a picture in one size up to the layer and on to the logits.
    fn look(&self, picture: &Image, name: &str, size: [usize; 2]) -> Result<Look> {
        let pipeline = match self.pipeline.own_size() == Some(size) {
            true => self.pipeline.clone(),
            false => self.pipeline.of_size(size),
        };
        let mut pixels = vec![0.0; pipeline.input_len()];
        pipeline.load_image(picture.clone(), name, ValueRange::BYTES, None, &mut pixels)?;
        self.run(&pixels, pipeline.input().to_vec())
    }

    fn run(&self, pixels: &[f32], input: Shape) -> Result<Look> {
        let plan = self.plans.get(&input)?;
        let features = {
            let plan = read(&plan);
            let mut features = vec![0.0; plan.prefix().feature_len()];
            plan.prefix().run_one(pixels, &mut features);
            features
        };
        let mut held = plan.write().unwrap_or_else(PoisonError::into_inner);
        let suffix = held.suffix();
        let output = suffix.predict(&features, 1).to_vec();
        let logits = suffix.logits(1).map(|(logits, _)| logits.to_vec());
        drop(held);
        let has_logits = logits.is_some() || self.squash.is_none();
        Ok(Look { plan, input, features, logits: logits.unwrap_or(output), has_logits })
    }

    /// The sum over channels of the layer's output, each by its gradient's sum over places, of one view; and its extents.
    fn map(&self, look: &Look, output: usize, sign: f32) -> Result<(Vec<f32>, [usize; 2])> {
        let Grid { extents, before } = self.grid(&read(&look.plan), &look.input)?;
        let gradient = self.gradient(look, output, sign).ok_or_else(|| {
            Error::surgery(format!(
                "what the model puts out does not depend on `{}`\nhelp: name another layer",
                self.layer()
            ))
        })?;
        let places = extents[0] * extents[1];
        let channels = gradient.len() / (before + places);
        let part = |values: &[f32]| values[before * channels..gradient.len()].to_vec();
        let (activation, gradient) = (part(&look.features), part(&gradient));
        if before > 0 && gradient.iter().all(|value| *value == 0.0) {
            return Err(Error::surgery(format!(
                "what the model puts out depends on no place of `{}`: above that it goes on from the class token alone\nhelp: name a layer below the last attention, or leave the setting `layer` out",
                self.layer()
            )));
        }
        let mut alphas = vec![0.0_f32; channels];
        for place in gradient.chunks_exact(channels) {
            alphas.iter_mut().zip(place).for_each(|(alpha, value)| *alpha += value);
        }
        let at = |place: &[f32]| place.iter().zip(&alphas).map(|(value, alpha)| value * alpha).sum::<f32>();
        Ok((activation.chunks_exact(channels).map(at).collect(), extents))
    }

    /// The gradient of an output's logit by the layer's output, all places with their channels.
    fn gradient(&self, look: &Look, output: usize, sign: f32) -> Option<Vec<f32>> {
        let mut held = look.plan.write().unwrap_or_else(PoisonError::into_inner);
        let suffix = held.suffix();
        suffix.forward_training(&look.features, 1, 0);
        suffix.backward(1, LossInput::Logits, |gradient| {
            gradient.fill(0.0);
            gradient[output] = sign;
        });
        suffix.boundary_gradient()
    }

    fn grid(&self, plan: &Plan, input: &Shape) -> Result<Grid> {
        let program = plan.suffix_program();
        let shape = program.inputs.first().map(|value| program.shape(*value).clone()).unwrap_or_default();
        self.plans.model().graph.grid_of(self.layer(), &shape, std::slice::from_ref(input))
    }

    /// Whether any output depends on any place of the layer: of what lies above the last attention, a model that reads its
    /// class token alone sees no other.
    fn is_seen(&self) -> Result<bool> {
        let input = self.pipeline.input().to_vec();
        let grey = vec![0.25; input.iter().product()];
        let look = self.run(&grey, input)?;
        let Grid { extents, before } = self.grid(&read(&look.plan), &look.input)?;
        let Some(gradient) = self.gradient(&look, 0, 1.0) else { return Ok(false) };
        let channels = gradient.len() / (before + extents[0] * extents[1]);
        Ok(gradient[before * channels..].iter().any(|value| *value != 0.0))
    }
}

/// What one view of a picture gives.
struct Look {
    plan: Shared,
    /// The shape of the model's input.
    input: Shape,
    /// The values that cross the boundary; the layer's output comes first.
    features: Vec<f32>,
    /// Where there are none: the outputs.
    logits: Vec<f32>,
    has_logits: bool,
}

fn read(plan: &Shared) -> std::sync::RwLockReadGuard<'_, Plan> {
    plan.read().unwrap_or_else(PoisonError::into_inner)
}
