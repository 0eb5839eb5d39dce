//! What frostline writes into a model's `metadata_props` besides the graph, and reads back.

use frostline_graph::ModelInfo;
use serde_json::Value;
use std::collections::BTreeMap;

/// The key that says that images have their channels last; only frostline writes it.
pub(super) const LAYOUT: &str = "frostline.layout";

/// Before each key.
const PREFIX: &str = "frostline.";

/// The entries of an info that says anything: `frostline.classes`, `frostline.preprocess`, …, each as JSON.
pub(super) fn write(info: &ModelInfo) -> Vec<(String, String)> {
    let Ok(Value::Object(entries)) = serde_json::to_value(info) else { return Vec::new() };
    let said = entries.into_iter().filter(|(_, value)| !value.is_null());
    said.map(|(key, value)| (format!("{PREFIX}{key}"), value.to_string())).collect()
}

/// The info of a file. What cannot be read counts as not said.
pub(super) fn read(metadata: &BTreeMap<String, String>) -> ModelInfo {
    let entry = |(key, value): (&String, &String)| {
        Some((key.strip_prefix(PREFIX)?.to_owned(), serde_json::from_str::<Value>(value).ok()?))
    };
    let entries = metadata.iter().filter_map(entry).collect();
    serde_json::from_value(Value::Object(entries)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_back() {
        let info = ModelInfo {
            classes: Some(vec!["cat".to_owned(), "dog, \"big\"".to_owned()]),
            preprocess: Some(json!("tf")),
            image_size: Some([224, 192]),
            resize: Some("tf-bilinear".to_owned()),
            scaled_decode: None,
            ..ModelInfo::default()
        };
        let entries: BTreeMap<String, String> = write(&info).into_iter().collect();
        assert_eq!(entries["frostline.image_size"], "[224,192]");
        assert_eq!(read(&entries), info);
        assert!(write(&ModelInfo::default()).is_empty());
        assert_eq!(
            read(&BTreeMap::from([("frostline.classes".to_owned(), "7".to_owned())])),
            ModelInfo::default()
        );
    }
}
