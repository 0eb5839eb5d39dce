//! Features as a table of Parquet: a row an image, as pandas, Polars, DuckDB and Spark read it.

use super::{Embedded, rows::Rows};
use frostline::data::{Example, LabelKind, Split, Target};
use frostline::{FileError, stream_atomically};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::json;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Bytes of the features of a group of rows, which a reader takes into memory at once.
const GROUP_BYTES: usize = 16 << 20;
/// Numbers that are handed to the writer at once.
const BATCH: usize = 1 << 16;

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// Writes the columns `path`, `part`, what is known of labels, and `features`, a list of f32 in the order of the layer's output.
pub(super) fn write(path: &Path, what: &Embedded<'_>, rows: Rows) -> Result<(), FileError> {
    stream_atomically(path, |file| {
        let schema = Arc::new(parse_message_type(&schema(what))?);
        let properties = WriterProperties::builder()
            .set_created_by(format!("frostline {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(about(what)))
            .set_column_dictionary_enabled("features.list.element".into(), false)
            .build();
        // a group is put together in memory and then written
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
        let width = what.shape.iter().product::<usize>().max(1);
        let mut rows = rows.read()?;
        for part in what.sound.chunks((GROUP_BYTES / (4 * width)).max(1)) {
            let mut group = writer.next_row_group()?;
            texts(&mut group, part.iter().map(|(_, example)| example.name.as_str()))?;
            texts(&mut group, part.iter().map(|(split, _)| split.name()))?;
            labels(&mut group, what, part)?;
            features(&mut group, &mut rows, part.len(), width)?;
            group.close()?;
            writer.flush()?;
            file.write_all(&std::mem::take(writer.inner_mut()))?;
        }
        file.write_all(&writer.into_inner()?)
    })
}

/// The columns in Parquet's own notation.
fn schema(what: &Embedded<'_>) -> String {
    let label = match what.labels {
        None => "",
        Some(LabelKind::Classes) => "optional binary label (UTF8);",
        Some(LabelKind::Labels) => {
            "required group labels (LIST) { repeated group list { required binary element (UTF8); } }"
        }
        Some(LabelKind::Numbers) => {
            "required group values (LIST) { repeated group list { required float element; } }"
        }
    };
    format!(
        "message frostline {{ required binary path (UTF8); required binary part (UTF8); {label}
         required group features (LIST) {{ repeated group list {{ required float element; }} }} }}"
    )
}

/// What made the features, for who reads the table later.
fn about(what: &Embedded<'_>) -> Vec<KeyValue> {
    let of = |key: &str, value: String| KeyValue::new(format!("frostline.{key}"), value);
    vec![
        of("layer", what.layer.to_owned()),
        of("shape", json!(what.shape).to_string()),
        of("classes", json!(what.classes).to_string()),
    ]
}

fn labels(group: &mut Group<'_>, what: &Embedded<'_>, part: &[(Split, &Example)]) -> io::Result<()> {
    let classes = what.classes;
    match what.labels {
        None => Ok(()),
        Some(LabelKind::Classes) => {
            let named = part.iter().map(|(_, example)| match example.target {
                Target::Class(class) => classes.get(class),
                Target::Labels(_) | Target::Value(_) => None,
            });
            let known: Vec<i16> = named.clone().map(|name| name.is_some().into()).collect();
            let names: Vec<ByteArray> = named.flatten().map(|name| name.as_str().into()).collect();
            column::<ByteArrayType>(group, |write| write(&names, Some(&known), None))
        }
        Some(LabelKind::Labels) => lists::<ByteArrayType>(
            group,
            part.iter().map(|(_, example)| match &example.target {
                Target::Labels(labels) => {
                    labels.iter().map(|label| classes[*label].as_str().into()).collect()
                }
                Target::Class(_) | Target::Value(_) => Vec::new(),
            }),
        ),
        Some(LabelKind::Numbers) => lists::<FloatType>(
            group,
            part.iter().map(|(_, example)| match &example.target {
                Target::Value(values) => values.to_vec(),
                Target::Class(_) | Target::Labels(_) => Vec::new(),
            }),
        ),
    }
}

fn features(group: &mut Group<'_>, rows: &mut impl Read, count: usize, width: usize) -> io::Result<()> {
    let mut bytes = vec![0; 4 * width];
    let mut next = || -> io::Result<Vec<f32>> {
        rows.read_exact(&mut bytes)?;
        Ok(bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            .collect())
    };
    lists_of::<FloatType>(group, (0..count).map(|_| next()))
}

fn texts<'t>(group: &mut Group<'_>, texts: impl Iterator<Item = &'t str>) -> io::Result<()> {
    let texts: Vec<ByteArray> = texts.map(ByteArray::from).collect();
    column::<ByteArrayType>(group, |write| write(&texts, None, None))
}

fn lists<T: DataType>(group: &mut Group<'_>, lists: impl Iterator<Item = Vec<T::T>>) -> io::Result<()> {
    lists_of::<T>(group, lists.map(Ok))
}

/// A column of lists. Dremel's levels: an element is defined (1), an empty list is not (0); a list's first element begins it (0), the
/// others repeat (1).
fn lists_of<T: DataType>(
    group: &mut Group<'_>,
    lists: impl Iterator<Item = io::Result<Vec<T::T>>>,
) -> io::Result<()> {
    column::<T>(group, |write| {
        let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        let mut lists = lists.peekable();
        while let Some(list) = lists.next() {
            let list = list?;
            defined.extend(std::iter::repeat_n(i16::from(!list.is_empty()), list.len().max(1)));
            repeated.push(0);
            repeated.extend(std::iter::repeat_n(1, list.len().saturating_sub(1)));
            values.extend(list);
            if defined.len() >= BATCH || lists.peek().is_none() {
                write(&values, Some(&defined), Some(&repeated))?;
                values.clear();
                defined.clear();
                repeated.clear();
            }
        }
        Ok(())
    })
}

/// Writes the group's next column by what `fill` hands to the writer: values, definition levels, repetition levels.
fn column<T: DataType>(
    group: &mut Group<'_>,
    fill: impl FnOnce(&mut dyn FnMut(&[T::T], Option<&[i16]>, Option<&[i16]>) -> io::Result<()>) -> io::Result<()>,
) -> io::Result<()> {
    let mut column =
        group.next_column()?.ok_or_else(|| io::Error::other("a column that the schema lacks"))?;
    let writer = column.typed::<T>();
    fill(&mut |values, defined, repeated| Ok(writer.write_batch(values, defined, repeated).map(|_| ())?))?;
    Ok(column.close()?)
}
