//! Examples that are in memory: arrays, pictures, and what they are labelled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::array::{Array, Lender};
use super::npy::{NpyArray, NpyValues};
use super::npz::{self, Inputs, Part};
use super::range::ValueRange;
use super::{DataError, Dataset, HeldPicture, Input, Reading, Split};

/// Examples in memory, as an `.npz` file has them in its arrays. It is opened as a path is, and what it holds is not copied.
#[derive(Clone, Debug)]
pub struct InMemory {
    name: PathBuf,
    parts: Vec<Given>,
    class_names: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Given {
    split: Split,
    inputs: MemoryInputs,
    labels: Option<NpyArray>,
}

/// What examples in memory are.
#[derive(Clone, Debug)]
pub enum MemoryInputs {
    /// Numbers of any type.
    Array(NpyArray),
    /// An array of bytes or of f32 that somebody else holds.
    Lent {
        /// `[rows, …]`.
        shape: Vec<usize>,
        /// Its rows.
        rows: Arc<dyn Lender>,
        /// The range of all values, which are finite; 0 to 255 for bytes.
        range: ValueRange,
        /// Whether it holds f32.
        floats: bool,
    },
    /// Pictures.
    Pictures(Vec<MemoryPicture>),
}

/// A picture, and where it is.
#[derive(Clone, Debug)]
pub enum MemoryPicture {
    /// An image file.
    File(PathBuf),
    /// In memory.
    Held(HeldPicture),
}

impl InMemory {
    /// Nothing yet, under a name for messages.
    pub fn new(name: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), parts: Vec::new(), class_names: None }
    }

    /// What it is called in messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Adds a part, that to train on first. `labels`: one a row; none where nothing is said of what the inputs are.
    pub fn part(mut self, split: Split, inputs: MemoryInputs, labels: Option<NpyArray>) -> Self {
        self.parts.push(Given { split, inputs, labels });
        self
    }

    /// The names of the classes that labels are numbers of.
    pub fn class_names(self, names: Vec<String>) -> Self {
        Self { class_names: Some(names), ..self }
    }

    pub(super) fn read(&self, reading: &Reading) -> Result<Dataset, DataError> {
        let part = |given: &Given| {
            let split = given.split.name();
            let (x, y) = (format!("x_{split}"), format!("y_{split}"));
            Part {
                split: given.split,
                inputs: inputs(&given.inputs, &x),
                name: x,
                labels: given.labels.clone().map(|labels| (y, labels)),
            }
        };
        let names = self
            .class_names
            .clone()
            .map(|names| NpyArray { shape: vec![names.len()], values: NpyValues::Text(names) });
        let mut dataset = npz::assemble(&self.name, self.parts.iter().map(part).collect(), names, reading)?;
        // a list says nothing of parts where it has one alone
        dataset.has_parts = self.parts.len() > 1;
        Ok(dataset)
    }
}

fn inputs(given: &MemoryInputs, name: &str) -> Inputs {
    match given {
        MemoryInputs::Array(array) => Inputs::Array(array.clone()),
        MemoryInputs::Lent { shape, rows, range, floats } => {
            Inputs::Lent(Array::lent(shape.clone(), rows.clone(), *range, *floats))
        }
        MemoryInputs::Pictures(pictures) => {
            let named = |(index, picture): (usize, &MemoryPicture)| match picture {
                MemoryPicture::File(path) => (Input::File(path.clone()), super::path_text(path)),
                MemoryPicture::Held(held) => (Input::Picture(held.clone()), format!("{name}[{index}]")),
            };
            Inputs::Pictures(pictures.iter().enumerate().map(named).collect())
        }
    }
}
