//! What the record of a run says, for what goes on from it.

use crate::fit::{HeadMethod, SolveConfig, TrainConfig, Validation};
use crate::report::RECORD_FILE;
use frostline_data::{Dataset, Exclude, Reading, View, open_for_features, pictures_in};
use frostline_files::regular;
use frostline_graph::{Error, Keep, Pooling, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A finished run.
#[derive(Clone, Debug, Deserialize)]
pub struct EarlierRun {
    /// Where its data came from.
    pub(super) source: Source,
    /// The seed of everything random.
    pub(super) seed: u64,
    recipe: TrainConfig,
    pub(super) validation: Validation,
    /// The classes, in the order of the outputs.
    pub(super) classes: Vec<String>,
    solved: Option<Head>,
    /// There where nothing was trained after the head was solved.
    estimate: Option<serde_json::Value>,
    unfreezing: Option<Unfreezing>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Source {
    pub(super) data: PathBuf,
    #[serde(default)]
    pub(super) reading: Reading,
    #[serde(default)]
    pub(super) added: Vec<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
struct Head {
    cuts: Vec<String>,
    pooling: String,
    views: Vec<View>,
    method: HeadMethod,
}

#[derive(Clone, Debug, Deserialize)]
struct Unfreezing {
    adopted: bool,
}

impl EarlierRun {
    /// Reads the record of a run's folder.
    ///
    /// # Errors
    ///
    /// A folder without a record, or with one that cannot be read.
    pub fn read(run: &Path) -> Result<Self> {
        let file = run.join(RECORD_FILE);
        if !run.is_dir() || !file.exists() {
            return Err(Error::setting(format!(
                "`{}` is no finished run: it holds no `{RECORD_FILE}`\nhelp: give the folder that `frostline train` wrote",
                run.display()
            )));
        }
        let bytes = regular::read(&file).map_err(|source| Error::io(&file, source))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::format(
                &file,
                format!("{error}\nhelp: the record is damaged, or of another version: train again"),
            )
        })
    }

    /// The recipe that solves the head anew on what it reads.
    ///
    /// Errors: the head was not solved, or layers were trained after it.
    pub(super) fn recipe(&self, run: &Path) -> Result<TrainConfig> {
        let unfroze = self.unfreezing.as_ref().is_some_and(|unfreezing| unfreezing.adopted);
        let refused = |why: &str| {
            Err(Error::setting(format!(
                "`{}` {why}\nhelp: add the folder to the data, or take the class out with the setting `exclude`, and train again with `frostline train`",
                run.display()
            )))
        };
        let Some(head) = &self.solved else {
            return refused("has a head that was trained by steps: another one would be another model");
        };
        if unfroze || self.estimate.is_none() {
            return refused("has layers that were trained with its classes, after the head was solved");
        }
        let pooling: Pooling = head.pooling.parse()?;
        let Some(highest) = head.cuts.first() else {
            return refused("does not say which layers its head reads");
        };
        let solve = SolveConfig {
            cuts: Some(head.cuts.clone()),
            pooling: Some(pooling),
            views: Some(head.views.clone()),
            method: head.method,
            unfreeze: false,
            reject: self.recipe.solve.as_ref().and_then(|solve| solve.reject),
        };
        Ok(TrainConfig {
            keep: Some(Keep::Layer(highest.clone())),
            weights: crate::fit::PretrainedWeights::Copy,
            solve: Some(solve),
            stage: Vec::new(),
            gradual: None,
            ..self.recipe.clone()
        })
    }

    /// The data of the run, `data` being where they lie now.
    ///
    /// Errors: data that are gone, or are no photos with classes.
    pub(super) fn dataset(&self, data: &Path, reading: &Reading, added: &[PathBuf]) -> Result<Dataset> {
        for place in std::iter::once(data).chain(added.iter().map(PathBuf::as_path)) {
            if !place.exists() {
                return Err(Error::data(format!(
                    "`{}`, which the run was trained on, is not there\nhelp: bring it back, or say where the data lie now with the setting `data`",
                    place.display()
                )));
            }
        }
        let mut dataset = open_for_features(data, reading)?;
        for folder in added {
            add(&mut dataset, folder)?;
        }
        Ok(dataset)
    }
}

/// Adds a folder's photos as the class that is called as the folder.
pub(super) fn add(dataset: &mut Dataset, folder: &Path) -> Result<()> {
    let (files, warnings) = pictures_in(folder, &Exclude::default())?;
    dataset.warnings.extend(warnings);
    Ok(dataset.add_class(&class_of(folder)?, folder, files)?)
}

/// The class that a folder's name stands for.
pub(super) fn class_of(folder: &Path) -> Result<String> {
    let whole = folder.canonicalize().map_err(|source| Error::io(folder, source))?;
    whole.file_name().and_then(|name| name.to_str()).map(str::to_owned).ok_or_else(|| {
        Error::data(format!(
            "`{}` has no name that a class could have\nhelp: rename the folder",
            folder.display()
        ))
    })
}
