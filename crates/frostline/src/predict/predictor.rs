//! A model that is ready to predict.

use super::prediction::Reader;
use super::{Picture, PredictOptions, Prediction, Refusal, RowCheck, Rows, Task, rows};
use crate::fit::{ImageSize, NO_NAMES, Programs, Viewed, no_scores};
use crate::report::read_novelty;
use frostline_data::{DataError, Pipeline, ValueRange};
use frostline_engine::Plan;
use frostline_engine::compile::compile_inference;
use frostline_formats::{LoadOptions, Loaded};
use frostline_graph::{Error, Model, Result, Shape, Tensor};
use frostline_head::novelty::Novelty;
use rayon::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// So many compiled plans are kept, for inputs of as many shapes.
const PLANS: usize = 4;

/// A model that is ready to predict. It predicts the same, to the bit, whatever comes together in a batch and on however many
/// threads.
pub struct Predictor {
    path: PathBuf,
    model: Model,
    options: PredictOptions,
    novelty: Option<Novelty>,
    reader: Reader,
    pictures: Option<ForPictures>,
    /// By the shapes of the inputs, what was used last in the end.
    plans: Vec<(Vec<Shape>, Plan)>,
    notes: Vec<String>,
}

/// What pictures need.
struct ForPictures {
    pipeline: Pipeline,
    /// Where predictions are more than the model's own outputs on its own view.
    viewed: Option<Viewed>,
    programs: Programs,
}

impl Predictor {
    /// Reads a model: a file, or the folder of a run, whose rule for "none of these" is followed.
    ///
    /// # Errors
    ///
    /// The file is no model, is damaged, or does not fill every weight.
    pub fn open(path: &Path, options: &PredictOptions) -> Result<Self> {
        let image_size = options.pictures.image_size.map(|ImageSize(size)| size);
        let load = LoadOptions { image_size: image_size.or(options.load.image_size), ..options.load.clone() };
        let loaded = frostline_formats::load_with(path, &load)?;
        let novelty = read_novelty(path)?;
        Ok(Self { novelty, ..Self::of(path, loaded, options) })
    }

    /// Of a model that is in memory, and is called `path` in messages.
    pub fn of(path: &Path, loaded: Loaded, options: &PredictOptions) -> Self {
        let mut model = loaded.model;
        model.info.views.truncate(options.views.unwrap_or(usize::MAX));
        Self {
            path: path.to_path_buf(),
            novelty: None,
            reader: Reader::of(&model),
            model,
            options: options.clone(),
            pictures: None,
            plans: Vec::new(),
            notes: loaded.report.told(path),
        }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its user should know, since this was asked last.
    pub fn take_notes(&mut self) -> Vec<String> {
        if let Some(pictures) = &self.pictures {
            self.notes.extend(pictures.pipeline.told());
        }
        std::mem::take(&mut self.notes)
    }

    /// Whether it tells pictures that are none of its classes, once it is ready for pictures.
    pub fn tells_none_of_these(&self) -> bool {
        self.novelty.is_some() && self.pictures.as_ref().is_some_and(|pictures| pictures.viewed.is_some())
    }

    /// What it predicts of inputs of these shapes, without the batch.
    ///
    /// # Errors
    ///
    /// The model does not take them.
    pub fn task(&self, inputs: &[Shape]) -> Result<Task> {
        let shapes = self.output_shapes(inputs)?;
        Ok(shapes.first().map_or(Task::Unnamed, |shape| self.reader.task(shape)))
    }

    /// The shapes of its outputs for inputs of these shapes, all without the batch.
    ///
    /// # Errors
    ///
    /// The model does not take them.
    pub fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let shapes = self.model.graph.infer_shapes(inputs)?;
        Ok(self.model.graph.outputs.iter().map(|id| shapes[id.call][id.output].clone()).collect())
    }

