//! The empirical tangent kernel: how alike two images are to a small training step of each layer.

use super::Cut;
use crate::compile::{Statistics, compile};
use crate::data::Example;
use crate::engine::{LossInput, Plan, Pool};
use crate::fit::{Event, Observer, Source};
use crate::freeze::Freeze;
use crate::graph::Model;
use crate::layers::parse_head;
use crate::mix::mix;
use crate::{Result, Shape};
use faer::Mat;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Numbers that a layer's gradient is sketched into, if it has more: products are then right to about 1 in √2048.
const SKETCH: usize = 2048;
/// The sketches of all layers and images take no more bytes than this.
const SKETCH_BYTES: usize = 256 << 20;

/// For each layer with weights the kernel `K(x, x') = Σ ⟨∂f/∂w (x), ∂f/∂w (x')⟩` over its weights `w` and over functions `f`,
/// each a direction in the pooled features of a cut: the tangent kernel of a head that is trained with this layer (Jacot et al.
/// 2018; Wei, Hu and Steinhardt 2022).
pub struct Tangents {
    /// The examples that could be loaded, by their index.
    pub loaded: Vec<usize>,
    /// For each layer with weights its path and `[loaded, loaded]`, from the lowest to the highest.
    pub layers: Vec<(String, Mat<f64>)>,
}

impl Tangents {
    /// Takes each image forward and backward, once a direction. Normalisation layers keep their statistics.
    ///
    /// * `kept`: the model up to a cut of the shape `shape`
    /// * `directions`: each `[width]`, the gradient of a function with respect to the pooled features
    pub fn new(
        mut kept: Model,
        cut: &Cut,
        source: Source<'_>,
        examples: &[&Example],
        directions: &[Vec<f32>],
        observe: Observer<'_>,
    ) -> Result<Self> {
        let input: Shape = source.pipeline.input().to_vec();
        if cut.shape.len() > 1 {
            kept.push(parse_head("gap")?, std::slice::from_ref(&input), 0)?;
        }
        let plan = || compile(&kept, Freeze::nothing(), std::slice::from_ref(&input), 1, Statistics::Moving);
        let sketch = Sketch::of(&mut plan()?, examples.len());
        let plans = Pool::default();
        for _ in 0..rayon::current_num_threads() {
            plans.add((plan()?, vec![0.0; source.pipeline.row_len()]));
        }
        let done = AtomicUsize::new(0);
        let mut layers: Vec<(String, Mat<f64>)> = Vec::new();
        let mut loaded: Vec<usize> = (0..examples.len()).collect();
        let mut rows = vec![0.0_f32; examples.len() * sketch.width];
        for direction in directions {
            rows.fill(0.0);
            let each = examples.par_iter().zip(rows.par_chunks_exact_mut(sketch.width.max(1)));
            let is_loaded: Vec<bool> = each
                .map(|(example, row)| {
                    let mut is_loaded = false;
                    let work = |(plan, pixels): &mut (Plan, Vec<f32>)| {
                        is_loaded = source.pipeline.load(source.dataset, example, None, pixels).is_ok();
                        if is_loaded {
                            sketch.gradients(plan, pixels, direction, row);
                        }
                    };
                    plans.with(|| unreachable!("there is a plan for each thread"), work);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    observe(&Event::Features {
                        part: "train",
                        done,
                        images: examples.len() * directions.len(),
                    });
                    is_loaded
                })
                .collect();
            loaded.retain(|index| is_loaded[*index]);
            let kernels = sketch.layers.par_iter().map(|(path, columns)| {
                let of_image = |image: usize, column: usize| {
                    f64::from(rows[loaded[image] * sketch.width + columns.start + column])
                };
                let gradients = Mat::from_fn(loaded.len(), columns.len(), of_image);
                (path.clone(), &gradients * gradients.transpose())
            });
            let kernels: Vec<(String, Mat<f64>)> = kernels.collect();
            match layers.is_empty() {
                true => layers = kernels,
                false => layers.iter_mut().zip(kernels).for_each(|((_, sum), (_, kernel))| *sum += kernel),
            }
        }
        Ok(Self { loaded, layers })
    }
}

/// Where the gradient of each weight goes in an image's row. What is longer than its layer's columns is folded into them, with
/// random signs, so that products stay the same on average (count sketch: Charikar, Chen and Farach-Colton 2002).
struct Sketch {
    /// The columns of each layer.
    layers: Vec<(String, Range<usize>)>,
    /// The numbers of a row.
    width: usize,
    /// For each weight its layer, and how many numbers of that layer come before it.
    weights: BTreeMap<String, (usize, usize)>,
}

impl Sketch {
    fn of(plan: &mut Plan, images: usize) -> Self {
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
            width += size.min(most);
            (path, start..width)
        };
        Self { layers: layers.into_iter().map(columns).collect(), width, weights }
    }

    /// The gradients of `direction · features` of an image, into its row.
    fn gradients(&self, plan: &mut Plan, pixels: &[f32], direction: &[f32], row: &mut [f32]) {
        let mut boundary = vec![0.0; plan.prefix().row_len()];
        plan.prefix().run_one(pixels, &mut boundary);
        let suffix = plan.suffix();
        suffix.forward_training(&boundary, 1, 0);
        suffix.backward(1, LossInput::Output, |gradient| gradient.copy_from_slice(direction));
        for (path, _, gradient) in suffix.trained() {
            let Some((layer, before)) = self.weights.get(path) else { continue };
            let columns = &mut row[self.layers[*layer].1.clone()];
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
    }
}
