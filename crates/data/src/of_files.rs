//! Datasets that are put together from files: photos without labels, and one class more.

use std::path::{Path, PathBuf};

use super::file_name::same_name;
use super::{DataError, Dataset, Example, Input, LabelKind, Target, path_text};

impl Dataset {
    /// Photos without labels, named by their paths below `source`.
    pub fn of_files(source: &Path, files: Vec<PathBuf>) -> Self {
        let name = |file: &PathBuf| path_text(file.strip_prefix(source).unwrap_or(file));
        let example = |file: PathBuf| Example {
            name: name(&file),
            input: Input::File(file),
            target: Target::Labels(Vec::new()),
        };
        let train = files.into_iter().map(example).collect();
        Self { source: source.to_path_buf(), train, ..Self::default() }
    }

    /// Whether anything is said of what the examples are.
    pub fn has_labels(&self) -> bool {
        let is_silent =
            |example: &Example| matches!(&example.target, Target::Labels(labels) if labels.is_empty());
        !self.classes.is_empty() || !self.examples().all(|(_, example)| is_silent(example))
    }

    /// Adds a class with these photos to train on.
    ///
    /// Errors: there is such a class; examples are not photos of one class each.
    pub fn add_class(&mut self, name: &str, source: &Path, files: Vec<PathBuf>) -> Result<(), DataError> {
        let refused = |message: String, help: &str| Err(DataError::source(source, message, help));
        if self.kind() != LabelKind::Classes || self.arrays.iter().any(Option::is_some) {
            return refused(
                format!(
                    "cannot be a class of `{}`, which holds no photos of one class each",
                    self.source.display()
                ),
                "train on data of which it is a part",
            );
        }
        if self.classes.iter().any(|class| same_name(class, name)) {
            return refused(
                format!("is named as the class `{name}`, which is there already"),
                "rename the folder; its name becomes the class's",
            );
        }
        let class = self.classes.len();
        self.classes.push(name.to_owned());
        let folder = |file: &Path| path_text(file.strip_prefix(source).unwrap_or(file));
        self.train.extend(files.into_iter().map(|file| Example {
            name: format!("{name}/{}", folder(&file)),
            input: Input::File(file),
            target: Target::Class(class),
        }));
        Ok(())
    }
}
