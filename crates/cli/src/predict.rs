//! `frostline predict`.

use crate::Failure;
use crate::args::Predict;
use crate::console::Console;
use crate::images::{load, pipeline};
use frostline::compile::compile_inference;
use frostline::data::{Pipeline, ValueRange, npy, path_text, pictures_in};
use frostline::engine::Plan;
use frostline::fit::{
    NO_NAMES, Outputs, Viewed, check_numbers, no_scores, predicted_class, preprocess_of, returns,
    takes_sequences,
};
use frostline::graph::Model;
use frostline::report::read_novelty;
use frostline::{PrefixDType, Shape, Tensor};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Images that are decoded and predicted at a time.
const CHUNK: usize = 64;
/// How many classes a line of text shows.
const SHOWN: usize = 3;

pub(crate) fn run(command: &Predict, console: &Console) -> Result<(), Failure> {
    if let Some(path) = &command.output
        && !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
    {
        return Err(format!(
            "`{}`: raw outputs are written as .npz\nhelp: end the name in `.npz`",
            path.display()
        )
        .into());
    }
    let (mut model, _) = load(&command.model, console)?;
    command.views.onto(&mut model);
    let is_array = |path: &PathBuf| {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy") || e.eq_ignore_ascii_case("npz"))
    };
    let mut answers = Answers {
        command,
        console,
        from: returns(&model.graph),
        outputs: Vec::new(),
        shapes: Vec::new(),
        is_foreign: None,
    };
    let bad = match command.inputs.as_slice() {
        [batch] if is_array(batch) => {
            predict_array(&model, batch, &mut answers)?;
            0
        }
        inputs if inputs.iter().any(is_array) => {
            return Err("give images, or one .npy or .npz batch, not both".into());
        }
        inputs => predict_images(&model, inputs, &mut answers)?,
    };
    if let Some(path) = &command.output {
        answers.write(path)?;
    }
    match bad {
        0 => Ok(()),
        bad => {
            Err(format!("{bad} images could not be read; the others are above\nhelp: replace or remove them")
                .into())
        }
    }
}

/// Predicts a batch in the model's own input layout.
fn predict_array(model: &Model, path: &Path, answers: &mut Answers<'_>) -> Result<(), Failure> {
    let mut arrays = npy::read_tensors(path)?;
    let wanted = model.graph.inputs.len();
    let mut inputs: Vec<Tensor> =
        (0..wanted).map_while(|index| arrays.remove(&format!("input_{index}"))).collect();
    if inputs.is_empty() && wanted == 1 {
        let only =
            if arrays.len() == 1 { arrays.pop_first().map(|(_, array)| array) } else { arrays.remove("x") };
        inputs.extend(only);
    }
    let images = inputs.first().and_then(|input| input.shape.first()).copied().unwrap_or(0);
    if inputs.len() != wanted || images == 0 || inputs.iter().any(|input| input.shape[0] != images) {
        let dataset = ["x_test", "x_train"].into_iter().find(|name| arrays.contains_key(*name));
        if let Some(name) = dataset {
            return Err(format!(
                "`{}` holds the data of a training, not one batch\nhelp: save `{name}` alone, in the layout and range of the model's input; `frostline evaluate` takes the file as it is",
                path.display()
            )
            .into());
        }
        return Err(format!(
            "`{}` does not hold {wanted} batches of one length\nhelp: name the model's inputs `input_0`, `input_1`, … (one input may have any name)",
            path.display()
        )
        .into());
    }
    for (index, input) in inputs.iter().enumerate() {
        if let Some(at) = input.data.iter().position(|value| !value.is_finite()) {
            let row = at / (input.data.len() / images).max(1);
            return Err(format!(
                "`{}`: row {row} of input {index} holds {}, which is no finite number\nhelp: mend or remove that row",
                path.display(),
                input.data[at]
            )
            .into());
        }
    }
    for (index, input) in inputs.iter().enumerate() {
        let ValueRange { min, max } = ValueRange::of(&input.data);
        check_numbers(model, index, min, max)
            .map_err(|error| format!("`{}`: {}", path.display(), error.message()))?;
    }
    let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape[1..].to_vec()).collect();
    if let Ok((preprocess, _)) = preprocess_of(model)
        && !takes_sequences(model)
        && shapes[0].len() >= 2
        && let expected = preprocess.range().unwrap_or(ValueRange::BYTES)
        && let Some(warning) = ValueRange::of(&inputs[0].data).warning(expected)
    {
        answers.console.warn(format_args!("`{}`: {warning}", path.display()));
    }
    let mut plan = compile_inference(
        &answers.command.storage.precision.unwrap_or_default().try_into()?,
        model,
        &shapes,
    )?;
    let row = |image: usize| {
        inputs.iter().flat_map(move |input| {
            let len = input.data.len() / images;
            input.data[image * len..][..len].iter().copied()
        })
    };
    for start in (0..images).step_by(CHUNK) {
        let indices: Vec<usize> = (start..images.min(start + CHUNK)).collect();
        let rows: Vec<f32> = indices.iter().flat_map(|image| row(*image)).collect();
        let names: Vec<String> = indices.iter().map(|image| format!("{}[{image}]", path.display())).collect();
        answers.take(model, &mut plan, &shapes, &names, &rows)?;
    }
    Ok(())
}

