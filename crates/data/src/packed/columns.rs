//! Which columns of a table say what: by what Hugging Face's metadata say of them, else by their types and usual names.

use std::path::Path;

use parquet::basic::{ConvertedType, Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::ColumnDescPtr;
use serde_json::Value;

use crate::DataError;
use crate::dataset::listed;
use crate::manifest::LABELS;

/// What columns of pictures are called where the bytes lie in them plainly.
const IMAGES: [&str; 9] = ["image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "image_bytes"];

/// The columns by their numbers.
pub(super) struct Columns {
    pub(super) image: usize,
    pub(super) path: Option<usize>,
    pub(super) label: Option<usize>,
    /// The names of the classes that labels are numbers of.
    pub(super) names: Option<Vec<String>>,
    /// Columns of pictures that are left out.
    pub(super) others: Vec<String>,
}

pub(super) fn of(path: &Path, about: &ParquetMetaData) -> Result<Columns, DataError> {
    let schema = about.file_metadata().schema_descr();
    let features = features(about);
    let mut roots: Vec<&str> = Vec::new();
    for column in schema.columns() {
        let root = column.path().parts()[0].as_str();
        if roots.last() != Some(&root) {
            roots.push(root);
        }
    }
    let leaf = |parts: &[&str]| {
        schema.columns().iter().position(|column| column.path().parts().iter().eq(parts.iter()))
    };
    let bytes = |root: &str| {
        let found = leaf(&[root, "bytes"]).or_else(|| leaf(&[root]))?;
        (schema.column(found).physical_type() == Type::BYTE_ARRAY).then_some(found)
    };
    let is_image = |root: &&str| features.as_ref().is_some_and(|all| all[*root]["_type"] == "Image");
    let is_struct = |root: &&str| leaf(&[root, "bytes"]).is_some();
    let is_plain = |root: &&str| {
        let is_binary = |column: &ColumnDescPtr| column.converted_type() == ConvertedType::NONE;
        IMAGES.contains(&root.to_lowercase().as_str())
            && leaf(&[root]).is_some_and(|found| is_binary(&schema.column(found)))
    };
    let of = |is: &dyn Fn(&&str) -> bool| -> Vec<&str> {
        roots.iter().copied().filter(|root| is(root) && bytes(root).is_some()).collect()
    };
    let kinds: [&dyn Fn(&&str) -> bool; 3] = [&is_image, &is_struct, &is_plain];
    let images = kinds.into_iter().map(of).find(|found| !found.is_empty()).unwrap_or_default();
    let refuse = |message: String, help: &str| DataError::source(path, message, help);
    let image = match images[..] {
        [] => {
            return Err(refuse(
                format!("has no column of images; its columns are {}", listed(&roots)),
                "a column `image` holds `bytes` and `path`, as `datasets` writes them, or the bytes of files",
            ));
        }
        [one] => one,
        _ => match images.iter().find(|name| ["image", "img"].contains(&name.to_lowercase().as_str())) {
            Some(image) => image,
            None => {
                return Err(refuse(
                    format!("has several columns of images: {}", listed(&images)),
                    "name the one to learn from `image`, or write the file with one of them",
                ));
            }
        },
    };
    let is_class = |root: &&str| features.as_ref().is_some_and(|all| class_label(&all[*root]).is_some());
    let usual = LABELS
        .iter()
        .find_map(|name| roots.iter().copied().find(|root| *root != image && root.to_lowercase() == *name));
    let classes: Vec<&str> = roots.iter().copied().filter(|root| *root != image && is_class(root)).collect();
    let label = match (usual, &classes[..]) {
        (Some(label), _) => Some(label),
        (None, []) => None,
        (None, [one]) => Some(*one),
        (None, _) => {
            return Err(refuse(
                format!("has several columns of classes: {}", listed(&classes)),
                "name the one to learn `label`",
            ));
        }
    };
    let leaves = |root: &str| -> Vec<usize> {
        let is_below = |at: &usize| schema.column(*at).path().parts()[0] == root;
        (0..schema.num_columns()).filter(is_below).collect()
    };
    let label_column = match label.map(|label| (label, leaves(label))) {
        None => None,
        Some((_, leaves)) if leaves.len() == 1 => Some(leaves[0]),
        Some((label, _)) => {
            return Err(refuse(
                format!("its column `{label}` holds several values a row, and is no label"),
                "name a column of classes, texts, numbers, or lists of these `label`",
            ));
        }
    };
    Ok(Columns {
        image: bytes(image).unwrap_or_default(),
        path: leaf(&[image, "path"]),
        label: label_column,
        names: label.and_then(|label| class_label(&features.as_ref()?[label])),
        others: images.iter().filter(|name| **name != image).map(|name| (*name).to_owned()).collect(),
    })
}

/// What Hugging Face's metadata say of the columns.
fn features(about: &ParquetMetaData) -> Option<Value> {
    let all = about.file_metadata().key_value_metadata()?;
    let text = all.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
    let mut document: Value = serde_json::from_str(text).ok()?;
    Some(document["info"]["features"].take())
}

/// The names of a column of classes, or of lists of classes.
fn class_label(feature: &Value) -> Option<Vec<String>> {
    let inner = match feature {
        Value::Array(several) => return class_label(several.first()?),
        Value::Object(own) if own.contains_key("feature") => return class_label(&own["feature"]),
        own => own,
    };
    if inner["_type"] != "ClassLabel" {
        return None;
    }
    inner["names"].as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
