//! `frostline predict`.

mod array;
mod inputs;
mod output;
mod told;

pub(crate) use told::Teller;
#[cfg(feature = "serve")]
pub(crate) use told::likeliest;

use crate::Failure;
use crate::args::Predict;
use crate::console::{Console, one_line};
use array::predict_array;
use frostline::Shape;
use frostline::data::{DataError, Fault};
use frostline::fit::{Outputs, returns};
use frostline::predict::{Answer, Prediction, Predictor, Refusal, Task};
use output::Output;
use std::path::PathBuf;

/// Images that are decoded and predicted at a time.
const CHUNK: usize = 64;

pub(crate) fn run(command: &Predict, console: &Console) -> Result<(), Failure> {
    let output = command.output.as_deref().map(Output::at).transpose()?;
    let mut predictor = Predictor::open(&command.model.path, &command.options()?)?;
    predictor.take_notes().iter().for_each(|note| console.warn(note));
    let teller = Teller::new(&predictor, command.top, command.threshold);
    let mut answers = Answers { command, console, teller, output, bad: Vec::new() };
    let is_array = |path: &PathBuf| {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy") || e.eq_ignore_ascii_case("npz"))
    };
    match command.inputs.as_slice() {
        [batch] if is_array(batch) => predict_array(&mut predictor, batch, &mut answers)?,
        inputs if inputs.iter().any(is_array) => {
            return Err("give images, or one .npy or .npz batch, not both".into());
        }
        _ => predict_pictures(&mut predictor, &mut answers)?,
    }
    if let Some(output) = answers.output {
        output.write()?;
    }
    match Fault::counts(answers.bad.iter().copied()) {
        None => Ok(()),
        Some(counts) => Err(format!(
            "{} images could not be read ({counts}); the others are above\nhelp: replace or remove them",
            answers.bad.len()
        )
        .into()),
    }
}

fn predict_pictures(predictor: &mut Predictor, answers: &mut Answers<'_>) -> Result<(), Failure> {
    let pictures = inputs::pictures(answers.command, answers.console)?;
    let shapes = [predictor.ready_for_pictures()?.input().to_vec()];
    answers.begin(predictor, &shapes)?;
    for chunk in pictures.chunks(CHUNK) {
        for found in predictor.predict(chunk)? {
            answers.take(found)?;
        }
    }
    predictor.take_notes().iter().for_each(|note| answers.console.warn(note));
    Ok(())
}

/// Where predictions go.
struct Answers<'a> {
    command: &'a Predict,
    console: &'a Console,
    teller: Teller,
    output: Option<Output>,
    /// What is wrong with images that could not be read.
    bad: Vec<Fault>,
}

impl Answers<'_> {
    /// Before the first prediction from inputs of these shapes, without the batch.
    fn begin(&mut self, predictor: &mut Predictor, inputs: &[Shape]) -> Result<(), Failure> {
        predictor.take_notes().iter().for_each(|note| self.console.warn(note));
        let (task, shapes) = (predictor.task(inputs)?, predictor.output_shapes(inputs)?);
        if task == Task::Unnamed && !matches!(self.output, Some(Output::Npz { .. })) {
            return Err(format!(
                "the model's output has the shape {:?}: it names no class\nhelp: write it to a file with -o OUT.npz",
                shapes[0]
            )
            .into());
        }
        let note = check_threshold(self.command.threshold, predictor, task, &self.teller)?;
        note.iter().for_each(|note| self.console.warn(note));
        if let Some(note) = predictor.no_names_note(task) {
            self.console.warn(note);
        }
        if let Some(output) = &mut self.output {
            output.begin(task, shapes, predictor.tells_none_of_these(), &self.teller)?;
        }
        Ok(())
    }

    fn take(&mut self, found: Result<Prediction, Refusal>) -> Result<(), Failure> {
        let prediction = match found {
            Ok(prediction) => prediction,
            // so it will be with all others
            Err(Refusal::Picture(error @ DataError::Setting { .. })) => return Err(error.to_string().into()),
            Err(Refusal::Picture(error)) => {
                self.bad.push(Fault::of(&error).unwrap_or(Fault::Unreadable));
                self.console.warn(error);
                return Ok(());
            }
            Err(Refusal::NotFinite(error)) => {
                return Err(format!("`{}`: {error}", self.command.model.path.display()).into());
            }
        };
        if prediction.answer == Answer::Unnamed {
            if !prediction.is_finite() {
                self.console.warn(format_args!(
                    "what the model puts out for `{}` holds NaN or infinity",
                    prediction.name
                ));
            }
        } else if self.command.json {
            self.console.print(self.teller.json(&prediction))?;
        } else {
            self.console.print(one_line(&self.teller.text(&prediction)))?;
        }
        if let Some(output) = &mut self.output {
            output.add(&prediction, &self.teller)?;
        }
        Ok(())
    }
}

/// What is to be known of a threshold.
///
/// Errors: it is for what is no probability.
pub(crate) fn check_threshold(
    threshold: Option<f32>,
    predictor: &Predictor,
    task: Task,
    teller: &Teller,
) -> Result<Option<&'static str>, Failure> {
    if threshold.is_none() {
        return Ok(None);
    }
    let is_logits = task == Task::Classes && returns(&predictor.model().graph) == Outputs::Logits;
    let what = match task {
        Task::Classes if is_logits => "scores that are no probabilities (its last activation is linear)",
        Task::Number => "numbers",
        Task::Unnamed => "what names no class",
        Task::Classes | Task::Labels => {
            return Ok((task == Task::Classes && teller.has_class_none()).then_some(
                "the model has a class `none`: with --threshold, lines and tables tell no class by the same word; `index` in --json tells them apart",
            ));
        }
    };
    Err(format!(
        "--threshold is for classes and labels, and the model puts out {what}\nhelp: leave --threshold out"
    )
    .into())
}