/// Predicts image files. Returns how many could not be read.
fn predict_images(model: &Model, inputs: &[PathBuf], answers: &mut Answers<'_>) -> Result<usize, Failure> {
    let mut paths = Vec::new();
    for input in inputs {
        match input.is_dir() {
            true => {
                let (found, left_out) = pictures_in(input)?;
                left_out.iter().for_each(|warning| answers.console.warn(warning));
                paths.extend(found);
            }
            false => paths.push(input.clone()),
        }
    }
    let pipeline = pipeline(model, &answers.command.images, None, answers.console)?;
    let numbers = answers.command.storage.precision.unwrap_or_default().try_into()?;
    let novelty = read_novelty(&answers.command.model.path)?;
    if let Some(viewed) = Viewed::where_needed(model, novelty)? {
        return predict_in_views(model, &viewed, &numbers, &pipeline, &paths, answers);
    }
    let shapes = [pipeline.input().to_vec()];
    let mut plan = compile_inference(&numbers, model, &shapes)?;
    let mut bad = 0;
    for chunk in paths.chunks(CHUNK) {
        let (mut names, mut rows) = (Vec::new(), Vec::new());
        for path in chunk {
            let name = path_text(path);
            let mut row = vec![0.0; pipeline.input_len()];
            match pipeline.load_file(path, &name, &mut row) {
                Ok(()) => {
                    names.push(name);
                    rows.extend(row);
                }
                Err(error) => {
                    bad += 1;
                    answers.console.warn(error);
                }
            }
        }
        answers.take(model, &mut plan, &shapes, &names, &rows)?;
    }
    Ok(bad)
}

/// Predicts image files from the features of several views of each. Returns how many could not be read.
fn predict_in_views(
    model: &Model,
    viewed: &Viewed,
    numbers: &PrefixDType,
    pipeline: &Pipeline,
    paths: &[PathBuf],
    answers: &mut Answers<'_>,
) -> Result<usize, Failure> {
    let mut pass = viewed.pass(numbers, pipeline)?;
    let mut bad = 0;
    for chunk in paths.chunks(CHUNK) {
        for (path, seen) in chunk.iter().zip(viewed.predict(&mut pass, chunk, &|| {})?) {
            match seen {
                Ok(seen) => {
                    let (names, shape) = ([path_text(path)], vec![seen.outputs.len()]);
                    answers.is_foreign = seen.is_foreign;
                    answers.add(model, vec![shape], &names, vec![seen.outputs])?;
                }
                Err(error) => {
                    bad += 1;
                    answers.console.warn(error);
                }
            }
        }
    }
    Ok(bad)
}

/// What has been predicted so far.
struct Answers<'a> {
    command: &'a Predict,
    console: &'a Console,
    from: Outputs,
    /// For each output of the model `[images, …]`.
    outputs: Vec<Vec<f32>>,
    /// For each output its shape without the batch.
    shapes: Vec<Shape>,
    /// Of the image at hand: whether it is none of the classes; none where that is not told.
    is_foreign: Option<bool>,
}

