//! Safetensors: the header's JSON, with a length that fits it, and numbers.

use super::json::change_tree;
use super::{bytes, chance, number};
use fastrand::Rng;
use serde_json::{Value, json};

/// The header or the numbers change; now and then any bytes do.
pub fn safetensors(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let Some((mut header, data)) = parts(file).filter(|_| !chance(rng, 25)) else {
        return bytes(rng, file, others);
    };
    // a model that frostline wrote is in the metadata, as text
    let config = header.pointer("/__metadata__").and_then(Value::as_object).cloned().unwrap_or_default();
    let texts: Vec<(String, Value)> = config
        .iter()
        .filter_map(|(key, text)| Some((key.clone(), serde_json::from_str(text.as_str()?).ok()?)))
        .collect();
    match texts.is_empty() || rng.bool() {
        true if rng.bool() => shape(rng, &mut header),
        true => change_tree(rng, &mut header),
        false => {
            let (key, mut inner) = texts[rng.usize(..texts.len())].clone();
            change_tree(rng, &mut inner);
            header["__metadata__"][&key] = json!(inner.to_string());
        }
    }
    let text = serde_json::to_vec(&header).unwrap_or_default();
    let data = if chance(rng, 20) { bytes(rng, data, &[]) } else { data.to_vec() };
    [&(text.len() as u64).to_le_bytes(), text.as_slice(), &data].concat()
}

fn parts(file: &[u8]) -> Option<(Value, &[u8])> {
    let len = usize::try_from(u64::from_le_bytes(file.get(..8)?.try_into().ok()?)).ok()?;
    let header = serde_json::from_slice(file.get(8..len.checked_add(8)?)?).ok()?;
    Some((header, &file[8 + len..]))
}

/// Another shape, type or place of a tensor.
fn shape(rng: &mut Rng, header: &mut Value) {
    let Some(map) = header.as_object_mut().filter(|map| !map.is_empty()) else { return };
    let at = rng.usize(..map.len());
    let Some(tensor) = map.values_mut().nth(at) else { return };
    if !tensor.is_object() {
        return;
    }
    match rng.u8(..3) {
        0 => tensor["shape"] = (0..rng.usize(..5)).map(|_| json!(number(rng))).collect(),
        1 => {
            let kinds = ["F32", "F16", "BF16", "F64", "I8", "U8", "BOOL", "I64", "F8_E4M3", "F4", "C64"];
            tensor["dtype"] = json!(kinds[rng.usize(..kinds.len())]);
        }
        _ => tensor["data_offsets"] = json!([number(rng), number(rng)]),
    }
}
