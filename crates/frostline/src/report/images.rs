//! The images of a run, by their contents: what it was trained, validated and tested on can be told from what it has not
//! seen, wherever the images lie and whatever they are called later.

use super::files::{IMAGES, MODEL, RECORD};
use super::table_cell::spreadsheet_safe;
use frostline_data::{DataError, Dataset, Example, Split, Target};
use frostline_files::{regular, write_atomically};
use frostline_graph::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::Path;

/// The images of a run.
#[derive(Clone, Debug, Default)]
pub struct RunImages {
    /// For each content whether it is in train, val, test.
    parts: HashMap<blake3::Hash, [bool; 3]>,
    /// How many images each part has.
    counts: [usize; 3],
}

impl RunImages {
    /// What the run of a model has recorded; none where the path is no run, or its run has recorded nothing.
    ///
    /// Errors: a record that cannot be read.
    pub fn read(model: &Path) -> Result<Option<Self>> {
        let folder = match model.is_dir() {
            true => model,
            // the run's own model, given by its name
            false => model.parent().unwrap_or(Path::new("")),
        };
        let is_of_run = model.is_dir() || model.file_name().is_some_and(|name| name == MODEL);
        let file = folder.join(IMAGES);
        if !is_of_run || !folder.join(RECORD).exists() || !file.exists() {
            return Ok(None);
        }
        let damaged = |line: usize| {
            Error::format(
                &file,
                format!(
                    "line {line} is no image of a run\nhelp: the file is damaged: remove it, and what the run has seen is not told"
                ),
            )
        };
        let bytes = regular::read(&file).map_err(|source| Error::io(&file, source))?;
        let mut images = Self::default();
        for (index, record) in csv::Reader::from_reader(bytes.as_slice()).records().enumerate() {
            let broken = || damaged(index + 2);
            let record = record.map_err(|_| broken())?;
            let cell = |column: usize| record.get(column).unwrap_or_default();
            let split = Split::ALL.into_iter().find(|split| split.name() == cell(0)).ok_or_else(broken)?;
            let hash = blake3::Hash::from_hex(cell(2)).map_err(|_| broken())?;
            images.parts.entry(hash).or_default()[split as usize] = true;
            images.counts[split as usize] += 1;
        }
        Ok(Some(images))
    }

    /// Whether an image of that content is one of a part.
    pub fn has(&self, split: Split, content: &blake3::Hash) -> bool {
        self.parts.get(content).is_some_and(|parts| parts[split as usize])
    }

    /// How many images a part has.
    pub fn count(&self, split: Split) -> usize {
        self.counts[split as usize]
    }

    /// Writes the images of a dataset into a run's folder.
    pub(super) fn write(folder: &Path, dataset: &Dataset) -> Result<()> {
        let examples: Vec<(Split, &Example)> = dataset.examples().collect();
        let hashes = examples
            .par_iter()
            .map(|(_, example)| dataset.content_of(example))
            .collect::<Result<Vec<_>, DataError>>()?;
        let file = folder.join(IMAGES);
        let failed = |error: csv::Error| Error::io(&file, std::io::Error::other(error));
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(["part", "label", "hash", "name"]).map_err(failed)?;
        for ((split, example), hash) in examples.iter().zip(&hashes) {
            let label = match &example.target {
                Target::Class(class) => spreadsheet_safe(&dataset.classes[*class]).into_owned(),
                Target::Labels(labels) => {
                    let names: Vec<String> =
                        labels.iter().map(|label| dataset.classes[*label].clone()).collect();
                    spreadsheet_safe(&names.join("|")).into_owned()
                }
                Target::Value(values) => values.iter().map(f32::to_string).collect::<Vec<_>>().join(" "),
            };
            let hash = hash.to_hex();
            let name = spreadsheet_safe(&example.name);
            table.write_record([split.name(), &label, hash.as_str(), &name]).map_err(failed)?;
        }
        let bytes = table.into_inner().map_err(|error| Error::io(&file, error.into_error()))?;
        Ok(write_atomically(&file, &bytes)?)
    }
}