impl Answers<'_> {
    fn take(
        &mut self,
        model: &Model,
        plan: &mut Plan,
        inputs: &[Shape],
        names: &[String],
        rows: &[f32],
    ) -> Result<(), Failure> {
        let shapes = model.graph.infer_shapes(inputs)?;
        let shapes = model.graph.outputs.iter().map(|id| shapes[id.call][id.output].clone()).collect();
        self.add(model, shapes, names, plan.predict(rows, names.len()))
    }

    /// Prints outputs, for each output of the model `[images, …]`, and keeps them.
    fn add(
        &mut self,
        model: &Model,
        shapes: Vec<Shape>,
        names: &[String],
        found: Vec<Vec<f32>>,
    ) -> Result<(), Failure> {
        if self.shapes.is_empty() {
            self.shapes = shapes;
            self.outputs = vec![Vec::new(); self.shapes.len()];
            self.warn_of_no_names(model);
        }
        if names.is_empty() {
            return Ok(());
        }
        let width = found[0].len() / names.len();
        if self.shapes[0].len() == 1 {
            for (name, row) in names.iter().zip(found[0].chunks_exact(width)) {
                if row.iter().any(|value| !value.is_finite()) {
                    let error = no_scores(model, name);
                    return Err(format!("`{}`: {error}", self.command.model.path.display()).into());
                }
                self.print(model, name, row)?;
            }
        } else if self.command.output.is_none() {
            return Err(format!(
                "the model's output has the shape {:?}: it names no class\nhelp: write it to a file with -o OUT.npz",
                self.shapes[0]
            )
            .into());
        }
        if self.shapes[0].len() != 1 && found.iter().flatten().any(|value| !value.is_finite()) {
            self.console.warn(format_args!(
                "what the model puts out for `{}` or one of the {} images after it holds NaN or infinity",
                names[0],
                names.len() - 1
            ));
        }
        self.outputs.iter_mut().zip(found).for_each(|(all, part)| all.extend(part));
        Ok(())
    }

    /// Says why classes are numbers.
    fn warn_of_no_names(&self, model: &Model) {
        let is_a_number = self.shapes[0] == [1] && self.from == Outputs::Logits;
        if model.info.classes.is_none() && self.shapes[0].len() == 1 && !is_a_number {
            self.console.warn(format_args!(
                "`{}` has no class names: classes are told by their numbers, from 0. {NO_NAMES}",
                self.command.model.path.display()
            ));
        }
    }

    fn print(&self, model: &Model, name: &str, row: &[f32]) -> Result<(), Failure> {
        let classes = model.info.classes.as_deref();
        if row.len() == 1 && self.from == Outputs::Logits {
            // a number
            return match self.command.json {
                true => self.console.print(json!({ "image": name, "value": row[0] })),
                false => self.console.print(format_args!("{name}: {}", row[0])),
            };
        }
        let scores = match row {
            [one] => vec![1.0 - one, *one],
            row => row.to_vec(),
        };
        let index = predicted_class(row);
        let class_name = |index: usize| match classes.and_then(|classes| classes.get(index)) {
            Some(name) => name.clone(),
            None => index.to_string(),
        };
        if self.command.json {
            let mut line = json!({
                "image": name, "class": class_name(index), "index": index, "score": scores[index], "scores": scores,
            });
            if let Some(is_foreign) = self.is_foreign {
                line["none_of_these"] = json!(is_foreign);
                if is_foreign {
                    (line["class"], line["index"]) = (json!(null), json!(null));
                }
            }
            return self.console.print(line);
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let shown =
            order.iter().take(SHOWN).map(|class| format!("{} {:.4}", class_name(*class), scores[*class]));
        let shown = shown.collect::<Vec<_>>().join(", ");
        match self.is_foreign {
            Some(true) => self.console.print(format_args!("{name}: none of these (nearest: {shown})")),
            _ => self.console.print(format_args!("{name}: {shown}")),
        }
    }

    fn write(self, path: &Path) -> Result<(), Failure> {
        let tensor = |(index, (data, shape)): (usize, (Vec<f32>, Shape))| {
            let len: usize = shape.iter().product();
            let images = data.len() / len.max(1);
            (format!("output_{index}"), Tensor { shape: [vec![images], shape].concat(), data })
        };
        let arrays: Vec<_> = self.outputs.into_iter().zip(self.shapes).enumerate().map(tensor).collect();
        Ok(npy::write_npz(path, &arrays)?)
    }
}
