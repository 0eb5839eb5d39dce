//! Names of layers that Keras 3 does not take: those with a slash, as tf.keras gave them in DenseNet and MobileNetV3. Here a
//! slash separates a nested model from its layers, so they are renamed while they are read.

use frostline_graph::join;
use std::collections::{BTreeMap, BTreeSet};

/// Names of layers of one model as they are called here, in their order: each a name of its own, without a slash.
pub(super) fn safe_names(names: &[&str]) -> Vec<String> {
    let mut taken: BTreeSet<String> =
        names.iter().filter(|name| !name.contains('/')).map(|name| (*name).to_owned()).collect();
    let safe = |name: &&str| {
        if !name.contains('/') {
            return (*name).to_owned();
        }
        let base = name.replace('/', "_");
        let numbered = (1..).map(|number| format!("{base}_{number}"));
        let free = std::iter::once(base.clone()).chain(numbered).find(|name| !taken.contains(name));
        let free = free.unwrap_or(base);
        taken.insert(free.clone());
        free
    };
    names.iter().map(safe).collect()
}

/// What layers are called in a file, where they are called otherwise here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Renamed(BTreeMap<String, String>);

impl Renamed {
    /// Of a model that was read before.
    pub(super) fn of(map: &BTreeMap<String, String>) -> Self {
        Self(map.clone())
    }

    /// Notes that the layer at `path` is called `name` in its file.
    pub(super) fn note(&mut self, path: &str, name: &str) {
        if path.rsplit('/').next() != Some(name) {
            self.0.insert(path.to_owned(), name.to_owned());
        }
    }

    /// The name that the layer at `path` has in the file.
    pub(super) fn in_file<'a>(&'a self, path: &'a str) -> &'a str {
        self.0.get(path).map_or_else(|| path.rsplit('/').next().unwrap_or(path), String::as_str)
    }

    /// A path whose layers have the names that they have in the file, the last parts being no layer's: the top layer, and the
    /// rest.
    pub(super) fn path_in_file(&self, path: &str) -> Option<(String, String)> {
        let (mut own, mut names) = (String::new(), Vec::new());
        for part in path.split('/') {
            own = join(&own, part);
            names.push(self.in_file(&own).to_owned());
        }
        let top = names.remove(0);
        (!names.is_empty()).then(|| (top, names.join("/")))
    }

    /// All of them: the path here, the name in the file.
    pub(super) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    /// One sentence, where there is something to say.
    pub(super) fn to_note(&self) -> Option<String> {
        let (path, name) = self.0.first_key_value()?;
        let whose = match self.0.len() {
            1 => "a layer has".to_owned(),
            count => format!("{count} layers have"),
        };
        Some(format!(
            "{whose} a name with a slash in the file, which Keras 3 does not take: `{name}` is called `{path}` here"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_slash_become_names_of_their_own() {
        assert_eq!(safe_names(&["a/b", "a_b", "c", "a/b/d"]), ["a_b_1", "a_b", "c", "a_b_d"]);
    }

    #[test]
    fn a_path_is_found_under_the_names_of_the_file() {
        let mut renamed = Renamed::default();
        renamed.note("base/conv1_bn", "conv1/bn");
        renamed.note("dense", "dense");
        assert_eq!(
            renamed.path_in_file("base/conv1_bn/gamma"),
            Some(("base".into(), "conv1/bn/gamma".into()))
        );
        assert_eq!(renamed.path_in_file("dense/kernel"), Some(("dense".into(), "kernel".into())));
        assert_eq!(renamed.into_map().len(), 1);
    }
}
