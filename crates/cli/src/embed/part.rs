//! What one of several processes has embedded, in a file beside the one that they make together: a line of JSON about all of them, a
//! line for each image, and behind them the rows.

use super::Embedded;
use super::rows::Rows;
use crate::Failure;
use frostline::data::{Dataset, Example, Input, LabelKind, Split, Target};
use frostline::embed::{Embedder, images_key};
use frostline::{Shard, stream_atomically};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// What all parts of a file must have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    version: String,
    /// The processor's instruction set: others add in another order.
    processor: String,
    features: String,
    images: String,
}

impl Key {
    /// `dataset`: the images of all parts.
    pub(super) fn of(embedder: &Embedder, dataset: &Dataset) -> Result<Self, Failure> {
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processor: frostline::instruction_set().to_owned(),
            features: embedder.key()?,
            images: images_key(dataset),
        })
    }

    /// How another part differs, in words.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        match () {
            () if self.version != other.version => Some("another version of frostline"),
            () if self.images != other.images => Some("other images or labels"),
            () if self.processor != other.processor => {
                Some("another kind of processor, whose last bits differ")
            }
            () if self.features != other.features => Some("another model or other settings"),
            () => None,
        }
    }
}

/// The folder of the parts of a file.
pub(super) fn folder_of(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".shards");
    name.into()
}

/// Writes a part. Returns its path.
pub(super) fn write(
    output: &Path,
    shard: Shard,
    key: &Key,
    what: &Embedded<'_>,
    rows: Rows,
) -> Result<PathBuf, Failure> {
    let folder = folder_of(output);
    std::fs::create_dir_all(&folder).map_err(|error| {
        format!("`{}`: {error}\nhelp: give a folder that can be written to", folder.display())
    })?;
    let path = folder.join(format!("{}-of-{}.part", shard.index(), shard.of()));
    let about = json!({
        "version": key.version, "processor": key.processor, "features": key.features, "images": key.images,
        "layer": what.layer, "shape": what.shape, "classes": what.classes, "labels": what.labels,
        "label_len": what.label_len, "rows": what.sound.len(),
    });
    stream_atomically(&path, |file| {
        writeln!(file, "{about}")?;
        for (split, example) in what.sound {
            writeln!(file, "{}", json!([split.name(), example.name, target_json(&example.target)]))?;
        }
        io::copy(&mut rows.read()?, file).map(drop)
    })?;
    Ok(path)
}

/// A part that was opened: all but its rows is read.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) key: Key,
    pub(super) layer: String,
    pub(super) shape: Vec<usize>,
    pub(super) classes: Vec<String>,
    pub(super) labels: Option<LabelKind>,
    pub(super) label_len: usize,
    pub(super) images: Vec<(Split, Example)>,
    file: BufReader<File>,
}

impl Part {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| format!("`{}`: {error}\nhelp: start its shard again", path.display());
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let about = next_line(&mut file).map_err(failed)?;
        let text = |name: &str| about[name].as_str().unwrap_or_default().to_owned();
        let count = |value: &Value| value.as_u64().unwrap_or_default() as usize;
        let each = |name: &str| about[name].as_array().cloned().unwrap_or_default();
        let rows = count(&about["rows"]);
        let mut images = Vec::new();
        for _ in 0..rows {
            let line = next_line(&mut file).map_err(failed)?;
            let split = Split::ALL.into_iter().find(|split| line[0] == split.name());
            let (name, target) = (line[1].as_str(), target_of(&line[2]));
            let (Some(split), Some(name), Some(target)) = (split, name, target) else {
                return Err(failed(damaged()).into());
            };
            let input = Input::File(PathBuf::new()); // it was read, and is not read again
            images.push((split, Example { input, target, name: name.to_owned() }));
        }
        Ok(Self {
            path: path.to_owned(),
            key: Key {
                version: text("version"),
                processor: text("processor"),
                features: text("features"),
                images: text("images"),
            },
            layer: text("layer"),
            shape: each("shape").iter().map(count).collect(),
            classes: each("classes").iter().filter_map(|class| Some(class.as_str()?.to_owned())).collect(),
            labels: serde_json::from_value(about["labels"].clone()).unwrap_or_default(),
            label_len: count(&about["label_len"]),
            images,
            file,
        })
    }

    /// Adds its rows to others.
    pub(super) fn copy_rows(&mut self, rows: &mut Rows) -> Result<(), Failure> {
        let bytes = 4 * self.images.len() as u64 * self.shape.iter().product::<usize>() as u64;
        let copied = rows.add_from(&mut self.file)?;
        if copied != bytes {
            return Err(format!(
                "`{}` holds {copied} bytes of features and not {bytes}\nhelp: start its shard again",
                self.path.display()
            )
            .into());
        }
        Ok(())
    }
}

fn next_line(file: &mut impl BufRead) -> io::Result<Value> {
    let mut line = String::new();
    file.read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|_| damaged())
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}

/// Numbers by their bits, so that they are the same when they are read.
fn target_json(target: &Target) -> Value {
    match target {
        Target::Class(class) => json!({ "class": class }),
        Target::Labels(labels) => json!({ "labels": labels }),
        Target::Value(values) => {
            json!({ "bits": values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>() })
        }
    }
}

fn target_of(value: &Value) -> Option<Target> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let numbers = || -> Option<Vec<usize>> {
        value.as_array()?.iter().map(|number| Some(number.as_u64()? as usize)).collect()
    };
    match kind.as_str() {
        "class" => Some(Target::Class(value.as_u64()? as usize)),
        "labels" => Some(Target::Labels(numbers()?)),
        "bits" => {
            let of_bits = |bits: usize| f32::from_bits(bits as u32);
            Some(Target::Value(numbers()?.into_iter().map(of_bits).collect()))
        }
        _ => None,
    }
}
