//! Just some of the classes that there are.

use super::dataset::listed;
use super::file_name::same_name;
use super::{DataError, Dataset, Example, LabelKind, Split, Target};
use std::path::Path;

/// The positions of the wanted classes among those that there are.
///
/// Errors: one is not there, or is named twice.
pub(super) fn positions(source: &Path, wanted: &[String], there: &[String]) -> Result<Vec<usize>, DataError> {
    let mut found = Vec::with_capacity(wanted.len());
    for name in wanted {
        let at = there.iter().position(|class| same_name(class, name)).ok_or_else(|| {
            DataError::source(
                source,
                format!(
                    "has no class `{name}`, which the setting `classes` names; there are {}",
                    listed_all(there)
                ),
                "write the names as they are there",
            )
        })?;
        if found.contains(&at) {
            return Err(DataError::setting(
                format!("the setting `classes` names `{name}` twice"),
                "name each class once",
            ));
        }
        found.push(at);
    }
    Ok(found)
}

/// All names, as there is one among them that somebody looks for.
fn listed_all(names: &[String]) -> String {
    const MOST: usize = 100;
    match names.len() {
        0..=MOST => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        _ => listed(names),
    }
}

impl Dataset {
    /// Takes just these classes, in this order. Examples of others are left out; labels of others are taken from examples that
    /// may have several.
    pub(super) fn choose(&mut self, wanted: &[String]) -> Result<(), DataError> {
        let kept = positions(&self.source, wanted, &self.classes)?;
        let others = (0..self.classes.len()).filter(|class| !kept.contains(class));
        let others: Vec<&String> = others.map(|class| &self.classes[class]).collect();
        if self.kind() == LabelKind::Labels && !others.is_empty() {
            let line = format!(
                "the labels that the setting `classes` does not name are left out: {}",
                listed(&others)
            );
            self.warnings.push(line);
        }
        self.classes = kept.iter().map(|class| self.classes[*class].clone()).collect();
        self.retain(|class| kept.iter().position(|other| *other == class));
        Ok(())
    }

    /// Keeps the examples of these classes alone, whose numbers stay what they are.
    pub(super) fn keep_only(&mut self, wanted: &[String]) -> Result<(), DataError> {
        let kept = positions(&self.source, wanted, &self.classes)?;
        self.retain(|class| kept.contains(&class).then_some(class));
        Ok(())
    }

    /// `renumbered`: the new number of a class, if it stays.
    fn retain(&mut self, renumbered: impl Fn(usize) -> Option<usize>) {
        let stays = |example: &Example| {
            let target = match &example.target {
                Target::Class(class) => Target::Class(renumbered(*class)?),
                Target::Labels(labels) => {
                    let mut labels: Vec<usize> =
                        labels.iter().filter_map(|label| renumbered(*label)).collect();
                    labels.sort_unstable();
                    Target::Labels(labels)
                }
                Target::Value(values) => Target::Value(values.clone()),
            };
            Some(Example { target, ..example.clone() })
        };
        let mut left_out = 0;
        for split in Split::ALL {
            let before = self.split(split);
            let kept: Vec<Example> = before.iter().filter_map(stays).collect();
            left_out += before.len() - kept.len();
            if !before.is_empty() {
                self.set_split(split, kept);
            }
        }
        if left_out > 0 {
            self.warnings.push(format!(
                "{left_out} examples of other classes than the setting `classes` names are left out"
            ));
        }
    }
}
