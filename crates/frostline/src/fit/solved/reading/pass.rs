//! Pictures through a frozen model in several views, each of which has an input size of its own.

use frostline_data::{
    DataError, Dataset, Example, Image, Input, Pipeline, ValueRange, View, picture_size, picture_size_of,
};
use frostline_engine::compile::compile_frozen;
use frostline_engine::{Pool, Prefix};
use frostline_graph::{Body, Freeze, Graph, Model, PrefixDType, Result, Shape};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Images with a side below this many pixels are small.
const SMALL: usize = 64;
/// Bytes of weights that programs for several sizes may hold at a time.
const BYTES: usize = 512 << 20;

/// The pictures of a pass, by their position.
pub trait Pictures: Sync {
    /// How many there are.
    fn count(&self) -> usize;
    /// `[height, width]`, where that can be told without decoding.
    fn size(&self, index: usize) -> Option<[usize; 2]>;
    /// Decodes one, for the input of `pipeline`.
    fn open(&self, index: usize, pipeline: &Pipeline) -> Result<Image, DataError>;
    /// Its name, for messages.
    fn name(&self, index: usize) -> String;
}

/// Examples of a dataset.
pub struct Examples<'a> {
    /// Where they come from.
    pub dataset: &'a Dataset,
    /// Which.
    pub examples: &'a [&'a Example],
}

impl Pictures for Examples<'_> {
    fn count(&self) -> usize {
        self.examples.len()
    }

    fn size(&self, index: usize) -> Option<[usize; 2]> {
        match &self.examples[index].input {
            Input::File(path) => picture_size(path).ok(),
            Input::Picture(picture) => picture.size(&self.examples[index].name).ok(),
            Input::Packed(picture) => {
                let name = &self.examples[index].name;
                picture.read(name).and_then(|bytes| picture_size_of(&bytes, name)).ok()
            }
            Input::Row { split, .. } => match self.dataset.array(*split)?.row_shape() {
                [height, width, ..] => Some([*height, *width]),
                _ => None,
            },
        }
    }

    fn open(&self, index: usize, pipeline: &Pipeline) -> Result<Image, DataError> {
        pipeline.open(self.dataset, self.examples[index])
    }

    fn name(&self, index: usize) -> String {
        self.examples[index].name.clone()
    }
}

impl Pictures for [PathBuf] {
    fn count(&self) -> usize {
        self.len()
    }

    fn size(&self, index: usize) -> Option<[usize; 2]> {
        picture_size(&self[index]).ok()
    }

    fn open(&self, index: usize, pipeline: &Pipeline) -> Result<Image, DataError> {
        pipeline.decode(&self[index])
    }

    fn name(&self, index: usize) -> String {
        frostline_data::path_text(&self[index])
    }
}

/// A frozen model with one output, and the views that its inputs are taken in.
pub struct ViewPass<'a> {
    model: &'a Model,
    numbers: &'a PrefixDType,
    pipeline: &'a Pipeline,
    views: &'a [View],
    width: usize,
    programs: Programs,
}

/// The programs of a pass, by the size of their input. A later pass of the same model with the same numbers can go on with them.
#[derive(Default)]
pub struct Programs(BTreeMap<[usize; 2], Arc<Prefix>>);

impl<'a> ViewPass<'a> {
    /// Errors: a model that cannot be compiled.
    pub fn new(
        model: &'a Model,
        numbers: &'a PrefixDType,
        pipeline: &'a Pipeline,
        views: &'a [View],
    ) -> Result<Self> {
        let shapes = model.graph.infer_shapes(&[pipeline.input().to_vec()])?;
        let width = model.graph.outputs.iter().map(|id| len(&shapes[id.call][id.output])).sum();
        Ok(Self { model, numbers, pipeline, views, width, programs: Programs::default() })
    }

    /// The same with the programs of an earlier pass of the same model with the same numbers.
    #[must_use]
    pub fn going_on_with(self, programs: Programs) -> Self {
        Self { programs, ..self }
    }

    /// What it has compiled.
    pub fn into_programs(self) -> Programs {
        self.programs
    }

