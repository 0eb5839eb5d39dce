//! The empirical tangent kernel: how alike two images are to a small training step of each layer.

use super::Cut;
use super::pooled::pooled_model;
use crate::fit::{Event, Observer, Source};
use faer::Mat;
use frostline_data::Example;
use frostline_engine::compile::{Statistics, compile};
use frostline_engine::{LossInput, Plan, Pool};
use frostline_graph::{Freeze, Model, PrefixDType, Result, Shape, mix};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Numbers that a layer's gradient is sketched into, if it has more: products are then right to about 1 in √2048.
const SKETCH: usize = 2048;
/// The sketches of all layers and images take no more bytes than this, for each direction.
const SKETCH_BYTES: usize = 256 << 20;

/// For each layer with weights the kernel `K(x, x') = Σ ⟨∂f/∂w (x), ∂f/∂w (x')⟩` over its weights `w` and over functions `f`,
/// each a direction in the pooled features of a cut: the tangent kernel of a head that is trained with this layer (Jacot et al.
/// 2018; Wei, Hu and Steinhardt 2022).
pub struct Tangents {
    /// For each layer with weights its path and `[images, images]`, from the lowest to the highest.
    pub layers: Vec<(String, Mat<f64>)>,
}

impl Tangents {
    /// Takes each image forward and backward, once a direction. Normalisation layers keep their statistics.
    ///
    /// * `directions`: each `[width]`, the gradient of a function with respect to the pooled features of the cut
    ///
    /// Errors: an image that cannot be loaded.
    pub fn new(
        model: &Model,
        cut: &Cut,
        source: Source<'_>,
        examples: &[&Example],
        directions: &[Vec<f32>],
        observe: Observer<'_>,
    ) -> Result<Self> {
        let input: Shape = source.pipeline.input().to_vec();
        let kept = pooled_model(model, cut, &input)?;
        let plan = || {
            compile(
                &PrefixDType::F32,
                &kept,
                Freeze::nothing(),
                std::slice::from_ref(&input),
                1,
                Statistics::Moving,
            )
            .map(|compiled| compiled.plan)
        };
        let mut first = plan()?;
        let sketch = Sketch::of(&mut first, examples.len(), directions.len());
        let plans = Pool::default();
        let add = |plan: Plan| plans.add((plan, vec![0.0; source.pipeline.input_len()]));
        add(first);
        for _ in 1..rayon::current_num_threads() {
            add(plan()?);
        }
        let done = AtomicUsize::new(0);
        let mut rows = vec![0.0_f32; examples.len() * sketch.width];
        let each = examples.par_iter().zip(rows.par_chunks_exact_mut(sketch.width.max(1)));
        each.map(|(example, row)| {
            let mut loaded = Ok(());
            let work = |(plan, pixels): &mut (Plan, Vec<f32>)| {
                loaded = source.pipeline.load(source.dataset, example, None, pixels);
                if loaded.is_ok() {
                    sketch.gradients(plan, pixels, directions, row);
                }
            };
            plans.with(|| unreachable!("there is a plan for each thread"), work);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            observe(&Event::Features { part: "train", done, images: examples.len() });
            Ok(loaded?)
        })
        .collect::<Result<()>>()?;
        let kernel = |(path, columns): &(String, Range<usize>)| {
            let of_image =
                |image: usize, column: usize| f64::from(rows[image * sketch.width + columns.start + column]);
            let gradients = Mat::from_fn(examples.len(), columns.len(), of_image);
            (path.clone(), &gradients * gradients.transpose())
        };
        Ok(Self { layers: sketch.layers.par_iter().map(kernel).collect() })
    }
}

/// Where the gradient of each weight goes in an image's row. What is longer than its layer's columns is folded into them, with
/// random signs, so that products stay the same on average (count sketch: Charikar, Chen and Farach-Colton 2002).
struct Sketch {
    /// The columns of each layer: as many for each direction, one after the other. Products then are sums over directions.
    layers: Vec<(String, Range<usize>)>,
    /// The numbers of a row.
    width: usize,
    /// For each weight its layer, and how many numbers of that layer come before it.
    weights: BTreeMap<String, (usize, usize)>,
}

impl Sketch {
    fn of(plan: &mut Plan, images: usize, directions: usize) -> Self {
        let suffix = plan.suffix();
        let sizes: BTreeMap<String, usize> =
            suffix.trained().map(|(path, weight, _)| (path.to_owned(), weight.len())).collect();
        let program = suffix.program();
        let (mut layers, mut weights) = (Vec::<(String, usize)>::new(), BTreeMap::new());
        for node in &program.nodes {
            let layer = &program.layers[node.layer].path;
            for param in &node.params {
                let path = &program.params[param.0].path;
                let Some(size) = sizes.get(path).filter(|_| !weights.contains_key(path)) else { continue };
                let index = layers.iter().position(|(other, _)| other == layer).unwrap_or_else(|| {
                    layers.push((layer.clone(), 0));
                    layers.len() - 1
                });
                weights.insert(path.clone(), (index, layers[index].1));
                layers[index].1 += size;
            }
        }
        let most = SKETCH.min(SKETCH_BYTES / 4 / (images * layers.len()).max(1)).max(1);
        let mut width = 0;
        let columns = |(path, size): (String, usize)| {
            let start = width;
            width += directions * size.min(most);
            (path, start..width)
        };
        Self { layers: layers.into_iter().map(columns).collect(), width, weights }
    }

    /// The gradients of `direction · features` of an image for each direction, into its row.
    fn gradients(&self, plan: &mut Plan, pixels: &[f32], directions: &[Vec<f32>], row: &mut [f32]) {
        let mut boundary = vec![0.0; plan.prefix().feature_len()];
        plan.prefix().run_one(pixels, &mut boundary);
        let suffix = plan.suffix();
        for (index, direction) in directions.iter().enumerate() {
            suffix.forward_training(&boundary, 1, 0);
            suffix.backward(1, LossInput::Output, |gradient| gradient.copy_from_slice(direction));
            for (path, _, gradient) in suffix.trained() {
                let Some((layer, before)) = self.weights.get(path) else { continue };
                let columns = &mut row[self.layers[*layer].1.clone()];
                let each = columns.len() / directions.len();
                fold(gradient, *before, &mut columns[index * each..][..each]);
            }
        }
    }
}

/// Adds a gradient, before which its layer has `before` other numbers, to the columns of the layer.
fn fold(gradient: &[f32], before: usize, columns: &mut [f32]) {
    let is_whole = before + gradient.len() <= columns.len();
    for (index, value) in gradient.iter().enumerate() {
        let place = before + index;
        let hash = mix(place as u64);
        match is_whole {
            true => columns[place] += value,
            // the lowest bit is the sign, the others are the column
            false if hash & 1 == 0 => columns[(hash >> 1) as usize % columns.len()] += value,
            false => columns[(hash >> 1) as usize % columns.len()] -= value,
        }
    }
}
