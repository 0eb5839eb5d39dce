//! `predict` and `explain`, on pictures and arrays wherever they are.

use super::{Call, Outcome, Wrong, another};
use crate::args::Command;
use crate::explain::{class_of, notes_of};
use crate::images::{load, pipeline};
use crate::predict::{Teller, check_threshold};
use frostline::Tensor;
use frostline::data::Image;
use frostline::explain::{Explainer, HeatMap};
use frostline::predict::{Answer, Picture, Prediction, Predictor, Refusal, Rows, Task};
use serde_json::Value;
use std::ops::Range;
use std::path::PathBuf;

/// A model that predicts as `predict` does.
pub struct Predicting {
    predictor: Predictor,
    teller: Teller,
    threshold: Option<f32>,
    path: PathBuf,
}

/// What is said of one picture or one row.
#[derive(Debug)]
pub struct Predicted {
    /// As `predict --json` says it; null where the output stands for nothing that could be named.
    pub line: Value,
    /// The outputs as they are, without the batch.
    pub outputs: Vec<Tensor>,
}

/// One of several pictures, or why there is nothing to be said of it.
pub type OfOne = Result<Predicted, String>;

impl Predicting {
    /// `predict`, up to the first picture.
    ///
    /// # Errors
    ///
    /// As of the command.
    pub fn open(call: Call) -> Outcome<Self> {
        // the command wants pictures, which come later
        call.run_on("predict", Vec::new(), "-".into(), |command, _, console| {
            let Command::Predict(command) = command else { return Err(another()) };
            let (file, options) = (&command.model, command.options()?);
            let mut predictor = match &file.held {
                Some(held) => Predictor::of(&file.path, (**held).clone(), &options),
                None => Predictor::open(&file.path, &options)?,
            };
            predictor.take_notes().iter().for_each(|note| console.warn(note));
            let teller = Teller::new(&predictor, command.top, command.threshold);
            Ok(Self { predictor, teller, threshold: command.threshold, path: file.path.clone() })
        })
    }

    /// The number of the model's inputs.
    pub fn inputs(&self) -> usize {
        self.predictor.model().graph.inputs.len()
    }

    /// Pictures, decoded and preprocessed as the model was trained. With them come notes for the user.
    ///
    /// # Errors
    ///
    /// The model takes no pictures.
    pub fn pictures(&mut self, pictures: &[Picture]) -> Outcome<(Vec<OfOne>, Vec<String>)> {
        let shapes = [self.predictor.ready_for_pictures()?.input().to_vec()];
        let mut notes = self.begin(&shapes)?;
        let found = self.predictor.predict(pictures)?;
        notes.extend(self.predictor.take_notes());
        Ok((self.told(found)?, notes))
    }

    /// These rows of batches for all inputs, in the model's own layout.
    ///
    /// # Errors
    ///
    /// The batches are none that the model takes.
    pub fn rows(&mut self, inputs: &[Rows<'_>], range: Range<usize>) -> Outcome<(Vec<OfOne>, Vec<String>)> {
        let mut notes = Vec::new();
        if range.start == 0 {
            notes.extend(self.predictor.check_rows("x", inputs)?);
            let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape[1..].to_vec()).collect();
            notes.extend(self.begin(&shapes)?);
        }
        let found = self.predictor.predict_rows("x", inputs, range)?;
        Ok((self.told(found)?, notes))
    }

    fn begin(&mut self, shapes: &[Vec<usize>]) -> Outcome<Vec<String>> {
        let task = self.predictor.task(shapes)?;
        let mut notes = self.predictor.take_notes();
        let of_threshold = check_threshold(self.threshold, &self.predictor, task, &self.teller)?;
        notes.extend(of_threshold.map(str::to_owned));
        notes.extend(self.predictor.no_names_note(task).filter(|_| task != Task::Unnamed));
        Ok(notes)
    }

    fn told(&self, found: Vec<Result<Prediction, Refusal>>) -> Outcome<Vec<OfOne>> {
        let told = |found: Result<Prediction, Refusal>| match found {
            Ok(prediction) => {
                let line = match prediction.answer {
                    Answer::Unnamed => Value::Null,
                    _ => self.teller.json(&prediction),
                };
                Ok(Ok(Predicted { line, outputs: prediction.outputs }))
            }
            Err(Refusal::Picture(error)) => Ok(Err(error.to_string())),
            Err(Refusal::NotFinite(error)) => {
                Err(Wrong::Failed(format!("`{}`: {error}", self.path.display())))
            }
        };
        found.into_iter().map(told).collect()
    }
}

/// Where a model sees the class of a picture.
#[derive(Debug)]
pub struct Explanation {
    /// The map, `[height, width]`, from 0 to 1.
    pub map: HeatMap,
    /// The name of the class.
    pub class: String,
    /// The picture with the map over it.
    pub overlay: Image,
}

/// `explain`.
///
/// # Errors
///
/// As of the command; a picture that cannot be read.
pub fn explain(call: Call, pictures: &[Picture]) -> Outcome<Vec<Explanation>> {
    // the command wants pictures by their paths
    call.run_on("explain", vec!["--json".into()], "-".into(), |command, _, console| {
        let Command::Explain(command) = command else { return Err(another()) };
        let (model, _) = load(&command.model, console)?;
        let class = command.class.as_deref().map(|name| class_of(&model, name)).transpose()?;
        let pipeline = pipeline(&model, &command.images, None, console)?;
        let explainer = Explainer::new(&model, command.layer.as_deref(), pipeline)?;
        let mut found = Vec::new();
        for (done, picture) in pictures.iter().enumerate() {
            let name = picture.name();
            let image = explainer.open_picture(picture)?;
            let map = explainer.explain(&image, &name, class)?;
            let class = model.info.class_name(map.class);
            notes_of(&map, &name, &class).iter().for_each(|note| console.warn(note));
            let overlay = map.overlay(&image, command.opacity)?;
            found.push(Explanation { class, map, overlay });
            console.count("explaining", done + 1, pictures.len());
        }
        Ok(found)
    })
}
