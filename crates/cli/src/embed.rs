//! `frostline embed`.

use crate::Failure;
use crate::args::{Embed, Features};
use crate::cache::caching;
use crate::console::Console;
use crate::images::{load, pipeline};
use frostline::data::{Dataset, Example, Fault, LabelKind, Split, Target, npy, path_text};
use frostline::embed::{EmbedPooling, Embedder, Embedding};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

pub(crate) fn run(command: &Embed, console: &Console) -> Result<(), Failure> {
    check_output(&command.output)?;
    let pooling = match command.pooling.as_str() {
        "none" => EmbedPooling::Nothing,
        _ => EmbedPooling::Mean,
    };
    let (embedder, dataset) = opened(&command.features, pooling, console)?;
    let caching = caching(
        command.features.no_cache,
        command.features.cache.as_deref(),
        command.features.cache_limit,
        console,
    );
    let mut embedding = embedder.begin(&caching)?;
    // how many images are sound is known at the end alone, and stands at the beginning of the array
    let mut rows = Rows::beside(&command.output)?;
    let mut sound = Vec::new();
    let bad = each(&embedder, &mut embedding, &dataset, console, |example, row| {
        sound.push(example);
        rows.add(row)
    })?;
    if sound.is_empty() {
        return Err(format!(
            "`{}`: no image could be read\nhelp: give JPEG or PNG files",
            path_text(&dataset.source)
        )
        .into());
    }
    write(command, &embedder, &dataset, &sound, rows)?;
    let (images, computed) = (sound.len(), embedding.computed());
    if command.json {
        return console.print(json!({
            "images": images, "shape": embedder.shape(), "layer": embedder.layer(), "views": embedder.views(), "computed": computed,
            "from_cache": images - computed.min(images), "skipped": bad, "file": path_text(&command.output),
        }));
    }
    let shape: Vec<String> = embedder.shape().iter().map(usize::to_string).collect();
    console.print(format_args!(
        "{images} images, {} features each, by `{}`: `{}` ({computed} computed, {} from the cache)",
        shape.join(" x "),
        embedder.layer(),
        command.output.display(),
        images - computed.min(images)
    ))
}

fn check_output(path: &Path) -> Result<(), Failure> {
    match path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) {
        true => Ok(()),
        false => Err(format!(
            "`{}`: features are written as .npz\nhelp: end the name in `.npz`; in Python, numpy.load reads it, and pandas or pyarrow make a table of it",
            path.display()
        )
        .into()),
    }
}

/// What makes the features, and the data.
pub(crate) fn opened(
    features: &Features,
    pooling: EmbedPooling,
    console: &Console,
) -> Result<(Embedder, Dataset), Failure> {
    let (model, _) = load(&features.model, console)?;
    let dataset = features.labels.source(&features.data).open_for_features(&features.labels.reading())?;
    dataset.warnings.iter().for_each(|warning| console.warn(warning));
    let pipeline = pipeline(&model, &features.images, Some(&dataset), console)?;
    let numbers = features.storage.precision.unwrap_or_default().try_into()?;
    let embedder =
        Embedder::new(&model, features.cut.as_deref(), pooling, features.views.clone(), pipeline, numbers)?;
    Ok((embedder, dataset))
}

/// Calls `take` with each image that can be read and its features, in their order. Returns the names of the others.
pub(crate) fn each<'d>(
    embedder: &Embedder,
    embedding: &mut Embedding<'_>,
    dataset: &'d Dataset,
    console: &Console,
    mut take: impl FnMut((Split, &'d Example), &[f32]) -> Result<(), Failure>,
) -> Result<Vec<String>, Failure> {
    let all: Vec<(Split, &Example)> = dataset.examples().collect();
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

/// Features on their way into a file: on disk, in the folder of that file.
struct Rows {
    file: BufWriter<File>,
}

impl Rows {
    fn beside(output: &Path) -> Result<Self, Failure> {
        let folder =
            output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::tempfile_in(folder).map_err(|error| {
            format!("`{}`: {error}\nhelp: give a folder that can be written to", folder.display())
        })?;
        Ok(Self { file: BufWriter::new(file) })
    }

    fn add(&mut self, row: &[f32]) -> Result<(), Failure> {
        row.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes()))?;
        Ok(())
    }

    fn copy_into(self, out: &mut dyn Write) -> io::Result<()> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        let mut part = vec![0; 1 << 20];
        loop {
            match file.read(&mut part)? {
                0 => return Ok(()),
                count => out.write_all(&part[..count])?,
            }
        }
    }
}

fn write(
    command: &Embed,
    embedder: &Embedder,
    dataset: &Dataset,
    sound: &[(Split, &Example)],
    rows: Rows,
) -> Result<(), Failure> {
    let count = sound.len();
    let shape: Vec<usize> = std::iter::once(count).chain(embedder.shape().iter().copied()).collect();
    let parts: BTreeMap<Split, &str> = Split::ALL.into_iter().map(|split| (split, split.name())).collect();
    npy::stream_npz(&command.output, |npz| {
        npz.floats("features", &shape, |out| rows.copy_into(out))?;
        labels(npz, dataset, sound)?;
        npz.texts("paths", &[count], sound.iter().map(|(_, example)| example.name.as_str()))?;
        npz.texts("part", &[count], sound.iter().map(|(split, _)| parts[split]))?;
        npz.texts("classes", &[dataset.classes.len()], dataset.classes.iter().map(String::as_str))?;
        npz.texts("layer", &[], std::iter::once(embedder.layer()))
    })?;
    Ok(())
}

fn labels(npz: &mut npy::NpzWriter<'_>, dataset: &Dataset, sound: &[(Split, &Example)]) -> io::Result<()> {
    let (count, width) = (sound.len(), dataset.target_len());
    match dataset.kind() {
        _ if !dataset.has_labels() => npz.integers("labels", &[count], std::iter::repeat_n(-1, count)),
        LabelKind::Classes => {
            let class = |(_, example): &(Split, &Example)| match &example.target {
                Target::Class(class) => *class as i64,
                Target::Labels(_) | Target::Value(_) => -1,
            };
            npz.integers("labels", &[count], sound.iter().map(class))
        }
        LabelKind::Labels => {
            let of_example = |(_, example): &(Split, &Example)| {
                let has =
                    |label| matches!(&example.target, Target::Labels(labels) if labels.contains(&label));
                (0..width).map(|label| i64::from(has(label))).collect::<Vec<_>>()
            };
            npz.integers("labels", &[count, width], sound.iter().flat_map(of_example))
        }
        LabelKind::Numbers => npz.floats("labels", &[count, width], |out| {
            for (_, example) in sound {
                if let Target::Value(values) = &example.target {
                    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))?;
                }
            }
            Ok(())
        }),
    }
}
