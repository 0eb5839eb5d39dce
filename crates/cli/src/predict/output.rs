//! The files that predictions are written to: a table, lines of JSON, raw outputs. Each appears whole, when all is done.

use super::Failure;
use super::told::{NONE, Teller, Told};
use frostline::data::{npy, path_text};
use frostline::predict::{Answer, Prediction, Task};
use frostline::report::spreadsheet_safe;
use frostline::{Shape, Tensor, write_atomically};
use std::path::{Path, PathBuf};

/// A file of predictions that is being filled.
pub(super) enum Output {
    /// A table.
    Csv { path: PathBuf, table: Box<csv::Writer<Vec<u8>>>, tells_none_of_these: bool },
    /// A JSON object a line.
    Lines { path: PathBuf, text: String },
    /// The raw outputs, for each output of the model `[images, …]`.
    Npz { path: PathBuf, outputs: Vec<Vec<f32>>, shapes: Vec<Shape> },
}

impl Output {
    /// By the ending of a path.
    ///
    /// Errors: another ending, or no such folder.
    pub(super) fn at(path: &Path) -> Result<Self, Failure> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let (path_buf, folder) =
            (path.to_path_buf(), path.parent().filter(|folder| !folder.as_os_str().is_empty()));
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(
                format!("`{}` is no folder\nhelp: make it, or write elsewhere", path_text(folder)).into()
            );
        }
        match ending.as_str() {
            "csv" => Ok(Self::Csv {
                path: path_buf,
                table: Box::new(csv::Writer::from_writer(Vec::new())),
                tells_none_of_these: false,
            }),
            "jsonl" => Ok(Self::Lines { path: path_buf, text: String::new() }),
            "npz" => Ok(Self::Npz { path: path_buf, outputs: Vec::new(), shapes: Vec::new() }),
            _ => Err(format!(
                "`{}`: predictions are written as .csv, .jsonl or .npz\nhelp: end the name in one of these",
                path.display()
            )
            .into()),
        }
    }

    /// Begins with what is known before the first prediction.
    pub(super) fn begin(
        &mut self,
        task: Task,
        of_outputs: Vec<Shape>,
        has_novelty: bool,
        teller: &Teller,
    ) -> Result<(), Failure> {
        match self {
            Self::Lines { .. } => {}
            Self::Npz { outputs, shapes, .. } => {
                *outputs = vec![Vec::new(); of_outputs.len()];
                *shapes = of_outputs;
            }
            Self::Csv { table, tells_none_of_these, .. } => {
                *tells_none_of_these = has_novelty && task == Task::Classes;
                let outputs = of_outputs.first().and_then(|shape| shape.first()).copied().unwrap_or(0);
                // one output tells two classes apart
                let count = if task == Task::Classes && outputs == 1 { 2 } else { outputs };
                let names = (0..count).map(|index| teller.name(index));
                let mut header = vec!["image".to_owned()];
                match task {
                    Task::Classes => {
                        header.extend(["class".to_owned(), "score".to_owned()]);
                        header.extend(tells_none_of_these.then(|| "none_of_these".to_owned()));
                        header.extend(names);
                    }
                    Task::Labels => {
                        header.push("labels".to_owned());
                        header.extend(names);
                    }
                    Task::Number | Task::Unnamed => header.push("value".to_owned()),
                }
                table.write_record(header.iter().map(|name| spreadsheet_safe(name).into_owned()))?;
            }
        }
        Ok(())
    }

    /// Adds one prediction.
    pub(super) fn add(&mut self, prediction: &Prediction, teller: &Teller) -> Result<(), Failure> {
        match self {
            Self::Npz { outputs, .. } => {
                let found = outputs.iter_mut().zip(&prediction.outputs);
                found.for_each(|(all, output)| all.extend_from_slice(&output.data));
            }
            Self::Lines { text, .. } => {
                text.push_str(&teller.json(prediction).to_string());
                text.push('\n');
            }
            Self::Csv { table, tells_none_of_these, .. } => {
                let mut row = vec![spreadsheet_safe(&prediction.name).into_owned()];
                match &prediction.answer {
                    Answer::Number(value) => row.push(value.to_string()),
                    Answer::Labels { has, scores } => {
                        let names = teller.labels(has, scores).into_iter().map(|label| teller.name(label));
                        row.push(spreadsheet_safe(&names.collect::<Vec<_>>().join("|")).into_owned());
                        row.extend(scores.iter().map(f32::to_string));
                    }
                    Answer::Class { index, scores, none_of_these } => {
                        row.push(match teller.told(*index, scores, *none_of_these) {
                            Told::Class(index) => spreadsheet_safe(&teller.name(index)).into_owned(),
                            Told::Foreign | Told::Unlikely => NONE.to_owned(),
                        });
                        row.push(scores[*index].to_string());
                        // it is not told of rows of arrays
                        let is_foreign =
                            none_of_these.map_or(String::new(), |is_foreign| is_foreign.to_string());
                        row.extend(tells_none_of_these.then_some(is_foreign));
                        row.extend(scores.iter().map(f32::to_string));
                    }
                    Answer::Unnamed => {}
                }
                table.write_record(row)?;
            }
        }
        Ok(())
    }

    /// Writes the file.
    pub(super) fn write(self) -> Result<(), Failure> {
        match self {
            Self::Csv { path, table, .. } => {
                let bytes = table.into_inner().map_err(|error| error.into_error())?;
                Ok(write_atomically(&path, &bytes)?)
            }
            Self::Lines { path, text } => Ok(write_atomically(&path, text.as_bytes())?),
            Self::Npz { path, outputs, shapes } => {
                let tensor = |(index, (data, shape)): (usize, (Vec<f32>, Shape))| {
                    let len: usize = shape.iter().product();
                    let images = data.len() / len.max(1);
                    (format!("output_{index}"), Tensor { shape: [vec![images], shape].concat(), data })
                };
                let arrays: Vec<_> = outputs.into_iter().zip(shapes).enumerate().map(tensor).collect();
                Ok(npy::write_npz(&path, &arrays)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use frostline::report::spreadsheet_safe;

    #[test]
    fn a_name_is_no_formula() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(spreadsheet_safe(name), format!("'{name}"));
        }
        assert_eq!(spreadsheet_safe("cat=dog"), "cat=dog");
    }
}