    /// Says why classes are numbers, where an output of this kind is of classes without names.
    pub fn no_names_note(&self, task: Task) -> Option<String> {
        let is_named = self.model.info.classes.is_some() || matches!(task, Task::Number | Task::Unnamed);
        (!is_named).then(|| {
            format!(
                "`{}` has no class names: classes are told by their numbers, from 0. {NO_NAMES}",
                self.path.display()
            )
        })
    }

    /// The way from pictures to inputs. Without it the first prediction of pictures readies it.
    ///
    /// # Errors
    ///
    /// The model's input is no picture, or of an unknown size; a setting that does not fit it.
    pub fn ready_for_pictures(&mut self) -> Result<&Pipeline> {
        if self.pictures.is_none() {
            let (pipeline, notes) = self.options.pictures.pipeline(&self.model, None)?;
            self.notes.extend(notes);
            let viewed = Viewed::where_needed(&self.model, self.novelty.clone())?;
            self.pictures = Some(ForPictures { pipeline, viewed, programs: Programs::default() });
        }
        match &self.pictures {
            Some(pictures) => Ok(&pictures.pipeline),
            None => unreachable!("it was made above"),
        }
    }

    /// Predicts pictures. One that cannot be read has its refusal, and the others are none the worse for it.
    ///
    /// # Errors
    ///
    /// The model cannot be run on pictures.
    pub fn predict(&mut self, pictures: &[Picture]) -> Result<Vec<Result<Prediction, Refusal>>> {
        self.ready_for_pictures()?;
        let Some(mut ready) = self.pictures.take() else { return Ok(Vec::new()) };
        let found = match &ready.viewed {
            None => self.as_they_are(&ready.pipeline, pictures),
            Some(viewed) => {
                let pass = viewed.pass(&self.options.precision, &ready.pipeline);
                pass.and_then(|pass| {
                    let mut pass = pass.going_on_with(std::mem::take(&mut ready.programs));
                    let seen = viewed.predict(&mut pass, pictures, &|| {});
                    ready.programs = pass.into_programs();
                    let answered = |(picture, seen): (&Picture, Result<_, DataError>)| {
                        let seen: crate::fit::Seen = seen.map_err(Refusal::Picture)?;
                        let outputs = Tensor { shape: vec![seen.outputs.len()], data: seen.outputs };
                        self.prediction(&picture.name(), vec![outputs], seen.is_foreign)
                    };
                    Ok(pictures.iter().zip(seen?).map(answered).collect())
                })
            }
        };
        self.pictures = Some(ready);
        found
    }

    /// Predicts pictures by the model's own outputs on its own view.
    fn as_they_are(
        &mut self,
        pipeline: &Pipeline,
        pictures: &[Picture],
    ) -> Result<Vec<Result<Prediction, Refusal>>> {
        let len = pipeline.input_len();
        let mut rows = vec![0.0; len * pictures.len()];
        let load = |(picture, row): (&Picture, &mut [f32])| -> Result<(), DataError> {
            let image = picture.decode(pipeline)?;
            pipeline.load_image(image, &picture.name(), ValueRange::BYTES, None, row)
        };
        let loaded: Vec<Result<(), DataError>> =
            pictures.par_iter().zip(rows.par_chunks_exact_mut(len)).map(load).collect();
        let mut count = 0;
        for picture in (0..pictures.len()).filter(|picture| loaded[*picture].is_ok()) {
            rows.copy_within(picture * len..(picture + 1) * len, count * len);
            count += 1;
        }
        let mut outputs = self.run(&[pipeline.input().to_vec()], &rows[..count * len], count)?.into_iter();
        let answered = |(picture, loaded): (&Picture, Result<(), DataError>)| {
            loaded.map_err(Refusal::Picture)?;
            let outputs = outputs.next().unwrap_or_default();
            self.prediction(&picture.name(), outputs, None)
        };
        Ok(pictures.iter().zip(loaded).map(answered).collect())
    }

