//! JSON as a tree: parts are taken out, doubled, exchanged, nested, and made something else.

use super::{bytes, chance, number};
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// A document whose tree is changed; now and then its bytes are.
pub fn json(rng: &mut Rng, text: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    match serde_json::from_slice::<Value>(text) {
        Ok(mut tree) if !chance(rng, 15) => {
            change_tree(rng, &mut tree);
            serde_json::to_vec(&tree).unwrap_or_default()
        }
        _ => bytes(rng, text, others),
    }
}

/// One to five changes.
pub(super) fn change_tree(rng: &mut Rng, tree: &mut Value) {
    for _ in 0..=rng.usize(..5) {
        change(rng, tree);
    }
}

fn change(rng: &mut Rng, tree: &mut Value) {
    let other = random_part(rng, tree).clone();
    let name = random_text(rng, tree);
    let place = random_place(rng, tree);
    match rng.u8(..14) {
        0 | 1 => match place {
            Value::Array(list) if !list.is_empty() => drop(list.remove(rng.usize(..list.len()))),
            Value::Object(map) if !map.is_empty() => {
                let key = map.keys().nth(rng.usize(..map.len())).cloned().unwrap_or_default();
                map.shift_remove(&key);
            }
            other => *other = Value::Null,
        },
        2 | 3 => match place {
            Value::Array(list) if !list.is_empty() => {
                let copy = list[rng.usize(..list.len())].clone();
                let count = if chance(rng, 10) { 40 } else { 1 };
                let at = rng.usize(..=list.len());
                list.splice(at..at, std::iter::repeat_n(copy, count));
            }
            place => *place = other,
        },
        4 => *place = other,
        5 => match place {
            Value::Array(list) if list.len() > 1 => {
                let (one, two) = (rng.usize(..list.len()), rng.usize(..list.len()));
                list.swap(one, two);
            }
            Value::Object(map) if !map.is_empty() => {
                let key = map.keys().nth(rng.usize(..map.len())).cloned().unwrap_or_default();
                if let Some(value) = map.shift_remove(&key) {
                    map.insert(name, value);
                }
            }
            place => *place = other,
        },
        6 | 7 => *place = json!(number(rng)),
        8 => *place = json!(rng.f64() * [1.0, -1.0, 1e300, 1e-300][rng.usize(..4)]),
        9 | 10 => *place = Value::String(name),
        11 => {
            let depth = if chance(rng, 20) { rng.usize(20..200) } else { rng.usize(1..4) };
            for _ in 0..depth {
                let inner = std::mem::take(place);
                *place = match rng.bool() {
                    true => json!([inner]),
                    false => json!({ name.clone(): inner }),
                };
            }
        }
        12 => {
            *place = [Value::Null, json!(true), json!(""), json!([]), Value::Object(Map::new())]
                [rng.usize(..5)]
            .clone();
        }
        _ => match place {
            Value::Object(map) => drop(map.insert(name, other)),
            Value::Array(list) => list.push(other),
            place => *place = other,
        },
    }
}

/// How many parts a tree has, itself included.
fn count(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

fn random_part<'a>(rng: &mut Rng, tree: &'a Value) -> &'a Value {
    fn find<'a>(tree: &'a Value, at: &mut usize) -> Option<&'a Value> {
        if *at == 0 {
            return Some(tree);
        }
        *at -= 1;
        match tree {
            Value::Array(list) => list.iter().find_map(|inner| find(inner, at)),
            Value::Object(map) => map.values().find_map(|inner| find(inner, at)),
            _ => None,
        }
    }
    let mut at = rng.usize(..count(tree));
    find(tree, &mut at).unwrap_or(tree)
}

fn random_place<'a>(rng: &mut Rng, tree: &'a mut Value) -> &'a mut Value {
    let mut at = rng.usize(..count(tree));
    let mut place = tree;
    while at > 0 {
        at -= 1;
        // the child that the place lies in
        let mut step = |inner: &Value| {
            let size = count(inner);
            let is_here = at < size;
            if !is_here {
                at -= size;
            }
            is_here
        };
        place = match place {
            Value::Array(list) => {
                let index = list.iter().position(&mut step).unwrap_or(0);
                &mut list[index]
            }
            Value::Object(map) => {
                let index = map.values().position(&mut step).unwrap_or(0);
                map.values_mut().nth(index).unwrap_or_else(|| unreachable!("it was counted"))
            }
            place => return place,
        };
    }
    place
}

/// A text or a key of the tree, or one that is hard to take.
fn random_text(rng: &mut Rng, tree: &Value) -> String {
    if chance(rng, 15) {
        let hard = [
            "",
            "a/b",
            "../x",
            "\u{1b}[31m",
            "\u{202e}x",
            "NaN",
            "1e999",
            "é\u{301}",
            "\0",
            "float64",
            "relu",
            "None",
        ];
        return hard[rng.usize(..hard.len())].to_owned();
    }
    let mut texts = Vec::new();
    collect(tree, &mut texts);
    match texts.is_empty() {
        true => String::new(),
        false => texts[rng.usize(..texts.len())].to_owned(),
    }
}

fn collect<'a>(tree: &'a Value, texts: &mut Vec<&'a str>) {
    match tree {
        Value::String(text) => texts.push(text),
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, texts)),
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            texts.push(key);
            collect(inner, texts);
        }),
        _ => {}
    }
}
