//! `frostline embed`.

mod merge;
mod npz;
mod parquet;
mod part;
mod rows;

pub(crate) use merge::merge;

use crate::Failure;
use crate::args::{Embed, Features};
use crate::cache::caching;
use crate::console::Console;
use crate::images::{load, pipeline};
use frostline::FileError;
use frostline::data::{Dataset, Example, Fault, LabelKind, Split, path_text};
use frostline::embed::{EmbedPooling, Embedder, Embedding};
use frostline::fit::Caching;
use frostline::graph::Model;
use rows::Rows;
use serde_json::json;
use std::path::Path;

/// What was embedded.
struct Embedded<'a> {
    layer: &'a str,
    /// The shape of an image's features.
    shape: &'a [usize],
    classes: &'a [String],
    /// What labels are, where there are any.
    labels: Option<LabelKind>,
    /// The numbers of a label.
    label_len: usize,
    /// The images that could be read, a row of features each.
    sound: &'a [(Split, &'a Example)],
}

/// Writes features into a file.
type Writer = fn(&Path, &Embedded<'_>, Rows) -> Result<(), FileError>;

pub(crate) fn run(command: &Embed, console: &Console) -> Result<(), Failure> {
    let write = writer(&command.output)?;
    let (embedder, dataset, caching) = opened(&command.features, pooling(command), console)?;
    let mut embedding = embedder.begin(&caching)?;
    let all: Vec<(Split, &Example)> = dataset.examples().collect();
    let own = command.shard.map_or(0..all.len(), |shard| shard.range(all.len()));
    if let Some(photos) = &command.photos {
        let files = all[own.clone()].iter().filter_map(|(_, example)| example.input.path());
        photos.bring(&files.collect::<Vec<_>>(), console)?;
    }
    // how many images are sound is known at the end alone, and stands at the beginning of the array
    let mut rows = Rows::beside(&command.output)?;
    let mut sound = Vec::new();
    let bad = each(&embedder, &mut embedding, &dataset, &all[own], console, |example, row| {
        sound.push(example);
        rows.add(row)
    })?;
    let embedded = Embedded {
        layer: embedder.layer(),
        shape: embedder.shape(),
        classes: &dataset.classes,
        labels: dataset.has_labels().then(|| dataset.kind()),
        label_len: dataset.target_len(),
        sound: &sound,
    };
    let file = match command.shard {
        Some(shard) => {
            let key = part::Key::of(&embedder, &dataset)?;
            part::write(&command.output, shard, &key, &embedded, rows)?
        }
        None if sound.is_empty() => return Err(none_read(&dataset)),
        None => {
            write(&command.output, &embedded, rows)?;
            command.output.clone()
        }
    };
    let (images, computed) = (sound.len(), embedding.computed());
    if command.json {
        return console.print(json!({
            "images": images, "shape": embedder.shape(), "layer": embedder.layer(), "views": embedder.views(), "computed": computed,
            "from_cache": images - computed.min(images), "skipped": bad, "file": path_text(&file),
        }));
    }
    let shape: Vec<String> = embedder.shape().iter().map(usize::to_string).collect();
    console.print(format_args!(
        "{images} images, {} features each, by `{}`: `{}` ({computed} computed, {} from the cache)",
        shape.join(" x "),
        embedder.layer(),
        file.display(),
        images - computed.min(images)
    ))
}

/// What writes a file with such an ending.
fn writer(path: &Path) -> Result<Writer, Failure> {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    match ending.to_str() {
        Some("npz") => Ok(npz::write),
        Some("parquet") => Ok(parquet::write),
        _ => Err(format!(
            "`{}`: features are written as .npz or .parquet\nhelp: end the name in `.npz` for NumPy, in `.parquet` for tables",
            path.display()
        )
        .into()),
    }
}

/// What becomes of an output with pixels or tokens.
pub(crate) fn pooling(command: &Embed) -> EmbedPooling {
    match command.pooling.as_str() {
        "none" => EmbedPooling::Nothing,
        _ => EmbedPooling::Mean,
    }
}

/// That there is nothing to embed.
pub(crate) fn none_read(dataset: &Dataset) -> Failure {
    format!("`{}`: no image could be read\nhelp: give JPEG or PNG files", path_text(&dataset.source)).into()
}

/// What makes the features, the data, and where features are kept.
pub(crate) fn opened(
    features: &Features,
    pooling: EmbedPooling,
    console: &Console,
) -> Result<(Embedder, Dataset, Caching), Failure> {
    let (model, _) = load(&features.model, console)?;
    let dataset = features.labels.source(&features.data).open_for_features(&features.labels.reading())?;
    dataset.warnings.iter().for_each(|warning| console.warn(warning));
    let embedder = embedder_of(features, pooling, &model, Some(&dataset), console)?;
    Ok((embedder, dataset, kept_in(features, console)))
}

/// What makes the features.
pub(crate) fn embedder_of(
    features: &Features,
    pooling: EmbedPooling,
    model: &Model,
    dataset: Option<&Dataset>,
    console: &Console,
) -> Result<Embedder, Failure> {
    let pipeline = pipeline(model, &features.images, dataset, console)?;
    let numbers = features.storage.precision.unwrap_or_default().try_into()?;
    let views = features.views.clone();
    Ok(Embedder::new(model, features.cut.as_deref(), pooling, views, pipeline, numbers)?)
}

/// Where features are kept.
pub(crate) fn kept_in(features: &Features, console: &Console) -> Caching {
    caching(features.no_cache, features.cache.as_ref(), features.cache_limit, console)
}

/// Calls `take` with each of `all` that can be read and its features, in their order. Returns the names of the others.
pub(crate) fn each<'d>(
    embedder: &Embedder,
    embedding: &mut Embedding<'_>,
    dataset: &'d Dataset,
    all: &[(Split, &'d Example)],
    console: &Console,
    mut take: impl FnMut((Split, &'d Example), &[f32]) -> Result<(), Failure>,
) -> Result<Vec<String>, Failure> {
    let width = embedder.width().max(1);
    let (mut bad, mut faults) = (Vec::new(), Vec::new());
    let mut rows = Vec::new();
    let mut done = 0;
    for chunk in all.chunks(embedder.at_once()) {
        let examples: Vec<&Example> = chunk.iter().map(|(_, example)| *example).collect();
        rows.resize(examples.len() * width, 0.0);
        let errors = embedding.of(dataset, &examples, &mut rows)?;
        for ((example, error), row) in chunk.iter().zip(errors).zip(rows.chunks_exact(width)) {
            match error {
                None => take(*example, row)?,
                Some(error) => {
                    bad.push(example.1.name.clone());
                    faults.push(Fault::of(&error).unwrap_or(Fault::Unreadable));
                    console.warn(error);
                }
            }
        }
        done += chunk.len();
        console.count("looking at images", done, all.len());
    }
    console.clear();
    if let Some(counts) = Fault::counts(faults.into_iter()) {
        console.warn(format_args!("of {} images {counts}: they are left out", all.len()));
    }
    Ok(bad)
}