    /// What its user should know of batches for all inputs, in the model's own layout.
    ///
    /// # Errors
    ///
    /// They are not of one length, or hold what no prediction can be made of.
    pub fn check_rows(&self, name: &str, inputs: &[Rows<'_>]) -> Result<Option<String>> {
        let mut check = self.row_check(name);
        check.add(inputs)?;
        check.finish()
    }

    /// As [`Predictor::check_rows`], for batches that come in pieces.
    pub fn row_check<'a>(&'a self, name: &'a str) -> RowCheck<'a> {
        RowCheck::new(&self.model, name)
    }

    /// Predicts these rows of batches, or of pieces of them, for all inputs, in the model's own layout. Neither views nor "none of these" are for them.
    ///
    /// # Errors
    ///
    /// The batches are not of one length, are shorter, or of a shape that the model does not take.
    pub fn predict_rows(
        &mut self,
        name: &str,
        inputs: &[Rows<'_>],
        range: Range<usize>,
    ) -> Result<Vec<Result<Prediction, Refusal>>> {
        let Some(rows) = rows::count(&self.model, inputs).filter(|rows| range.end <= *rows) else {
            let wanted = self.model.graph.inputs.len();
            return Err(Error::data(format!(
                "`{name}` does not hold {wanted} batches of {} rows\nhelp: give one for each of the model's inputs",
                range.end
            )));
        };
        let shapes: Vec<Shape> = inputs.iter().map(Rows::row_shape).collect();
        let row_of = |input: &Rows<'_>, row: usize| {
            let len = input.values.len() / rows;
            row * len..(row + 1) * len
        };
        let outputs = match inputs {
            [only] => {
                let values = row_of(only, range.start).start..row_of(only, range.end).start;
                self.run(&shapes, &only.values[values], range.len())?
            }
            inputs => {
                let mut values = Vec::new();
                for row in range.clone() {
                    inputs
                        .iter()
                        .for_each(|input| values.extend_from_slice(&input.values[row_of(input, row)]));
                }
                self.run(&shapes, &values, range.len())?
            }
        };
        let first = inputs.first().map_or(0, |input| input.first);
        let named = range.zip(outputs);
        let named = named.map(|(row, outputs)| (format!("{name}[{}]", first + row), outputs));
        Ok(named.map(|(name, outputs)| self.prediction(&name, outputs, None)).collect())
    }

    /// The outputs of each row.
    fn run(&mut self, inputs: &[Shape], rows: &[f32], count: usize) -> Result<Vec<Vec<Tensor>>> {
        let shapes = self.output_shapes(inputs)?;
        // out of the list while it works: after a panic none is left there half done
        let mut plan = match self.plans.iter().position(|(shapes, _)| shapes == inputs) {
            Some(place) => self.plans.remove(place).1,
            None => compile_inference(&self.options.precision, &self.model, inputs)?,
        };
        let found = plan.predict(rows, count);
        if self.plans.len() >= PLANS {
            self.plans.remove(0);
        }
        self.plans.push((inputs.to_vec(), plan));
        let of_row = |row: usize| {
            let output = |(data, shape): (&Vec<f32>, &Shape)| {
                let len: usize = shape.iter().product();
                Tensor { shape: shape.clone(), data: data[row * len..(row + 1) * len].to_vec() }
            };
            found.iter().zip(&shapes).map(output).collect()
        };
        Ok((0..count).map(of_row).collect())
    }

    fn prediction(
        &self,
        name: &str,
        outputs: Vec<Tensor>,
        none_of_these: Option<bool>,
    ) -> Result<Prediction, Refusal> {
        let (name, first) = (name.to_owned(), &outputs[0]);
        if first.shape.len() == 1 && first.data.iter().any(|value| !value.is_finite()) {
            return Err(Refusal::NotFinite(no_scores(&self.model, &name)));
        }
        Ok(Prediction { answer: self.reader.answer(first, none_of_these), name, outputs })
    }
}
