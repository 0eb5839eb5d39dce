//! `embed`, into memory.

use super::{Call, GivenData, Outcome, another};
use crate::args::Command;
use crate::embed::{each, none_read, opened, pooling};
use frostline::data::Target;

/// Features, a row an image that could be read.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// `[images, …]`, row-major.
    pub features: Vec<f32>,
    /// The shape of an image's.
    pub shape: Vec<usize>,
    /// What each image is.
    pub targets: Vec<Target>,
    /// What each is called.
    pub paths: Vec<String>,
    /// The part of each: `train`, `val` or `test`.
    pub parts: Vec<&'static str>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The layer whose output it is.
    pub layer: String,
    /// How many images were computed, not read from the cache.
    pub computed: usize,
}

/// `embed`.
///
/// # Errors
///
/// As of the command.
pub fn embed(call: Call, data: GivenData) -> Outcome<Embedded> {
    // the command wants a file, which is not written here
    let words = vec!["--output=features.npz".into()];
    call.run("embed", Some(data), words, |command, _, console| {
        let Command::Embed(command) = command else { return Err(another()) };
        let (embedder, dataset, caching) = opened(&command.features, pooling(command), console)?;
        let mut embedding = embedder.begin(&caching)?;
        let mut found = Embedded {
            features: Vec::with_capacity(dataset.examples().count() * embedder.width()),
            shape: embedder.shape().clone(),
            targets: Vec::new(),
            paths: Vec::new(),
            parts: Vec::new(),
            classes: dataset.classes.clone(),
            layer: embedder.layer().to_owned(),
            computed: 0,
        };
        each(&embedder, &mut embedding, &dataset, console, |(split, example), row| {
            found.features.extend_from_slice(row);
            found.targets.push(example.target.clone());
            found.paths.push(example.name.clone());
            found.parts.push(split.name());
            Ok(())
        })?;
        if found.paths.is_empty() {
            return Err(none_read(&dataset));
        }
        found.computed = embedding.computed();
        Ok(found)
    })
}
