//! Weights that `save_weights(…, max_shard_size=…)` cuts into files: `NAME.weights.json` says which file holds what, and each is a part
//! of Keras 3's store.
//! Source: `ShardedH5IOStore` of `keras/src/saving/saving_lib.py`.

use super::legacy::load_store;
use crate::{LoadReport, WeightsOptions, hdf5};
use frostline_files::regular;
use frostline_graph::{Error, Model, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// No model is cut into more.
const MOST: usize = 10_000;

/// Reads weights onto a model, all or none.
pub(crate) fn load_weights(
    path: &Path,
    list: &[u8],
    model: &Model,
    options: WeightsOptions,
) -> Result<LoadReport> {
    let names = names(list).map_err(|what| Error::format(path, what))?;
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        let shard = path.with_file_name(&name);
        let bytes = regular::read(&shard).map_err(|source| Error::io(&shard, source))?;
        files.push(hdf5::open(&shard, bytes)?);
    }
    load_store(path, &files, model, options)
}

/// The names of the shards, which lie beside the list.
fn names(list: &[u8]) -> Result<BTreeSet<String>, String> {
    let help = "help: expected the `.weights.json` that Keras writes beside the shards";
    let json: Value =
        serde_json::from_slice(list).map_err(|error| format!("it is no JSON: {error}\n{help}"))?;
    let map = json["weight_map"].as_object().ok_or_else(|| format!("it has no `weight_map`\n{help}"))?;
    let mut names = BTreeSet::new();
    for value in map.values() {
        let all = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for name in all {
            let name = name.as_str().unwrap_or_default();
            if name.is_empty() || name.contains(['/', '\\']) || name == ".." {
                return Err(format!("it names a shard `{name}`, which is no file beside it\n{help}"));
            }
            names.insert(name.to_owned());
        }
    }
    match names.len() {
        1..=MOST => Ok(names),
        count => Err(format!("it names {count} shards\n{help}")),
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn shards_lie_beside_their_list() {
        let list = br#"{"weight_map": {"/layers/a/vars": "m_00000.weights.h5", "/layers/b/vars": ["m_00000.weights.h5", "m_00001.weights.h5"]}}"#;
        let found = names(list).expect("valid");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["m_00000.weights.h5", "m_00001.weights.h5"]);
        for list in [
            &b"{"[..],
            b"{}",
            br#"{"weight_map": {}}"#,
            br#"{"weight_map": {"/a": "../m.h5"}}"#,
            br#"{"weight_map": {"/a": 3}}"#,
        ] {
            assert!(names(list).expect_err("wrong").contains("help:"));
        }
    }
}
