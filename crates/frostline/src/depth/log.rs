//! The outcomes of a search, line by line, from which a search that was ended goes on.

use super::Outcome;
use crate::fit::TrainConfig;
use frostline_data::{Dataset, Example};
use frostline_graph::{Error, Result};
use frostline_kernels::instruction_set;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What outcomes depend on, besides the arm and the repeat: the first line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchKey {
    version: String,
    model: String,
    images: String,
    recipe: TrainConfig,
    seed: u64,
    /// The processor's instruction set: others add in another order.
    #[serde(default)]
    processor: String,
}

impl SearchKey {
    /// `model`: the hash of its file.
    pub fn new(model: &str, dataset: &Dataset, recipe: &TrainConfig, seed: u64) -> Result<Self> {
        let examples: Vec<(&str, &Example)> =
            dataset.examples().map(|(split, example)| (split.name(), example)).collect();
        let hashes: Vec<_> = examples
            .par_iter()
            .map(|(_, example)| dataset.content_of(example))
            .collect::<std::result::Result<_, _>>()?;
        let mut hasher = blake3::Hasher::new();
        for ((split, example), hash) in examples.iter().zip(&hashes) {
            hasher.update(format!("{split} {} {:?}", example.name, example.target).as_bytes());
            hasher.update(hash.as_bytes());
        }
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.to_owned(),
            images: hasher.finalize().to_hex().to_string(),
            recipe: recipe.clone(),
            seed,
            processor: instruction_set().to_owned(),
        })
    }

    /// How another search differs, in words.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let differences = [
            (self.version != other.version, "another version of frostline".to_owned()),
            (self.model != other.model, "another model".to_owned()),
            (self.images != other.images, "other images".to_owned()),
            (self.recipe != other.recipe, "other settings".to_owned()),
            (self.seed != other.seed, "another seed".to_owned()),
            (
                self.processor != other.processor,
                format!(
                    "another processor, whose last bits differ: that has `{}`, this one `{}`",
                    other.processor, self.processor
                ),
            ),
        ];
        differences.into_iter().find(|(differs, _)| *differs).map(|(_, how)| how)
    }
}

/// The file.
#[derive(Debug)]
pub struct SearchLog {
    path: PathBuf,
    file: Mutex<File>,
}

impl SearchLog {
    /// Begins a file, or goes on with one of the same search: then its outcomes are returned. `difference`: how two keys differ.
    ///
    /// Errors: the file is of another search.
    pub(crate) fn open<K: Serialize + DeserializeOwned>(
        path: &Path,
        key: &K,
        difference: impl Fn(&K, &K) -> Option<String>,
    ) -> Result<(Self, Vec<Outcome>)> {
        let failed = |source| Error::io(path, source);
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(failed)?,
        };
        // a last line that was cut off is no outcome
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = whole.lines();
        let found: Option<K> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        if !whole.is_empty() {
            check_key(path, found.as_ref(), key, difference)?;
        }
        let outcomes: Vec<Outcome> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        file.set_len(whole.len() as u64).map_err(failed)?;
        let log = Self { path: path.to_owned(), file: Mutex::new(file) };
        if whole.is_empty() {
            log.line(key)?;
        }
        Ok((log, outcomes))
    }

    /// Adds an outcome.
    pub fn append(&self, outcome: &Outcome) -> Result<()> {
        self.line(outcome)
    }

    fn line(&self, of: &impl Serialize) -> Result<()> {
        let failed = |source| Error::io(&self.path, source);
        let mut line = serde_json::to_vec(of).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).map_err(failed)
    }
}

/// Errors: the first line of a file is not that of this search.
pub(super) fn check_key<K>(
    path: &Path,
    found: Option<&K>,
    key: &K,
    difference: impl Fn(&K, &K) -> Option<String>,
) -> Result<()> {
    let how = match found {
        Some(found) => difference(key, found),
        None => Some("something else in its first line".to_owned()),
    };
    how.map_or(Ok(()), |how| {
        Err(Error::setting(format!(
            "`{}` is of a search with {how}\nhelp: give another folder with the setting `output`, or remove that file; processes that share a search take the same flags, on machines of one kind",
            path.display()
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u64) -> SearchKey {
        SearchKey::new("model", &Dataset::default(), &TrainConfig::default(), seed).expect("a key")
    }

    #[test]
    fn a_search_goes_on_where_it_was_cut_off() -> Result<()> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("search.jsonl");
        let open = |seed| SearchLog::open(&path, &key(seed), SearchKey::difference);
        let outcome = |repeat| Outcome {
            arm: "a".to_owned(),
            repeat,
            share: 1.0,
            validation_accuracy: 0.5,
            correct: vec![true],
            seconds: 1.0,
        };
        let (log, known) = open(0)?;
        assert!(known.is_empty());
        log.append(&outcome(0))?;
        log.append(&outcome(1))?;
        let text = std::fs::read(&path).expect("a file");
        std::fs::write(&path, &text[..text.len() - 9]).expect("cut off");
        let (log, known) = open(0)?;
        assert_eq!(known, [outcome(0)]);
        log.append(&outcome(1))?;
        assert_eq!(open(0)?.1, [outcome(0), outcome(1)]);
        assert!(open(1).is_err());
        Ok(())
    }
}