    /// The numbers of one picture in one view.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What the model puts out for pictures: `rows` is `[pictures, views, width]`. Returns the error of each picture that cannot
    /// be loaded, whose numbers are then of no meaning. Each is decoded once. `told` is called for each, from any thread.
    ///
    /// Errors: a model that cannot be compiled for a size.
    pub fn run(
        &mut self,
        pictures: &(impl Pictures + ?Sized),
        rows: &mut [f32],
        told: &(dyn Fn() + Sync),
    ) -> Result<Vec<Option<DataError>>> {
        let sizes: Vec<Vec<[usize; 2]>> =
            (0..pictures.count()).into_par_iter().map(|index| self.sizes(pictures.size(index))).collect();
        // pictures of one shape come together, so that few programs are needed at a time
        let mut order: Vec<usize> = (0..pictures.count()).collect();
        order.sort_by(|a, b| sizes[*a].cmp(&sizes[*b]));
        let mut parts: Vec<Option<&mut [f32]>> =
            rows.chunks_exact_mut((self.views.len() * self.width).max(1)).map(Some).collect();
        let mut errors: Vec<Option<DataError>> = (0..pictures.count()).map(|_| None).collect();
        let most = self.most_programs();
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let mut wanted = BTreeSet::new();
            let fits = |index: &&usize| {
                let more = sizes[**index].iter().filter(|size| !wanted.contains(*size)).count();
                let fits = wanted.is_empty() || wanted.len() + more <= most;
                if fits {
                    wanted.extend(sizes[**index].iter().copied());
                }
                fits
            };
            let count = rest.iter().take_while(fits).count();
            let (now, later) = rest.split_at(count);
            rest = later;
            self.bind(&wanted)?;
            let work: Vec<(usize, &mut [f32])> =
                now.iter().filter_map(|index| Some((*index, parts[*index].take()?))).collect();
            let buffers = Pool::default();
            let found: Vec<(usize, Option<DataError>)> = work
                .into_par_iter()
                .map(|(index, row)| {
                    let mut done = Ok(());
                    buffers.with(Vec::new, |pixels| {
                        done = self.one(pictures, index, &sizes[index], pixels, row);
                    });
                    told();
                    (index, done.err())
                })
                .collect();
            found.into_iter().for_each(|(index, error)| errors[index] = error);
        }
        Ok(errors)
    }

    /// The sizes of the input for a picture, by view.
    fn sizes(&self, picture: Option<[usize; 2]>) -> Vec<[usize; 2]> {
        let own = self.pipeline.own_size().unwrap_or_default();
        self.views.iter().map(|view| view.size(picture.unwrap_or(own), own)).collect()
    }

    fn one(
        &self,
        pictures: &(impl Pictures + ?Sized),
        index: usize,
        sizes: &[[usize; 2]],
        pixels: &mut Vec<f32>,
        row: &mut [f32],
    ) -> Result<(), DataError> {
        let largest = sizes.iter().max_by_key(|size| size[0] * size[1]);
        let pipeline_of = |size: [usize; 2]| match self.pipeline.own_size() {
            Some(own) if own != size => self.pipeline.of_size(size),
            _ => self.pipeline.clone(),
        };
        let largest = pipeline_of(*largest.unwrap_or(&[0, 0]));
        let mut image = Some(pictures.open(index, &largest)?);
        for (view, (size, out)) in sizes.iter().zip(row.chunks_exact_mut(self.width.max(1))).enumerate() {
            let pipeline = pipeline_of(*size);
            let is_last = view + 1 == sizes.len();
            let picture = if is_last { image.take() } else { image.clone() };
            pixels.resize(pipeline.input_len(), 0.0);
            let Some(picture) = picture else { break };
            pipeline.load_image(picture, &pictures.name(index), ValueRange::BYTES, None, pixels)?;
            if let Some(program) = self.programs.0.get(size) {
                program.run_one(pixels, out);
            }
        }
        Ok(())
    }

    /// Compiles what is missing, and drops what is not wanted where there is no room for it.
    fn bind(&mut self, wanted: &BTreeSet<[usize; 2]>) -> Result<()> {
        let missing: Vec<[usize; 2]> =
            wanted.iter().filter(|size| !self.programs.0.contains_key(*size)).copied().collect();
        if self.programs.0.len() + missing.len() > self.most_programs() {
            self.programs.0.retain(|size, _| wanted.contains(size));
        }
        let all = Freeze::everything(&self.model.graph);
        let program = |size: &[usize; 2]| {
            let mut input = self.pipeline.input().to_vec();
            if self.pipeline.own_size().is_some() {
                input[..2].copy_from_slice(size);
            }
            let frozen = compile_frozen(self.numbers, self.model, &all, &[input])?;
            Ok((*size, Arc::new(frozen.bind())))
        };
        let made = missing.par_iter().map(program).collect::<Result<Vec<_>>>()?;
        self.programs.0.extend(made);
        Ok(())
    }

    fn most_programs(&self) -> usize {
        let bytes: usize =
            self.model.weights.iter().map(|(_, handle)| 4 * handle.with(|weight| weight.data.len())).sum();
        (BYTES / bytes.max(1)).clamp(2 * self.views.len().max(1), 16)
    }
}

fn len(shape: &Shape) -> usize {
    shape.iter().product()
}

/// Whether the images of a model are so small that other sizes than its own would leave its last maps without pixels.
pub(in crate::fit::solved) fn is_for_small_images(pipeline: &Pipeline) -> bool {
    pipeline.own_size().is_some_and(|size| size.iter().any(|extent| *extent < SMALL))
}

/// Whether a model with one output gives the same numbers, of whatever values, for images of other sizes than its own.
pub(crate) fn takes_any_size(model: &Model, pipeline: &Pipeline) -> bool {
    let [height, width, channels] = *pipeline.input() else { return false };
    // a size that the model changes again says nothing
    let resizes = |graph: &Graph| {
        graph.leaves().iter().any(|(_, layer)| matches!(&layer.body, Body::Kind(kind) if kind.fixes_size()))
    };
    if resizes(&model.graph) || is_for_small_images(pipeline) {
        return false;
    }
    let mut model = model.clone();
    model.open_input();
    let output_at = |size: [usize; 2]| {
        let input = [vec![size[0], size[1], channels]];
        let shapes = model.graph.infer_shapes(&input).ok()?;
        let output = model.graph.outputs.first()?;
        let weights: Vec<(String, Shape)> = model
            .graph
            .weight_specs(&input)
            .ok()?
            .into_iter()
            .map(|one| (one.path, one.spec.shape))
            .collect();
        Some((shapes[output.call][output.output].clone(), weights))
    };
    let own = output_at([height, width]);
    own.as_ref().is_some_and(|(output, _)| output.len() == 1)
        && output_at([height + 32, width - 32]) == own
        && output_at([height + 64, width + 96]) == own
}
